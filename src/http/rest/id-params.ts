import { Param, ParseUUIDPipe } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import { isStorableText } from '../../database/storable-text.js';
import { Problem } from '../problem/problem.js';

/** @throws Problem `not_found` if a reader found no row */
export function orNotFound<T>(result: T | undefined): T {
  if (result === undefined) throw notFound();
  return result;
}

/** The path's `id`, a UUID; anything else is `invalid_request`. */
export function IdParam(): ParameterDecorator {
  return Param(
    'id',
    new ParseUUIDPipe({
      exceptionFactory: () =>
        new Problem('invalid_request', 'The id in the path is not valid.', [{ path: 'id', message: 'must be a UUID' }]),
    }),
  );
}

/** Documents the path's `id`. */
export function ApiIdParam(description: string, example: string): MethodDecorator {
  return ApiParam({ name: 'id', description, example, schema: { type: 'string', format: 'uuid' } });
}

/** The path's `workflow_id`: any text. A text that PostgreSQL cannot store is `not_found`. */
export function WorkflowIdParam(): ParameterDecorator {
  return Param('workflow_id', {
    transform: (value: string) => {
      if (!isStorableText(value)) throw notFound();
      return value;
    },
  });
}

function notFound(): Problem {
  return new Problem('not_found', 'There is nothing with this id.');
}
