import type { ServerResponse } from 'node:http';
import type { Request } from 'express';
import { newId } from '../database/ids.js';

export const ID_HEADER = 'X-Request-Id';

/**
 * Gives every request an id of its own, answered as `X-Request-Id`. It is a UUIDv7, so for an accepted notification it
 * serves as the notification's id. An id that the client sends is not taken over: it would become a primary key.
 */
export function assignRequestId(response: ServerResponse): void {
  response.setHeader(ID_HEADER, newId());
}

export function requestIdOf(response: ServerResponse): string {
  return response.getHeader(ID_HEADER) as string;
}

/** The pattern that the request's path matched. The path itself may hold a token or an id, and must not be told on. */
export function routeOf(request: Request): string {
  return (request.route as { path?: string } | undefined)?.path ?? 'none';
}
