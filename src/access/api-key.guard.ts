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

/** Admits a request whose `Authorization: Bearer <secret>` belongs to an API key with the scope of the endpoint. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly apiKeys: ApiKeyStore,
    private readonly limits: RateLimiter,
    private readonly reflector: Reflector,
    private readonly disclosures: DisclosureLog,
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
    setDisclosure(request, this.disclosureOf(key, context));
    return true;
  }

  private disclosureOf({ name, scopes }: ApiKey, context: ExecutionContext): Disclosure {
    if (!scopes.has('reveal')) return new Disclosure();
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    // The route pattern, not the path: an id in the path may identify a person.
    const endpoint = `${request.method} ${routeOf(request).replaceAll(/:(\w+)/g, '{$1}')}`;
    return this.disclosures.createDisclosure({ key_name: name, endpoint, request_id: requestIdOf(response) });
  }
}

/** Restricts a controller to API keys with this scope, records disclosures, and documents both in OpenAPI. */
export function NeedsScope(scope: Scope): ClassDecorator & MethodDecorator {
  return applyDecorators(
    SetMetadata(SCOPE, scope),
    UseGuards(ApiKeyGuard),
    UseInterceptors(DisclosureInterceptor),
    ApiBearerAuth('apiKey'),
    ApiExtension(SCOPE_EXTENSION, scope),
  );
}

/** The API key of the request. */
export const Key = createParamDecorator((_: unknown, context: ExecutionContext): ApiKey => {
  return keys.get(context.switchToHttp().getRequest<Request>()) as ApiKey; // the guard has set it
});

/** The name of the request's API key. */
export const KeyName = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  return keys.get(context.switchToHttp().getRequest<Request>())?.name ?? '';
});
