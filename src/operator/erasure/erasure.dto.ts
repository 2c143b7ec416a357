import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsNotEmpty, IsString, ValidateIf } from 'class-validator';
import type { ErasureEntity, Removed } from '../../database/entities.js';
import { IsStorableText } from '../../database/storable-text.js';
import { type FieldError, Problem } from '../../http/problem/problem.js';
import { PageOf } from '../../http/rest/page.js';
import type { Subject } from '../../ingest/erasure/body-search.js';

const text = { message: 'must be a string' };
const notEmpty = { message: 'must not be empty' };

/** The subject of an erasure: a `callee_number`, or a `workflow_id` and a `case_id`. */
export class ErasureRequest {
  @ApiPropertyOptional({ description: 'The full number as the provider sent it.', example: '+62123456' })
  @ValidateIf(({ callee_number }: ErasureRequest) => callee_number !== undefined)
  @IsString(text)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  callee_number?: string;

  @ApiPropertyOptional({
    description: 'With `case_id`: the case in this workflow, with any number.',
    example: '707c2a72791f4fcd9890120ccfe52983',
  })
  @ValidateIf(({ workflow_id }: ErasureRequest) => workflow_id !== undefined)
  @IsString(text)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({ description: "The customer's own id, an exact match.", example: 'test-caseid11' })
  @ValidateIf(({ case_id }: ErasureRequest) => case_id !== undefined)
  @IsString(text)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  case_id?: string;
}

/** @throws Problem `invalid_request` unless the request has exactly one kind of subject */
export function toSubject({ callee_number, workflow_id, case_id }: ErasureRequest): Subject {
  if (callee_number !== undefined && workflow_id === undefined && case_id === undefined) return { callee_number };
  if (callee_number === undefined && workflow_id !== undefined && case_id !== undefined)
    return { workflow_id, case_id };
  const errors: FieldError[] = [
    { path: '', message: 'must have either a callee_number, or a workflow_id and a case_id, and nothing else' },
  ];
  throw new Problem('invalid_request', 'The body is not valid: see errors.', errors);
}

/** A row of the statements that read erasures. */
export type ErasureRow = Omit<ErasureEntity, 'subject_digest'>;

/** The number of removed rows. */
export class RemovedResponse implements Removed {
  @ApiProperty({ type: 'integer', description: 'Cases.', example: 1 })
  cases: number;

  @ApiProperty({ type: 'integer', description: 'Node tasks of those cases.', example: 3 })
  case_node_tasks: number;

  @ApiProperty({ type: 'integer', description: 'Notifications of those cases, with their bytes.', example: 1 })
  notifications: number;

  @ApiProperty({ type: 'integer', description: 'Quarantined bodies that mention the person.', example: 0 })
  quarantined_notifications: number;

  @ApiProperty({
    type: 'integer',
    description:
      'Notifications in the spool of the replica that responded. Other replicas skip theirs when they drain their spools.',
    example: 0,
  })
  spooled_notifications: number;
}

/** The receipt of an erasure, without its subject. */
export class ErasureResponse {
  @ApiProperty({ format: 'uuid', description: 'Id of the erasure.', example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55' })
  id: string;

  @ApiProperty({
    format: 'date-time',
    description: 'Data received up to this time is removed; data received later is stored.',
    example: '2026-01-31T09:30:00.000Z',
  })
  erased_at: string;

  @ApiProperty({
    enum: ['callee_number', 'case'],
    description: 'The kind of the subject.',
    example: 'callee_number',
  })
  subject: ErasureEntity['subject'];

  @ApiProperty({ description: 'Name of the API key that requested the erasure.', example: 'operator' })
  key_name: string;

  @ApiProperty({
    type: RemovedResponse,
    nullable: true,
    description: 'The removed rows; null while the erasure runs, or if it was aborted and has to be requested again.',
  })
  removed: RemovedResponse | null;

  static from(this: void, { id, erased_at, subject, key_name, removed }: ErasureRow): ErasureResponse {
    return { id, erased_at: erased_at.toISOString(), subject, key_name, removed };
  }
}

export class ErasuresPage extends PageOf(ErasureResponse) {}
