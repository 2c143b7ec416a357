import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { migrate } from '../src/database/migrate.js';
import { FEED_HORIZON } from '../src/database/feed-position.sql.js';
import { beginCase, type OpenTransaction } from './support/begin-case.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  newCase,
  READ_KEY,
  send,
  startService,
  type TestService,
} from './support/service.js';

let service: TestService;
let replica: TestService;
beforeAll(async () => {
  service = await startService();
  replica = await startService({ database: service.database });
});
afterAll(async () => {
  await replica.stop();
  await service.stop();
});

const caseIds = (events: readonly Json[]): string[] => events.map((event) => event['case'].case_id as string);

async function read(parameters: Record<string, string> = {}, { at = service, wait = 0 } = {}): Promise<Answer> {
  const headers = { authorization: `Bearer ${ALL_KEY}`, ...(wait > 0 && { prefer: `wait=${wait}` }) };
  return send(`${at.url}/v1/completions?${new URLSearchParams(parameters).toString()}`, { headers });
}

/** Waits until nothing holds back what is committed, such as statistics that PostgreSQL gathers by itself. */
async function published(): Promise<void> {
  await expect
    .poll(async () =>
      service.database
        .query(`SELECT ${FEED_HORIZON} = ahead_by + pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS is_all
        FROM feed_clock`),
    )
    .toEqual([{ is_all: true }]);
}

/** Follows the feed to its end. */
async function follow(
  cursor: string | undefined,
  parameters: Record<string, string> = {},
): Promise<{ events: Json[]; cursor: string }> {
  await published();
  return followOn(cursor, parameters);
}

async function followOn(
  cursor: string | undefined,
  parameters: Record<string, string>,
): Promise<{ events: Json[]; cursor: string }> {
  const events: Json[] = [];
  for (let next = cursor; ;) {
    const { status, body } = await read({ ...parameters, ...(next !== undefined && { cursor: next }) });
    expect(status).toBe(200);
    events.push(...(body['data'] as Json[]));
    next = body['next_cursor'] as string;
    if (body['caught_up'] === true) return { events, cursor: next };
  }
}

const now = async (parameters: Record<string, string> = {}): Promise<string> => {
  await published();
  return (await read({ from: 'now', ...parameters })).body['next_cursor'] as string;
};

const begin = async (caseId: string): Promise<OpenTransaction> => beginCase(service.database, caseId);

