import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { assignRequestId } from '../../http/request-id.js';
import type { Metrics } from '../../metrics/metrics.js';
import { type WebhookHandler, WEBHOOK_PATH } from './webhook-handler.js';

/** The path as AI Rudder's console has it: nothing escaped, no query. */
const PLAIN_PATH = new RegExp(`^${WEBHOOK_PATH}/([\\w.~-]+)/([\\w-]+)$`);

/** The same as Nest's, so that both ways are measured as one. */
const ROUTE = `${WEBHOOK_PATH}/:token/:kind`;

/**
 * Leads notifications from the server straight to the door, past Express: its middleware and router take longer than all
 * that the door itself does. What does not look exactly like the path to paste takes the long way to the same door.
 */
export function installFastPath(server: Server, door: WebhookHandler, metrics: Metrics): void {
  const [express] = server.listeners('request') as [RequestListener];
  server.removeAllListeners('request').on('request', (request, response) => {
    assignRequestId(response);
    const path = request.method === 'POST' ? PLAIN_PATH.exec(request.url ?? '') : null;
    if (!path) return express(request, response);
    void receive(request, response, path);
  });

  async function receive(
    request: IncomingMessage,
    response: ServerResponse,
    [, token, kind]: readonly string[],
  ): Promise<void> {
    const startedAt = performance.now();
    await door.receive(request, response, token as string, kind as string);
    metrics.observeRequest('POST', ROUTE, response.statusCode, (performance.now() - startedAt) / 1000);
  }
}
