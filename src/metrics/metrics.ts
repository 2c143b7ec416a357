import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { QUERY } from '../database/data-source.js';
import type { Verdict } from '../database/entities.js';
import { type IngestStatusReport, IngestStatus } from './ingest-status.js';

/** The part of the driver's pool that is watched. */
interface Pool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

/** The driver's pools; none while it is not connected. */
interface Pools {
  readonly master?: Pool;
  readonly slaves: readonly Pool[];
}

type DoorGauge = readonly [name: string, help: string, read: (report: IngestStatusReport) => number | boolean];
const DOOR_GAUGES: readonly DoorGauge[] = [
  ['door_accepting', '1 while notifications can be accepted.', ({ isAccepting }) => isAccepting],
  [
    'door_spooling',
    '1 while PostgreSQL takes no notifications and they go to the spool.',
    ({ isSpooling }) => isSpooling,
  ],
  ['door_waiting_notifications', 'Notifications that wait for their answer.', ({ waiting }) => waiting.notifications],
  ['door_waiting_bytes', 'Bytes of their bodies.', ({ waiting }) => waiting.bytes],
  ['spool_notifications', 'Notifications in the spool.', ({ spool }) => spool.notifications],
  ['spool_bytes', 'Bytes that they take there.', ({ spool }) => spool.bytes],
  ['spool_max_bytes', 'Bytes that they may take there.', ({ spool }) => spool.maxBytes],
  ['spool_usable', '0 if the spool is full or its disk takes nothing.', ({ spool }) => spool.condition === 'ok'],
];

/** What Prometheus is told. No label ever has a value that a client chose. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly #received = new Counter({
    name: 'airudder_notifications_received_total',
    help: 'Notifications that came in with a right token and a known kind, whatever became of them.',
    registers: [this.registry],
  });
  readonly #accepted = new Counter({
    name: 'airudder_notifications_accepted_total',
    help: 'Notifications acknowledged with 200, by verdict; `spooled` where it was not yet known.',
    labelNames: ['verdict'],
    registers: [this.registry],
  });
  readonly #refused = new Counter({
    name: 'airudder_notifications_refused_total',
    help: 'Requests to the webhook that were not acknowledged, by the code of the answer.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #retries = new Counter({
    name: 'airudder_write_retries_total',
    help: 'Transactions that were run again, by the SQLSTATE or the name of what they had failed with.',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly #replicaFailures = new Counter({
    name: 'airudder_replica_failures_total',
    help: 'Reads that a read replica failed and the primary was asked instead, by the SQLSTATE or the name of the failure.',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly #limited = new Counter({
    name: 'airudder_rate_limited_total',
    help: 'Requests answered with 429, by the limit: of a key, of an address, of failures (wrong tokens and keys).',
    labelNames: ['limit'],
    registers: [this.registry],
  });
  readonly #addressesRefused = new Counter({
    name: 'airudder_addresses_refused_total',
    help: 'Requests to the webhook with a right token from an address that WEBHOOK_ALLOWED_ADDRESSES does not have.',
    registers: [this.registry],
  });
  readonly #connectionsEnded = new Counter({
    name: 'airudder_connections_ended_total',
    help: 'Connections that were ended because of what came, or came too slowly, or was not taken, by the reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #secretsReloads = new Counter({
    name: 'airudder_secrets_reloads_total',
    help: 'Times that a file with tokens or keys had changed, by what came of it.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly #commitSize = new Histogram({
    name: 'airudder_commit_notifications',
    help: 'Notifications that were committed together.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200],
    registers: [this.registry],
  });
  readonly #commitDuration = new Histogram({
    name: 'airudder_commit_duration_seconds',
    help: 'Time that notifications took to be committed in PostgreSQL, or in the spool.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [this.registry],
  });
  readonly #duration = new Histogram({
    name: 'airudder_http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });

  readonly #watching = new Gauge({
    name: 'airudder_watching_requests',
    help: 'Requests and streams that wait for something to be completed.',
    registers: [this.registry],
  });

  readonly #removed = new Counter({
    name: 'airudder_retention_removed_total',
    help: 'Rows that were removed for their age.',
    labelNames: ['rows'],
    registers: [this.registry],
  });
  readonly #oldest = new Gauge({
    name: 'airudder_oldest_row_timestamp_seconds',
    help: 'When the oldest row of each kind was received, completed or shown; 0 for none. Told by the replica that removes old ones.',
    labelNames: ['rows'],
    registers: [this.registry],
  });

  readonly #doorGauges = DOOR_GAUGES.map(([name, help, read]) => ({
    gauge: new Gauge({ name: `airudder_${name}`, help, registers: [this.registry] }),
    read,
  }));

  constructor(
    @InjectDataSource() ingest: DataSource,
    @InjectDataSource(QUERY) query: DataSource,
    private readonly door: IngestStatus,
  ) {
    collectDefaultMetrics({ register: this.registry });
    const poolGauge = (name: string, help: string, read: (pool: Pool) => number): Gauge =>
      new Gauge({
        name: `airudder_database_pool_${name}`,
        help,
        labelNames: ['pool'],
        registers: [this.registry],
        collect() {
          for (const [pool, source] of Object.entries({ ingest, query })) {
            const { master, slaves } = source.driver as unknown as Pools;
            this.set({ pool }, master ? read(master) : 0);
            for (const [index, slave] of slaves.entries())
              this.set({ pool: `${pool}_replica_${index + 1}` }, read(slave));
          }
        },
      });
    poolGauge('connections', 'Open connections to PostgreSQL.', (pool) => pool.totalCount);
    poolGauge('idle_connections', 'Open connections that nobody uses.', (pool) => pool.idleCount);
    poolGauge('waiting_requests', 'Requests that wait for a connection.', (pool) => pool.waitingCount);
  }

  /** All of them, as Prometheus reads them. The door is asked once, so that what it says of itself is of one moment. */
  async render(): Promise<string> {
    const report = this.door.read();
    for (const { gauge, read } of this.#doorGauges) gauge.set(Number(read(report)));
    return this.registry.metrics();
  }

  setWatching(requests: number): void {
    this.#watching.set(requests);
  }

  countReceived(): void {
    this.#received.inc();
  }

  countAccepted(verdict: Verdict | 'known' | 'erased' | 'spooled'): void {
    this.#accepted.inc({ verdict });
  }

  countRefused(reason: string): void {
    this.#refused.inc({ reason });
  }

  countRetry(code: string): void {
    this.#retries.inc({ code });
  }

  countReplicaFailure(code: string): void {
    this.#replicaFailures.inc({ code });
  }

  countRemoved(rows: string, removed: number): void {
    this.#removed.inc({ rows }, removed);
  }

  setOldestRow(rows: string, time: Date | null): void {
    this.#oldest.set({ rows }, (time?.getTime() ?? 0) / 1000);
  }

  clearOldestRows(): void {
    this.#oldest.reset();
  }

  countLimited(limit: string): void {
    this.#limited.inc({ limit });
  }

  countAddressRefused(): void {
    this.#addressesRefused.inc();
  }

  countConnectionEnded(reason: string): void {
    this.#connectionsEnded.inc({ reason });
  }

  countSecretsReload(outcome: 'changed' | 'failed'): void {
    this.#secretsReloads.inc({ outcome });
  }

  observeCommit(notifications: number, seconds: number): void {
    this.#commitSize.observe(notifications);
    this.#commitDuration.observe(seconds);
  }

  observeRequest(method: string, route: string, status: number, seconds: number): void {
    this.#duration.observe({ method, route, status }, seconds);
  }
}
