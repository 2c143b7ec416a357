import { Client } from 'pg';
import { TEMPLATE, WORKFLOW_PREFIX } from './stamped-request.js';

const CHUNK = 50_000;
const WRITERS = 2;

interface Template {
  readonly workflow_name: string;
  readonly rows: readonly { nodetask_id: string; nodetask_name: string; node_type: string }[];
}

/** How the stored cases are spread. */
interface Past {
  readonly workflows: number;
  readonly days: number;
}

/**
 * Stores so many cases of equally large workflows, as if they had come in evenly during the last days: ids and times
 * rise, numbers and task ids are at random. The indexes grow as they would in earnest, rather than being built at
 * once, which would pack them and have every later insert split a page.
 *
 * @param onProgress told how many are stored
 */
export async function preload(
  databaseUrl: string,
  cases: number,
  onProgress: (stored: number) => void,
  { workflows, days }: Past = { workflows: 500, days: 90 },
): Promise<void> {
  const writers = await Promise.all(Array.from({ length: WRITERS }, async () => connect(databaseUrl)));
  const [first] = writers;
  if (!first) return;
  const progress = { begun: 0, stored: 0 };
  const storeChunks = async (writer: Client): Promise<void> => {
    while (progress.begun < cases) {
      const from = progress.begun;
      progress.begun = Math.min(from + CHUNK, cases);
      const count = progress.begun - from;
      await writer.query(STORE_CASES, [from, from + count - 1, cases, WORKFLOW_PREFIX, workflows, TEMPLATE, days]);
      progress.stored += count;
      onProgress(progress.stored);
    }
  };
  try {
    await storeNames(first, workflows, days);
    await Promise.all(writers.map(storeChunks));
    // Vacuumed too, or the server would do it by itself in the middle of a round.
    await first.query('VACUUM (ANALYZE)');
    await first.query('CHECKPOINT');
  } finally {
    await Promise.all(writers.map(async (writer) => writer.end()));
  }
}

/** Only while this is stored no commit waits for the disk. */
async function connect(databaseUrl: string): Promise<Client> {
  const client = new Client(databaseUrl);
  await client.connect();
  await client.query(`SET synchronous_commit = off`);
  return client;
}

async function storeNames(client: Client, workflows: number, days: number): Promise<void> {
  const { workflow_name, rows } = JSON.parse(TEMPLATE) as Template;
  await client.query(
    `INSERT INTO workflows (workflow_id, workflow_name, named_at, named_by)
     SELECT $1 || lpad(n::text, 3, '0'), $2, now() - make_interval(days => $4), gen_random_uuid()
     FROM generate_series(0, $3::integer - 1) n`,
    [WORKFLOW_PREFIX, workflow_name, workflows, days],
  );
  await client.query(
    `INSERT INTO node_tasks (workflow_id, nodetask_id, nodetask_name, node_type, named_at, named_by)
     SELECT workflow_id, md5(workflow_id || nodetask_id), nodetask_name, node_type, named_at, named_by
     FROM workflows, jsonb_to_recordset($1::jsonb) AS task (nodetask_id text, nodetask_name text, node_type text)`,
    [JSON.stringify(rows)],
  );
}

/** Parameters: first and last ordinal, how many there will be, prefix and count of workflows, body, days. */
const STORE_CASES = `
  WITH made AS MATERIALIZED (
    SELECT
      uuidv7(age) AS id,
      uuidv7(age) AS notification_id,
      date_trunc('milliseconds', now() + age) AS received_at,
      $4::text || lpad((n % $5::integer)::text, 3, '0') AS workflow_id,
      'case-0000-' || lpad(n::text, 9, '0') AS case_id,
      '+62' || lpad(floor(random() * 1e10)::bigint::text, 10, '0') AS callee_number,
      md5(n::text) AS task_id,
      sha256(int8send(n)) AS digest
    FROM generate_series($1::bigint, $2::bigint) n,
      LATERAL (SELECT -make_interval(days => $7) * (1 - n::float8 / $3::bigint) AS age)
  ),
  made_cases AS (
    INSERT INTO cases (id, workflow_id, case_id, callee_number, completed_at, last_notified_at, notification_count,
      revision, current_notification_id, content_digest)
    SELECT id, workflow_id, case_id, callee_number, received_at, received_at, 1, 1, notification_id, digest FROM made
  ),
  made_contents AS (
    INSERT INTO case_node_tasks (case_ref, position, workflow_id, nodetask_id, node_type, task_id, completed_at)
    SELECT id, position - 1, workflow_id, md5(workflow_id || (task ->> 'nodetask_id')), task ->> 'node_type',
      CASE WHEN task ? 'task_id' THEN task_id END, received_at
    FROM made, jsonb_array_elements($6::text::jsonb -> 'rows') WITH ORDINALITY AS tasks (task, position)
  )
  INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
  SELECT notification_id, 'workflow-list-completion', received_at, 'first', workflow_id, id, digest,
    convert_to($6::text, 'UTF8')
  FROM made`;
