import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) is IPv4. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The addresses that begin with the same bits as this one. */
export interface IpRange {
  readonly start: Address;
  readonly bits: number;
}

/** IPv4 in its one usual spelling, or IPv6 in any; some proxies add the port. Undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  const trimmed = text.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/.exec(trimmed) ?? [];
  const bare = bracketed ?? dotted ?? trimmed;
  return isIP(bare) === 0 ? undefined : ipaddr.process(bare);
}

/**
 * Reads addresses and CIDR blocks, comma separated.
 *
 * @throws Error that says which entry is wrong
 */
export function parseRanges(text: string): IpRange[] {
  return text.split(',').map((entry, index) => {
    const range = parseRange(entry.trim());
    if (!range)
      throw new Error(`entry ${index + 1} must be an IP address, or a block like 192.0.2.0/24 or 2001:db8::/32`);
    return range;
  });
}

export function isInRanges(ranges: readonly IpRange[], address: Address): boolean {
  return ranges.some(({ start, bits }) => start.kind() === address.kind() && address.match(start, bits));
}

/** What counts as one client: an IPv4 address, or the /64 that IPv6 gives to each network, which may take any address in it. */
export function networkOf(address: Address): string {
  return 'parts' in address ? address.parts.slice(0, 4).join(':') : address.toString();
}

function parseRange(entry: string): IpRange | undefined {
  const [, text = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  if (isIP(text) === 0) return undefined;
  const written = ipaddr.parse(text);
  const start = ipaddr.process(text);
  const [most, mapped] = [bitsOf(start), bitsOf(written) - bitsOf(start)];
  const bits = length === undefined ? most : Number(length) - mapped;
  return bits >= 0 && bits <= most ? { start, bits } : undefined;
}

function bitsOf(address: Address): number {
  return address.toByteArray().length * 8;
}
