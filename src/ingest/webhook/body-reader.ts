import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { IncomingMessage } from 'node:http';
import typeIs from 'type-is';
import { Problem } from '../../http/problem/problem.js';
import { Rejection } from '../notification/rejection.js';
import { overloaded, type Admission } from './admission.js';

const DECODERS = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const;

/**
 * Reads the whole body of a request, up to `limitBytes` before and after decompression. Transfer and content codings are
 * removed: the notification is the decoded body.
 *
 * @returns a Rejection if the body cannot be decoded
 * @throws Problem `body_too_large`, `incomplete_body`, or `service_unavailable` if there is no memory left for the body
 */
export async function readBody(
  request: IncomingMessage,
  limitBytes: number,
  admission: Admission,
): Promise<Buffer | Rejection> {
  const bytes = await readBytes(request, limitBytes, admission);
  const coding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (coding === 'identity') return bytes;
  if (!Object.hasOwn(DECODERS, coding)) {
    const supported = `identity, ${Object.keys(DECODERS).join(', ')}`;
    return new Rejection('unsupported_media_type', `Content-Encoding must be one of ${supported}.`, bytes);
  }
  const decoded = await decode(bytes, coding as keyof typeof DECODERS, limitBytes);
  if (decoded instanceof Buffer && !admission.reserve(decoded.length)) throw overloaded();
  return decoded;
}

/** True if the request names a JSON content type, or none: a missing type means JSON. */
export function isJsonByContentType({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'];
  return !type || type === 'application/json' || typeIs.is(type, ['json', '+json', 'text/json']) !== false;
}

async function readBytes(request: IncomingMessage, limitBytes: number, admission: Admission): Promise<Buffer> {
  if (Number(request.headers['content-length']) > limitBytes) throw tooLarge(limitBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const fail = (problem: Problem): void => {
      chunks.length = 0;
      request.removeAllListeners('data').resume(); // discard the rest, so that the client can read the response
      reject(problem);
    };
    const failIfIncomplete = (): void => {
      if (!request.complete)
        fail(new Problem('incomplete_body', 'The connection ended before the whole body arrived.'));
    };
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > limitBytes) fail(tooLarge(limitBytes));
      else if (!admission.reserve(chunk.length)) fail(overloaded());
    });
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.once('error', failIfIncomplete).once('close', failIfIncomplete);
  });
}

async function decode(bytes: Buffer, coding: keyof typeof DECODERS, limitBytes: number): Promise<Buffer | Rejection> {
  try {
    return await DECODERS[coding](bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limitBytes);
    return new Rejection('undecodable_body', `The body is not ${coding}, as Content-Encoding claims.`, bytes);
  }
}

function tooLarge(limitBytes: number): Problem {
  return new Problem('body_too_large', `The body has more than ${limitBytes} bytes.`);
}
