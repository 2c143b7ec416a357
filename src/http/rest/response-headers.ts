import { Reflector } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import compression from 'compression';
import type { NextFunction, Request, Response } from 'express';
import onHeaders from 'on-headers';
import { ContentNegotiationInterceptor } from './content-negotiation.interceptor.js';

/** Installs compression, caching rules and content negotiation for every endpoint. */
export function applyResponseHeaders(app: NestExpressApplication): void {
  app.use(['/v1', '/docs', '/openapi.json'], compression({ filter: isCompressed }));
  app.use('/v1', setNoStore, allowConditionalRequests, correctHeaders);
  app.useGlobalInterceptors(new ContentNegotiationInterceptor(app.get(Reflector)));
}

/** Event streams stay uncompressed, because a compressor delays events until its buffer is full. */
function isCompressed(request: Request, response: Response): boolean {
  const [type] = String(response.getHeader('Content-Type')).split(';');
  if (type === 'text/event-stream') return false;
  return type === 'application/x-ndjson' || compression.filter(request, response);
}

/**
 * Forbids storage, errors included, because responses can contain phone numbers. This makes `Vary: Authorization`
 * needless.
 */
function setNoStore(_request: Request, response: Response, next: NextFunction): void {
  response.setHeader('Cache-Control', 'private, no-store');
  response.setHeader('Vary', 'Accept-Encoding'); // also on 304, where the compressor does not set it
  next();
}

/**
 * Removes `Cache-Control` from conditional requests. `fetch` adds `no-cache` to every `If-None-Match` of a program, and
 * Express would then never answer `304`. The directive addresses caches in between, and this service has none.
 */
function allowConditionalRequests(request: Request, _response: Response, next: NextFunction): void {
  if (request.headers['if-none-match'] !== undefined) delete request.headers['cache-control'];
  next();
}

/** Removes headers that Express sets wrongly: the length of a compressed `HEAD`, and the tag of a write. */
function correctHeaders({ method, headers }: Request, response: Response, next: NextFunction): void {
  if (method === 'HEAD' && headers['accept-encoding'] !== undefined) {
    onHeaders(response, () => response.removeHeader('Content-Length')); // the compressed length is unknown
  } else if (method !== 'GET' && method !== 'HEAD') {
    onHeaders(response, () => response.removeHeader('ETag')); // only a read has a state to compare
  }
  next();
}