describe('what is told', () => {
  test('every completion and every change once, and no mere repeat', async () => {
    const cursor = await now();
    const body = newCase();
    await service.complete(body);
    await service.complete(body);
    await service.complete({ ...body, rows: [] });
    await service.complete(newCase());
    const { events } = await follow(cursor);
    expect(events.map(({ event }) => event as string)).toEqual(['completed', 'changed', 'completed']);
    const { body: list } = await service.get(`/v1/cases?case_id=${body.case_id}`);
    const [found] = list['data'] as Json[];
    const { body: timeline } = await service.get(`/v1/cases/${found?.['id']}/notifications`);
    const deliveries = timeline['data'] as Json[];
    for (const [index, delivery] of [deliveries[0], deliveries[2]].entries()) {
      expect(events[index]).toMatchObject({
        notification_id: delivery?.['id'],
        received_at: delivery?.['received_at'],
        case: found,
      });
    }
  });

  test('a late delivery that changes the case is told too', async () => {
    const cursor = await now();
    const body = newCase();
    const newer = { ...body, workflow_name: 'newer' };
    await service.complete(newer);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
    await service.complete({ ...body, workflow_name: 'older' }).finally(() => vi.useRealTimers());
    const { events } = await follow(cursor);
    expect(events.map(({ event, case: { revision } }) => [event, revision])).toEqual([
      ['completed', 2],
      ['changed', 2],
    ]);
  });

  test('numbers are masked without reveal, and whole with it', async () => {
    const cursor = await now();
    await service.complete(newCase({ callee_number: '+62811223344' }));
    await published();
    const headers = { authorization: `Bearer ${READ_KEY}` };
    const { text } = await send(`${service.url}/v1/completions?cursor=${cursor}`, { headers });
    expect(text).toContain('*********344');
    expect(text).not.toContain('811223');
    expect((await read({ cursor })).text).toContain('+62811223344');
  });

  test('a workflow of its own is followed by its own cursor, past any number of events of others', async () => {
    const cursor = await now({ workflow_id: 'quiet' });
    await service.database.query(`
      INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
      SELECT gen_random_uuid(), 'k', now(), 'first', 'loud', gen_random_uuid(), '', '' FROM generate_series(1, 45000)`);
    await service.database.query('ANALYZE notifications');
    await service.complete(newCase({ workflow_id: 'quiet' }));
    await published();
    const { body: first } = await read({ workflow_id: 'quiet', cursor });
    expect(first).toMatchObject({ data: [], caught_up: false });
    const { events } = await follow(cursor, { workflow_id: 'quiet' });
    expect(events).toHaveLength(1);
    expect((await read({ workflow_id: 'other', cursor })).body).toMatchObject({ status: 400, code: 'invalid_cursor' });
    expect((await read({ cursor })).body).toMatchObject({ status: 400, code: 'invalid_cursor' });
  });

  test('from the start it tells all that the lists have', async () => {
    const { events } = await follow(undefined, { limit: '1000' });
    const told = new Set(caseIds(events));
    const { body } = await service.get('/v1/cases?limit=1000');
    for (const { case_id } of body['data'] as Json[]) expect(told).toContain(case_id);
    expect(new Set(events.map(({ notification_id }) => notification_id as string)).size).toBe(events.length);
  });

  test('a cursor can be kept: asked again it tells the same again, and then what came since', async () => {
    const cursor = await now();
    const bodies = [newCase(), newCase(), newCase()];
    for (const body of bodies.slice(0, 2)) await service.complete(body);
    expect(caseIds((await follow(cursor)).events)).toEqual(bodies.slice(0, 2).map((body) => body.case_id));
    await replica.complete(bodies[2] as Json);
    expect(caseIds((await follow(cursor)).events)).toEqual(bodies.map((body) => body.case_id));
  });

  test('events whose case is gone are passed over, whole pages of them too, and nothing else is', async () => {
    const workflow_id = 'forgotten';
    const cursors = [await now(), await now({ workflow_id })];
    const bodies = Array.from({ length: 12 }, () => newCase({ workflow_id }));
    for (const body of bodies) await service.complete(body);
    const [gone, left] = [
      [...bodies.slice(0, 5), ...bodies.slice(7, 8)],
      [...bodies.slice(5, 7), ...bodies.slice(8)],
    ];
    await service.database.query(`DELETE FROM cases WHERE case_id = ANY ($1)`, [gone.map(({ case_id }) => case_id)]);
    const leftIds = left.map(({ case_id }) => case_id);
    expect(caseIds((await follow(cursors[0], { limit: '2' })).events)).toEqual(leftIds);
    expect(caseIds((await follow(cursors[1], { limit: '2', workflow_id })).events)).toEqual(leftIds);
    expect((await read({ cursor: cursors[0] as string, limit: '2' })).body).toMatchObject({
      data: [],
      caught_up: false,
    });
  });

  test.each(['limit=0', 'from=then', 'order=desc', 'cursor=AAAA', 'cursor='])('%s is refused', async (parameter) => {
    expect((await service.get(`/v1/completions?${parameter}`)).status).toBe(400);
  });
});

describe('it never skips and never repeats', () => {
  test('what a transaction commits late comes late, and nothing that began after it is told before it', async () => {
    const cursor = await now();
    const slow = await begin('slow');
    const aborted = await begin('aborted');
    const [body, last] = [newCase(), newCase()];
    await service.complete(body);
    const younger = await begin('younger');
    await service.complete(last);
    expect(await read({ cursor })).toMatchObject({ body: { data: [], caught_up: true } });
    await younger.rollback();
    await aborted.rollback();
    expect((await read({ cursor })).body['data']).toEqual([]);
    await slow.commit();
    expect(caseIds((await follow(cursor)).events)).toEqual(['slow', body.case_id, last.case_id]);
  });

  test('a cursor that is taken at the end while a transaction is open leads to what it commits', async () => {
    await published();
    const open = await begin('open at the end');
    const body = newCase();
    await service.complete(body);
    const cursor = (await read({ from: 'now' })).body['next_cursor'] as string;
    await open.commit();
    expect(caseIds((await follow(cursor)).events)).toEqual(['open at the end', body.case_id]);
  });

  test('events of one transaction are told once each, also where a page ends between them', async () => {
    const cursor = await now();
    const sent = ['one', 'two', 'three'].map((name) => `${name} of a transaction`);
    const open = await beginCase(service.database, ...sent);
    await open.commit();
    const { events } = await follow(cursor, { limit: '2' });
    expect(caseIds(events).toSorted()).toEqual(sent.toSorted());
  });

  test('whatever order transactions commit in, a reader who follows all the while has each event once', async () => {
    const writers = 12;
    let cursor = await now();
    const told: string[] = [];
    let isWriting = true;
    const reading = (async () => {
      const hasWritten = (): boolean => !isWriting;
      for (let isLast = false; !isLast;) {
        isLast = hasWritten();
        if (isLast) await published();
        const stretch = await followOn(cursor, { limit: '3' });
        told.push(...caseIds(stretch.events));
        cursor = stretch.cursor;
      }
    })();
    const written = await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        const names: string[] = [];
        for (let round = 0; round < 8; round += 1) {
          const name = `${writer} in round ${round}`;
          const transaction = await begin(name);
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
          if (Math.random() < 0.2) await transaction.rollback();
          else {
            await transaction.commit();
            names.push(name);
          }
        }
        return names;
      }),
    );
    isWriting = false;
    await reading;
    expect(told.toSorted()).toEqual(written.flat().toSorted());
  });

  test('restored into a server that counts from the beginning it goes on behind all that was told', async () => {
    await service.database.query(`UPDATE feed_clock SET ahead_by = 100000000`); // as if the old server had counted that far
    await (await begin('told by the old server')).commit();
    const cursor = await now();
    await service.database.query(`UPDATE feed_clock SET ahead_by = 0, server = 'the old one'`);
    await migrate(service.database.url);
    const bodies = [newCase(), newCase()];
    for (const body of bodies) await service.complete(body);
    expect(caseIds((await follow(cursor)).events)).toEqual(bodies.map((body) => body.case_id));
    await migrate(service.database.url);
    const [clock] = await service.database.query<{ ahead_by: string }>(`SELECT ahead_by FROM feed_clock`);
    expect(Number(clock?.ahead_by)).toBeLessThan(2 ** 41); // on the same server it does not leap again
  });
});

