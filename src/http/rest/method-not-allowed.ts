import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import { Problem } from '../problem/problem.js';

/** What is asked of Express about one of its routes. */
interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
  match(path: string): unknown;
}

/**
 * Answers `405` with `Allow` where the path is known, but not with this method, and `OPTIONS` on every known path.
 * It looks at no key and no token: it tells what the public document tells, and the same for right and wrong ones.
 */
export function refuseOtherMethods(express: Express): RequestHandler {
  let layers: Layer[] | undefined;
  return (request: Request, response: Response, next: NextFunction) => {
    layers ??= readLayers(express); // the first request comes when all routes are there
    const methods = allowedMethods(layers, request.path);
    if (methods.length === 0 || methods.includes(request.method)) return next();
    response.setHeader('Allow', [...methods, 'OPTIONS'].join(', '));
    if (request.method !== 'OPTIONS') throw new Problem('method_not_allowed', `Send ${methods.join(' or ')}.`);
    response.status(204).end();
  };
}

function readLayers(express: Express): Layer[] {
  return (express.router.stack as unknown as Layer[]).filter(({ route }) => route !== undefined);
}

/** A path without parameters is more than a value of another's parameter: `/v1/cases/export` is no case's. */
function allowedMethods(layers: readonly Layer[], path: string): string[] {
  const matching = layers.filter((layer) => layer.match(path));
  const plain = matching.filter(({ route }) => !route?.path.includes(':'));
  const methods = (plain.length > 0 ? plain : matching).flatMap(({ route }) => Object.keys(route?.methods ?? {}));
  return [...new Set(methods.flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : method.toUpperCase())))];
}
