import { Client } from 'pg';
import type { TestDatabase } from './database.js';

export interface OpenTransaction {
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** Writes cases as another replica would, in a transaction that stays open. */
export async function beginCase(database: TestDatabase, ...caseIds: string[]): Promise<OpenTransaction> {
  await database.query(
    `INSERT INTO workflows VALUES ('by hand', 'W', now(), gen_random_uuid()) ON CONFLICT DO NOTHING`,
  );
  const client = new Client(database.url);
  await client.connect();
  await client.query('BEGIN');
  await client.query(
    `WITH made AS (
      INSERT INTO cases SELECT gen_random_uuid(), 'by hand', case_id, '+62', now(), now(), 1, 1, gen_random_uuid(), ''
      FROM unnest($1::text[]) AS case_id RETURNING *)
    INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body, position)
    SELECT current_notification_id, 'workflow-list-completion', completed_at, 'first', workflow_id, id, '', '',
      (SELECT ahead_by + pg_current_xact_id()::text::bigint FROM feed_clock) FROM made`,
    [caseIds],
  );
  const end = async (how: string): Promise<void> => {
    await client.query(how);
    await client.end();
  };
  return { commit: async () => end('COMMIT'), rollback: async () => end('ROLLBACK') };
}
