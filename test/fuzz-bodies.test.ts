import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUZZ_TIMEOUT_MS } from './support/fuzz.js';
import { bodies, type Sent } from './support/fuzz-bodies.js';
import { FuzzTarget, KEY, TOKEN } from './support/fuzz-target.js';
import { type Answer, webhookPath } from './support/service.js';

let target: FuzzTarget;
beforeAll(async () => {
  target = await FuzzTarget.start({ BODY_LIMIT_BYTES: '400000' });
});
afterAll(async () => target.stop('bodies'));

test.each(Object.entries(bodies))(
  'a body %s gets one verdict however often it is sent, and is there afterwards: as a notification, or in quarantine',
  async (kind, samples) => {
    const faults = await target.fuzz(samples, async (sample) => {
      const [first, second] = [await post(kind, sample), await post(kind, sample)];
      expect([second.status, second.body['code']]).toEqual([first.status, first.body['code']]);
      expect([200, 400, 413, 415]).toContain(first.status);
      if (first.status === 200) await expectKept(sample, first);
      else if (first.status !== 413) await expectQuarantined(sample, first);
    });
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

async function post(kind: string, { bytes, headers }: Sent): Promise<Answer> {
  return target.ask(kind, 'POST', webhookPath(TOKEN), headers, bytes);
}

/** It may wait in the spool for a moment. */
async function expectKept({ bytes, headers }: Sent, { headers: answered }: Answer): Promise<void> {
  const id = answered.get('x-request-id') ?? '';
  const isPlain = headers.every(([name, value]) => name !== 'Content-Encoding' || /^(identity)?$/.test(value));
  await expect
    .poll(
      async () => {
        const kept = await target.ask('notification', 'GET', `/v1/notifications/${id}`, [
          ['Authorization', `Bearer ${KEY}`],
        ]);
        const { body, body_encoding } = kept.body;
        return kept.status === 200 && isPlain
          ? Buffer.from(body, body_encoding === 'base64' ? 'base64' : 'utf8')
          : kept.status;
      },
      { timeout: 10_000 },
    )
    .toEqual(isPlain ? bytes : 200);
}

/** Under the id of whichever came first of those with the same bytes, decoded where they could be: of the others it is the count. */
async function expectQuarantined({ bytes, plain }: Sent, { body }: Answer): Promise<void> {
  const digests = [bytes, plain, Buffer.concat([plain, plain])].map((each) => hash('sha256', each, 'buffer'));
  const rows = await target.database.query(
    `SELECT FROM quarantined_notifications WHERE reason = $1 AND (body_digest = ANY ($2) OR id = $3) LIMIT 1`,
    [body['code'], digests, body['request_id']],
  );
  expect(rows).toHaveLength(1);
}
