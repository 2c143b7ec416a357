import {
  applyDecorators,
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBearerAuth, ApiExtension } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { SCOPE_EXTENSION } from '../http/rest/openapi-common.js';
import { Problem } from '../http/problem/problem.js';
import { requestIdOf, routeOf } from '../http/request-id.js';
import type { ApiKey, Scope } from '../config/api-key.js';
import { ApiKeyStore } from './api-key-store.js';
import { RateLimiter } from './rate-limit/rate-limiter.js';
import { DisclosureInterceptor } from './disclosure/disclosure.interceptor.js';
import { DisclosureLog } from './disclosure/disclosure-log.js';
import { setDisclosure, Disclosure } from './disclosure/disclosure.js';

const SCOPE = 'scope';

const keys = new WeakMap<Request, ApiKey>();

/** Lets a request in whose `Authorization: Bearer <secret>` belongs to an API key with the scope asked for. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly apiKeys: ApiKeyStore,
    private readonly limits: RateLimiter,
    private readonly reflector: Reflector,
    private readonly reveals: DisclosureLog,
  ) {}

  /** @throws Problem `unauthorized`, `insufficient_scope` or `too_many_requests` */
  canActivate(context: ExecutionContext): true {
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    const scope = this.reflector.getAllAndOverride<Scope>(SCOPE, [context.getHandler(), context.getClass()]);
    const secret = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
    const key = secret === undefined ? undefined : this.apiKeys.find(secret);
    if (!key) {
      this.limits.countFailure(request, response);
      throw new Problem('unauthorized', 'Send an API key as "Authorization: Bearer <key>".');
    }
    this.limits.admit(request, response, key.name);
    if (!key.scopes.has(scope)) throw new Problem('insufficient_scope', `The API key lacks the scope "${scope}".`);
    keys.set(request, key);
    setDisclosure(request, this.sightOf(key, context));
    return true;
  }

  private sightOf({ name, scopes }: ApiKey, context: ExecutionContext): Disclosure {
    if (!scopes.has('reveal')) return new Disclosure();
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    // Never the path itself: an id in it may be a person's.
    const endpoint = `${request.method} ${routeOf(request).replaceAll(/:(\w+)/g, '{$1}')}`;
    return this.reveals.createDisclosure({ key_name: name, endpoint, request_id: requestIdOf(response) });
  }
}

/** Opens a controller to API keys with this scope, puts on record what they are shown, and says so in the OpenAPI document. */
export function NeedsScope(scope: Scope): ClassDecorator & MethodDecorator {
  return applyDecorators(
    SetMetadata(SCOPE, scope),
    UseGuards(ApiKeyGuard),
    UseInterceptors(DisclosureInterceptor),
    ApiBearerAuth('apiKey'),
    ApiExtension(SCOPE_EXTENSION, scope),
  );
}

/** The key that the request came with. */
export const Key = createParamDecorator((_: unknown, context: ExecutionContext): ApiKey => {
  return keys.get(context.switchToHttp().getRequest<Request>()) as ApiKey; // no guarded handler is reached without one
});

/** The name of the request's key. */
export const KeyName = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  return keys.get(context.switchToHttp().getRequest<Request>())?.name ?? '';
});
