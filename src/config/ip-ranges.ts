import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An IP address. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is an IPv4 address. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The addresses that share the first `bits` bits with `start`. */
export interface IpRange {
  readonly start: Address;
  readonly bits: number;
}

/** Parses dotted IPv4 or any IPv6, optionally with a port as some proxies add it; undefined for other text. */
export function parseAddress(text: string): Address | undefined {
  const trimmed = text.trim();
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d+)?$/.exec(trimmed) ?? [];
  const bare = bracketed ?? dotted ?? trimmed;
  return isIP(bare) === 0 ? undefined : ipaddr.process(bare);
}

/**
 * Parses comma-separated addresses and CIDR blocks.
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

/**
 * Returns the network that counts as one client: an IPv4 address, or an IPv6 /64, whose addresses one host can use
 * freely.
 */
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
