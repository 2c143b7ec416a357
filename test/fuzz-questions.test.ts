import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUZZ_TIMEOUT_MS } from './support/fuzz.js';
import type { Operation } from './support/contract.js';
import { headers } from './support/fuzz-headers.js';
import { posted } from './support/fuzz-posted.js';
import { contract, operations, questions } from './support/fuzz-questions.js';
import { FuzzTarget, KEY, NUMBER, TOKEN } from './support/fuzz-target.js';
import { type Answer, notification, webhookPath } from './support/service.js';

const JSON_TYPE = [['Content-Type', 'application/json']] as const;
const AUTHORIZED = [['Authorization', `Bearer ${KEY}`]] as const;

let target: FuzzTarget;
let ids: string[];
let cursors: string[];
beforeAll(async () => {
  target = await FuzzTarget.start();
  ids = await fill();
  const lists = ['/v1/cases', '/v1/cases?order=asc', '/v1/workflows', '/v1/completions', '/v1/quarantine'];
  const pages = await Promise.all(lists.map(async (path) => get(`${path}${path.includes('?') ? '&' : '?'}limit=1`)));
  cursors = pages.map(({ body }) => body['next_cursor'] as string);
});
afterAll(async () => target.stop('questions'));

test(
  'whatever is asked of the API is answered as the document says, twice in the same way',
  async () => {
    const faults = await target.fuzz(
      questions(ids, cursors),
      async ({ operationId, method, target: address, headers: sent }) => {
        const ask = async (): Promise<Answer> => target.ask(operationId, method, address, sent);
        await expectOneVerdict(operationId, method, ask);
      },
    );
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'whatever is posted to the API is answered as the document says, twice in the same way',
  async () => {
    const samples = fc.record({ question: posted, others: headers });
    const faults = await target.fuzz(samples, async ({ question: { operationId, body }, others }) => {
      const { path } = operations.get(operationId) as Operation;
      const ask = async (): Promise<Answer> => target.ask(operationId, 'POST', path, [...JSON_TYPE, ...others], body);
      await expectOneVerdict(operationId, 'POST', ask);
    });
    expect(faults).toEqual([]);
  },
  FUZZ_TIMEOUT_MS,
);

/** Too long an address, and what is expected but cannot be done, are refused before anybody looks at the operation. */
async function expectOneVerdict(operationId: string, method: string, ask: () => Promise<Answer>): Promise<void> {
  const operation = operations.get(operationId) as Operation;
  const [first, second] = [await ask(), await ask()];
  expect([second.status, second.body['code']]).toEqual([first.status, first.body['code']]);
  if (method !== operation.method.toUpperCase() || [417, 431].includes(first.status)) return;
  expect(Object.keys(operation.responses)).toContain(String(first.status));
  expect(contract.faultsOf(operation, first)).toEqual([]);
}

/** @returns ids of all sorts, for paths */
async function fill(): Promise<string[]> {
  const found = ['%00', 'w'];
  for (const case_id of ['a', 'b', NUMBER]) {
    const body = notification({
      workflow_id: case_id === 'a' ? 'w' : `w${case_id}`,
      case_id,
      callee_number: `+${NUMBER}`,
    });
    const kept = await target.ask('filling', 'POST', webhookPath(TOKEN), JSON_TYPE, Buffer.from(JSON.stringify(body)));
    const id = kept.headers.get('x-request-id') ?? '';
    const refused = await target.ask('filling', 'POST', webhookPath(TOKEN), JSON_TYPE, Buffer.from(`{${case_id}`));
    found.push(id, (await get(`/v1/notifications/${id}`)).body['case'].id, refused.body['request_id']);
  }
  return found;
}

async function get(path: string): Promise<Answer> {
  return target.ask('filling', 'GET', path, AUTHORIZED);
}