describe('waiting', () => {
  test('it answers as soon as there is something to tell, whatever replica took it', async () => {
    const cursor = await now();
    const waiting = [read({ cursor }, { wait: 60 }), read({ cursor, workflow_id: '' }, { wait: 60 })];
    expect((await waiting[1])?.status).toBe(400);
    const body = newCase();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await replica.complete(body);
    const answer = (await waiting[0]) as Answer;
    expect(caseIds(answer.body['data'] as Json[])).toEqual([body.case_id]);
    expect(answer.headers.get('preference-applied')).toBe('wait=60');
  });

  test('who follows one workflow is answered when there is something of that one', async () => {
    const cursor = await now({ workflow_id: 'mine' });
    const waiting = read({ cursor, workflow_id: 'mine' }, { wait: 60 });
    let isAnswered = false;
    void waiting.then(() => (isAnswered = true));
    await service.complete(newCase());
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isAnswered).toBe(false);
    await service.complete(newCase({ workflow_id: 'mine' }));
    expect((await waiting).body['data']).toHaveLength(1);
  });

  test('when the time is up it answers with nothing', async () => {
    const cursor = await now();
    const answer = await read({ cursor }, { wait: 1 });
    expect(answer).toMatchObject({ status: 200, body: { data: [], next_cursor: cursor, caught_up: true } });
  });

  test('a transaction that is held open holds up what waits, and its end wakes it', async () => {
    const cursor = await now();
    const slow = await begin('slow to wake');
    const body = newCase();
    await service.complete(body);
    const waiting = read({ cursor }, { wait: 60 });
    await new Promise((resolve) => setTimeout(resolve, 400));
    await slow.commit();
    const { body: woken } = await waiting;
    const rest = await follow(woken['next_cursor'] as string); // another transaction may still hold back the second
    expect(caseIds([...(woken['data'] as Json[]), ...rest.events])).toEqual(['slow to wake', body.case_id]);
  });
});

interface Told {
  readonly id: string;
  readonly event: string;
  readonly data: Json;
}

