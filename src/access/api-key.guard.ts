import {
  applyDecorators,
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiBearerAuth, ApiExtension } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { SCOPE_EXTENSION } from '../http/describe-all.js';
import { Problem } from '../http/problem.js';
import type { ApiKey, Scope } from './api-key.js';
import { ApiKeys } from './api-keys.js';
import { Limits } from './limits.js';

const SCOPE = 'scope';

const keys = new WeakMap<Request, ApiKey>();

/** Lets a request in whose `Authorization: Bearer <secret>` belongs to an API key with the scope asked for. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly apiKeys: ApiKeys,
    private readonly limits: Limits,
    private readonly reflector: Reflector,
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
    return true;
  }
}

/** Opens a controller to API keys with this scope, and says so in the OpenAPI document. */
export function NeedsScope(scope: Scope): ClassDecorator & MethodDecorator {
  return applyDecorators(
    SetMetadata(SCOPE, scope),
    UseGuards(ApiKeyGuard),
    ApiBearerAuth('apiKey'),
    ApiExtension(SCOPE_EXTENSION, scope),
  );
}

/** The key that the request came with. */
export const Key = createParamDecorator((_: unknown, context: ExecutionContext): ApiKey => {
  return keys.get(context.switchToHttp().getRequest<Request>()) as ApiKey; // no guarded handler is reached without one
});

/** Whether the request's key may see whole phone numbers and raw bodies. */
export const Reveals = createParamDecorator((_: unknown, context: ExecutionContext): boolean => {
  return keys.get(context.switchToHttp().getRequest<Request>())?.scopes.has('reveal') ?? false;
});

/** The name of the request's key. */
export const KeyName = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  return keys.get(context.switchToHttp().getRequest<Request>())?.name ?? '';
});
