import { defineConfig } from 'vitest/config';
import { SlowestFiles } from './test/support/slowest-files.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: ['reflect-metadata'],
    pool: 'forks',
    maxWorkers: 3, // half of the time a test waits for processes or the clock
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000, interval: 50 } }, // a busy machine is slow, and that is no fault
    reporters: ['default', new SlowestFiles()],
  },
});
