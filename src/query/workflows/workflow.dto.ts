import { ApiProperty } from '@nestjs/swagger';
import { PageOf } from '../../http/rest/page.js';

/** A workflow in the list. */
export class WorkflowResponse {
  @ApiProperty({ description: "The provider's id of the workflow.", example: '707c2a72791f4fcd9890120ccfe52983' })
  workflow_id: string;

  @ApiProperty({ description: 'The most recent name.', example: 'test-544-0001' })
  workflow_name: string;

  @ApiProperty({
    format: 'date-time',
    description: 'When its newest notification was received.',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_notified_at: string;

  static from(this: void, row: WorkflowRow): WorkflowResponse {
    return {
      workflow_id: row.workflow_id,
      workflow_name: row.workflow_name,
      last_notified_at: row.last_notified_at.toISOString(),
    };
  }
}

export class WorkflowsPage extends PageOf(WorkflowResponse) {}

/** A workflow with its counts: exact, and all of one snapshot. */
export class WorkflowDetailResponse extends WorkflowResponse {
  @ApiProperty({ type: 'integer', description: 'Completed cases.', example: 1 })
  case_count: number;

  @ApiProperty({ type: 'integer', description: 'Stored deliveries, including repeats.', example: 1 })
  notification_count: number;

  @ApiProperty({
    description: 'When its first case was completed.',
    format: 'date-time',
    example: '2026-01-31T09:30:00.000Z',
  })
  first_completed_at: string;

  @ApiProperty({
    description: 'When its newest case was completed.',
    format: 'date-time',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_completed_at: string;

  static override from(this: void, row: WorkflowDetailRow): WorkflowDetailResponse {
    return {
      ...WorkflowResponse.from(row),
      case_count: Number(row.case_count),
      notification_count: Number(row.notification_count),
      first_completed_at: row.first_completed_at.toISOString(),
      last_completed_at: row.last_completed_at.toISOString(),
    };
  }
}

/** A node task of a workflow. */
export class NodeTaskResponse {
  @ApiProperty({ description: "The provider's id of the node task.", example: '300e4513a8a44567a933f893cee2b637' })
  nodetask_id: string;

  @ApiProperty({ description: 'The most recent name.', example: 'Voicebot Call1' })
  nodetask_name: string;

  @ApiProperty({
    description: 'The most recent type. Known values: call, sms, email; others may follow.',
    example: 'call',
  })
  node_type: string;

  @ApiProperty({
    type: 'integer',
    description: 'Cases that went through the node task, each counted once.',
    example: 1,
  })
  case_count: number;

  static from(this: void, row: NodeTaskRow): NodeTaskResponse {
    return {
      nodetask_id: row.nodetask_id,
      nodetask_name: row.nodetask_name,
      node_type: row.node_type,
      case_count: Number(row.case_count),
    };
  }
}

export class NodeTasksPage extends PageOf(NodeTaskResponse) {}

export interface WorkflowRow {
  workflow_id: string;
  workflow_name: string;
  last_notified_at: Date;
}

/** The driver returns the 64-bit counts of PostgreSQL as text. */
export interface WorkflowDetailRow extends WorkflowRow {
  case_count: string;
  notification_count: string;
  first_completed_at: Date;
  last_completed_at: Date;
}

export interface NodeTaskRow {
  nodetask_id: string;
  nodetask_name: string;
  node_type: string;
  case_count: string;
}
