import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';

const MAX_WAIT_S = 60;

/** A part between commas. A comma in a quoted string is no separator. */
const PREFERENCE = /(?:[^,"]|"(?:\\.|[^"\\])*"?)+/g;

/** `wait=N`, with the parameters, quotes, spaces and upper case that RFC 7240 allows. */
const WAIT = /^\s*wait\s*=\s*("?)(\d{1,9})\1\s*(?:;|$)/i;

/**
 * The seconds of `Prefer: wait=N` (RFC 7240), at most 60; 0 without the preference. By the standard, an invalid
 * preference is ignored, and `Preference-Applied` names the one that was applied.
 */
export function readWait(header: string | string[] | undefined): number {
  const preferences = [header ?? ''].flat().join(',').match(PREFERENCE) ?? [];
  const [wait] = preferences.flatMap((preference) => WAIT.exec(preference)?.[2] ?? []);
  return Math.min(Number(wait ?? 0), MAX_WAIT_S);
}

/** Injects the seconds that the client waits. */
export const Wait = createParamDecorator((_: unknown, context: ExecutionContext): number =>
  readWait(context.switchToHttp().getRequest<Request>().headers['prefer']),
);

/** Documents the header of the request. */
export function ApiWait(description: string): MethodDecorator {
  return ApiHeader({ name: 'Prefer', required: false, description, schema: { type: 'string' } });
}

/** Documents the header of the response. */
export const PREFERENCE_APPLIED = {
  'Preference-Applied': {
    description: 'The preference that was applied, for example `wait=10`; absent without one.',
    schema: { type: 'string', example: 'wait=10' },
  },
};
