import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../database/ids.js';
import { Problem, type ProblemCode, PROBLEMS } from './problem.js';
import { requestIdOf } from './request.js';
import { renderProblem } from './send-problem.js';

/** What Node finds wrong, and what it is called here. Whatever else it finds is no HTTP. */
const PROBLEM_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The address and the headers together are too long.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['body_too_large', 'The chunks of the body say too much beside it.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request took too long to arrive.'],
};

/**
 * Answers what never becomes a request, because it is broken, too large or too slow, like any other fault: Node by itself would
 * answer without a body and an id. What `Expect` expects beside `100-continue` is left unanswered, as HTTP allows: a
 * notification is not refused for it.
 */
export function answerBrokenRequests(server: Server): void {
  const broken = new WeakSet<Socket>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!broken.has(socket)) refuse(socket, error.code ?? '');
    broken.add(socket); // Node tells of all that comes behind, too
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response);
  });
}

/** Whole requests before the broken one are answered first: its fault is none of theirs. */
function refuse(socket: Socket, code: string): void {
  const response = underWay(socket);
  if (response?.req.complete) {
    response.once('close', () => refuse(socket, code));
  } else {
    if (socket.writable && !response?.headersSent) {
      socket.write(render(toProblem(code, response), response ? requestIdOf(response) : newId()));
    }
    socket.destroySoon();
  }
}

/** The answer that is next on the connection. Node keeps it there for its own answer to a broken request. */
function underWay(socket: Socket): ServerResponse | undefined {
  return (Reflect.get(socket, '_httpMessage') as ServerResponse | null | undefined) ?? undefined;
}

function toProblem(code: string, response: ServerResponse | undefined): Problem {
  if (response && code === 'HPE_INVALID_EOF_STATE') {
    return new Problem('incomplete_body', 'The connection ended before the whole body arrived.');
  }
  return new Problem(...(PROBLEM_OF[code] ?? (['malformed_request', 'This is no HTTP/1.1 request.'] as const)));
}

function render(problem: Problem, requestId: string): string {
  const [status] = PROBLEMS[problem.code];
  const body = renderProblem(problem, requestId);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'X-Content-Type-Options: nosniff',
    'Cache-Control: no-store',
    'Connection: close',
    `\r\n${body}`,
  ].join('\r\n');
}
