import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

/** Handles a request, or passes it on by calling `next`. */
export type RequestStep = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/**
 * Composes the server's request listener.
 *
 * @param steps in the order in which a request passes them
 * @param last takes the requests that every step passes on
 */
export function composeRequestChain(steps: readonly RequestStep[], last: RequestListener): RequestListener {
  return steps.reduceRight<RequestListener>((next, step) => {
    return (request, response) => step(request, response, () => next(request, response));
  }, last);
}
