import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../database/ids.js';
import { Problem, PROBLEMS } from './problem.js';
import { ID_HEADER, requestIdOf } from './request.js';

const RETRY_AFTER_S = 5;

/** Answers with `application/problem+json` (RFC 9457). */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  const [status] = PROBLEMS[problem.code];
  const body = renderProblem(problem, requestIdOf(response));
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_S));
  response.writeHead(status, headersOf(body));
  response.end(body);
}

/** Answers where Node has no response to answer with, and closes the connection. */
export function sendProblemRaw(socket: Socket, problem: Problem): void {
  const [status] = PROBLEMS[problem.code];
  const id = newId();
  const body = renderProblem(problem, id);
  const headers = { ...headersOf(body), [ID_HEADER]: id, Date: new Date().toUTCString(), Connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
  socket.destroySoon();
}

function renderProblem({ code, detail, errors }: Problem, requestId: string): string {
  const [status, title] = PROBLEMS[code];
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
