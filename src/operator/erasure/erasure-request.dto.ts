import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsNotEmpty, IsString, ValidateIf } from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';
import type { FieldError } from '../../http/problem/problem.js';
import { Problem } from '../../http/problem/problem.js';
import type { Subject } from '../../ingest/erasure/body-search.js';

const text = { message: 'must be a string' };
const notEmpty = { message: 'must not be empty' };

/** Who is to be erased: a `callee_number`, or a `workflow_id` and a `case_id`. */
export class ErasureRequest {
  @ApiPropertyOptional({ description: 'The whole number as the provider sent it.', example: '+62123456' })
  @ValidateIf(({ callee_number }: ErasureRequest) => callee_number !== undefined)
  @IsString(text)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  callee_number?: string;

  @ApiPropertyOptional({
    description: 'With `case_id`: the case in this workflow, whatever its number.',
    example: '707c2a72791f4fcd9890120ccfe52983',
  })
  @ValidateIf(({ workflow_id }: ErasureRequest) => workflow_id !== undefined)
  @IsString(text)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({ description: "The customer's own id, whole.", example: 'test-caseid11' })
  @ValidateIf(({ case_id }: ErasureRequest) => case_id !== undefined)
  @IsString(text)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  case_id?: string;
}

/** @throws Problem `invalid_request` if it is not clear who is meant */
export function toSubject({ callee_number, workflow_id, case_id }: ErasureRequest): Subject {
  if (callee_number !== undefined && workflow_id === undefined && case_id === undefined) return { callee_number };
  if (callee_number === undefined && workflow_id !== undefined && case_id !== undefined)
    return { workflow_id, case_id };
  const errors: FieldError[] = [
    { path: '', message: 'must have either a callee_number, or a workflow_id and a case_id, and nothing else' },
  ];
  throw new Problem('invalid_request', 'The body is not valid: see errors.', errors);
}
