import * as fc from 'fast-check';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dataSourceOptions, INGEST_POOL } from '../src/database/data-source.js';
import { newId } from '../src/database/ids.js';
import { inOrderOfReceipt } from '../src/ingest/write/fold.js';
import { ErasureFilter } from '../src/ingest/erasure/erasure-filter.js';
import { Names } from '../src/ingest/write/label-reconciler.js';
import { type Notification, parseNotification } from '../src/ingest/notification/notification.js';
import { type WriteObserver, Writer } from '../src/ingest/write/writer.js';
import { Metrics } from '../src/metrics/metrics.js';
import { IS_LONG } from './support/chaos.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { notification } from './support/service.js';

const REPLICAS = 3;
const RUNS = IS_LONG ? 2_000 : 200;
const RUN_TIMEOUT_MS = 1_000;

let database: TestDatabase;
let dataSources: DataSource[];
let metrics: Metrics[];
let names: Names[];
let writers: Writer[];
beforeAll(async () => {
  database = await createDatabase();
  dataSources = await Promise.all(
    Array.from({ length: REPLICAS }, async () =>
      new DataSource(dataSourceOptions(database.url, INGEST_POOL)).initialize(),
    ),
  );
  metrics = dataSources.map(() => new Metrics());
  names = dataSources.map((dataSource, replica) => new Names(dataSource, metrics[replica] as Metrics));
  writers = dataSources.map(
    (dataSource, replica) =>
      new Writer(dataSource, names[replica] as Names, new ErasureFilter(dataSource), metrics[replica] as Metrics),
  );
});
afterAll(async () => {
  await Promise.all(dataSources.map(async (dataSource) => dataSource.destroy()));
  await database.drop();
});

/** Few cases, times, contents and names, so that deliveries collide in every way. */
const delivery = fc
  .record({
    caseId: fc.constantFrom('a', 'b', 'c'),
    time: fc.nat(2),
    content: fc.nat(2),
    name: fc.constantFrom('A', 'B'),
  })
  .map(toNotification);

/** A way for them to arrive: which replica writes which of them together with which, some of them more than once. */
const arrival = fc.array(delivery, { minLength: 1, maxLength: 14 }).chain((deliveries) =>
  fc.record({
    deliveries: fc.constant(deliveries),
    repeated: fc.subarray(deliveries),
    places: fc.array(fc.record({ replica: fc.nat(REPLICAS - 1), batch: fc.nat(3), rank: fc.nat() }), {
      minLength: deliveries.length * 2,
      maxLength: deliveries.length * 2,
    }),
  }),
);

test(
  'deliveries shuffled, split, repeated and interleaved over replicas in any way make the same tables',
  async () => {
    await fc.assert(
      fc.asyncProperty(arrival, async ({ deliveries, repeated, places }) => {
        await database.query(`TRUNCATE workflows, node_tasks, cases, case_node_tasks, notifications`);
        const placed = [...deliveries, ...repeated].map((each, index) => ({ each, ...(places[index] as Place) }));
        await Promise.all(
          writers.map(async (writer, replica) => {
            const own = placed.filter((one) => one.replica === replica).toSorted((a, b) => a.rank - b.rank);
            for (const batch of [0, 1, 2, 3])
              await writeAll(
                writer,
                own.filter((one) => one.batch === batch).map(({ each }) => each),
              );
          }),
        );
        await Promise.all(names.map(async (each) => each.settled()));
        expect(await readTables()).toEqual(expectTables(deliveries));
      }),
      { numRuns: RUNS },
    );
  },
  RUNS * RUN_TIMEOUT_MS,
);

