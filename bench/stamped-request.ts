import { PROVIDER_EXAMPLE } from '../src/ingest/notification/provider-example.js';

/** The cases of the load belong to so many workflows, as in the hour in which several of them end. */
export const WORKFLOWS = 20;

/** Workflow ids of the load and of what is stored before: this and three digits. */
export const WORKFLOW_PREFIX = PROVIDER_EXAMPLE.workflow_id.slice(0, 29);

// Digits only, so that a placeholder has the length of what is stamped over it, and no two are alike.
const WORKFLOW = '991';
const CASE = 'case-9992-999999992';
const CALLEE = '+629999999993';
const TASK = '9999999999999999999999994';

/** The provider's example, with places for what differs from case to case. */
export const TEMPLATE = JSON.stringify({
  ...PROVIDER_EXAMPLE,
  workflow_id: WORKFLOW_PREFIX + WORKFLOW,
  case_id: CASE,
  callee_number: CALLEE,
  rows: PROVIDER_EXAMPLE.rows.map((row) => Object.assign({}, row, row.task_id && { task_id: TASK.padStart(32, 'a') })),
});

/**
 * Makes each notification the first one of a case by writing over the same bytes: building a new body for each would
 * cost the sender more than some of the contestants need to answer it, on the same machine.
 *
 * Numbers and task ids are scattered, as real ones are, so that they enter their indexes at any place.
 *
 * @param bytes hold TEMPLATE somewhere
 * @param series up to 9999, of this measurement alone
 * @returns to be called with the ordinal of the case before the bytes are sent
 */
export function stamper(bytes: Buffer, series: number): (ordinal: number) => void {
  const workflowAt = bytes.indexOf(WORKFLOW_PREFIX + WORKFLOW) + WORKFLOW_PREFIX.length;
  const caseAt = bytes.indexOf(CASE);
  const calleeAt = bytes.indexOf(CALLEE);
  const taskAt = bytes.indexOf(TASK);
  return (ordinal) => {
    const scattered = scatter(series * 1_000_003 + ordinal);
    writeDigits(bytes, workflowAt, 3, ordinal % WORKFLOWS);
    writeDigits(bytes, caseAt + 'case-'.length, 4, series);
    writeDigits(bytes, caseAt + 'case-9992-'.length, 9, ordinal);
    writeDigits(bytes, calleeAt + '+62'.length, 10, scattered);
    writeDigits(bytes, taskAt, 10, scattered);
    writeDigits(bytes, taskAt + 10, 15, ordinal);
  };
}

/** Different numbers below 2³² come out different, and in no order. */
function scatter(ordinal: number): number {
  return Math.imul(ordinal, 2_654_435_761) >>> 0;
}

function writeDigits(bytes: Buffer, at: number, width: number, value: number): void {
  let rest = value;
  for (let index = at + width - 1; index >= at; index -= 1) {
    const next = Math.floor(rest / 10);
    bytes[index] = 48 + rest - next * 10;
    rest = next;
  }
}
