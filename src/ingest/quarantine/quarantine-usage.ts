import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { CONFIG, type Config } from '../../config/config.js';
import { withTimeout } from '../../database/timeout.js';
import { READ_USAGE } from './quarantine.sql.js';

const LIMIT_MS = 1_000;

/** Number and total bytes of the bodies in quarantine. */
export interface Usage {
  readonly rows: number;
  readonly bytes: number;
}

/** The usage of the quarantine as this process last read it: each write updates it, and `refresh` reads it. */
@Injectable()
export class QuarantineUsage {
  readonly max: Usage;
  readonly #largestBody: number;
  #latest: Usage | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) { quarantineMaxRows, quarantineMaxBytes, bodyLimitBytes }: Config,
  ) {
    this.max = { rows: quarantineMaxRows, bytes: quarantineMaxBytes };
    this.#largestBody = bodyLimitBytes;
  }

  /** Undefined until PostgreSQL answers once. */
  get latest(): Usage | undefined {
    return this.#latest;
  }

  /** There is no space for another body of the maximum size. */
  get isFull(): boolean {
    return this.#latest !== undefined && !this.hasRoom(this.#latest, this.#largestBody);
  }

  hasRoom({ rows, bytes }: Usage, bodyBytes: number): boolean {
    return rows < this.max.rows && bytes + bodyBytes <= this.max.bytes;
  }

  update(usage: Usage): void {
    this.#latest = usage;
  }

  /** Reads the usage from PostgreSQL. If PostgreSQL does not answer in time, the last usage stays. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.read().finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
  }

  private async read(): Promise<void> {
    if (!this.dataSource.isInitialized) return;
    const result = this.dataSource.query<{ rows: string; bytes: string }[]>(READ_USAGE);
    const [row] = await withTimeout(LIMIT_MS, result).catch(() => []);
    if (row) this.update({ rows: Number(row.rows), bytes: Number(row.bytes) });
  }
}
