import { defineConfig } from 'vitest/config';
import { SlowestFiles } from './test/support/slowest-files.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: ['reflect-metadata'],
    pool: 'forks',
    maxWorkers: 3, // half of the time a test waits for processes or the clock
    testTimeout: 59_000, // shorter than a long poll of 60 s: one that nothing wakes fails its test
    hookTimeout: 180_000,
    expect: { poll: { timeout: 40_000, interval: 50 } }, // generous, for busy machines
    reporters: ['default', new SlowestFiles()],
  },
});
