import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The change feed (docs/decisions/0009-change-feed.md), and what looking up a case in quarantine and counting the cases of a
 * node task need.
 *
 * Deliveries that are here already are given the position 0, before all others, and among each other the order of their
 * ids; what a process of the former version still writes gets its place by the default. Both new columns have constants
 * at first, so that no row is rewritten. Out-of-order deliveries of the past are told apart by their verdict alone.
 */
export class AddChangeFeed1795478400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE notifications
      ADD COLUMN position bigint NOT NULL DEFAULT 0,
      ADD COLUMN rewrites_past boolean NOT NULL DEFAULT false`);
    await runner.query(
      `ALTER TABLE notifications ALTER COLUMN position SET DEFAULT (pg_current_xact_id()::text)::bigint`,
    );
    await runner.query(`
      CREATE INDEX ix_notifications_feed ON notifications (position, id, workflow_id)
      WHERE verdict IN ('first', 'changed') OR rewrites_past`);
    await runner.query(`
      CREATE TABLE feed_clock (
        id       smallint NOT NULL DEFAULT 1,
        ahead_by bigint   NOT NULL,
        server   text     NOT NULL,
        CONSTRAINT pk_feed_clock PRIMARY KEY (id),
        CONSTRAINT ck_feed_clock_one CHECK (id = 1)
      )`);
    await runner.query(
      `INSERT INTO feed_clock (ahead_by, server) SELECT 0, system_identifier::text FROM pg_control_system()`,
    );
    await runner.query(`CREATE INDEX ix_node_tasks_nodetask ON node_tasks (nodetask_id)`);
    await runner.query(`CREATE INDEX ix_quarantined_notifications_case ON quarantined_notifications (case_id)`);
    await runner.query(`CREATE INDEX ix_quarantined_notifications_callee ON quarantined_notifications (callee_number)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX ix_quarantined_notifications_callee`);
    await runner.query(`DROP INDEX ix_quarantined_notifications_case`);
    await runner.query(`DROP INDEX ix_node_tasks_nodetask`);
    await runner.query(`DROP TABLE feed_clock`);
    await runner.query(`DROP INDEX ix_notifications_feed`);
    await runner.query(`ALTER TABLE notifications DROP COLUMN rewrites_past, DROP COLUMN position`);
  }
}
