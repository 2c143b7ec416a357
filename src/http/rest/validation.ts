import { type ArgumentMetadata, ValidationPipe } from '@nestjs/common';
import { toFieldErrors } from '../problem/field-errors.js';
import { type FieldError, Problem } from '../problem/problem.js';

/** Nobody mends more at once. */
const MAX_ERRORS = 100;

/** Parameters of an endpoint that takes none: any is unknown, and unknown ones are refused, not ignored. */
export class NoQuery {}

/** Judges parameters by their class. What is wrong is told where; what is unknown is refused. */
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
    if (metadata.type === 'query') refuseInheritedNames(value as object);
    return super.transform(value, metadata);
  }
}

/** class-validator would take a parameter called `constructor` for a known one: every object has it. */
function refuseInheritedNames(query: object): void {
  const inherited = Object.keys(query).filter((name) => name in Object.prototype);
  if (inherited.length > 0) throw toProblem(inherited.map((path) => ({ path, message: 'is not a known parameter' })));
}

function toProblem(errors: readonly FieldError[]): Problem {
  const more = errors.length > MAX_ERRORS ? ` (the first ${MAX_ERRORS} of ${errors.length})` : '';
  return new Problem('invalid_request', `The request is not valid: see errors${more}.`, errors.slice(0, MAX_ERRORS));
}
