import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../../database/ids.js';
import { Problem, type ProblemCode } from '../problem/problem.js';
import { assignRequestId, requestIdOf } from '../request-id.js';
import type { RequestStep } from './request-chain.js';
import { sendProblem, sendProblemRaw } from '../problem/send-problem.js';

/** Problem codes of Node's parser errors. */
const PROBLEM_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive whole in time.'],
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The address and the headers together have more than 16 KiB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['body_too_large', 'The extensions of the chunks have more than 16 KiB.'],
};
/** The client has disconnected. */
const DISCONNECTED = new Set(['ECONNRESET', 'EPIPE']);
const MALFORMED = ['malformed_request', 'This is not HTTP/1.1.'] as const;

/**
 * Sends problem details for requests that Node rejects before Express: malformed HTTP, timeouts, an unsupported
 * `Expect`. Closes stalled connections.
 *
 * @param onEnded is called with the reason when a connection ends
 */
export function handleMalformedRequests(server: Server, onEnded: (reason: string) => void): void {
  const broken = new WeakSet<Socket>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (broken.has(socket)) return; // Node reports the bytes after the error, too
    broken.add(socket);
    if (DISCONNECTED.has(error.code ?? '')) {
      socket.destroy();
      return;
    }
    const problem = toProblem(error.code ?? '', socket);
    if (socket.writable) onEnded(problem.code);
    refuseOn(socket, problem);
  });
  server.on('timeout', (socket: Socket) => {
    const isStalled = socket.writableLength > 0;
    if (isStalled) onEnded('stalled');
    // A client that waits for its response may be silent. Without a pending response the connection is idle.
    if (isStalled || !responseOn(socket)) socket.destroy();
  });
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    refuse(response, new Problem('expectation_failed', 'Expect can only be 100-continue.'));
  });
  server.on('drop', () => onEnded('too_many_connections'));
}

function toProblem(code: string, socket: Socket): Problem {
  if (code === 'HPE_INVALID_EOF_STATE' && responseOn(socket)) {
    return new Problem('incomplete_body', 'The connection ended before the whole body arrived.');
  }
  return new Problem(...(PROBLEM_OF[code] ?? MALFORMED));
}

/** Answers complete requests before the malformed one first. */
function refuseOn(socket: Socket, problem: Problem): void {
  const response = responseOn(socket);
  if (response?.req.complete) {
    response.setMaxListeners(response.getMaxListeners() + 1).once('close', () => refuseOn(socket, problem));
  } else if (!socket.writable || response?.headersSent) {
    socket.destroySoon(); // a response that has begun cannot become a problem
  } else sendProblemRaw(socket, problem, response ? requestIdOf(response) : newId());
}

/** The step of the request chain that rejects HTTP/1.1 without Host (RFC 9112, section 3.2). */
export const requireHostHeader: RequestStep = (request, response, next) => {
  if (request.headers.host !== undefined || request.httpVersion === '1.0') next();
  else refuse(response, new Problem('malformed_request', 'The header Host is missing.'));
};

function refuse(response: ServerResponse, problem: Problem): void {
  assignRequestId(response);
  response.setHeader('Connection', 'close');
  sendProblem(response, problem);
}

/** The pending response of the connection. Node has no public name for it, but uses this property itself. */
function responseOn(socket: Socket): ServerResponse | undefined {
  return (Reflect.get(socket, '_httpMessage') as ServerResponse | null | undefined) ?? undefined;
}