test('a name that flips back is right in the end, even if the one who said it last did not see the other', async () => {
  await database.query(`TRUNCATE workflows, node_tasks, cases, case_node_tasks, notifications`);
  const [writer, other] = writers as [Writer, Writer];
  const stored = toNotification({ caseId: 'a', time: 1, content: 0, name: 'A' });
  const last = toNotification({ caseId: 'b', time: 3, content: 0, name: 'A' });
  await writeAll(writer, [stored]);
  const { workflow_id, callee_number } = stored.completion;

  // The renaming has its transaction id, but is not committed yet …
  const renaming = await open();
  const { rows } = await renaming.query<{ id: string }>(`SELECT pg_current_xact_id()::text AS id`);
  await renaming.query(`UPDATE workflows SET workflow_name = 'B', named_at = $1, named_by = $2`, [
    new Date(Date.UTC(2026, 0, 1, 0, 0, 2)),
    newId(),
  ]);
  // … when the last delivery begins to be written: it sees the old name, and is held up.
  const holder = await open();
  await holder.query(
    `INSERT INTO cases (id, workflow_id, case_id, callee_number, completed_at, last_notified_at, notification_count, revision,
       current_notification_id, content_digest)
     VALUES (gen_random_uuid(), $1, 'b', $2, now(), now(), 1, 1, gen_random_uuid(), '')`,
    [workflow_id, callee_number],
  );
  const writing = writeAll(other, [last]);
  await expect
    .poll(async () =>
      database.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%new_cases%'`),
    )
    .toHaveLength(1);
  await renaming.query('COMMIT');
  const since = { named_at: new Date(Date.UTC(2026, 0, 1, 0, 0, 2)), named_by: newId() };
  names[0]?.settle([{ workflowId: workflow_id, transaction: rows[0]?.id as string, since }]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await holder.query('ROLLBACK');
  await writing;
  await names[0]?.settled();
  expect(await database.query(`SELECT workflow_name FROM workflows`)).toEqual([{ workflow_name: 'A' }]);
  await renaming.end();
  await holder.end();
});

test('a name that flips back within a millisecond is that of the greatest id', async () => {
  await database.query(`TRUNCATE workflows, node_tasks, cases, case_node_tasks, notifications`);
  const [writer] = writers as [Writer];
  await writeAll(writer, [toNotification({ caseId: 'a', time: 0, content: 1, name: 'A' })]);
  const [renaming, flippingBack, renamingOneNode] = [newId(), newId(), newId()].toSorted();
  const at = (id: string | undefined, kinds: Kinds): Notification => ({ ...toNotification(kinds), id: id as string });
  await writeAll(writer, [at(flippingBack, { caseId: 'b', time: 1, content: 1, name: 'A' })]); // repeats the stored names
  await writeAll(writer, [
    at(renaming, { caseId: 'c', time: 1, content: 1, name: 'B' }),
    at(renamingOneNode, { caseId: 'd', time: 1, content: 0, name: 'B' }),
  ]);
  await names[0]?.settled();
  const named = await database.query(`SELECT nodetask_name FROM node_tasks ORDER BY nodetask_id`);
  expect(named).toEqual([{ nodetask_name: 'Call B' }, { nodetask_name: 'Call A' }]);
});

test('a deadlock does not keep a name from being put right', async () => {
  await database.query(`TRUNCATE workflows, node_tasks, cases, case_node_tasks, notifications`);
  const newest = toNotification({ caseId: 'a', time: 3, content: 1, name: 'A' });
  await writeAll(writers[0] as Writer, [newest]);
  const since = { named_at: new Date(Date.UTC(2026, 0, 1, 0, 0, 2)), named_by: newId() };
  const [row] = await database.query<{ id: string }>(
    `UPDATE node_tasks SET nodetask_name = 'Call B', named_at = $1, named_by = $2 RETURNING pg_current_xact_id()::text AS id`,
    [since.named_at, since.named_by],
  );
  const rename = async (client: Client, nodetaskId: string): Promise<unknown> =>
    client.query(`UPDATE node_tasks SET named_at = named_at WHERE nodetask_id = $1`, [nodetaskId]);
  const before = await deadlocks();
  const other = await open();
  await other.query(`SET LOCAL deadlock_timeout = '1h'`); // so that it is always the service's transaction that gives way
  await rename(other, 'node 1');
  names[0]?.settle([{ workflowId: newest.completion.workflow_id, transaction: row?.id as string, since }]);
  // It has renamed the first node task, and waits for the second one.
  await expect
    .poll(async () =>
      database.query(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%new_cases%'`),
    )
    .toHaveLength(1);
  await rename(other, 'node 0');
  await other.query('ROLLBACK');
  await names[0]?.settled();
  expect(await deadlocks()).toBe(before + 1);
  const named = await database.query(`SELECT nodetask_name FROM node_tasks`);
  expect(named).toEqual([{ nodetask_name: 'Call A' }, { nodetask_name: 'Call A' }]);
  await other.end();
});

/** Retries of the first replica. */
async function deadlocks(): Promise<number> {
  const text = (await metrics[0]?.registry.metrics()) ?? '';
  return Number(/^airudder_write_retries_total\{code="40P01"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

async function open(): Promise<Client> {
  const client = new Client(database.url);
  await client.connect();
  await client.query('BEGIN');
  return client;
}

interface Place {
  replica: number;
  batch: number;
  rank: number;
}

/** As the buffer does: what another transaction holds is tried again. */
async function writeAll(writer: Writer, batch: readonly Notification[]): Promise<void> {
  let rest = [...new Set(batch)];
  while (rest.length > 0) {
    const held: Notification[] = [];
    const report: WriteObserver = {
      onCommitted: () => undefined,
      onCaseLocked: (each) => held.push(each),
      onRejected: (_, error) => expect.unreachable(String(error)),
    };
    await writer.write(rest, report);
    rest = held;
  }
}

async function readTables(): Promise<object> {
  const cases = await database.query(`
    SELECT case_id, completed_at, last_notified_at, notification_count, revision, current_notification_id,
      encode(content_digest, 'hex') AS content_digest,
      (SELECT json_agg(json_build_array(position, nodetask_id, task_id, task.completed_at = cases.completed_at) ORDER BY position)
       FROM case_node_tasks task WHERE case_ref = cases.id) AS node_tasks,
      (SELECT count(*)::integer FROM notifications WHERE case_ref = cases.id AND verdict = 'first') AS firsts
    FROM cases ORDER BY case_id`);
  const notifications = await database.query(`
    SELECT n.id, n.received_at, c.case_id, encode(n.body, 'hex') AS body
    FROM notifications n JOIN cases c ON c.id = n.case_ref ORDER BY n.id`);
  const [strays] = await database.query(`
    SELECT count(*)::integer AS strays FROM case_node_tasks WHERE case_ref NOT IN (SELECT id FROM cases)`);
  const workflows = await database.query(`SELECT workflow_id, workflow_name FROM workflows`);
  const nodeTasks = await database.query(`SELECT nodetask_id, nodetask_name, node_type FROM node_tasks ORDER BY 1`);
  return { cases, notifications, workflows, nodeTasks, ...strays };
}

/** What the definitions say: nothing but the set of deliveries counts. */
function expectTables(deliveries: readonly Notification[]): object {
  const caseIds = [...new Set(deliveries.map(({ completion }) => completion.case_id))].toSorted();
  const inOrder = inOrderOfReceipt(deliveries).map(({ completion }) => completion);
  const newest = inOrder.at(-1);
  const nodeTasks = new Map<string, { nodetask_id: string; nodetask_name: string; node_type: string }>();
  for (const { nodetask_id, nodetask_name, node_type } of inOrder.flatMap(({ rows }) => rows)) {
    nodeTasks.set(nodetask_id, { nodetask_id, nodetask_name, node_type });
  }
  return {
    cases: caseIds.map((case_id) => {
      const own = inOrderOfReceipt(deliveries.filter(({ completion }) => completion.case_id === case_id));
      const current = own.at(-1) as Notification;
      return {
        case_id,
        completed_at: own[0]?.receivedAt,
        last_notified_at: current.receivedAt,
        notification_count: own.length,
        revision: own.filter((each, index) => !own[index - 1]?.contentDigest.equals(each.contentDigest)).length,
        current_notification_id: current.id,
        content_digest: current.contentDigest.toString('hex'),
        node_tasks: current.completion.rows.map((row, position) => [position, row.nodetask_id, row.task_id, true]),
        firsts: 1,
      };
    }),
    notifications: deliveries
      .map(({ id, receivedAt, completion, body }) => {
        return { id, received_at: receivedAt, case_id: completion.case_id, body: body.toString('hex') };
      })
      .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    workflows: [{ workflow_id: newest?.workflow_id, workflow_name: newest?.workflow_name }],
    nodeTasks: [...nodeTasks.values()].toSorted((a, b) => (a.nodetask_id < b.nodetask_id ? -1 : 1)),
    strays: 0,
  };
}

interface Kinds {
  caseId: string;
  time: number;
  content: number;
  name: string;
}

function toNotification({ caseId, time, content, name }: Kinds): Notification {
  const rows = Array.from({ length: content + 1 }, (_, n) => {
    return {
      nodetask_id: `node ${n}`,
      nodetask_name: `Call ${name}`,
      node_type: 'call',
      task_id: n === 1 ? null : `task ${content}`,
    };
  });
  const body = Buffer.from(JSON.stringify(notification({ case_id: caseId, workflow_name: name, rows })));
  return parseNotification(
    { id: newId(), receivedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, time)), kind: 'workflow-list-completion' },
    body,
  ) as Notification;
}
