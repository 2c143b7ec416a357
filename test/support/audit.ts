import { queryAt } from './query-at.js';
import type { Traffic } from './traffic.js';

/** Enough of what is wrong to begin to look for why. */
const SHOWN = 5;

/**
 * Compares what was sent and acknowledged with what is in the tables, and says in one line what was done.
 *
 * @param figures more of them for that line
 * @returns what is wrong; nothing, if all is well
 */
export async function audit(scene: string, url: string, traffic: Traffic, figures: object = {}): Promise<string[]> {
  const { found, lost, ...others } = await compare(url, traffic);
  const { sent, acknowledged, refused, unanswered, faults } = traffic;
  const counts = { sent: sent.length, acknowledged, refused, unanswered: unanswered.length, found, lost: lost.length };
  process.stdout.write(`${scene}: ${JSON.stringify({ ...counts, ...figures }).replaceAll('"', '')}\n`);
  const wrong = acknowledged === 0 ? ['nothing was acknowledged'] : [...new Set(faults)];
  for (const [sort, ids] of Object.entries({ lost, ...others })) wrong.push(...describe(sort, ids));
  for (const [sort, text] of Object.entries(DERIVED)) {
    wrong.push(...describe(sort, await queryAt(url, `${DELIVERIES} ${text} LIMIT ${SHOWN}`)));
  }
  return wrong;
}

function describe(sort: string, cases: readonly unknown[]): string[] {
  return cases.slice(0, SHOWN).map((each) => `${sort}: ${JSON.stringify(each)}`);
}

interface Comparison {
  readonly found: number;
  /** Acknowledged, but not there under the id that was acknowledged. */
  readonly lost: string[];
  /** There more than once. */
  readonly twice: string[];
  /** There, but not as they were sent. */
  readonly unknown: string[];
}

async function compare(url: string, traffic: Traffic): Promise<Comparison> {
  const rows = await queryAt<{ id: string; body: Buffer }>(url, `SELECT id, body FROM notifications`);
  const sent = new Set(traffic.sent.map(({ body }) => body));
  const idByBody = new Map(rows.map(({ id, body }) => [body.toString(), id]));
  return {
    found: rows.length,
    lost: traffic.sent.flatMap(({ id, body }) => (id !== undefined && idByBody.get(body) !== id ? [id] : [])),
    twice: rows.flatMap(({ id, body }) => (idByBody.get(body.toString()) === id ? [] : [id])),
    unknown: rows.flatMap(({ id, body }) => (sent.has(body.toString()) ? [] : [id])),
  };
}

/** Deliveries in order of receipt; the last one of each case is the one that counts. */
const DELIVERIES = `
  WITH deliveries AS (
    SELECT *,
      convert_from(body, 'UTF8')::jsonb AS content,
      content_digest IS DISTINCT FROM lag(content_digest) OVER in_order AS is_new_revision,
      lead(id) OVER in_order IS NULL AS is_last
    FROM notifications
    WINDOW in_order AS (PARTITION BY case_ref ORDER BY received_at, id)
  )`;

/** What must not be, and a query that finds it. */
const DERIVED = {
  'a case that is not what its deliveries make of it': `
    , expected AS (
      SELECT case_ref,
        count(*) AS notification_count,
        min(received_at) AS completed_at,
        max(received_at) AS last_notified_at,
        count(*) FILTER (WHERE is_new_revision) AS revision,
        (array_agg(id) FILTER (WHERE is_last))[1] AS current_notification_id,
        (array_agg(content_digest) FILTER (WHERE is_last))[1] AS content_digest
      FROM deliveries
      GROUP BY case_ref
    )
    SELECT to_json(cases) AS stored, to_json(expected) AS expected
    FROM cases
    FULL JOIN expected ON case_ref = id
    WHERE (cases.notification_count, cases.completed_at, cases.last_notified_at, cases.revision,
        cases.current_notification_id, cases.content_digest)
      IS DISTINCT FROM (expected.notification_count, expected.completed_at, expected.last_notified_at,
        expected.revision, expected.current_notification_id, expected.content_digest)`,
  'a delivery of another case': `
    SELECT deliveries.id
    FROM deliveries
    JOIN cases ON cases.id = case_ref
    WHERE (cases.workflow_id, case_id, callee_number)
      IS DISTINCT FROM (content->>'workflow_id', content->>'case_id', content->>'callee_number')`,
  'a case without exactly one verdict "first"': `
    SELECT case_ref, count(*) FILTER (WHERE verdict = 'first') AS firsts
    FROM deliveries
    GROUP BY case_ref
    HAVING count(*) FILTER (WHERE verdict = 'first') <> 1`,
  'node tasks that are not those of the last delivery': `
    , expected AS (
      SELECT case_ref, rows.position::integer - 1 AS position, deliveries.workflow_id, told->>'nodetask_id' AS nodetask_id,
        told->>'node_type' AS node_type, nullif(told->>'task_id', '') AS task_id
      FROM deliveries, jsonb_array_elements(content->'rows') WITH ORDINALITY AS rows (told, position)
      WHERE is_last
    ), stored AS (
      SELECT case_ref, position, workflow_id, nodetask_id, node_type, task_id FROM case_node_tasks
    )
    (SELECT 'missing' AS fault, * FROM (TABLE expected EXCEPT TABLE stored) AS missing
    UNION ALL
    SELECT 'too many', * FROM (TABLE stored EXCEPT TABLE expected) AS too_many)`,
  'a valid notification in quarantine': `
    SELECT id, reason, errors FROM quarantined_notifications`,
  'node tasks with another time of completion than their case': `
    SELECT case_ref, position
    FROM case_node_tasks AS stored
    LEFT JOIN cases ON cases.id = case_ref
    WHERE stored.completed_at IS DISTINCT FROM cases.completed_at`,
  'a node task or workflow that nobody named': `
    SELECT stored.workflow_id, stored.nodetask_id
    FROM case_node_tasks AS stored
    LEFT JOIN node_tasks USING (workflow_id, nodetask_id)
    LEFT JOIN workflows ON workflows.workflow_id = stored.workflow_id
    WHERE node_tasks.nodetask_id IS NULL OR workflows.workflow_id IS NULL`,
};
