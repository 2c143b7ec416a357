import type { OpenAPIObject } from '@nestjs/swagger';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import { Problem } from '../problem/problem.js';

/** Paths of pages for people, which the OpenAPI document leaves out. */
const PAGES = ['/', '/docs', '/openapi.json', '/docs-yaml', '/docs/problems/:code'];

/**
 * Answers `405` with `Allow` if a known path does not have the method, and `OPTIONS` on every known path.
 * It checks neither key nor token: the answer reveals only what the public document says.
 */
export function refuseOtherMethods(document: OpenAPIObject): Router {
  const router = Router();
  for (const [path, methods] of plainPathsFirst(readPaths(document))) router.all(path, allowOnly(methods));
  return router;
}

/** The methods of each path, in Express's notation. */
function readPaths({ paths }: OpenAPIObject): [path: string, methods: string[]][] {
  const documented = Object.entries(paths).map(([path, operations]): [string, string[]] => [
    path.replaceAll(/\{(\w+)\}/g, ':$1'),
    Object.keys(operations).flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : method.toUpperCase())),
  ]);
  return [...documented, ...PAGES.map((path): [string, string[]] => [path, ['GET', 'HEAD']])];
}

/** A plain path wins over a parameter that matches it: `/v1/cases/export` is not the id of a case. */
function plainPathsFirst<T>(entries: readonly [string, T][]): [string, T][] {
  return entries.toSorted(([one], [other]) => Number(one.includes(':')) - Number(other.includes(':')));
}

function allowOnly(methods: readonly string[]): RequestHandler {
  return (request: Request, response: Response, next) => {
    if (methods.includes(request.method)) return next('router');
    response.setHeader('Allow', [...methods, 'OPTIONS'].join(', '));
    if (request.method !== 'OPTIONS') throw new Problem('method_not_allowed', `Send ${methods.join(' or ')}.`);
    response.status(204).end();
  };
}
