import * as fc from 'fast-check';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dataSourceOptions, INGEST_POOL } from '../src/database/data-source.js';
import { newId } from '../src/database/ids.js';
import { inOrderOfReceipt } from '../src/ingest/write/fold.js';
import { ErasureFilter } from '../src/ingest/erasure/erasure-filter.js';
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
let writers: Writer[];
beforeAll(async () => {
  database = await createDatabase();
  dataSources = await Promise.all(
    Array.from({ length: REPLICAS }, async () =>
      new DataSource(dataSourceOptions(database.url, INGEST_POOL)).initialize(),
    ),
  );
  writers = dataSources.map((dataSource) => new Writer(dataSource, new ErasureFilter(dataSource), new Metrics()));
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

const placesOf = (length: number): fc.Arbitrary<Place[]> =>
  fc.array(fc.record({ replica: fc.nat(REPLICAS - 1), batch: fc.nat(3), rank: fc.nat() }), {
    minLength: length,
    maxLength: length,
  });

/** A way for them to arrive: which replica writes which of them together with which, some of them more than once. */
const arrival = fc.array(delivery, { minLength: 1, maxLength: 14 }).chain((deliveries) =>
  fc.record({
    deliveries: fc.constant(deliveries),
    repeated: fc.subarray(deliveries),
    places: placesOf(deliveries.length * 2),
  }),
);

/** Deliveries 61 s apart or more. */
const spacedArrival = fc
  .uniqueArray(
    fc.record({
      caseId: fc.constantFrom('a', 'b'),
      time: fc.nat(9),
      content: fc.nat(2),
      name: fc.constantFrom('A', 'B'),
    }),
    { minLength: 1, maxLength: 8, selector: ({ time }) => time },
  )
  .map((kinds) => kinds.map((each) => toNotification({ ...each, time: each.time * 61 })))
  .chain((deliveries) => fc.record({ deliveries: fc.constant(deliveries), places: placesOf(deliveries.length) }));

test(
  'deliveries shuffled, split, repeated and interleaved over replicas in any way make the same tables',
  async () => {
    await fc.assert(
      fc.asyncProperty(arrival, async ({ deliveries, repeated, places }) => {
        await truncate();
        await writeInPlaces([...deliveries, ...repeated], places);
        expect(await readTables()).toEqual(expectTables(deliveries));
      }),
      { numRuns: RUNS },
    );
  },
  RUNS * RUN_TIMEOUT_MS,
);

test(
  'labels are those of the newest delivery, however deliveries more than a minute apart are written',
  async () => {
    await fc.assert(
      fc.asyncProperty(spacedArrival, async ({ deliveries, places }) => {
        await truncate();
        await writeInPlaces(deliveries, places);
        expect(await readLabels()).toEqual(expectLabels(deliveries));
      }),
      { numRuns: RUNS },
    );
  },
  RUNS * RUN_TIMEOUT_MS,
);

test(
  'labels are those of the newest delivery where deliveries are written in order of receipt',
  async () => {
    const kinds = fc.array(delivery, { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(kinds, async (deliveries) => {
        await truncate();
        for (const [index, each] of inOrderOfReceipt(deliveries).entries())
          await writeAll(writers[index % REPLICAS] as Writer, [each]);
        expect(await readLabels()).toEqual(expectLabels(deliveries));
      }),
      { numRuns: RUNS },
    );
  },
  RUNS * RUN_TIMEOUT_MS,
);

test('an older label written within the minute stays until the next delivery, and no longer', async () => {
  await truncate();
  const at = (caseId: string, time: number, name: string): Notification =>
    toNotification({ caseId, time, content: 1, name });
  await write(at('a', 0, 'A'));
  await write(at('b', 60, 'A')); // a minute old: not refreshed yet
  await write(at('c', 30, 'B')); // late
  expect(await readNames()).toEqual(['B', 'Call B', 'Call B']);
  await write(at('d', 61, 'A'));
  expect(await readNames()).toEqual(['A', 'Call A', 'Call A']);
});

test('an unchanged label is refreshed after a minute: an older label that is written later does not replace it', async () => {
  await truncate();
  const at = (caseId: string, time: number, name: string): Notification =>
    toNotification({ caseId, time, content: 1, name });
  await write(at('a', 0, 'A'));
  await write(at('b', 61, 'A'));
  await write(at('c', 30, 'B')); // late
  expect(await readNames()).toEqual(['A', 'Call A', 'Call A']);
});

test('a label that two replicas refresh at once is written once', async () => {
  await truncate();
  const old = toNotification({ caseId: 'a', time: 0, content: 0, name: 'A' });
  const [first, second] = [61, 62].map((time, index) =>
    toNotification({ caseId: `refreshes ${index}`, time, content: 0, name: 'A' }),
  ) as [Notification, Notification];
  await write(old);
  const holder = await open();
  await holder.query(`SELECT FROM workflows FOR UPDATE`);
  const writing = writeAll(writers[0] as Writer, [first]);
  await awaitLocks(1);
  const writingToo = writeAll(writers[1] as Writer, [second]);
  await awaitLocks(2);
  await holder.query('COMMIT');
  await Promise.all([writing, writingToo]);
  await holder.end();
  const [row] = await database.query<{ named_by: string }>(`SELECT named_by FROM workflows`);
  expect(row?.named_by).toBe(first.id);
});

async function truncate(): Promise<void> {
  await database.query(`TRUNCATE workflows, node_tasks, cases, case_node_tasks, notifications`);
}

async function write(one: Notification): Promise<void> {
  await writeAll(writers[0] as Writer, [one]);
}

async function awaitLocks(count: number): Promise<void> {
  const text = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%new_cases%'`;
  await expect.poll(async () => database.query(text)).toHaveLength(count);
}

async function open(): Promise<Client> {
  const client = new Client(database.url);
  await client.connect();
  await client.query('BEGIN');
  return client;
}

/** Each replica writes its own deliveries in four batches; the replicas write at the same time. */
async function writeInPlaces(deliveries: readonly Notification[], places: readonly Place[]): Promise<void> {
  const placed = deliveries.map((each, index) => ({ each, ...(places[index] as Place) }));
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
  return { cases, notifications, ...strays };
}

async function readLabels(): Promise<object> {
  const workflows = await database.query(`SELECT workflow_id, workflow_name FROM workflows`);
  const nodeTasks = await database.query(`SELECT nodetask_id, nodetask_name, node_type FROM node_tasks ORDER BY 1`);
  return { workflows, nodeTasks };
}

async function readNames(): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT workflow_name AS name FROM workflows UNION ALL SELECT nodetask_name FROM node_tasks`,
  );
  return rows.map(({ name }) => name);
}

/** What the definitions say: nothing but the set of deliveries counts. */
function expectTables(deliveries: readonly Notification[]): object {
  const caseIds = [...new Set(deliveries.map(({ completion }) => completion.case_id))].toSorted();
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
    strays: 0,
  };
}

/** The labels of the newest delivery that has them. */
function expectLabels(deliveries: readonly Notification[]): object {
  const inOrder = inOrderOfReceipt(deliveries).map(({ completion }) => completion);
  const newest = inOrder.at(-1);
  const nodeTasks = new Map<string, { nodetask_id: string; nodetask_name: string; node_type: string }>();
  for (const { nodetask_id, nodetask_name, node_type } of inOrder.flatMap(({ rows }) => rows)) {
    nodeTasks.set(nodetask_id, { nodetask_id, nodetask_name, node_type });
  }
  return {
    workflows: [{ workflow_id: newest?.workflow_id, workflow_name: newest?.workflow_name }],
    nodeTasks: [...nodeTasks.values()].toSorted((a, b) => (a.nodetask_id < b.nodetask_id ? -1 : 1)),
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
