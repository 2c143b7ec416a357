import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Metrics } from '../../metrics/metrics.js';
import { routeOf } from '../request-id.js';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Measures every request by the pattern of its route, because the path itself may contain a token or an id. */
export function observeRequests(metrics: Metrics): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    const startedAt = performance.now();
    response.once('finish', () => {
      const method = METHODS.has(request.method) ? request.method : 'other'; // a client can send any word
      const labels = { method, route: routeOf(request), status: response.statusCode };
      metrics.requestDuration.observe(labels, (performance.now() - startedAt) / 1000);
    });
    next();
  };
}
