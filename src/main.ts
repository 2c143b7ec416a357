import type { Service } from './service.js';

/**
 * The process: it ends when it is told to, at any moment of its life. Signals are listened to before anything else is
 * loaded, because as the first process of a container it would otherwise not even notice them.
 */
const STOP_TIMEOUT_MS = 10_000;

let service: Promise<Service> | undefined;
const stopping = new AbortController();
process.on('uncaughtException', crash);
process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop); // the last one comes when a terminal is closed

try {
  const { startService } = await import('./service.js');
  service = startService(stopping.signal);
  const started = await service;
  started.failed.catch(async (error: unknown) => {
    await started.stop();
    failUnlessStopping(error);
  });
} catch (error) {
  failUnlessStopping(error);
}

/** From a terminal npm passes Ctrl-C on a second time: only the first signal counts. */
function stop(): void {
  if (stopping.signal.aborted) return;
  stopping.abort();
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  Promise.resolve(service)
    .catch(() => undefined)
    .then(async (started) => started?.stop())
    .then(() => process.exit(0))
    .catch(fail);
}

/** What is interrupted may well fail: that is no news. */
function failUnlessStopping(error: unknown): void {
  if (!stopping.signal.aborted) fail(error);
}

/** What stops a start is mostly a setting or a neighbour, and told in one line. The stack is for faults of the code. */
function fail(error: unknown): void {
  const { name, message } = error as Error;
  if (name !== 'Error' && name !== 'ConfigError') crash(error);
  process.stderr.write(`airudder-notifications: ${message}\n`);
  process.exit(1);
}

/** Left to itself Node prints the words of an error and all that hangs on it: of PostgreSQL's, the values of a row. */
function crash(error: unknown): void {
  const { name, code, stack } = Object(error) as Partial<NodeJS.ErrnoException>;
  const places = stack?.split('\n').filter((line) => /^\s+at /.test(line));
  process.stderr.write(`airudder-notifications: ${[name ?? typeof error, code].filter(Boolean).join(' ')}\n`);
  for (const place of places ?? []) process.stderr.write(`${place}\n`);
  process.exit(1);
}
