import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { type Address, isInRanges, parseAddress } from '../../config/ip-ranges.js';

/** The one place that says which address a request comes from. It is personal data: it is compared and counted, never logged. */
@Injectable()
export class ClientAddress {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  /**
   * The address at the other end of the connection, unless that is a proxy that is trusted: then the one that it says it was
   * asked from, which it wrote last into X-Forwarded-For, and so on back to the first that is not trusted. What a client
   * itself put there stands further to the left, and is not reached.
   *
   * @returns undefined if that is no address
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
