import path from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

const COUNT = 10;

/** Prints the files that take the longest. */
export class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    if (modules.length <= COUNT) return;
    const durations = modules.map((module) => [module.diagnostic().duration, module.moduleId] as const);
    const slowest = durations.toSorted(([a], [b]) => b - a).slice(0, COUNT);
    const lines = slowest.map(([ms, file]) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${path.basename(file)}`);
    process.stdout.write(`\nThe ${COUNT} slowest test files:\n${lines.join('\n')}\n`);
  }
}
