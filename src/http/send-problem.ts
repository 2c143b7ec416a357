import type { ServerResponse } from 'node:http';
import { Problem, PROBLEMS } from './problem.js';
import { requestIdOf } from './request.js';

const RETRY_AFTER_S = 5;

/** Answers with `application/problem+json` (RFC 9457). */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const [status, title] = PROBLEMS[problem.code];
  const requestId = requestIdOf(response);
  const body = JSON.stringify({
    type: `/docs/problems/${problem.code}`,
    title,
    status,
    detail: problem.detail,
    code: problem.code,
    request_id: requestId,
    errors: problem.errors?.length ? problem.errors : undefined,
  });
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_S));
  response.writeHead(status, {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(body);
}
