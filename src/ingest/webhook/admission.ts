import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { Problem } from '../../http/problem/problem.js';

/** About 80 MiB, at 20 kB for each request with its connection and its parsed notification. */
const MAX_NOTIFICATIONS = 4_000;
const MAX_BYTES = 32 * 1024 * 1024;

/**
 * Bounds the memory of notifications between the first byte of their body and their response. The bound holds for any number
 * of connections and any speed of PostgreSQL.
 */
@Injectable()
export class AdmissionControl {
  readonly #maxBytes: number;
  #notifications = 0;
  #bytes = 0;

  constructor(@Inject(CONFIG) { bodyLimitBytes }: Config) {
    this.#maxBytes = Math.max(MAX_BYTES, 2 * bodyLimitBytes); // one body, compressed and decompressed
  }

  get inUse(): { notifications: number; bytes: number } {
    return { notifications: this.#notifications, bytes: this.#bytes };
  }

  get isFull(): boolean {
    return this.#notifications >= MAX_NOTIFICATIONS || this.#bytes >= this.#maxBytes;
  }

  /** Admits one notification. @returns undefined if a limit is reached */
  tryAcquire(): Admission | undefined {
    if (this.isFull) return undefined;
    this.#notifications += 1;
    let reserved = 0;
    return {
      reserve: (bytes) => {
        if (this.#bytes + bytes > this.#maxBytes) return false;
        reserved += bytes;
        this.#bytes += bytes;
        return true;
      },
      release: () => {
        this.#notifications -= 1;
        this.#bytes -= reserved;
      },
    };
  }
}

/** The memory that one admitted notification holds. */
export interface Admission {
  /** @returns false if the limit has no space for so many more bytes */
  reserve(bytes: number): boolean;
  release(): void;
}

/** The response if a limit is reached. */
export function overloaded(): Problem {
  return new Problem('service_unavailable', 'Too many notifications are waiting to be written. Please send it again.');
}
