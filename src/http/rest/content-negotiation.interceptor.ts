import { stringify } from 'node:querystring';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import { DECORATORS } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { type Observable, tap } from 'rxjs';
import { Problem } from '../problem/problem.js';
import { routeOf } from '../request-id.js';

/** Metadata that the OpenAPI decorators attach to a handler. */
type Responses = Readonly<Record<number, { readonly content?: object }>>;

/** Rejects an `Accept` without any content type of the endpoint, and repeats `next_cursor` as a `Link` header. */
export class ContentNegotiationInterceptor implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  /** @throws Problem `not_acceptable`, after the check of the key and before any read */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    if (!routeOf(request).startsWith('/v1/')) return next.handle();
    refuseUnacceptable(request, this.typesOf(context));
    return next.handle().pipe(tap((answer) => linkNext(request, response, answer)));
  }

  /** The content types of the handler in the OpenAPI document. */
  private typesOf(context: ExecutionContext): string[] {
    const responses = this.reflector.get<Responses | undefined>(DECORATORS.API_RESPONSE, context.getHandler());
    return Object.keys(responses?.[200]?.content ?? { 'application/json': {} });
  }
}

/** A type with its charset matches an `Accept` with or without a charset; many clients send one. */
function refuseUnacceptable(request: Request, types: readonly string[]): void {
  if (request.accepts(types.map((type) => `${type}; charset=utf-8`))) return;
  throw new Problem('not_acceptable', `Not acceptable. Available types: ${types.join(', ')}.`);
}

/** The reference has no path, so that it stays valid behind a proxy that maps the service to another path. */
function linkNext(request: Request, response: Response, answer: unknown): void {
  const cursor = (answer as { next_cursor?: unknown } | null | undefined)?.next_cursor;
  if (typeof cursor !== 'string' || request.method === 'POST' || response.headersSent) return;
  response.setHeader('Link', `<?${stringify({ ...(request.query as Record<string, string>), cursor })}>; rel="next"`);
}
