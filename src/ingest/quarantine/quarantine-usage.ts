import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Gauge } from 'prom-client';
import { DataSource } from 'typeorm';
import { CONFIG, type Config } from '../../config/config.js';
import { withTimeout } from '../../database/timeout.js';
import { IngestStatus } from '../../metrics/ingest-status.js';
import { Metrics } from '../../metrics/metrics.js';

const READ_USAGE = `SELECT rows, bytes FROM quarantine_usage`;

const LIMIT_MS = 1_000;

/** How many refused bodies the quarantine holds, and how many bytes they have together. */
export interface Usage {
  readonly rows: number;
  readonly bytes: number;
}

/** How full the quarantine is, as last seen by this process: whoever writes there tells, and whoever wants to know may look. */
@Injectable()
export class QuarantineUsage {
  readonly max: Usage;
  readonly #largestBody: number;
  #seen: Usage | undefined;
  #looking: Promise<void> | undefined;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CONFIG) { quarantineMaxRows, quarantineMaxBytes, bodyLimitBytes }: Config,
    private readonly door: IngestStatus,
    { registry }: Metrics,
  ) {
    this.max = { rows: quarantineMaxRows, bytes: quarantineMaxBytes };
    this.#largestBody = bodyLimitBytes;
    const addGauge = (name: string, help: string, read: () => Promise<number>): void => {
      const gauge: Gauge = new Gauge({
        name: `airudder_quarantine_${name}`,
        help,
        registers: [registry],
        collect: async () => gauge.set(await read()),
      });
    };
    addGauge('rows', 'Refused bodies in quarantine, of all replicas.', async () => (await this.current()).rows);
    addGauge('bytes', 'Bytes that they have together.', async () => (await this.current()).bytes);
    addGauge('max_rows', 'Refused bodies that are kept at most.', async () => this.max.rows);
    addGauge('max_bytes', 'Bytes that they may have together.', async () => this.max.bytes);
  }

  /** Undefined until PostgreSQL has told. */
  get seen(): Usage | undefined {
    return this.#seen;
  }

  /** Whether there was no room for another body of the greatest size. */
  get isFull(): boolean {
    return this.#seen !== undefined && !this.hasRoom(this.#seen, this.#largestBody);
  }

  hasRoom({ rows, bytes }: Usage, bodyBytes: number): boolean {
    return rows < this.max.rows && bytes + bodyBytes <= this.max.bytes;
  }

  update(usage: Usage): void {
    this.#seen = usage;
  }

  /** Asks PostgreSQL. Where it does not answer, what was seen last stays. */
  async refresh(): Promise<void> {
    this.#looking ??= this.ask().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  private async ask(): Promise<void> {
    if (!this.dataSource.isInitialized) return;
    const asked = this.dataSource.query<{ rows: string; bytes: string }[]>(READ_USAGE);
    const [row] = await withTimeout(LIMIT_MS, asked).catch(() => []);
    if (row) this.update({ rows: Number(row.rows), bytes: Number(row.bytes) });
  }

  private async current(): Promise<Usage> {
    if (!this.door.read().isSpooling) await this.refresh();
    return this.#seen ?? { rows: 0, bytes: 0 };
  }
}
