import type { Service } from './service.js';

/**
 * The process: it ends when it is told to, at any moment of its life. Signals are listened to before anything else is
 * loaded, because as the first process of a container it would otherwise not even notice them.
 */
const STOP_TIMEOUT_MS = 10_000;

let service: Promise<Service> | undefined;
let isStopping = false;
process.on('SIGINT', stop).on('SIGTERM', stop);

try {
  const { startService } = await import('./service.js');
  service = startService();
  await service;
} catch (error) {
  fail(error);
}

/** From a terminal npm passes Ctrl-C on a second time: only the first signal counts. */
function stop(): void {
  if (isStopping) return;
  isStopping = true;
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  Promise.resolve(service)
    .then(async (started) => started?.stop())
    .then(() => process.exit(0))
    .catch(fail);
}

/** One line and no stack: what stops a start is a setting or a neighbour. */
function fail(error: unknown): void {
  process.stderr.write(`airudder-notifications: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
