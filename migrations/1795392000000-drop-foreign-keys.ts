import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The rows of a delivery are written by one statement, so the references cannot be wrong; checking each of them takes
 * PostgreSQL two fifths of its work on a batch (docs/decisions/0007-group-commit.md).
 */
export class DropForeignKeys1795392000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE case_node_tasks DROP CONSTRAINT fk_case_node_tasks_case`);
    await runner.query(`ALTER TABLE notifications DROP CONSTRAINT fk_notifications_case`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE notifications
      ADD CONSTRAINT fk_notifications_case FOREIGN KEY (case_ref) REFERENCES cases (id) ON DELETE CASCADE`);
    await runner.query(`
      ALTER TABLE case_node_tasks
      ADD CONSTRAINT fk_case_node_tasks_case FOREIGN KEY (case_ref) REFERENCES cases (id) ON DELETE CASCADE`);
  }
}
