import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { newId } from '../../database/ids.js';
import { Problem, type ProblemCode } from '../problem/problem.js';
import { assignRequestId, requestIdOf } from '../request-id.js';
import type { RequestStep } from './request-chain.js';
import { sendProblem, sendProblemRaw } from '../problem/send-problem.js';

/** What Node calls that which keeps it from reading a request, and what it is called here. */
const PROBLEM_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive whole in time.'],
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'The address and the headers together have more than 16 KiB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['body_too_large', 'The extensions of the chunks have more than 16 KiB.'],
};
/** Nobody is there to be answered. */
const GONE = new Set(['ECONNRESET', 'EPIPE']);
const MALFORMED = ['malformed_request', 'This is not HTTP/1.1.'] as const;

/**
 * Answers as problem details what Node would answer for itself, with an empty body or none, before anything of ours sees it: what is no
 * HTTP, came too slowly, or asks what is not to be had. Ends connections whose clients take nothing.
 *
 * @param tell is told why a connection is ended
 */
export function handleMalformedRequests(server: Server, tell: (reason: string) => void): void {
  const broken = new WeakSet<Socket>();
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (broken.has(socket)) return; // Node tells of all that comes behind, too
    broken.add(socket);
    if (GONE.has(error.code ?? '')) {
      socket.destroy();
      return;
    }
    const problem = toProblem(error.code ?? '', socket);
    if (socket.writable) tell(problem.code);
    refuseOn(socket, problem);
  });
  server.on('timeout', (socket: Socket) => {
    const isStalled = socket.writableLength > 0;
    if (isStalled) tell('stalled');
    // Who waits for an answer may well be silent. Without one on its way this is the end of an idle connection.
    if (isStalled || !answerOn(socket)) socket.destroy();
  });
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    refuse(response, new Problem('expectation_failed', 'Expect can only be 100-continue.'));
  });
  server.on('drop', () => tell('too_many_connections'));
}

function toProblem(code: string, socket: Socket): Problem {
  if (code === 'HPE_INVALID_EOF_STATE' && answerOn(socket)) {
    return new Problem('incomplete_body', 'The connection ended before the whole body arrived.');
  }
  return new Problem(...(PROBLEM_OF[code] ?? MALFORMED));
}

/** Whole requests before the broken one are answered first: its fault is none of theirs. */
function refuseOn(socket: Socket, problem: Problem): void {
  const response = answerOn(socket);
  if (response?.req.complete) {
    response.setMaxListeners(response.getMaxListeners() + 1).once('close', () => refuseOn(socket, problem));
  } else if (!socket.writable || response?.headersSent) {
    socket.destroySoon(); // after the first byte of an answer nothing else can be said
  } else sendProblemRaw(socket, problem, response ? requestIdOf(response) : newId());
}

/** The step of the request chain that refuses HTTP/1.1 without Host: RFC 9112, section 3.2. */
export const requireHostHeader: RequestStep = (request, response, next) => {
  if (request.headers.host !== undefined || request.httpVersion === '1.0') next();
  else refuse(response, new Problem('malformed_request', 'The header Host is missing.'));
};

function refuse(response: ServerResponse, problem: Problem): void {
  assignRequestId(response);
  response.setHeader('Connection', 'close');
  sendProblem(response, problem);
}

/** The answer that is next on the connection. Node itself goes by it when it answers or ends one; it has no public name. */
function answerOn(socket: Socket): ServerResponse | undefined {
  return (Reflect.get(socket, '_httpMessage') as ServerResponse | null | undefined) ?? undefined;
}
