import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { routeOf } from '../request-id.js';
import type { Metrics } from '../../metrics/metrics.js';

/** Measures every request. The route is told as its pattern: the path itself may hold a token or an id. */
export function observeRequests(metrics: Metrics): RequestHandler {
  return (request: Request, response: Response, next: NextFunction) => {
    const startedAt = process.hrtime.bigint();
    response.once('finish', () => {
      const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
      metrics.observeRequest(knownMethod(request.method), routeOf(request), response.statusCode, seconds);
    });
    next();
  };
}

/** Anything can be sent as a method, and each would become a series of its own. */
function knownMethod(method: string): string {
  return ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].includes(method) ? method : 'other';
}
