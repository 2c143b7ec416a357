/**
 * PostgreSQL's binary form of a one-dimensional array: what `array_recv` reads. The driver would send text, which costs
 * both sides a fifth of their work on a batch: bytes double as hexadecimal, and every character is looked at for quotes.
 * https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
 */

const HEADER_BYTES = 20;
const EMPTY_HEADER_BYTES = 12;
const NULL_LENGTH = -1;
const MS_UNTIL_2000 = Date.UTC(2000, 0);

/** How the values of a type are laid out. The object ids are PostgreSQL's own and never change. */
interface Layout<T> {
  readonly oid: number;
  sizeOf(value: T): number;
  write(value: T, target: Buffer, offset: number): void;
}

const text: Layout<string> = {
  oid: 25,
  sizeOf: (value) => Buffer.byteLength(value),
  write: (value, target, offset) => void target.write(value, offset),
};
const bytea: Layout<Buffer> = {
  oid: 17,
  sizeOf: (value) => value.length,
  write: (value, target, offset) => void value.copy(target, offset),
};
const uuid: Layout<string> = {
  oid: 2950,
  sizeOf: () => 16,
  write: (value, target, offset) => void target.write(value.replaceAll('-', ''), offset, 'hex'),
};
const integer: Layout<number> = {
  oid: 23,
  sizeOf: () => 4,
  write: (value, target, offset) => void target.writeInt32BE(value, offset),
};
/** Microseconds since 2000. */
const timestamptz: Layout<Date> = {
  oid: 1184,
  sizeOf: () => 8,
  write: (value, target, offset) =>
    void target.writeBigInt64BE(BigInt(value.getTime() - MS_UNTIL_2000) * 1000n, offset),
};
const LAYOUTS = { text, bytea, uuid, integer, timestamptz };

export type ColumnType = keyof typeof LAYOUTS;

/** Encodes values of one type; null and undefined are NULL. */
export function encodeArray(type: ColumnType, values: readonly unknown[]): Buffer {
  const layout = LAYOUTS[type] as Layout<unknown>;
  const sizes = values.map((value) => (isNull(value) ? NULL_LENGTH : layout.sizeOf(value)));
  const total = sizes.reduce((sum, size) => sum + 4 + Math.max(size, 0), HEADER_BYTES);
  const target = Buffer.allocUnsafe(values.length === 0 ? EMPTY_HEADER_BYTES : total);
  target.writeInt32BE(values.length === 0 ? 0 : 1, 0); // dimensions
  target.writeInt32BE(sizes.includes(NULL_LENGTH) ? 1 : 0, 4);
  target.writeInt32BE(layout.oid, 8);
  if (values.length === 0) return target;
  target.writeInt32BE(values.length, 12);
  target.writeInt32BE(1, 16); // index of the first element
  let offset = HEADER_BYTES;
  for (const [index, value] of values.entries()) {
    const size = sizes[index] as number;
    target.writeInt32BE(size, offset);
    offset += 4;
    if (size === NULL_LENGTH) continue;
    layout.write(value, target, offset);
    offset += size;
  }
  return target;
}

function isNull(value: unknown): boolean {
  return value === null || value === undefined;
}
