import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestStep } from '../../http/server/request-chain.js';
import type { Metrics } from '../../metrics/metrics.js';
import { WEBHOOK_PATH, type WebhookHandler } from './webhook-handler.js';

/** The path as the console of AI Rudder shows it: without escapes and without a query. */
const PLAIN_PATH = new RegExp(`^${WEBHOOK_PATH}/([\\w.~-]+)/([\\w-]+)$`);

/** Equals the route of the Nest controller, so that metrics count both paths as one. */
const ROUTE = `${WEBHOOK_PATH}/:token/:kind`;

/**
 * A step of the request chain that passes notifications directly to the handler, because the middleware and the router of
 * Express take longer than the handler. A path with any other spelling goes through Express to the same handler.
 */
export function webhookFastPath(handler: WebhookHandler, metrics: Metrics): RequestStep {
  return (request, response, next) => {
    const path = request.method === 'POST' ? PLAIN_PATH.exec(request.url ?? '') : null;
    if (path) void receive(request, response, path);
    else next();
  };

  async function receive(
    request: IncomingMessage,
    response: ServerResponse,
    [, token, kind]: readonly string[],
  ): Promise<void> {
    const startedAt = performance.now();
    await handler.receive(request, response, token as string, kind as string);
    const labels = { method: 'POST', route: ROUTE, status: response.statusCode };
    metrics.requestDuration.observe(labels, (performance.now() - startedAt) / 1000);
  }
}
