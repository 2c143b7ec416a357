import type { ServerResponse } from 'node:http';
import type { Request } from 'express';
import { newId } from '../database/ids.js';
import type { RequestStep } from './server/request-chain.js';

export const ID_HEADER = 'X-Request-Id';

/**
 * Assigns an id to the request and returns it as `X-Request-Id`. The id is a UUIDv7, because it becomes the id of an accepted
 * notification. An id that the client sends is ignored, because it would become a primary key.
 */
export function assignRequestId(response: ServerResponse): void {
  response.setHeader(ID_HEADER, newId());
}

/** The step of the request chain that assigns request ids. */
export const assignRequestIds: RequestStep = (_request, response, next) => {
  assignRequestId(response);
  next();
};

export function requestIdOf(response: ServerResponse): string {
  return response.getHeader(ID_HEADER) as string;
}

/** The route pattern that the path of the request matches. The path itself may contain a token or an id. */
export function routeOf(request: Request): string {
  return (request.route as { path?: string } | undefined)?.path ?? 'none';
}
