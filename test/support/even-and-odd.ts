import { vi } from 'vitest';
import { type Json, notification, type TestService } from './service.js';

export const START = Date.parse('2026-01-31T00:00:00.000Z');

/** Posts one case a minute: even ones in workflow "even" through call, sms and the same call again, odd ones in "odd" through call alone. */
export async function postEvenAndOdd(service: TestService, cases: number): Promise<void> {
  for (let minute = 0; minute < cases; minute += 1) {
    vi.useFakeTimers({ toFake: ['Date'], now: START + minute * 60_000 });
    await service.complete(caseOf(minute));
  }
  vi.useRealTimers();
}

function caseOf(minute: number): Json {
  const parity = minute % 2 === 0 ? 'even' : 'odd';
  const call = { nodetask_id: `${parity} call`, nodetask_name: 'C', node_type: 'call', task_id: `task ${minute % 3}` };
  const sms = { nodetask_id: 'even sms', nodetask_name: 'S', node_type: 'sms' };
  return notification({
    workflow_id: parity,
    case_id: `case ${minute}`,
    callee_number: `+6281234${String(minute % 5).padStart(3, '0')}`,
    rows: parity === 'even' ? [call, sms, call] : [call],
  });
}
