import { crc32 } from 'node:zlib';
import type { FieldError } from '../../http/problem/problem.js';
import type { Kind, Receipt } from '../notification/notification.js';
import type { RejectionReason } from '../notification/rejection.js';

/** What is known of a refused body beside its bytes. */
interface SpooledRefusal {
  readonly reason: RejectionReason;
  readonly message: string;
  readonly errors: readonly FieldError[];
}

/** A delivery as the spool keeps it: the bytes as received, to be judged again when they are drained. */
export interface SpoolRecord {
  readonly receipt: Receipt;
  readonly body: Buffer;
  /** The body was refused, and belongs into quarantine. */
  readonly refusal?: SpooledRefusal;
}

const KEY_BYTES = 24;
const PREFIX_BYTES = 8;

/** Eight bytes of the time of receipt, then the id: keys sort as deliveries do. */
export function encodeKey({ receivedAt, id }: Receipt): Buffer {
  const key = Buffer.alloc(KEY_BYTES);
  key.writeBigUInt64BE(BigInt(receivedAt.getTime()));
  key.write(id.replaceAll('-', ''), 8, 'hex');
  return key;
}

/** A checksum of all that follows, the length of the header, the header in JSON, the body. */
export function encodeValue({ receipt, body, refusal }: SpoolRecord): Buffer {
  const header = Buffer.from(JSON.stringify({ kind: receipt.kind, refusal }));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(header.length, 4);
  const value = Buffer.concat([prefix, header, body]);
  value.writeUInt32BE(crc32(value.subarray(4)), 0);
  return value;
}

/** These are not the bytes that were written. */
export class DamagedRecordError extends Error {}

/** @throws DamagedRecordError */
export function decodeRecord(key: Buffer, value: Buffer): SpoolRecord {
  if (key.length !== KEY_BYTES || value.length < PREFIX_BYTES || value.readUInt32BE(0) !== crc32(value.subarray(4))) {
    throw new DamagedRecordError('a record of the spool is damaged');
  }
  const bodyStart = PREFIX_BYTES + value.readUInt32BE(4);
  const header = JSON.parse(value.toString('utf8', PREFIX_BYTES, bodyStart)) as {
    kind: Kind;
    refusal?: SpooledRefusal;
  };
  const receipt = {
    id: key.toString('hex', 8).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    receivedAt: new Date(Number(key.readBigUInt64BE())),
    kind: header.kind,
  };
  const body = Buffer.from(value.subarray(bodyStart)); // a copy: what LMDB hands out may be overwritten later
  return { receipt, body, ...(header.refusal && { refusal: header.refusal }) };
}
