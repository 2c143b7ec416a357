import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The first tables. Read with src/database/entities.ts beside it: the comments on each column stand there. */
export class CreateTables1795305600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE workflows (
        workflow_id   text COLLATE "C" NOT NULL,
        workflow_name text             NOT NULL,
        named_at      timestamptz(3)   NOT NULL,
        named_by      uuid             NOT NULL,
        CONSTRAINT pk_workflows PRIMARY KEY (workflow_id)
      )`);

    await runner.query(`
      CREATE TABLE node_tasks (
        workflow_id   text COLLATE "C" NOT NULL,
        nodetask_id   text COLLATE "C" NOT NULL,
        nodetask_name text             NOT NULL,
        node_type     text COLLATE "C" NOT NULL,
        named_at      timestamptz(3)   NOT NULL,
        named_by      uuid             NOT NULL,
        CONSTRAINT pk_node_tasks PRIMARY KEY (workflow_id, nodetask_id)
      )`);

    await runner.query(`
      CREATE TABLE cases (
        id                      uuid             NOT NULL,
        workflow_id             text COLLATE "C" NOT NULL,
        case_id                 text COLLATE "C" NOT NULL,
        callee_number           text COLLATE "C" NOT NULL,
        completed_at            timestamptz(3)   NOT NULL,
        last_notified_at        timestamptz(3)   NOT NULL,
        notification_count      integer          NOT NULL,
        revision                integer          NOT NULL,
        current_notification_id uuid             NOT NULL,
        content_digest          bytea            NOT NULL,
        CONSTRAINT pk_cases PRIMARY KEY (id),
        CONSTRAINT uq_cases_identity UNIQUE (workflow_id, case_id, callee_number)
      )`);
    await runner.query(`CREATE INDEX ix_cases_completed ON cases (completed_at, id)`);
    await runner.query(`CREATE INDEX ix_cases_workflow ON cases (workflow_id, completed_at, id)`);
    await runner.query(`CREATE INDEX ix_cases_case ON cases (case_id, completed_at, id)`);
    await runner.query(`CREATE INDEX ix_cases_callee ON cases (callee_number, completed_at, id)`);

    await runner.query(`
      CREATE TABLE case_node_tasks (
        case_ref     uuid             NOT NULL,
        position     integer          NOT NULL,
        workflow_id  text COLLATE "C" NOT NULL,
        nodetask_id  text COLLATE "C" NOT NULL,
        node_type    text COLLATE "C" NOT NULL,
        task_id      text COLLATE "C",
        completed_at timestamptz(3)   NOT NULL,
        CONSTRAINT pk_case_node_tasks PRIMARY KEY (case_ref, position),
        CONSTRAINT fk_case_node_tasks_case FOREIGN KEY (case_ref) REFERENCES cases (id) ON DELETE CASCADE
      )`);
    await runner.query(
      `CREATE INDEX ix_case_node_tasks_nodetask ON case_node_tasks (nodetask_id, completed_at, case_ref)`,
    );
    await runner.query(`CREATE INDEX ix_case_node_tasks_type ON case_node_tasks (node_type, completed_at, case_ref)`);
    await runner.query(
      `CREATE INDEX ix_case_node_tasks_task ON case_node_tasks (task_id, completed_at, case_ref) WHERE task_id IS NOT NULL`,
    );

    await runner.query(`
      CREATE TABLE notifications (
        id             uuid             NOT NULL,
        kind           text             NOT NULL,
        received_at    timestamptz(3)   NOT NULL,
        verdict        text             NOT NULL,
        workflow_id    text COLLATE "C" NOT NULL,
        case_ref       uuid             NOT NULL,
        content_digest bytea            NOT NULL,
        body           bytea            NOT NULL,
        CONSTRAINT pk_notifications PRIMARY KEY (id),
        CONSTRAINT ck_notifications_verdict CHECK (verdict IN ('first', 'repeat', 'changed', 'late')),
        CONSTRAINT fk_notifications_case FOREIGN KEY (case_ref) REFERENCES cases (id) ON DELETE CASCADE
      )`);
    await runner.query(`CREATE INDEX ix_notifications_case ON notifications (case_ref, received_at, id)`);
    await runner.query(`CREATE INDEX ix_notifications_workflow ON notifications (workflow_id, received_at, id)`);

    await runner.query(`
      CREATE TABLE quarantined_notifications (
        id                uuid           NOT NULL,
        kind              text           NOT NULL,
        reason            text           NOT NULL,
        errors            json           NOT NULL,
        body              bytea          NOT NULL,
        body_digest       bytea          NOT NULL,
        count             integer        NOT NULL,
        first_received_at timestamptz(3) NOT NULL,
        last_received_at  timestamptz(3) NOT NULL,
        workflow_id       text COLLATE "C",
        case_id           text COLLATE "C",
        callee_number     text COLLATE "C",
        CONSTRAINT pk_quarantined_notifications PRIMARY KEY (id),
        CONSTRAINT uq_quarantined_notifications_body UNIQUE (kind, reason, body_digest)
      )`);

    await runner.query(`
      CREATE TABLE instance_secrets (
        name   text  NOT NULL,
        secret bytea NOT NULL,
        CONSTRAINT pk_instance_secrets PRIMARY KEY (name)
      )`);
    // Two random UUIDs carry 244 random bits, from the server's own strong source, without an extension.
    await runner.query(`
      INSERT INTO instance_secrets (name, secret)
      VALUES ('cursor', decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'))`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE instance_secrets`);
    await runner.query(`DROP TABLE quarantined_notifications`);
    await runner.query(`DROP TABLE notifications`);
    await runner.query(`DROP TABLE case_node_tasks`);
    await runner.query(`DROP TABLE cases`);
    await runner.query(`DROP TABLE node_tasks`);
    await runner.query(`DROP TABLE workflows`);
  }
}
