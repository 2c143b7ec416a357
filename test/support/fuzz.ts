import * as fc from 'fast-check';

/** Each property is played for so long: seconds among the other tests, longer in `npm run chaos`. */
const FUZZ_SECONDS = Number(process.env['FUZZ_SECONDS'] || process.env['CHAOS_SECONDS'] || 2);

/** To play once more what failed: fast-check prints the seed with the counterexample. */
const FUZZ_SEED = process.env['FUZZ_SEED'];

/** Finding the smallest counterexample takes longer than finding one. */
export const FUZZ_TIMEOUT_MS = 120_000 + 10_000 * FUZZ_SECONDS;

/** Plays as many samples as the time allows, one after the other, in two halves. */
export async function fuzz<T>(
  samples: fc.Arbitrary<T>,
  play: (sample: T) => Promise<void>,
  between: () => Promise<void>,
): Promise<void> {
  await playFor(FUZZ_SECONDS / 2, samples, play);
  await between();
  await playFor(FUZZ_SECONDS / 2, samples, play);
}

async function playFor<T>(
  seconds: number,
  samples: fc.Arbitrary<T>,
  play: (sample: T) => Promise<void>,
): Promise<void> {
  let last: Promise<void> | undefined;
  const property = fc.asyncProperty(samples, async (sample) => {
    last = play(sample);
    await last;
  });
  await fc.assert(property, {
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: seconds * 1000,
    ...(FUZZ_SEED !== undefined && { seed: Number(FUZZ_SEED) }),
  });
  await last; // the one that was under way when the time was up counts too
}
