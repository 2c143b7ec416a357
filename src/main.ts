import type { Service } from './service.js';

/**
 * The process. It handles signals before it loads the service, because the first process of a container ignores a
 * signal that it has no handler for. A shutdown may begin at any time, also during the start.
 */
const STOP_TIMEOUT_MS = 10_000;

let service: Promise<Service> | undefined;
const stopping = new AbortController();
process.on('uncaughtException', crash);
process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop); // SIGHUP: the terminal was closed

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

/** Handles the first signal only: npm forwards a Ctrl-C that the terminal sends to this process too. */
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

/** Ignores errors that the shutdown itself causes. */
function failUnlessStopping(error: unknown): void {
  if (!stopping.signal.aborted) fail(error);
}

/** Reports an operational error in one line. Only a fault of the code gets its stack. */
function fail(error: unknown): void {
  const { name, message } = error as Error;
  if (name !== 'Error' && name !== 'ConfigError') crash(error);
  process.stderr.write(`airudder-notifications: ${message}\n`);
  process.exit(1);
}

/** Prints name, code and stack frames only. Node would print the error's properties, which can contain row values. */
function crash(error: unknown): void {
  const { name, code, stack } = Object(error) as Partial<NodeJS.ErrnoException>;
  const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line));
  process.stderr.write(`airudder-notifications: ${[name ?? typeof error, code].filter(Boolean).join(' ')}\n`);
  for (const frame of frames ?? []) process.stderr.write(`${frame}\n`);
  process.exit(1);
}
