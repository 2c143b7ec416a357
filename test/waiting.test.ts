import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { FeedReader } from '../src/query/feed/feed.reader.js';
import { QueryRouter } from '../src/database/query-router.js';
import { COMMIT_EVENTS, type CommitSubscription } from '../src/query/waiting/subscription.js';
import { CommitWatcher } from '../src/query/waiting/commit-watcher.js';
import { beginCase } from './support/begin-case.js';
import { ALL_KEY, type Answer, type Json, newCase, send, startService, type TestService } from './support/service.js';
import { metric } from './support/stage.js';

const MAX_LISTENERS = 200_000;
/** Whoever waits in vain is answered only after the test has failed. */
const WAIT = { prefer: 'wait=60' };
const LIMIT_MS = 30_000;

let service: TestService;
beforeAll(async () => (service = await startService()));
afterAll(async () => service.stop());
afterEach(() => {
  vi.restoreAllMocks();
});

async function lookup(cases: readonly Json[], headers: Record<string, string> = {}): Promise<Answer> {
  return send(`${service.url}/v1/cases/lookup`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ cases }),
  });
}

async function follow(parameters: Record<string, string>, headers: Record<string, string> = {}): Promise<Answer> {
  const url = `${service.url}/v1/completions?${new URLSearchParams(parameters).toString()}`;
  return send(url, { headers: { authorization: `Bearer ${ALL_KEY}`, ...headers } });
}

const now = async (parameters: Record<string, string> = {}): Promise<string> =>
  (await follow({ from: 'now', ...parameters })).body['next_cursor'] as string;

const areWaiting = async (requests: number): Promise<void> => {
  const counted = async (): Promise<number> => metric(service.url, 'airudder_watching_requests');
  await expect.poll(counted, { timeout: LIMIT_MS }).toBe(requests);
};

test('beyond 200,000 things that all wait for together a wait is refused, and leaves nothing behind', async () => {
  const watcher = service.app.get(CommitWatcher);
  const listen = (watch: CommitSubscription, from: number, to: number): void => {
    for (let n = from; n < to; n += 1) watch.on(`thing ${n}`, () => undefined);
  };
  const watch = watcher.subscribe();
  listen(watch, 1, MAX_LISTENERS);
  const refused = await lookup([{ case_id: 'nobody' }], WAIT); // of what it waits for one finds room
  expect(refused).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
  expect((await lookup([{ case_id: 'nobody' }])).status).toBe(200);
  await areWaiting(1);
  listen(watch, 0, 1);
  expect(() => listen(watch, MAX_LISTENERS, MAX_LISTENERS + 1)).toThrow('Too many concurrent waits');
  watch.close();
  await areWaiting(0);

  const done = newCase();
  const waiting = lookup([{ case_id: done.case_id }], WAIT);
  await areWaiting(1);
  await service.complete(done);
  expect((await waiting).body['data']).toMatchObject([{ status: 'completed' }]);
  await areWaiting(0);
});

/** Holds back the next answer of PostgreSQL to one who waits. Returns once it is there, with what lets it go. */
async function heldAnswer(): Promise<() => void> {
  const reads = service.app.get(QueryRouter);
  const query = reads.queryPrimary.bind(reads);
  return new Promise((hold) => {
    vi.spyOn(reads, 'queryPrimary').mockImplementationOnce(async (text, values) => {
      const rows = await query(text, values);
      await new Promise<void>((letGo) => hold(letGo));
      return rows;
    });
  });
}

/** Returns once the service has noticed what the work commits. */
async function noticed(name: string, work: () => Promise<void>): Promise<void> {
  const watcher = service.app.get(CommitWatcher);
  const watch = watcher.subscribe();
  await expect.poll(() => watcher.hasBegun).toBe(true);
  const arrival = new Promise((resolve) => watch.on(name, resolve));
  await work();
  await arrival;
  watch.close();
}

test.each([true, false])(
  'what is completed while an older answer is on its way is told at once (one asked before: %s)',
  { timeout: LIMIT_MS },
  async (isOneThere) => {
    const [one, other] = [newCase(), newCase({ callee_number: '+62700020' })];
    const completeOne = async (): Promise<void> =>
      noticed(COMMIT_EVENTS.withCaseId(one.case_id), async () => service.complete(one));
    if (isOneThere) await completeOne();
    const held = heldAnswer();
    const waiting = lookup([{ case_id: one.case_id }, { case_id: other.case_id }], WAIT);
    const letGo = await held;
    if (!isOneThere) await completeOne();
    await noticed(COMMIT_EVENTS.withCaseId(other.case_id), async () => service.complete(other));
    letGo();
    expect((await waiting).body['data']).toMatchObject([{ status: 'completed' }, { status: 'completed' }]);
  },
);

