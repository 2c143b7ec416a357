import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { IngestStatus, type IngestStatusReport } from '../metrics/ingest-status.js';
import { Metrics } from '../metrics/metrics.js';
import { QuarantineUsage } from './quarantine/quarantine-usage.js';

type StatusGauge = readonly [name: string, help: string, read: (report: IngestStatusReport) => number | boolean];

const STATUS_GAUGES: readonly StatusGauge[] = [
  ['door_accepting', '1 while the webhook accepts notifications.', ({ isAccepting }) => isAccepting],
  ['door_spooling', '1 while notifications go to the spool instead of PostgreSQL.', ({ isSpooling }) => isSpooling],
  ['door_waiting_notifications', 'Notifications that wait for their answer.', ({ waiting }) => waiting.notifications],
  ['door_waiting_bytes', 'Bytes of the bodies of waiting notifications.', ({ waiting }) => waiting.bytes],
  ['spool_notifications', 'Notifications in the spool.', ({ spool }) => spool.notifications],
  ['spool_bytes', 'Bytes in the spool.', ({ spool }) => spool.bytes],
  ['spool_max_bytes', 'Maximum bytes in the spool.', ({ spool }) => spool.maxBytes],
  ['spool_usable', '0 if the spool is full or its disk accepts no writes.', ({ spool }) => spool.condition === 'ok'],
];

/** Gauges of the ingest path. */
@Injectable()
export class IngestMetrics {
  constructor(
    private readonly status: IngestStatus,
    private readonly quarantine: QuarantineUsage,
    { registry }: Metrics,
  ) {
    /** The first gauge sets all of them, so that they describe one moment. */
    const setAll = (): void => {
      const report = this.status.read();
      for (const [index, gauge] of gauges.entries()) gauge.set(Number(STATUS_GAUGES[index]?.[2](report)));
    };
    const gauges = STATUS_GAUGES.map(([name, help], index) => {
      const collect = index === 0 ? { collect: setAll } : {};
      return new Gauge({ name: `airudder_${name}`, help, registers: [registry], ...collect });
    });
    const addQuarantineGauge = (name: string, help: string, read: () => Promise<number>): void => {
      const gauge: Gauge = new Gauge({
        name: `airudder_quarantine_${name}`,
        help,
        registers: [registry],
        collect: async () => gauge.set(await read()),
      });
    };
    const { max } = quarantine;
    addQuarantineGauge('rows', 'Bodies in quarantine, of all replicas.', async () => (await this.usage()).rows);
    addQuarantineGauge('bytes', 'Bytes of the bodies in quarantine.', async () => (await this.usage()).bytes);
    addQuarantineGauge('max_rows', 'Maximum number of bodies in quarantine.', async () => max.rows);
    addQuarantineGauge('max_bytes', 'Maximum bytes of bodies in quarantine.', async () => max.bytes);
  }

  private async usage(): Promise<{ rows: number; bytes: number }> {
    if (!this.status.read().isSpooling) await this.quarantine.refresh();
    return this.quarantine.latest ?? { rows: 0, bytes: 0 };
  }
}
