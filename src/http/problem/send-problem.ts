import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import { Problem, PROBLEMS } from './problem.js';
import { ID_HEADER, requestIdOf } from '../request-id.js';

const RETRY_AFTER_S = 5;

/** How long to keep reading the rest of a request after an early response. */
const LINGER_MS = 2_000;

/** Answers with `application/problem+json` (RFC 9457). */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const { status } = PROBLEMS[problem.code];
  const body = renderProblem(problem, requestIdOf(response));
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_S));
  response.writeHead(status, headersOf(body));
  end(response, body);
}

/** Reads the rest of the request first: closing a connection with unread data resets it, and the response is lost. */
function end(response: ServerResponse, body: string): void {
  const { req: request } = response;
  if (request.complete) {
    response.end(body);
    return;
  }
  response.write(body);
  finished(request.resume(), { signal: AbortSignal.timeout(LINGER_MS) }, () => response.end());
}

/** Writes a problem to a socket for which Node has no response, and closes the connection. */
export function sendProblemRaw(socket: Socket, problem: Problem, id: string): void {
  const { status } = PROBLEMS[problem.code];
  const body = renderProblem(problem, id);
  const headers = { ...headersOf(body), [ID_HEADER]: id, Date: new Date().toUTCString(), Connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
  socket.destroySoon();
}

function renderProblem({ code, detail, errors }: Problem, requestId: string): string {
  const { status, title } = PROBLEMS[code];
  return JSON.stringify({
    type: `/docs/problems/${code}`,
    title,
    status,
    detail,
    code,
    request_id: requestId,
    errors: errors?.length ? errors : undefined,
  });
}

function headersOf(body: string): Record<string, string | number> {
  return {
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
  };
}
