import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import type { Request } from 'express';
import getRawBody from 'raw-body';
import { Problem } from '../http/problem.js';
import { Refusal } from './refusal.js';

const DECODERS = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const;

/**
 * Reads a request's body whole, up to `limitBytes` before and after decompression. "As received" means after the
 * transfer and content codings are taken off: those belong to the way, not to the notification.
 *
 * @throws Problem `body_too_large` or `incomplete_body`; Refusal if the body cannot be decoded
 */
export async function readBody(request: Request, limitBytes: number): Promise<Buffer> {
  const bytes = await readBytes(request, limitBytes);
  const coding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  if (coding === 'identity') return bytes;
  if (!Object.hasOwn(DECODERS, coding)) {
    const known = `identity, ${Object.keys(DECODERS).join(', ')}`;
    throw new Refusal('unsupported_media_type', `Content-Encoding must be one of ${known}.`, bytes);
  }
  return decode(bytes, coding as keyof typeof DECODERS, limitBytes);
}

/** True unless the request names a content type that is not JSON: a missing one is taken for JSON. */
export function isJsonByContentType(request: Request): boolean {
  return !request.headers['content-type'] || request.is(['json', '+json', 'text/json']) !== false;
}

async function readBytes(request: Request, limitBytes: number): Promise<Buffer> {
  try {
    return await getRawBody(request, { limit: limitBytes, length: request.headers['content-length'] ?? null });
  } catch (error) {
    if ((error as getRawBody.RawBodyError).type === 'entity.too.large') throw tooLarge(limitBytes);
    throw new Problem('incomplete_body', 'The connection ended before the whole body arrived.');
  }
}

async function decode(bytes: Buffer, coding: keyof typeof DECODERS, limitBytes: number): Promise<Buffer> {
  try {
    return await DECODERS[coding](bytes, { maxOutputLength: limitBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(limitBytes);
    throw new Refusal('undecodable_body', `The body is not ${coding}, which Content-Encoding says it is.`, bytes);
  }
}

function tooLarge(limitBytes: number): Problem {
  return new Problem('body_too_large', `The body has more than ${limitBytes} bytes.`);
}
