import { crc32 } from 'node:zlib';
import type { FieldError } from '../../http/problem/problem.js';
import type { Kind, Receipt } from '../notification/notification.js';
import type { RejectionReason } from '../notification/rejection.js';

interface SpooledRejection {
  readonly reason: RejectionReason;
  readonly message: string;
  readonly errors: readonly FieldError[];
}

/** A spooled delivery: its bytes as received. The drainer parses them again. */
export interface SpoolRecord {
  readonly receipt: Receipt;
  readonly body: Buffer;
  /** Present if the body was rejected: the drainer moves it to the quarantine. */
  readonly rejection?: SpooledRejection;
}

/** `refusal` is part of the format on disk. */
interface Header {
  readonly kind: Kind;
  readonly refusal?: SpooledRejection | undefined;
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

/** Four bytes of checksum over the rest, four bytes of the header's length, the header in JSON, the body. */
export function encodeValue({ receipt, body, rejection }: SpoolRecord): Buffer {
  const header = Buffer.from(JSON.stringify({ kind: receipt.kind, refusal: rejection } satisfies Header));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(header.length, 4);
  const value = Buffer.concat([prefix, header, body]);
  value.writeUInt32BE(crc32(value.subarray(4)), 0);
  return value;
}

/** The bytes differ from the ones that were written. */
export class DamagedRecordError extends Error {}

/** @throws DamagedRecordError */
export function decodeRecord(key: Buffer, value: Buffer): SpoolRecord {
  if (key.length !== KEY_BYTES || value.length < PREFIX_BYTES || value.readUInt32BE(0) !== crc32(value.subarray(4))) {
    throw new DamagedRecordError('corrupted spool record');
  }
  const bodyStart = PREFIX_BYTES + value.readUInt32BE(4);
  const { kind, refusal: rejection } = JSON.parse(value.toString('utf8', PREFIX_BYTES, bodyStart)) as Header;
  const id = key.toString('hex', 8).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  const receipt = { id, receivedAt: new Date(Number(key.readBigUInt64BE())), kind };
  const body = Buffer.from(value.subarray(bodyStart)); // a copy: LMDB may overwrite its own buffer
  return { receipt, body, ...(rejection && { rejection }) };
}
