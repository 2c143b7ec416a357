import { stringify } from 'node:querystring';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import { DECORATORS } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { type Observable, tap } from 'rxjs';
import { Problem } from '../problem/problem.js';
import { routeOf } from '../request-id.js';

/** What the OpenAPI decorators leave at a handler. */
type Responses = Readonly<Record<number, { readonly content?: object }>>;

/** Refuses who takes none of an endpoint's content types, and repeats an answer's `next_cursor` as a `Link` header. */
export class ContentNegotiationInterceptor implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  /** @throws Problem `not_acceptable`: after the key was looked at, and before anything is read */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    if (!routeOf(request).startsWith('/v1/')) return next.handle();
    refuseUnacceptable(request, this.typesOf(context));
    return next.handle().pipe(tap((answer) => linkNext(request, response, answer)));
  }

  /** The content types that the document tells of. */
  private typesOf(context: ExecutionContext): string[] {
    const responses = this.reflector.get<Responses | undefined>(DECORATORS.API_RESPONSE, context.getHandler());
    return Object.keys(responses?.[200]?.content ?? { 'application/json': {} });
  }
}

/** With its charset a type meets an `Accept` that names it with a charset, as many clients do, and one that does not. */
function refuseUnacceptable(request: Request, types: readonly string[]): void {
  if (request.accepts(types.map((type) => `${type}; charset=utf-8`))) return;
  throw new Problem('not_acceptable', `Accept rules out what there is: ${types.join(', ')}.`);
}

/** A reference without a path stays right where something in front has put this service under another path. */
function linkNext(request: Request, response: Response, answer: unknown): void {
  const cursor = (answer as { next_cursor?: unknown } | null | undefined)?.next_cursor;
  if (typeof cursor !== 'string' || request.method === 'POST' || response.headersSent) return;
  response.setHeader('Link', `<?${stringify({ ...(request.query as Record<string, string>), cursor })}>; rel="next"`);
}
