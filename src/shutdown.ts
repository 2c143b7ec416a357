import type { NestExpressApplication } from '@nestjs/platform-express';
import { trackConnections } from './http/server/graceful-shutdown.js';
import { CommitWatcher } from './query/waiting/commit-watcher.js';

/** Time that requests in progress get to be answered. */
const ANSWER_GRACE_MS = 3_000;

/**
 * Prepares the graceful shutdown of a service that does not listen yet.
 *
 * @returns stops it: refuses new requests, answers those in progress, ends streams, closes connections and the modules
 */
export function prepareShutdown(app: NestExpressApplication): () => Promise<void> {
  const connections = trackConnections(app.getHttpServer(), ANSWER_GRACE_MS);
  return async () => {
    const answered = connections.refuseNew();
    app.get(CommitWatcher).end(); // long polls are answered with the current state
    await answered;
    const closed = app.close();
    connections.end();
    await closed;
  };
}
