import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream';
import { Problem, PROBLEMS } from './problem.js';
import { requestIdOf } from './request.js';

const RETRY_AFTER_S = 5;

/** Who is told before all is sent may go on sending for so long. */
const LINGER_MS = 2_000;

/** Answers with `application/problem+json` (RFC 9457). */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const [status] = PROBLEMS[problem.code];
  const body = renderProblem(problem, requestIdOf(response));
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_S));
  response.writeHead(status, {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
  });
  end(response, body);
}

/** A connection that is closed while something arrives is reset, and the answer is lost with it: the rest is read first. */
function end(response: ServerResponse, body: string): void {
  const { req: request } = response;
  if (request.complete) {
    response.end(body);
    return;
  }
  response.write(body);
  finished(request.resume(), { signal: AbortSignal.timeout(LINGER_MS) }, () => response.end());
}

export function renderProblem(problem: Problem, requestId: string): string {
  const [status, title] = PROBLEMS[problem.code];
  return JSON.stringify({
    type: `/docs/problems/${problem.code}`,
    title,
    status,
    detail: problem.detail,
    code: problem.code,
    request_id: requestId,
    errors: problem.errors?.length ? problem.errors : undefined,
  });
}
