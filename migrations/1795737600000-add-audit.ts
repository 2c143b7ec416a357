import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The record of who was shown whole numbers and raw bodies (docs/decisions/0014-reveal-audit.md). */
export class AddAudit1795737600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE reveals (
        id         uuid             NOT NULL,
        at         timestamptz(3)   NOT NULL,
        key_name   text COLLATE "C" NOT NULL,
        endpoint   text             NOT NULL,
        request_id uuid             NOT NULL,
        numbers    integer          NOT NULL,
        bodies     integer          NOT NULL,
        CONSTRAINT pk_reveals PRIMARY KEY (id)
      )`);
    await runner.query(`CREATE INDEX ix_reveals_key ON reveals (key_name, id)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE reveals`);
  }
}
