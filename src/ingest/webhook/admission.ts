import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { Problem } from '../../http/problem/problem.js';

/** At some 20 kB for a request with its connection and parsed notification, about 80 MiB. */
const MAX_NOTIFICATIONS = 4_000;
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Bounds the memory of all notifications between the first byte of their body and their answer, however many connections
 * there are and however slowly PostgreSQL takes them.
 */
@Injectable()
export class AdmissionControl {
  readonly #maxBytes: number;
  #notifications = 0;
  #bytes = 0;

  constructor(@Inject(CONFIG) { bodyLimitBytes }: Config) {
    this.#maxBytes = Math.max(MAX_BYTES, 2 * bodyLimitBytes); // before and after decompression
  }

  get inUse(): { notifications: number; bytes: number } {
    return { notifications: this.#notifications, bytes: this.#bytes };
  }

  get isFull(): boolean {
    return this.#notifications >= MAX_NOTIFICATIONS || this.#bytes >= this.#maxBytes;
  }

  /** @returns a place for one notification; undefined if there is none */
  tryAcquire(): Admission | undefined {
    if (this.isFull) return undefined;
    this.#notifications += 1;
    let own = 0;
    return {
      reserve: (bytes) => {
        if (this.#bytes + bytes > this.#maxBytes) return false;
        own += bytes;
        this.#bytes += bytes;
        return true;
      },
      release: () => {
        this.#notifications -= 1;
        this.#bytes -= own;
      },
    };
  }
}

/** What one notification takes of the room. */
export interface Admission {
  /** @returns false if there is no room for so many more bytes */
  reserve(bytes: number): boolean;
  release(): void;
}

/** What the sender of one that has no place, or no room for its bytes, is told. */
export function overloaded(): Problem {
  return new Problem(
    'service_unavailable',
    'Too many notifications wait to be written just now. Please send it again.',
  );
}
