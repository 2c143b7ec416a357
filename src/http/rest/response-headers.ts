import { Reflector } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import compression from 'compression';
import type { NextFunction, Request, Response } from 'express';
import onHeaders from 'on-headers';
import { ContentNegotiationInterceptor } from './content-negotiation.interceptor.js';

/** What HTTP asks of every answer, at one place, so that no endpoint repeats it. */
export function applyResponseHeaders(app: NestExpressApplication): void {
  app.use(['/v1', '/docs', '/openapi.json'], compression({ filter: isCompressed }));
  app.use('/v1', setNoStore, allowConditionalRequests, correctHeaders);
  app.useGlobalInterceptors(new ContentNegotiationInterceptor(app.get(Reflector)));
}

/** Events must arrive when they happen, not when a compressor has enough of them. */
function isCompressed(request: Request, response: Response): boolean {
  const [type] = String(response.getHeader('Content-Type')).split(';');
  if (type === 'text/event-stream') return false;
  return type === 'application/x-ndjson' || compression.filter(request, response);
}

/** Nothing may store what can hold phone numbers; so no `Vary: Authorization` is needed either. Errors are no exception. */
function setNoStore(_request: Request, response: Response, next: NextFunction): void {
  response.setHeader('Cache-Control', 'private, no-store');
  response.setHeader('Vary', 'Accept-Encoding'); // on 304 too, where the compressor would not say it
  next();
}

/**
 * `fetch` sends `Cache-Control: no-cache` with every `If-None-Match` that a program sets, and Express would then never answer
 * `304`. That word is for caches on the way; here every answer is new anyway.
 */
function allowConditionalRequests(request: Request, _response: Response, next: NextFunction): void {
  if (request.headers['if-none-match'] !== undefined) delete request.headers['cache-control'];
  next();
}

/** Express gives every answer a tag, and every `HEAD` the length of an answer that is not compressed. */
function correctHeaders({ method, headers }: Request, response: Response, next: NextFunction): void {
  if (method === 'HEAD' && headers['accept-encoding'] !== undefined) {
    onHeaders(response, () => response.removeHeader('Content-Length')); // that of GET's answer is not known
  } else if (method !== 'GET' && method !== 'HEAD') {
    onHeaders(response, () => response.removeHeader('ETag')); // only what was read can be asked for again
  }
  next();
}
