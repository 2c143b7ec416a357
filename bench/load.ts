import { send, stopOnMessage } from './child.js';
import type { LoadPlan } from './load-plan.js';
import { sendAtFullSpeed } from './load-full.js';
import { sendEvenly } from './load-even.js';

/** The process that sends: apart from the one that measures memory and waits, and from those that answer. */
const plan = JSON.parse(process.argv[2] ?? '') as LoadPlan;
const stopping = stopOnMessage();
const { perSecond } = plan;
send(
  perSecond === undefined ? await sendAtFullSpeed(plan, stopping) : await sendEvenly({ ...plan, perSecond }, stopping),
);
process.disconnect();
