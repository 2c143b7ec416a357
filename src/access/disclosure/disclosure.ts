import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { maskNumber } from './mask.js';

/** How much was shown whole. */
export interface DisclosureCount {
  readonly numbers: number;
  readonly bodies: number;
}

/**
 * What a request may see of people. Whoever may see all of it can see nothing that is not counted, and nothing counted leaves
 * before it is on record.
 */
export class Disclosure {
  #numbers = 0;
  #bodies = 0;

  /** @param keep puts on record what is shown; without it nothing is shown whole */
  constructor(private readonly keep?: (shown: DisclosureCount) => Promise<void>) {}

  get isUnmasked(): boolean {
    return this.keep !== undefined;
  }

  /** A phone number as it may be seen. */
  number(number: string): string {
    if (!this.isUnmasked) return maskNumber(number);
    if (number !== '') this.#numbers += 1;
    return number;
  }

  /** The bytes of a body; undefined to whom they are not shown. */
  body(bytes: Buffer): Buffer | undefined {
    if (!this.isUnmasked) return undefined;
    this.#bodies += 1;
    return bytes;
  }

  /**
   * Puts on record what was counted since the last time: to be awaited before it leaves.
   *
   * @throws Problem `service_unavailable`: then it must not leave
   */
  async record(): Promise<void> {
    const shown = { numbers: this.#numbers, bodies: this.#bodies };
    if (shown.numbers === 0 && shown.bodies === 0) return;
    this.#numbers = 0;
    this.#bodies = 0;
    await this.keep?.(shown);
  }
}

const sights = new WeakMap<Request, Disclosure>();

export function setDisclosure(request: Request, sight: Disclosure): void {
  sights.set(request, sight);
}

/** Nothing is shown whole to a request that was given no sight. */
export function getDisclosure(request: Request): Disclosure {
  return sights.get(request) ?? new Disclosure();
}

/** The sight of the request's key. */
export const CurrentDisclosure = createParamDecorator((_: unknown, context: ExecutionContext): Disclosure => {
  return getDisclosure(context.switchToHttp().getRequest<Request>());
});
