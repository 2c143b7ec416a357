import { Injectable } from '@nestjs/common';
import { IngestStatus, type IngestStatusReport } from '../metrics/ingest-status.js';
import { QuarantineUsage } from './quarantine/quarantine-usage.js';
import { Spool } from './spool/spool.js';
import { AdmissionControl } from './webhook/admission.js';
import { NotificationBuffer } from './write/notification-buffer.js';

/** Collects the state of the ingest path from its stateful parts. */
@Injectable()
export class IngestStatusService extends IngestStatus {
  constructor(
    private readonly admission: AdmissionControl,
    private readonly buffer: NotificationBuffer,
    private readonly spool: Spool,
    private readonly quarantine: QuarantineUsage,
  ) {
    super();
  }

  read(): IngestStatusReport {
    const { isClosed, isSpooling } = this.buffer;
    const { report } = this.spool;
    const isAccepting = !this.admission.isFull && !isClosed && (!isSpooling || report.condition === 'ok');
    const { latest, isFull } = this.quarantine;
    const quarantine = latest === undefined ? 'unknown' : isFull ? 'full' : 'ok';
    return { isAccepting, isSpooling, waiting: this.admission.inUse, spool: report, quarantine };
  }

  async refreshQuarantine(): Promise<void> {
    await this.quarantine.refresh();
  }
}
