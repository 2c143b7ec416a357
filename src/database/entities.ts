import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';

/**
 * The tables, as TypeORM sees them. The SQL in `migrations/` makes them; a test holds the two equal.
 *
 * Ids, types and numbers are the provider's or the customer's opaque text, compared byte by byte (`COLLATE "C"`), so that
 * no index depends on the operating system's idea of an alphabet. Times have the milliseconds that the API shows.
 *
 * There are no foreign keys. To `workflows` or `node_tasks` each insert would lock the one row that all cases of a workflow
 * share, and turn it into a queue (docs/decisions/0003-tables.md); the others would check what one statement has just
 * written, for two fifths of PostgreSQL's work (docs/decisions/0007-group-commit.md).
 */
const opaqueText = { type: 'text', collation: 'C' } as const;
const time = { type: 'timestamptz', precision: 3 } as const;

/** How a delivery compares with what was known of its case when it was written. */
export const VERDICTS = ['first', 'repeat', 'changed', 'late'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** A workflow as last named. */
@Entity('workflows')
export class WorkflowEntity {
  @PrimaryColumn({ ...opaqueText, primaryKeyConstraintName: 'pk_workflows' })
  workflow_id: string;

  @Column({ type: 'text' })
  workflow_name: string;

  /** Receipt of the delivery that gave the name: an older delivery never takes it back. */
  @Column(time)
  named_at: Date;

  @Column({ type: 'uuid' })
  named_by: string;
}

/** A node of a workflow, as last named and typed; shared by all cases of the workflow. */
@Entity('node_tasks')
@Index('ix_node_tasks_nodetask', ['nodetask_id'])
export class NodeTaskEntity {
  @PrimaryColumn({ ...opaqueText, primaryKeyConstraintName: 'pk_node_tasks' })
  workflow_id: string;

  @PrimaryColumn({ ...opaqueText, primaryKeyConstraintName: 'pk_node_tasks' })
  nodetask_id: string;

  @Column({ type: 'text' })
  nodetask_name: string;

  @Column(opaqueText)
  node_type: string;

  @Column(time)
  named_at: Date;

  @Column({ type: 'uuid' })
  named_by: string;
}

/**
 * A completed case. Its state is a function of the set of its deliveries, whatever the order they were written in:
 * the content is that of the delivery with the greatest (received_at, id), `completed_at` the least received_at.
 */
@Entity('cases')
@Unique('uq_cases_identity', ['workflow_id', 'case_id', 'callee_number'])
@Index('ix_cases_completed', ['completed_at', 'id'])
@Index('ix_cases_workflow', ['workflow_id', 'completed_at', 'id'])
@Index('ix_cases_case', ['case_id', 'completed_at', 'id'])
@Index('ix_cases_callee', ['callee_number', 'completed_at', 'id'])
export class CaseEntity {
  /** Made here: the provider's `case_id` is the customer's text and unique nowhere. */
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_cases' })
  id: string;

  @Column(opaqueText)
  workflow_id: string;

  /** The customer's own id; may be empty. */
  @Column(opaqueText)
  case_id: string;

  @Column(opaqueText)
  callee_number: string;

  @Column(time)
  completed_at: Date;

  @Column(time)
  last_notified_at: Date;

  @Column({ type: 'integer' })
  notification_count: number;

  /** How many times in receipt order the content differed from the one before it; the first content is revision 1. */
  @Column({ type: 'integer' })
  revision: number;

  /** The delivery that `content_digest` and the node tasks come from; received at `last_notified_at`. */
  @Column({ type: 'uuid' })
  current_notification_id: string;

  @Column({ type: 'bytea' })
  content_digest: Buffer;
}

/** The n-th node task that a case went through, in the order of the provider's `rows`. */
@Entity('case_node_tasks')
@Index('ix_case_node_tasks_nodetask', ['nodetask_id', 'completed_at', 'case_ref'])
@Index('ix_case_node_tasks_type', ['node_type', 'completed_at', 'case_ref'])
@Index('ix_case_node_tasks_task', ['task_id', 'completed_at', 'case_ref'], { where: 'task_id IS NOT NULL' })
export class CaseNodeTaskEntity {
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_case_node_tasks' })
  case_ref: string;

  @PrimaryColumn({ type: 'integer', primaryKeyConstraintName: 'pk_case_node_tasks' })
  position: number;

  @Column(opaqueText)
  workflow_id: string;

  @Column(opaqueText)
  nodetask_id: string;

  /** The type in this case's own notification: the node task may be typed otherwise later. */
  @Column(opaqueText)
  node_type: string;

  /** Null where the provider sent none, null or an empty text: they all mean none. */
  @Column({ ...opaqueText, nullable: true })
  task_id: string | null;

  /** Repeats `cases.completed_at`, so that a page of "which cases went through it?" is read straight from an index. */
  @Column(time)
  completed_at: Date;
}

/** One delivery of a notification, with the bytes as received. */
@Entity('notifications')
@Check('ck_notifications_verdict', `verdict IN ('first', 'repeat', 'changed', 'late')`)
@Index('ix_notifications_case', ['case_ref', 'received_at', 'id'])
@Index('ix_notifications_workflow', ['workflow_id', 'received_at', 'id'])
@Index('ix_notifications_feed', ['position', 'id', 'workflow_id'], {
  where: `verdict IN ('first', 'changed') OR rewrites_past`,
})
export class NotificationEntity {
  /** UUIDv7 made at receipt; also the answer's X-Request-Id. */
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_notifications' })
  id: string;

  @Column({ type: 'text' })
  kind: string;

  @Column(time)
  received_at: Date;

  @Column({ type: 'text' })
  verdict: Verdict;

  @Column(opaqueText)
  workflow_id: string;

  @Column({ type: 'uuid' })
  case_ref: string;

  @Column({ type: 'bytea' })
  content_digest: Buffer;

  /** Null once `RETAIN_BODIES_DAYS` are over. */
  @Column({ type: 'bytea', nullable: true })
  body: Buffer | null;

  /**
   * Place in the change feed, below which nothing is committed any more once all older transactions have ended: the id of
   * the transaction that wrote it, `feed_clock.ahead_by` further on. One transaction's deliveries follow by id.
   */
  // As TypeORM reads the default back, without its casts: they stand in the migration.
  @Column({ type: 'bigint', default: () => '((pg_current_xact_id()))' })
  position: string;

  /** Came out of order, and still changed what is shown of its case: the completion or the revision. */
  @Column({ type: 'boolean', default: false })
  rewrites_past: boolean;
}

/**
 * One row: the offset between feed positions and the transaction ids of the server. A server that is restored from a dump
 * counts transactions from the beginning, and the offset keeps its new positions after the old ones.
 */
@Entity('feed_clock')
@Check('ck_feed_clock_one', 'id = 1')
export class FeedClockEntity {
  @PrimaryColumn({ type: 'smallint', default: 1, primaryKeyConstraintName: 'pk_feed_clock' })
  id: number;

  @Column({ type: 'bigint' })
  ahead_by: string;

  /** The system identifier of the server. Another server has another transaction counter. */
  @Column({ type: 'text' })
  server: string;

  /** Position of the newest event that retention removed; before all events if there is none. */
  // The default has the form in which TypeORM reads it back.
  @Column({ type: 'bigint', default: -1 })
  removed_position: string;

  @Column({ type: 'uuid', default: '00000000-0000-0000-0000-000000000000' })
  removed_id: string;
}

/** How many rows an erasure removed. */
export interface Removed {
  cases: number;
  case_node_tasks: number;
  notifications: number;
  quarantined_notifications: number;
  spooled_notifications: number;
}

/** An erasure of a person. The row has a keyed digest of the subject, not the subject. */
@Entity('erasures')
@Unique('uq_erasures_id', ['id'])
@Check('ck_erasures_subject', `subject IN ('callee_number', 'case')`)
export class ErasureEntity {
  /** Counts from 1, in commit order. */
  @PrimaryColumn({ type: 'bigint', primaryKeyConstraintName: 'pk_erasures' })
  number: string;

  /** UUIDv7. */
  @Column({ type: 'uuid' })
  id: string;

  /** Deliveries received up to this time are removed, and no writer stores them again. */
  @Column(time)
  erased_at: Date;

  /** Name of the API key. */
  @Column({ type: 'text' })
  key_name: string;

  @Column({ type: 'text' })
  subject: 'callee_number' | 'case';

  @Column({ type: 'bytea' })
  subject_digest: Buffer;

  /** Null while the erasure runs. It stays null if the erasure is interrupted: the operator then repeats it. */
  @Column({ type: 'jsonb', nullable: true })
  removed: Removed | null;
}

/** A rejected body. Equal bytes with the same reason increase the count of one row. */
@Entity('quarantined_notifications')
@Unique('uq_quarantined_notifications_body', ['kind', 'reason', 'body_digest'])
@Index('ix_quarantined_notifications_case', ['case_id'])
@Index('ix_quarantined_notifications_callee', ['callee_number'])
@Index('ix_quarantined_notifications_received', ['first_received_at', 'id'])
@Index('ix_quarantined_notifications_reason', ['reason', 'first_received_at', 'id'])
export class QuarantinedNotificationEntity {
  /** UUIDv7 of the first receipt, so that the order of ids is the order of receipt. */
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_quarantined_notifications' })
  id: string;

  @Column({ type: 'text' })
  kind: string;

  @Column({ type: 'text' })
  reason: string;

  /** Faults by their path in the body: `[{ path, message }]`. A message never repeats a value of the body. */
  @Column({ type: 'json' })
  errors: { path: string; message: string }[];

  @Column({ type: 'bytea' })
  body: Buffer;

  @Column({ type: 'bytea' })
  body_digest: Buffer;

  @Column({ type: 'integer' })
  count: number;

  @Column(time)
  first_received_at: Date;

  @Column(time)
  last_received_at: Date;

  @Column({ ...opaqueText, nullable: true })
  workflow_id: string | null;

  @Column({ ...opaqueText, nullable: true })
  case_id: string | null;

  @Column({ ...opaqueText, nullable: true })
  callee_number: string | null;
}

/** One row: the usage of the quarantine. Triggers count, and writers lock it before any row of the quarantine. */
@Entity('quarantine_usage')
@Check('ck_quarantine_usage_one', 'id = 1')
export class QuarantineUsageEntity {
  @PrimaryColumn({ type: 'smallint', default: 1, primaryKeyConstraintName: 'pk_quarantine_usage' })
  id: number;

  @Column({ type: 'bigint' })
  rows: string;

  /** Total bytes of the bodies. */
  @Column({ type: 'bigint' })
  bytes: string;
}

/** Actions of an operator that remove a body from the quarantine. */
export const QUARANTINE_ACTIONS = ['replayed', 'discarded'] as const;
export type QuarantineAction = (typeof QUARANTINE_ACTIONS)[number];

/** A record of an action that removed a body from the quarantine. It has no data of the person in the body. */
@Entity('quarantine_actions')
@Check('ck_quarantine_actions_action', `action IN ('replayed', 'discarded')`)
export class QuarantineActionEntity {
  /** UUIDv7 made with `acted_at`, so that the order of ids is the order of actions. */
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_quarantine_actions' })
  id: string;

  @Column(time)
  acted_at: Date;

  /** Name of the API key. */
  @Column({ type: 'text' })
  key_name: string;

  @Column({ type: 'text' })
  action: QuarantineAction;

  /** Id of the removed body. A replayed body is a notification with this id. */
  @Column({ type: 'uuid' })
  quarantined_id: string;

  @Column({ type: 'text' })
  kind: string;

  /** Reason of the rejection. */
  @Column({ type: 'text' })
  reason: string;

  /** Number of deliveries with these bytes. */
  @Column({ type: 'integer' })
  count: number;

  /** Result of a replay: a verdict, `known` if an earlier attempt already wrote the notification, or `erased`. */
  @Column({ type: 'text', nullable: true })
  verdict: Verdict | 'known' | 'erased' | null;

  /** The operator's reason for a discard. */
  @Column({ type: 'text', nullable: true })
  because: string | null;
}

/** Unmasked numbers and raw bodies that one request disclosed within a minute. */
@Entity('reveals')
@Index('ix_reveals_key', ['key_name', 'id'])
export class RevealEntity {
  /** UUIDv7 made at `at`, so that the order of ids is the order of time. */
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_reveals' })
  id: string;

  @Column(time)
  at: Date;

  /** Name of the API key in API_KEYS, never its secret. */
  @Column(opaqueText)
  key_name: string;

  /** The route, such as `GET /v1/cases/{id}`, because the path itself contains ids. */
  @Column({ type: 'text' })
  endpoint: string;

  /** X-Request-Id of the response. */
  @Column({ type: 'uuid' })
  request_id: string;

  @Column({ type: 'integer' })
  numbers: number;

  @Column({ type: 'integer' })
  bodies: number;
}

/** Secrets that all replicas on one database share and no client sees; `cursor` signs the cursors. */
@Entity('instance_secrets')
export class InstanceSecretEntity {
  @PrimaryColumn({ type: 'text', primaryKeyConstraintName: 'pk_instance_secrets' })
  name: string;

  @Column({ type: 'bytea' })
  secret: Buffer;
}

export const entities = [
  WorkflowEntity,
  NodeTaskEntity,
  CaseEntity,
  CaseNodeTaskEntity,
  NotificationEntity,
  FeedClockEntity,
  ErasureEntity,
  QuarantinedNotificationEntity,
  QuarantineUsageEntity,
  QuarantineActionEntity,
  RevealEntity,
  InstanceSecretEntity,
];
