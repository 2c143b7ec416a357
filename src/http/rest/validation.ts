import { type ArgumentMetadata, ValidationPipe } from '@nestjs/common';
import { toFieldErrors } from '../problem/field-errors.js';
import { type FieldError, Problem } from '../problem/problem.js';

/** Maximum number of errors in one response. */
const MAX_ERRORS = 100;

/** Query of an endpoint without parameters. Every parameter is unknown and therefore rejected. */
export class NoQuery {}

/** Validates parameters against their class, names each fault, and rejects unknown parameters. */
export class RequestValidation extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      exceptionFactory: (errors) => toProblem(toFieldErrors(errors)),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'query') rejectInheritedNames(value as object);
    return super.transform(value, metadata);
  }
}

/** class-validator accepts a parameter called `constructor`, because every object has that property. */
function rejectInheritedNames(query: object): void {
  const inherited = Object.keys(query).filter((name) => name in Object.prototype);
  if (inherited.length > 0) throw toProblem(inherited.map((path) => ({ path, message: 'is not a known parameter' })));
}

function toProblem(errors: readonly FieldError[]): Problem {
  const more = errors.length > MAX_ERRORS ? ` (the first ${MAX_ERRORS} of ${errors.length})` : '';
  return new Problem('invalid_request', `The request is not valid: see errors${more}.`, errors.slice(0, MAX_ERRORS));
}
