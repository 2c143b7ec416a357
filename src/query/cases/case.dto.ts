import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { IngestionResponse } from './freshness.dto.js';
import { PageOf } from '../../http/rest/page.js';

/** A row of the statements that select complete cases. */
export interface CaseRow {
  id: string;
  workflow_id: string;
  workflow_name: string;
  case_id: string;
  callee_number: string;
  completed_at: Date;
  last_notified_at: Date;
  notification_count: number;
  revision: number;
  /** Each is an array of position, nodetask_id, nodetask_name, node_type and task_id. */
  node_tasks: [string, string, string, string, string | null][] | null;
}

export class CaseNodeTaskResponse {
  @ApiProperty({ type: 'integer', description: 'Position in the order received, from 0.', example: 0 })
  position: number;

  @ApiProperty({ description: "The provider's id of the node task.", example: '300e4513a8a44567a933f893cee2b637' })
  nodetask_id: string;

  @ApiProperty({
    description: 'The most recent name in any case. Cut if the names in one response would exceed 1 MiB.',
    example: 'Voicebot Call1',
  })
  nodetask_name: string;

  @ApiProperty({
    description: "The type in this case's own notification. Known values: call, sms, email; others may follow.",
    example: 'call',
  })
  node_type: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The id by which the provider has the call results.',
    example: '1fe46b87ee3eb19b6e59fcacc4c66446',
  })
  task_id: string | null;
}

/** A completed case. */
export class CaseResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Id of the case in this service.',
    example: '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77',
  })
  id: string;

  @ApiProperty({ description: "The provider's id of the workflow.", example: '707c2a72791f4fcd9890120ccfe52983' })
  workflow_id: string;

  @ApiProperty({ description: 'The most recent name.', example: 'test-544-0001' })
  workflow_name: string;

  @ApiProperty({ description: "The customer's own id; may be empty.", example: 'test-caseid11' })
  case_id: string;

  @ApiProperty({ description: 'Masked without the scope `reveal`.', example: '******456' })
  callee_number: string;

  @ApiProperty({
    format: 'date-time',
    description: 'When its first notification was received. The provider sends no time.',
    example: '2026-01-31T09:30:00.000Z',
  })
  completed_at: string;

  @ApiProperty({
    format: 'date-time',
    description: 'When its newest notification was received.',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_notified_at: string;

  @ApiProperty({ type: 'integer', description: 'Number of deliveries, including repeats.', example: 1 })
  notification_count: number;

  @ApiProperty({ type: 'integer', description: 'Increases by one with each change of content.', example: 1 })
  revision: number;

  @ApiProperty({ type: [CaseNodeTaskResponse], description: 'The node tasks that the case went through, in order.' })
  node_tasks: CaseNodeTaskResponse[];

  static from(this: void, row: CaseRow, disclosure: Disclosure): CaseResponse {
    return {
      id: row.id,
      workflow_id: row.workflow_id,
      workflow_name: row.workflow_name,
      case_id: row.case_id,
      callee_number: disclosure.number(row.callee_number),
      completed_at: row.completed_at.toISOString(),
      last_notified_at: row.last_notified_at.toISOString(),
      notification_count: row.notification_count,
      revision: row.revision,
      node_tasks: (row.node_tasks ?? []).map(([position, nodetask_id, nodetask_name, node_type, task_id]) => ({
        position: Number(position),
        nodetask_id,
        nodetask_name,
        node_type,
        task_id,
      })),
    };
  }
}

/** A page of cases, with the freshness of the data. */
export class CasesPage extends PageOf(CaseResponse) {
  @ApiPropertyOptional({
    type: 'integer',
    description: 'Only with `include_total`: the number of all matching cases.',
    example: 1,
  })
  readonly total?: number;

  @ApiProperty({ description: 'Whether a case that is not listed may have been received.' })
  readonly ingestion: IngestionResponse;
}