describe('the stream', () => {
  /** Reads so many events, and hangs up. */
  async function stream(
    parameters: Record<string, string>,
    count: number,
    { lastEventId = '', at = service } = {},
  ): Promise<Told[]> {
    const told: Told[] = [];
    for await (const event of open(parameters, { lastEventId, at })) {
      told.push(event);
      if (told.length === count) break;
    }
    return told;
  }

  async function* open(
    parameters: Record<string, string>,
    { lastEventId = '', at = service } = {},
  ): AsyncGenerator<Told> {
    const headers = { authorization: `Bearer ${ALL_KEY}`, ...(lastEventId && { 'last-event-id': lastEventId }) };
    const response = await fetch(`${at.url}/v1/completions/stream?${new URLSearchParams(parameters).toString()}`, {
      headers,
    });
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      const blocks = text.split('\n\n');
      text = blocks.pop() as string;
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s, 2)));
        if (fields['data'])
          yield { id: fields['id'], event: fields['event'], data: JSON.parse(fields['data']) as Json };
      }
    }
  }

  test('it tells what the feed tells, and what comes then; its ids are cursors', async () => {
    const cursor = await now();
    const bodies = [newCase(), newCase(), newCase()];
    for (const body of bodies.slice(0, 2)) await service.complete(body);
    const streaming = stream({ cursor }, 3);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await replica.complete(bodies[2] as Json);
    const told = await streaming;
    const { events } = await follow(cursor);
    expect(told.map(({ data }) => data)).toEqual(events);
    expect(told.map(({ event }) => event)).toEqual(['completed', 'completed', 'completed']);
    expect(caseIds((await follow(told[0]?.id)).events)).toEqual(bodies.slice(1).map((body) => body.case_id));
  });

  test('a client that comes back, to any replica, goes on where it was', async () => {
    const cursor = await now();
    const bodies = Array.from({ length: 20 }, () => newCase());
    for (const body of bodies) await service.complete(body);
    const told = await stream({ cursor }, 7);
    const rest = await stream({ cursor }, 13, { lastEventId: told.at(-1)?.id ?? '', at: replica });
    expect(caseIds([...told, ...rest].map(({ data }) => data))).toEqual(bodies.map((body) => body.case_id));
  });

  test('a cursor that is none is refused before the stream begins', async () => {
    const answer = await service.get('/v1/completions/stream?cursor=nonsense');
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_cursor' } });
    expect((await service.get('/v1/completions/stream?limit=5')).status).toBe(400);
  });

  test('where nothing happens it says so every 15 seconds, and where it has come to', async () => {
    const cursor = await now();
    const abort = new AbortController();
    const headers = { authorization: `Bearer ${ALL_KEY}` };
    const url = `${service.url}/v1/completions/stream?cursor=${cursor}`;
    const response = await fetch(url, { headers, signal: abort.signal });
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.split('\n\n').length > 2) break;
    }
    abort.abort();
    expect(text).toBe(`retry: 2000\n:\nid: ${cursor}\n\n:\nid: ${cursor}\n\n`);
  });

  test('a client that reads slowly is waited for, and then told everything', async () => {
    const cursor = await now({ workflow_id: 'slow reader' });
    await service.database.query(`
      WITH made AS (
        INSERT INTO cases SELECT gen_random_uuid(), 'slow reader', 'case ' || n || repeat('.', 700), '', now(), now(), 1, 1,
          gen_random_uuid(), '' FROM generate_series(1, 15000) n RETURNING *)
      INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body, position)
      SELECT current_notification_id, 'k', completed_at, 'first', workflow_id, id, '', '',
        (SELECT ahead_by + pg_current_xact_id()::text::bigint FROM feed_clock) FROM made`);
    await service.database.query(`INSERT INTO workflows VALUES ('slow reader', 'W', now(), gen_random_uuid())`);
    await service.database.query('ANALYZE');
    const search = new URLSearchParams({ workflow_id: 'slow reader', cursor }).toString();
    const [response] = (await once(
      get(`${service.url}/v1/completions/stream?${search}`, { headers: { authorization: `Bearer ${ALL_KEY}` } }),
      'response',
    )) as [IncomingMessage];
    const statements = async (): Promise<number> => {
      const [row] = await service.database.query<{ read: string }>(
        `SELECT idx_tup_fetch AS read FROM pg_stat_user_tables WHERE relname = 'cases'`,
      );
      return Number(row?.read);
    };
    // Nobody reads: the service stops asking PostgreSQL once what lies between is full.
    let before = -1;
    await expect
      .poll(
        async () => {
          const last = before;
          before = await statements();
          return before === last;
        },
        { timeout: 30_000, interval: 1_500 },
      )
      .toBe(true);
    let told = 0;
    let text = '';
    for await (const chunk of response) {
      const blocks = (text + String(chunk)).split('\n\n');
      text = blocks.pop() as string;
      told += blocks.filter((block) => block.includes('\nevent: completed\n')).length;
      if (told >= 15_000) break;
    }
    expect(told).toBe(15_000);
    expect(await statements()).toBeGreaterThan(before);
  });

  test('beyond 200 streams a further one is refused, and one that ends makes room', async () => {
    const headers = { authorization: `Bearer ${ALL_KEY}` };
    const open200 = await Promise.all(
      Array.from({ length: 200 }, async () => fetch(`${replica.url}/v1/completions/stream?from=now`, { headers })),
    );
    const refused = await replica.get('/v1/completions/stream');
    expect(refused).toMatchObject({ status: 503, body: { code: 'service_unavailable' } });
    await Promise.all(open200.map(async (response) => response.body?.cancel()));
    await expect
      .poll(async () => {
        const response = await fetch(`${replica.url}/v1/completions/stream`, { headers });
        await response.body?.cancel();
        return response.status;
      })
      .toBe(200);
  });

  test('a shutdown ends it with its last chunk, after every event that was sent before', async () => {
    const short = await startService({ database: service.database });
    const body = newCase();
    const url = `${short.url}/v1/completions/stream?cursor=${await now()}`;
    const [response] = (await once(get(url, { headers: { authorization: `Bearer ${ALL_KEY}` } }), 'response')) as [
      IncomingMessage,
    ];
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ended = once(response, 'end');
    await service.complete(body);
    await expect.poll(() => text).toContain(body.case_id);
    await short.stop();
    await ended;
    expect(response.complete).toBe(true);
  });
});
