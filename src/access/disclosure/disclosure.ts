import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { maskNumber } from './mask.js';

/** Number of unmasked phone numbers and raw bodies. */
export interface DisclosureCount {
  readonly numbers: number;
  readonly bodies: number;
}

/**
 * Masks personal data for one request. With the scope `reveal`, values are unmasked and counted, and `record` must
 * store the count before the response leaves.
 */
export class Disclosure {
  #numbers = 0;
  #bodies = 0;

  /** @param store writes the count to the disclosure log; without it every value is masked */
  constructor(private readonly store?: (shown: DisclosureCount) => Promise<void>) {}

  get isUnmasked(): boolean {
    return this.store !== undefined;
  }

  /** Returns the phone number, masked unless the request may see it. */
  number(number: string): string {
    if (!this.isUnmasked) return maskNumber(number);
    if (number !== '') this.#numbers += 1;
    return number;
  }

  /** Returns the bytes of a body; undefined if the request may not see them. */
  body(bytes: Buffer): Buffer | undefined {
    if (!this.isUnmasked) return undefined;
    this.#bodies += 1;
    return bytes;
  }

  /**
   * Stores the count since the last call. Await it before the data leaves.
   *
   * @throws Problem `service_unavailable`, and then the data must not leave
   */
  async record(): Promise<void> {
    const shown = { numbers: this.#numbers, bodies: this.#bodies };
    if (shown.numbers === 0 && shown.bodies === 0) return;
    this.#numbers = 0;
    this.#bodies = 0;
    await this.store?.(shown);
  }
}

const disclosures = new WeakMap<Request, Disclosure>();

/** Attaches the disclosure to the request. */
export function setDisclosure(request: Request, disclosure: Disclosure): void {
  disclosures.set(request, disclosure);
}

/** Returns the disclosure of the request. Without one, every value is masked. */
export function getDisclosure(request: Request): Disclosure {
  return disclosures.get(request) ?? new Disclosure();
}

/** The disclosure of the request. */
export const CurrentDisclosure = createParamDecorator((_: unknown, context: ExecutionContext): Disclosure => {
  return getDisclosure(context.switchToHttp().getRequest<Request>());
});
