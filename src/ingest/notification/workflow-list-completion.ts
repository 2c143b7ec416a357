import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsArray, IsNotEmpty, IsOptional, IsString, ValidateBy, validateSync } from 'class-validator';
import { IsStorableText, MaxBytes } from '../../database/storable-text.js';
import { compileValidator } from './compiled-validator.js';
import { toFieldErrors } from '../../http/problem/field-errors.js';
import type { FieldError } from '../../http/problem/problem.js';

/** One index entry has the three ids of a case, so their length is limited. The provider's have 32 bytes. */
export const MAX_ID_BYTES = 800;

const LIMITED = `At most ${MAX_ID_BYTES} bytes in UTF-8.`;

/** A body may have a hundred thousand faults. Listing the first ones keeps the response fast. */
const MAX_ERRORS = 100;
const TOO_MANY = `has more faults than the ${MAX_ERRORS} listed here`;

const missingOr = (message: string) => ({
  message: ({ value }: { value: unknown }) => (value === undefined ? `is missing; it ${message}` : message),
});
const string = missingOr('must be a string');
const notEmpty = { message: 'must not be empty' };

/** A node task that the case passed. */
export class WorkflowListCompletionRow {
  @ApiProperty({
    description: `Id of the node task in its workflow. ${LIMITED}`,
    example: '300e4513a8a44567a933f893cee2b637',
    minLength: 1,
  })
  @IsString(string)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  @MaxBytes(MAX_ID_BYTES)
  nodetask_id: string;

  @ApiProperty({ description: 'Label of the node task.', example: 'Voicebot Call1' })
  @IsString(string)
  @IsStorableText()
  nodetask_name: string;

  @ApiProperty({
    description: `Type of the node. Seen: call, sms, email; the list is open. ${LIMITED}`,
    example: 'call',
  })
  @IsString(string)
  @IsStorableText()
  @MaxBytes(MAX_ID_BYTES)
  node_type: string;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    description: `Id of the task, which leads to the call results. Absent, null and empty all mean none. ${LIMITED}`,
    example: '1fe46b87ee3eb19b6e59fcacc4c66446',
  })
  @IsOptional()
  @IsString(string)
  @IsStorableText()
  @MaxBytes(MAX_ID_BYTES)
  task_id?: unknown;
}

/**
 * The "Notification for Workflow List Completion" of AI Rudder: one case with one number has left its workflow. Names, types
 * and required fields follow the provider's page of 2024-05-28. Unknown fields are accepted and stored.
 */
export class WorkflowListCompletion {
  @ApiProperty({
    description: `Id of the workflow. ${LIMITED}`,
    example: '707c2a72791f4fcd9890120ccfe52983',
    minLength: 1,
  })
  @IsString(string)
  @IsNotEmpty(notEmpty)
  @IsStorableText()
  @MaxBytes(MAX_ID_BYTES)
  workflow_id: string;

  @ApiProperty({ description: 'Label of the workflow.', example: 'test-544-0001' })
  @IsString(string)
  @IsStorableText()
  workflow_name: string;

  @ApiProperty({
    description: `The customer's own id of the case. May be empty if \`callee_number\` is not. ${LIMITED}`,
    example: 'test-caseid11',
  })
  @IsString(string)
  @IsNotEmptyWith('callee_number')
  @IsStorableText()
  @MaxBytes(MAX_ID_BYTES)
  case_id: string;

  @ApiProperty({
    description: `The number that was called. May be empty if \`case_id\` is not. ${LIMITED}`,
    example: '+62123456',
  })
  @IsString(string)
  @IsStorableText()
  @MaxBytes(MAX_ID_BYTES)
  callee_number: string;

  @ApiProperty({
    type: [WorkflowListCompletionRow],
    description: 'The node tasks that the case passed, in order. May be empty.',
  })
  @IsArray(missingOr('must be an array'))
  rows: WorkflowListCompletionRow[];
}

/** The documented fields of a valid notification. */
export interface Completion {
  readonly workflow_id: string;
  readonly workflow_name: string;
  readonly case_id: string;
  readonly callee_number: string;
  readonly rows: readonly {
    readonly nodetask_id: string;
    readonly nodetask_name: string;
    readonly node_type: string;
    readonly task_id: string | null;
  }[];
}

/** Validates a parsed body by the rules of `WorkflowListCompletion`. */
export function parseWorkflowListCompletion(body: unknown): { completion: Completion } | { errors: FieldError[] } {
  if (!isObject(body)) return { errors: [{ path: '', message: 'must be a JSON object' }] };
  if (isValid(body)) return { completion: toCompletion(body) };
  return { errors: findErrors(toCandidate(body)) };
}

const satisfiesRules = compileValidator(WorkflowListCompletion);
const satisfiesRowRules = compileValidator(WorkflowListCompletionRow);

/** Gives the same result as class-validator, without messages. A property test compares the two. */
export function isValid(body: Record<string, unknown>): body is ValidBody {
  return satisfiesRules(body) && (body['rows'] as unknown[]).every((row) => isObject(row) && satisfiesRowRules(row));
}

type ValidBody = Record<string, unknown> & WorkflowListCompletion;

/** Validates rows one by one, and stops at the limit of errors. */
export function findErrors(candidate: WorkflowListCompletion): FieldError[] {
  const rows: unknown[] = Array.isArray(candidate.rows) ? candidate.rows : [];
  const errors = toFieldErrors(validateSync(candidate));
  for (const [index, row] of rows.entries()) {
    const path = `rows[${index}]`;
    if (row instanceof WorkflowListCompletionRow) errors.push(...toFieldErrors(validateSync(row), path));
    else errors.push({ path, message: 'must be an object' });
    if (errors.length > MAX_ERRORS) return [...errors.slice(0, MAX_ERRORS), { path: '', message: TOO_MANY }];
  }
  return errors;
}

/**
 * Copies the documented fields with any value. It does not use class-transformer, which recurses into values: a body with a
 * hundred thousand levels would overflow the stack.
 */
export function toCandidate(body: Record<string, unknown>): WorkflowListCompletion {
  const { workflow_id, workflow_name, case_id, callee_number, rows } = body;
  return Object.assign(new WorkflowListCompletion(), {
    workflow_id,
    workflow_name,
    case_id,
    callee_number,
    rows: Array.isArray(rows) ? rows.map(toCandidateRow) : rows,
  });
}

function toCandidateRow(row: unknown): unknown {
  if (!isObject(row)) return row;
  const { nodetask_id, nodetask_name, node_type, task_id } = row;
  return Object.assign(new WorkflowListCompletionRow(), { nodetask_id, nodetask_name, node_type, task_id });
}

function toCompletion(valid: ValidBody): Completion {
  const { workflow_id, workflow_name, case_id, callee_number } = valid;
  const rows = valid.rows.map(({ nodetask_id, nodetask_name, node_type, task_id }) => {
    return { nodetask_id, nodetask_name, node_type, task_id: (task_id as string | null | undefined) || null };
  });
  return { workflow_id, workflow_name, case_id, callee_number, rows };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The id or the number identifies a case. With neither, all such cases of a workflow would be one. */
function IsNotEmptyWith(other: keyof WorkflowListCompletion): PropertyDecorator {
  return ValidateBy({
    name: 'isNotEmptyWith',
    validator: {
      validate: (value, context) =>
        value !== '' || (context?.object as WorkflowListCompletion | undefined)?.[other] !== '',
      defaultMessage: () => `must not be empty when ${other} is empty too`,
    },
  });
}
