import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import type { Answer, Json } from './service.js';

/** Whoever sees neither an answer nor the end of the connection for so long hangs. */
const PATIENCE_MS = 25_000;

export const HEAD_END = '\r\n\r\n';

/** Bytes, and how long to wait after they are sent. */
export type Piece = readonly [bytes: Buffer, pauseMs: number];

/** When the client goes: when the service ends the connection, when it was silent for so long, or at once. */
export type Leaving = 'when the service does' | { readonly afterSilenceMs: number } | 'at once';

/** Sends bytes as they are, whatever they are, and returns all that comes back until the connection has ended. */
export async function exchange(
  url: string,
  pieces: readonly Piece[],
  leaving: Leaving = 'when the service does',
  isEnough: (received: Buffer) => boolean = () => false,
): Promise<Buffer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const hang = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end within ${PATIENCE_MS} ms, ${Buffer.concat(chunks).length} bytes came`));
    }, PATIENCE_MS);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (isEnough(Buffer.concat(chunks))) socket.destroy();
    });
    socket.on('error', () => undefined); // the service may have left while this was still being sent
    socket.once('close', () => {
      clearTimeout(hang);
      resolve(Buffer.concat(chunks));
    });
    const send = async (): Promise<void> => {
      for (const [bytes, pauseMs] of pieces) {
        socket.write(bytes);
        if (pauseMs > 0) await sleep(pauseMs);
      }
      if (leaving === 'at once') socket.destroy();
      else if (typeof leaving === 'object') socket.setTimeout(leaving.afterSilenceMs, () => socket.end());
    };
    socket.once('connect', () => void send());
  });
}

/** A request with a body, if it has one, of known length, on a connection of its own. */
export function requestBytes(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  body?: Buffer,
): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: service', 'Connection: close'];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (body) lines.push(`Content-Length: ${body.length}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body ?? Buffer.alloc(0)]);
}

/** @throws Error if the bytes are no row of whole answers */
export function parseAnswers(received: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let rest = received; rest.length > 0;) {
    const [answer, length] = parseAnswer(rest);
    if (answer.status >= 200) answers.push(answer);
    rest = rest.subarray(length);
  }
  return answers;
}

function parseAnswer(bytes: Buffer): [Answer, number] {
  const bodyAt = bytes.indexOf(HEAD_END) + HEAD_END.length;
  const [start = '', ...lines] = bytes.toString('latin1', 0, bodyAt - HEAD_END.length).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) [ \w-]+$/.exec(start)?.[1]);
  if (bodyAt < HEAD_END.length || Number.isNaN(status)) throw new Error(`no answer begins like this: ${start}`);
  const headers = new Headers(lines.map((line): [string, string] => splitHeader(line)));
  const [body, length] = readBody(status, headers, bytes.subarray(bodyAt));
  const text = decode(headers, body).toString();
  const isJson = /[/+]json/.test(headers.get('content-type') ?? '');
  return [{ status, headers, text, body: isJson && text !== '' ? (JSON.parse(text) as Json) : {} }, bodyAt + length];
}

function splitHeader(line: string): [string, string] {
  const [, name, value] = /^([\w-]+): (.*)$/.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`no header looks like this: ${line}`);
  return [name, value];
}

/** An answer to `HEAD` has the headers of a body and none: then nothing follows, or the next answer. */
function readBody(status: number, headers: Headers, rest: Buffer): [Buffer, number] {
  const isNone = status < 200 || status === 204 || status === 304;
  if (isNone || rest.length === 0 || rest.subarray(0, 9).toString() === 'HTTP/1.1 ') return [Buffer.alloc(0), 0];
  if (headers.get('transfer-encoding') === 'chunked') return readChunks(rest);
  const length = Number(headers.get('content-length') ?? rest.length);
  if (rest.length < length) throw new Error(`the answer has ${rest.length} bytes of ${length}`);
  return [rest.subarray(0, length), length];
}

function readChunks(rest: Buffer): [Buffer, number] {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const end = rest.indexOf('\r\n', at);
    const size = Number.parseInt(rest.toString('latin1', at, end), 16);
    if (end < 0 || Number.isNaN(size) || rest.length < end + size + 4) throw new Error('the answer is cut off');
    chunks.push(rest.subarray(end + 2, end + 2 + size));
    at = end + size + 4;
    if (size === 0) return [Buffer.concat(chunks), at];
  }
}

function decode(headers: Headers, body: Buffer): Buffer {
  if (body.length === 0) return body;
  switch (headers.get('content-encoding')) {
    case 'gzip':
      return gunzipSync(body);
    case 'deflate':
      return inflateSync(body);
    case 'br':
      return brotliDecompressSync(body);
    case null:
    default:
      return body;
  }
}
