import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Erasure of persons and removal of what is old (docs/decisions/0016-erasure-and-retention.md).
 *
 * `assert_erasures_known` makes a statement that writes deliveries fail where an erasure has been decided that its writer has
 * not heard of. SQLSTATE AR001 is of no class that PostgreSQL uses.
 */
export class AddErasureAndRetention1795651200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE erasures (
        number         bigint         NOT NULL,
        id             uuid           NOT NULL,
        erased_at      timestamptz(3) NOT NULL,
        key_name       text           NOT NULL,
        subject        text           NOT NULL,
        subject_digest bytea          NOT NULL,
        removed        jsonb,
        CONSTRAINT pk_erasures PRIMARY KEY (number),
        CONSTRAINT uq_erasures_id UNIQUE (id),
        CONSTRAINT ck_erasures_subject CHECK (subject IN ('callee_number', 'case'))
      )`);
    await runner.query(`
      INSERT INTO instance_secrets (name, secret)
      VALUES ('erasure', decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'))`);
    await runner.query(`
      CREATE FUNCTION assert_erasures_known(known bigint, newest bigint) RETURNS boolean
      LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
      BEGIN
        IF newest > known THEN
          RAISE EXCEPTION 'an erasure is not known to the writer' USING ERRCODE = 'AR001';
        END IF;
        RETURN true;
      END $$`);
    await runner.query(`ALTER TABLE notifications ALTER COLUMN body DROP NOT NULL`);
    // Before all events there are: nothing has been removed.
    await runner.query(`
      ALTER TABLE feed_clock
      ADD COLUMN removed_position bigint NOT NULL DEFAULT -1,
      ADD COLUMN removed_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'`);
  }

  /** Bodies that were removed cannot be brought back: the former version is given empty ones. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE feed_clock DROP COLUMN removed_id, DROP COLUMN removed_position`);
    await runner.query(`UPDATE notifications SET body = '' WHERE body IS NULL`);
    await runner.query(`ALTER TABLE notifications ALTER COLUMN body SET NOT NULL`);
    await runner.query(`DROP FUNCTION assert_erasures_known`);
    await runner.query(`DELETE FROM instance_secrets WHERE name = 'erasure'`);
    await runner.query(`DROP TABLE erasures`);
  }
}
