import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What working the quarantine takes (docs/decisions/0012-quarantine.md): how full it is, its order by receipt, and a record of
 * what operators did.
 *
 * Triggers count, so that the figures are right whoever adds or removes: a replica of the former version, or a person with psql.
 * They lock the one row of figures before any row of the quarantine, so that no two of them wait for each other in a ring.
 */
export class AddQuarantineTool1795564800000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE quarantine_usage (
        id    smallint NOT NULL DEFAULT 1,
        rows  bigint   NOT NULL,
        bytes bigint   NOT NULL,
        CONSTRAINT pk_quarantine_usage PRIMARY KEY (id),
        CONSTRAINT ck_quarantine_usage_one CHECK (id = 1)
      )`);
    await runner.query(`
      CREATE FUNCTION lock_quarantine_usage() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM FROM quarantine_usage FOR UPDATE;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE FUNCTION count_quarantine_usage() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        change integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
      BEGIN
        IF TG_OP = 'TRUNCATE' THEN
          UPDATE quarantine_usage SET rows = 0, bytes = 0;
        ELSE
          UPDATE quarantine_usage AS stored
          SET rows = stored.rows + change * changes.rows, bytes = stored.bytes + change * changes.bytes
          FROM (SELECT count(*) AS rows, sum(octet_length(body)) AS bytes FROM changed) AS changes
          WHERE changes.rows > 0;
        END IF;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER lock_usage BEFORE INSERT OR DELETE ON quarantined_notifications
      FOR EACH STATEMENT EXECUTE FUNCTION lock_quarantine_usage()`);
    await runner.query(`
      CREATE TRIGGER count_added AFTER INSERT ON quarantined_notifications REFERENCING NEW TABLE AS changed
      FOR EACH STATEMENT EXECUTE FUNCTION count_quarantine_usage()`);
    await runner.query(`
      CREATE TRIGGER count_removed AFTER DELETE ON quarantined_notifications REFERENCING OLD TABLE AS changed
      FOR EACH STATEMENT EXECUTE FUNCTION count_quarantine_usage()`);
    await runner.query(`
      CREATE TRIGGER count_truncated AFTER TRUNCATE ON quarantined_notifications
      FOR EACH STATEMENT EXECUTE FUNCTION count_quarantine_usage()`);
    // Only now: the triggers have locked out whoever writes, until this migration is committed.
    await runner.query(`
      INSERT INTO quarantine_usage (rows, bytes)
      SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM quarantined_notifications`);

    await runner.query(`
      CREATE INDEX ix_quarantined_notifications_received ON quarantined_notifications (first_received_at, id)`);
    await runner.query(`
      CREATE INDEX ix_quarantined_notifications_reason ON quarantined_notifications (reason, first_received_at, id)`);

    await runner.query(`
      CREATE TABLE quarantine_actions (
        id             uuid           NOT NULL,
        acted_at       timestamptz(3) NOT NULL,
        key_name       text           NOT NULL,
        action         text           NOT NULL,
        quarantined_id uuid           NOT NULL,
        kind           text           NOT NULL,
        reason         text           NOT NULL,
        count          integer        NOT NULL,
        verdict        text,
        because        text,
        CONSTRAINT pk_quarantine_actions PRIMARY KEY (id),
        CONSTRAINT ck_quarantine_actions_action CHECK (action IN ('replayed', 'discarded'))
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE quarantine_actions`);
    await runner.query(`DROP INDEX ix_quarantined_notifications_reason`);
    await runner.query(`DROP INDEX ix_quarantined_notifications_received`);
    for (const trigger of ['count_truncated', 'count_removed', 'count_added', 'lock_usage']) {
      await runner.query(`DROP TRIGGER ${trigger} ON quarantined_notifications`);
    }
    await runner.query(`DROP FUNCTION count_quarantine_usage()`);
    await runner.query(`DROP FUNCTION lock_quarantine_usage()`);
    await runner.query(`DROP TABLE quarantine_usage`);
  }
}
