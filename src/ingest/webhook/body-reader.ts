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
 * Reads a request's body whole, up to `limitBytes` before and after decompression. "As received" means after the
 * transfer and content codings are taken off: those belong to the way, not to the notification.
 *
 * @throws Problem `body_too_large`, `incomplete_body`, or `service_unavailable` if there is no room for it; Refusal if it
 *   cannot be decoded
 */
export async function readBody(request: IncomingMessage, limitBytes: number, place: Admission): Promise<Buffer> {
  const bytes = await readBytes(request, limitBytes, place);
  const coding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (coding === 'identity') return bytes;
  if (!Object.hasOwn(DECODERS, coding)) {
    const known = `identity, ${Object.keys(DECODERS).join(', ')}`;
    throw new Rejection('unsupported_media_type', `Content-Encoding must be one of ${known}.`, bytes);
  }
  const decoded = await decode(bytes, coding as keyof typeof DECODERS, limitBytes);
  if (!place.reserve(decoded.length)) throw overloaded();
  return decoded;
}

/** True unless the request names a content type that is not JSON: a missing one is taken for JSON. */
export function isJsonByContentType({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'];
  return !type || type === 'application/json' || typeIs.is(type, ['json', '+json', 'text/json']) !== false;
}

async function readBytes(request: IncomingMessage, limitBytes: number, place: Admission): Promise<Buffer> {
  if (Number(request.headers['content-length']) > limitBytes) throw tooLarge(limitBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const fail = (problem: Problem): void => {
      chunks.length = 0;
      request.removeAllListeners('data').resume(); // the rest is read and dropped, so that the answer gets through
      reject(problem);
    };
    const cutShort = (): void => {
      if (!request.complete)
        fail(new Problem('incomplete_body', 'The connection ended before the whole body arrived.'));
    };
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > limitBytes) fail(tooLarge(limitBytes));
      else if (!place.reserve(chunk.length)) fail(overloaded());
    });
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.once('error', cutShort).once('close', cutShort);
  });
}

async function decode(bytes: Buffer, coding: keyof typeof DECODERS, limitBytes: number): Promise<Buffer> {
  try {
    return await DECODERS[coding](bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limitBytes);
    throw new Rejection('undecodable_body', `The body is not ${coding}, which Content-Encoding says it is.`, bytes);
  }
}

function tooLarge(limitBytes: number): Problem {
  return new Problem('body_too_large', `The body has more than ${limitBytes} bytes.`);
}
