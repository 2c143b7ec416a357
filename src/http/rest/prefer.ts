import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';

const MAX_WAIT_S = 60;

/** What stands between commas. One in a quoted string parts nothing. */
const PREFERENCE = /(?:[^,"]|"(?:\\.|[^"\\])*"?)+/g;

/** `wait=N`, with what RFC 7240 allows around it: parameters, quotes, spaces, any case. */
const WAIT = /^\s*wait\s*=\s*("?)(\d{1,9})\1\s*(?:;|$)/i;

/**
 * How many seconds the client is ready to wait (`Prefer: wait=N`, RFC 7240), at most 60; 0 if it did not say. As the
 * standard wants it, what cannot be understood is ignored, and what was applied is told in `Preference-Applied`.
 */
export function readWait(header: string | string[] | undefined): number {
  const preferences = [header ?? ''].flat().join(',').match(PREFERENCE) ?? [];
  const [wait] = preferences.flatMap((preference) => WAIT.exec(preference)?.[2] ?? []);
  return Math.min(Number(wait ?? 0), MAX_WAIT_S);
}

/** `readWait` of the request. */
export const Wait = createParamDecorator((_: unknown, context: ExecutionContext): number =>
  readWait(context.switchToHttp().getRequest<Request>().headers['prefer']),
);

/** Documents the request header. */
export function ApiWait(description: string): MethodDecorator {
  return ApiHeader({ name: 'Prefer', required: false, description, schema: { type: 'string' } });
}

/** Documents the answer's header. */
export const PREFERENCE_APPLIED = {
  'Preference-Applied': {
    description: 'The preference that was taken into account, for example `wait=10`; absent if none was.',
    schema: { type: 'string', example: 'wait=10' },
  },
};
