import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { type Address, isInRanges, parseAddress } from '../../config/ip-ranges.js';

/**
 * Determines the client address of a request. The address is personal data: it is compared and counted, never logged.
 */
@Injectable()
export class ClientAddress {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /**
   * Starts with the peer of the connection. While the address is a trusted proxy, the next entry of X-Forwarded-For
   * from the right replaces it. Entries that a client forged stand further to the left and are never read.
   *
   * @returns undefined if the result is not an IP address
   */
  of({ socket, headers }: IncomingMessage): Address | undefined {
    let address = parseAddress(socket.remoteAddress ?? '');
    const forwarded = String(headers['x-forwarded-for'] ?? '');
    if (forwarded.trim() === '') return address;
    for (const [hop, text] of forwarded.split(',').toReversed().entries()) {
      if (!address || !this.trusts(address, hop)) break;
      address = parseAddress(text);
    }
    return address;
  }

  private trusts(address: Address, hop: number): boolean {
    const { trustProxy } = this.config;
    return typeof trustProxy === 'number' ? hop < trustProxy : isInRanges(trustProxy, address);
  }
}