test(
  'what comes into the feed while an older answer is on its way is told at once',
  { timeout: LIMIT_MS },
  async () => {
    const cursor = await now();
    const held = heldAnswer();
    const waiting = follow({ cursor }, WAIT);
    const letGo = await held;
    const body = newCase();
    await noticed(COMMIT_EVENTS.inFeed(), async () => service.complete(body));
    letGo();
    expect((await waiting).body['data']).toMatchObject([{ case: { case_id: body.case_id } }]);
  },
);

test('those who wait at the same place of the feed are answered together by a few statements', async () => {
  const readers = 30;
  const cursor = await now();
  const read = vi.spyOn(service.app.get(FeedReader), 'read');
  const waiting = Array.from({ length: readers }, async () => follow({ cursor }, WAIT));
  const looks = (): number => read.mock.settledResults.filter(({ type }) => type === 'fulfilled').length;
  await expect.poll(looks, { timeout: LIMIT_MS }).toBeGreaterThanOrEqual(2 * readers); // one at once, and one to wait
  const statements = vi.spyOn(service.app.get(QueryRouter), 'queryPrimary');
  const body = newCase();
  await service.complete(body);
  for (const answer of await Promise.all(waiting)) {
    expect(answer.body['data']).toMatchObject([{ case: { case_id: body.case_id } }]);
  }
  expect(statements.mock.calls.length).toBeGreaterThan(0);
  expect(statements.mock.calls.length).toBeLessThan(readers / 5);
});

test(
  'however much comes behind a transaction that is held open, its end wakes who waits',
  async () => {
    const cursor = await now({ workflow_id: 'behind' });
    const held = await beginCase(service.database, 'held');
    const body = newCase({ workflow_id: 'behind' });
    const waiting = follow({ cursor, workflow_id: 'behind' }, WAIT);
    await areWaiting(1);
    await noticed(COMMIT_EVENTS.withCaseId(body.case_id), async () => service.complete(body));
    for (const part of ['one', 'other']) {
      await noticed(COMMIT_EVENTS.withCaseId(part), async () => completeMany(part, 11_000));
    }
    await held.rollback();
    expect((await waiting).body['data']).toMatchObject([{ case: { case_id: body.case_id } }]);
  },
  LIMIT_MS,
);

test('a wait goes on while PostgreSQL answers none of its questions', { timeout: LIMIT_MS }, async () => {
  const { database } = service;
  const body = newCase();
  const questions = vi.spyOn(service.app.get(QueryRouter), 'queryPrimary');
  await database.query(`
    ALTER TABLE quarantined_notifications RENAME TO kept;
    CREATE FUNCTION fail() RETURNS SETOF kept LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = 'cannot_connect_now'; END $$;
    CREATE VIEW quarantined_notifications AS SELECT * FROM fail()`);
  const waiting = lookup([{ case_id: body.case_id }], WAIT);
  const failures = (): number => questions.mock.settledResults.filter(({ type }) => type === 'rejected').length;
  await expect.poll(failures, { timeout: LIMIT_MS }).toBeGreaterThan(1);
  await database.query(`
    DROP VIEW quarantined_notifications;
    DROP FUNCTION fail;
    ALTER TABLE kept RENAME TO quarantined_notifications`);
  await service.complete(body);
  expect(await waiting).toMatchObject({ status: 200, body: { data: [{ status: 'completed' }] } });
});

/** Less than is told one by one of one commit, more than is of two. */
async function completeMany(caseId: string, cases: number): Promise<void> {
  await service.database.query(
    `WITH made AS (
      INSERT INTO cases SELECT gen_random_uuid(), 'loud', $1, n::text, now(), now(), 1, 1, gen_random_uuid(), ''
      FROM generate_series(1, ${cases}) n RETURNING *)
    INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body, position)
    SELECT current_notification_id, 'k', completed_at, 'first', workflow_id, id, '', '',
      (SELECT ahead_by + pg_current_xact_id()::text::bigint FROM feed_clock) FROM made`,
    [caseId],
  );
}
