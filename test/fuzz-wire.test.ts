import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUZZ_TIMEOUT_MS } from './support/fuzz.js';
import { FuzzTarget, NUMBER, TOKEN } from './support/fuzz-target.js';
import { broken, HIDDEN, inChunks, inPieces, post, smuggled } from './support/fuzz-wire.js';
import { webhookPath } from './support/service.js';

/** Time enough to answer: whoever then has no answer has sent only a part of a request. */
const SILENCE = { afterSilenceMs: 40 };

let target: FuzzTarget;
let sent = 0;
beforeAll(async () => {
  target = await FuzzTarget.start();
});
afterAll(async () => target.stop('wire'));

test(
  'broken HTTP, other protocols and bytes of no meaning are answered as problems, or not at all, and let go',
  async () => {
    const faults = await target.fuzz(broken, async (pieces) => {
      await target.exchange('broken', pieces, SILENCE);
    });
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'a request that hides in the body of another, however its length is told, is never taken for one',
  async () => {
    const faults = await target.fuzz(fc.oneof({ weight: 3, arbitrary: smuggled }, inChunks), async (pieces) => {
      await target.exchange('smuggled', pieces, SILENCE);
      expect(await countCases(HIDDEN)).toBe(0);
    });
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'requests one behind the other on a connection, cut anywhere and sent slowly, are answered in their order',
  async () => {
    const kinds = { right: [200], wrong: [404], health: [200], refused: [400] } as const;
    const samples = fc.record({
      row: fc.array(fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])), { minLength: 1, maxLength: 5 }),
      places: fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 6 })),
      pauseMs: fc.constantFrom(0, 0, 0, 1, 20),
    });
    const faults = await target.fuzz(samples, async ({ row, places, pauseMs }) => {
      const requests = row.map((kind, index) => render(kind, index === row.length - 1 ? ['Connection: close'] : []));
      const answers = await target.exchange('pipelined', inPieces(Buffer.from(requests.join('')), places, pauseMs));
      expect(answers.map(({ status }) => status)).toEqual(row.flatMap((kind) => kinds[kind]));
    });
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'of clients that leave anywhere in the middle nothing is kept but whole notifications',
  async () => {
    const faults = await target.fuzz(fc.tuple(fc.nat(), fc.boolean()), async ([place, isAbrupt]) => {
      sent += 1;
      const bytes = Buffer.from(post(`cut-${sent}`));
      const piece = [bytes.subarray(0, place % bytes.length), 0] as const;
      const answers = await target.exchange('cut off', [piece], isAbrupt ? 'at once' : { afterSilenceMs: 1 });
      expect(answers.map(({ status }) => status).filter((status) => status !== 400)).toEqual([]);
      expect(await countCases(`cut-${sent}`)).toBe(0);
    });
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

function render(kind: 'right' | 'wrong' | 'health' | 'refused', headers: readonly string[]): string {
  sent += 1;
  if (kind === 'health') return ['GET /health/live HTTP/1.1', 'Host: x', ...headers, '\r\n'].join('\r\n');
  const whole = post(`pipelined-${sent}`, headers);
  if (kind === 'wrong') return whole.replace(webhookPath(TOKEN), webhookPath(`wrong-${NUMBER}`));
  return kind === 'refused' ? whole.replace('"rows":[', '"rows":{') : whole;
}

async function countCases(caseId: string): Promise<number> {
  const [row] = await target.database.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM cases WHERE case_id = $1`,
    [caseId],
  );
  return row?.count ?? 0;
}
