import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from './support/database.js';
import { type ServiceProcess, spawnService } from './support/process.js';
import { notification, send, TOKEN, webhookPath } from './support/service.js';
import { awaitDrained } from './support/stage.js';

let directory: string;
let database: TestDatabase;
let replicas: ServiceProcess[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'airudder-replicas-'));
  database = await createDatabase({ empty: true });
});
afterEach(async () => {
  for (const replica of replicas) replica.kill('SIGTERM');
  await Promise.all(replicas.map(async (replica) => replica.exitCode()));
  await database.drop();
  await rm(directory, { recursive: true });
});

function boot(settings: Record<string, string>): Promise<string[]> {
  replicas = [1, 2, 3].map(() => spawnService({ DATABASE_URL: database.url, ...settings }, directory));
  return Promise.all(replicas.map(async (replica) => replica.ready()));
}

test('three that boot at once on an empty database all come up, and are one service', async () => {
  const urls = await boot({ WEBHOOK_TOKENS: TOKEN, API_KEYS: 'all:read+reveal:key' });
  const bodies = Array.from({ length: 90 }, (_, n) => notification({ case_id: `case ${n % 10}`, extra: n % 4 }));
  const answers = await Promise.all(
    bodies.map(async (body, n) =>
      send(`${urls[n % 3]}${webhookPath()}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    ),
  );
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
  await awaitDrained(...urls); // a slow machine spools some of them

  const recorded = await database.query<{ id: string }>(`SELECT id FROM notifications ORDER BY id`);
  expect(recorded.map(({ id }) => id)).toEqual(answers.map((answer) => answer.headers.get('x-request-id')).toSorted());

  const ask = async (path: string, n: number): Promise<unknown> =>
    (await send(`${urls[n]}${path}`, { headers: { authorization: 'Bearer key' } })).body;
  const [first, second, third] = await Promise.all([0, 1, 2].map(async (n) => ask('/v1/cases?include_total=true', n)));
  expect(first).toMatchObject({ total: 10 });
  expect(second).toEqual(first);
  expect(third).toEqual(first);

  const { next_cursor: cursor } = (await ask('/v1/cases?limit=4', 0)) as { next_cursor: string };
  expect(await ask(`/v1/cases?limit=4&cursor=${cursor}`, 1)).toEqual(
    await ask(`/v1/cases?limit=4&cursor=${cursor}`, 2),
  );
});

test('three that share a data folder and may make secrets make the same ones', async () => {
  await boot({ GENERATE_SECRETS: 'true' });
  await expect.poll(() => replicas.every((replica) => replica.output().includes('Authorization'))).toBe(true);
  const printed = replicas.map((replica) => /webhooks\/airudder\/([\w-]+)\//.exec(replica.output())?.[1]);
  expect(printed[0]).toHaveLength(32);
  expect(new Set(printed).size).toBe(1);
});
