import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CaseEntity, Verdict } from '../src/database/entities.js';
import { comesOutOfOrder, type DeliveryKey, fold, inOrderOfReceipt } from '../src/ingest/write/fold.js';
import type { Notification } from '../src/ingest/notification/notification.js';

/** Few cases, times and contents, so that deliveries collide in every way. */
const delivery = fc.record({ caseId: fc.constantFrom('a', 'b'), time: fc.nat(4), content: fc.nat(2) });
const deliveries = fc.array(delivery, { minLength: 1, maxLength: 12 }).map((all) => all.map(toNotification));

test('the state is a function of the set of deliveries: not of their order, nor of their grouping into batches', () => {
  fc.assert(
    fc.property(deliveries, fc.infiniteStream(fc.nat()), (all, randomness) => {
      const one = writeInBatches([all]).cases;
      expect(writeInBatches(shuffleIntoBatches(all, randomness)).cases).toEqual(one);
    }),
    { numRuns: 2_000 },
  );
});

test('the state is what the definition says', () => {
  fc.assert(
    fc.property(deliveries, fc.infiniteStream(fc.nat()), (all, randomness) => {
      const { cases } = writeInBatches(shuffleIntoBatches(all, randomness));
      for (const found of cases) {
        const own = inOrderOfReceipt(all.filter((each) => each.completion.case_id === found.case_id));
        const newest = own.at(-1) as Notification;
        expect(found).toEqual({
          case_id: found.case_id,
          completed_at: own[0]?.receivedAt,
          last_notified_at: newest.receivedAt,
          current_notification_id: newest.id,
          content_digest: newest.contentDigest,
          content: newest.contentDigest,
          notification_count: own.length,
          revision: own.filter((each, index) => !own[index - 1]?.contentDigest.equals(each.contentDigest)).length,
        });
      }
    }),
    { numRuns: 2_000 },
  );
});

test('every delivery gets one verdict; each case has one first; in order of receipt nothing is late', () => {
  fc.assert(
    fc.property(deliveries, fc.infiniteStream(fc.nat()), (all, randomness) => {
      const { verdicts, cases } = writeInBatches(shuffleIntoBatches(all, randomness));
      expect(verdicts.size).toBe(all.length);
      expect([...verdicts.values()].filter((verdict) => verdict === 'first')).toHaveLength(cases.length);

      const inOrder = writeInBatches(inOrderOfReceipt(all).map((each) => [each]));
      expect([...inOrder.verdicts.values()]).not.toContain('late');
    }),
    { numRuns: 1_000 },
  );
});

test('deliveries that are stored already change nothing when they are written again', () => {
  fc.assert(
    fc.property(deliveries, fc.infiniteStream(fc.nat()), (all, randomness) => {
      const batches = shuffleIntoBatches(all, randomness);
      const again = shuffleIntoBatches([...all, ...all].slice(0, all.length + 3), randomness).map((batch) => [
        ...new Set(batch),
      ]);
      const once = writeInBatches(batches);
      const twice = writeInBatches([...batches, ...again]);
      expect(twice.cases).toEqual(once.cases);
      expect(twice.verdicts).toEqual(once.verdicts);
      expect(twice.known).toBe(again.flat().length);
    }),
    { numRuns: 1_000 },
  );
});

/** The tables, as far as the fold reads and writes them. */
function writeInBatches(batches: readonly Notification[][]): {
  cases: object[] & { case_id: string }[];
  verdicts: Map<string, Verdict>;
  known: number;
} {
  let known = 0;
  const cases = new Map<string, CaseEntity>();
  const contents = new Map<string, Buffer>();
  const history = new Map<string, DeliveryKey[]>();
  const verdicts = new Map<string, Verdict>();
  for (const batch of batches) {
    const stored = [...cases.values()].filter((each) => batch.some((one) => one.completion.case_id === each.case_id));
    const outOfOrder = stored.filter((state) =>
      batch.some((one) => one.completion.case_id === state.case_id && comesOutOfOrder(one, state)),
    );
    const outcome = fold(
      batch,
      stored,
      new Map(outOfOrder.map(({ id }) => [id, inOrderOfReceipt(history.get(id) ?? [])])),
    );
    for (const state of [...outcome.newCases, ...outcome.existingCases]) cases.set(state.id, state);
    known += outcome.alreadyStored.length;
    for (const { state } of outcome.replacedNodeTasks) contents.set(state.id, state.content_digest);
    for (const { notification, case_ref, verdict } of outcome.notifications) {
      history.set(case_ref, [...(history.get(case_ref) ?? []), notification]);
      verdicts.set(notification.id, verdict);
    }
  }
  const rows = [...cases.values()].map(({ id, workflow_id, callee_number, ...state }) => {
    return { ...state, content: contents.get(id) };
  });
  return { cases: rows.toSorted((a, b) => a.case_id.localeCompare(b.case_id)), verdicts, known };
}

function toNotification(
  { caseId, time, content }: { caseId: string; time: number; content: number },
  index: number,
): Notification {
  return {
    id: `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`,
    receivedAt: new Date(time),
    kind: 'workflow-list-completion',
    body: Buffer.alloc(0),
    contentDigest: Buffer.from([content]),
    completion: { workflow_id: 'w', workflow_name: 'W', case_id: caseId, callee_number: '', rows: [] },
  };
}

function shuffleIntoBatches(all: readonly Notification[], randomness: Iterator<number>): Notification[][] {
  const next = (bound: number): number => (randomness.next().value as number) % bound;
  const rest = [...all];
  const batches: Notification[][] = [[]];
  while (rest.length > 0) {
    if (next(2) === 0) batches.push([]);
    batches.at(-1)?.push(...rest.splice(next(rest.length), 1));
  }
  return batches.filter((batch) => batch.length > 0);
}
