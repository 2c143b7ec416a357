import { defineConfig } from 'vitest/config';

/** `npm run mutate`: each row of the tables beside this file is one test. */
export default defineConfig({
  test: {
    include: ['test/mutations/mutate.ts'],
    globalSetup: 'test/support/global-setup.ts',
    maxConcurrency: 2,
    testTimeout: 900_000,
    hookTimeout: 120_000,
    reporters: ['verbose'],
  },
});
