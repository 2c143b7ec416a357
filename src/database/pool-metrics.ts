import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Gauge } from 'prom-client';
import { DataSource } from 'typeorm';
import { Metrics } from '../metrics/metrics.js';
import { QUERY } from './data-source.js';

interface Pool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

/** The pools of TypeORM's PostgreSQL driver; `master` is undefined while the data source is not connected. */
interface DriverPools {
  readonly master?: Pool;
  readonly slaves: readonly Pool[];
}

/** Gauges of the connection pools. */
@Injectable()
export class PoolMetrics {
  constructor(
    @InjectDataSource() ingest: DataSource,
    @InjectDataSource(QUERY) query: DataSource,
    { registry }: Metrics,
  ) {
    const addGauge = (name: string, help: string, read: (pool: Pool) => number): Gauge =>
      new Gauge({
        name: `airudder_database_pool_${name}`,
        help,
        labelNames: ['pool'],
        registers: [registry],
        collect() {
          for (const [pool, source] of Object.entries({ ingest, query })) {
            const { master, slaves } = source.driver as unknown as DriverPools;
            this.set({ pool }, master ? read(master) : 0);
            for (const [index, slave] of slaves.entries())
              this.set({ pool: `${pool}_replica_${index + 1}` }, read(slave));
          }
        },
      });
    addGauge('connections', 'Open connections to PostgreSQL.', (pool) => pool.totalCount);
    addGauge('idle_connections', 'Open connections that are idle.', (pool) => pool.idleCount);
    addGauge('waiting_requests', 'Requests that wait for a connection.', (pool) => pool.waitingCount);
  }
}
