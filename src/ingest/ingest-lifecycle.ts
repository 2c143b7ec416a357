import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { NotificationBuffer } from './write/notification-buffer.js';
import { SpoolDrainer } from './write/spool-drainer.js';
import { AdmissionControl } from './webhook/admission.js';
import { Spool } from './spool/spool.js';

/** Starts the ingest path, and shuts it down in order. */
@Injectable()
export class IngestLifecycle implements OnModuleDestroy {
  readonly #logger = new Logger('Ingest');
  #isOpen = false;

  constructor(
    private readonly admissions: AdmissionControl,
    private readonly buffer: NotificationBuffer,
    private readonly drainer: SpoolDrainer,
    private readonly spool: Spool,
  ) {}

  /** From here on the service accepts notifications, with or without PostgreSQL. */
  async open(): Promise<void> {
    await this.spool.open();
    this.drainer.start();
    this.#isOpen = true;
  }

  /** Commits or spools every notification whose body is complete. Nest closes the database after this. */
  async onModuleDestroy(): Promise<void> {
    if (!this.#isOpen) return;
    await this.buffer.close();
    await this.drainer.stop();
    await this.spool.close();
    const { notifications } = this.admissions.inUse;
    if (notifications > 0) this.#logger.error('shutdown dropped unacknowledged notifications', { notifications });
  }
}
