import type { EventEmitter } from 'node:events';
import autocannon from 'autocannon';
import type { LoadPlan, LoadResult } from './load-plan.js';
import { stamper, TEMPLATE } from './stamped-request.js';
import { Tally } from './tally.js';

/** Cut-offs happen at a sample's end. */
const SAMPLE_MS = 100;

/** What a client of autocannon has beside what its types tell: it says when it sends, and shows the bytes. */
interface SendingClient extends EventEmitter {
  getRequestBuffer(): Buffer;
}

/**
 * Each connection sends its next request as soon as the last one is answered.
 *
 * The latencies are counted here: autocannon's own have whole milliseconds.
 */
export async function sendAtFullSpeed(plan: LoadPlan, stopping: AbortSignal): Promise<LoadResult> {
  const tally = new Tally(plan.series);
  let begun = 0;
  const stampEach = (client: SendingClient): void => {
    let stamp: ((ordinal: number) => void) | undefined;
    let ordinal = 0;
    // A connection's bytes are its own, and are sent before they are answered: they are free again by then.
    client.on('request', () => {
      ordinal = begun;
      begun += 1;
      stamp ??= stamper(client.getRequestBuffer(), plan.series);
      stamp(ordinal);
      tally.countSent(ordinal);
    });
    client.on('response', (status: number, _bytes: number, latencyMs: number) => {
      tally.countAnswer(ordinal, status, latencyMs);
    });
  };
  return new Promise((resolve, reject) => {
    const options: autocannon.Options = {
      url: plan.url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: TEMPLATE,
      connections: plan.connections,
      duration: plan.seconds,
      sampleInt: SAMPLE_MS,
      setupClient: (client) => stampEach(client as unknown as SendingClient),
      verifyBody: (body) => body === '{}',
    };
    const instance = autocannon(options, (error: Error | null, result) => {
      if (error) reject(error);
      else resolve(withErrors(tally, result));
    });
    stopping.addEventListener('abort', () => instance.stop());
  });
}

/** autocannon holds the body of every answer against `{}`; one that is no 200 has another by right. */
function withErrors(tally: Tally, result: autocannon.Result): LoadResult {
  tally.errors = result.errors;
  tally.mismatches = Math.max(0, result.mismatches - result.non2xx);
  return tally.result();
}
