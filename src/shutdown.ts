import type { NestExpressApplication } from '@nestjs/platform-express';
import { ConnectionTracker } from './http/server/connection-tracker.js';
import { CommitWatcher } from './query/waiting/commit-watcher.js';

/** Time that requests in progress get to be answered. */
const ANSWER_GRACE_MS = 3_000;

/** Refuses new requests, answers those in progress, ends streams, and closes connections and modules. */
export async function shutDown(app: NestExpressApplication): Promise<void> {
  const connections = app.get(ConnectionTracker);
  const answered = connections.refuseNew(ANSWER_GRACE_MS);
  app.get(CommitWatcher).end(); // long polls are answered with the current state
  await answered;
  const closed = app.close();
  connections.end(ANSWER_GRACE_MS);
  await closed;
}
