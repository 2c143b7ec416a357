import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { withTimeout } from '../database/timeout.js';
import { NotificationBuffer } from './write/notification-buffer.js';
import { SpoolDrainer } from './write/spool-drainer.js';
import { Names } from './write/label-reconciler.js';
import { AdmissionControl } from './webhook/admission.js';
import { Spool } from './spool/spool.js';

/** At the end names get that long: a write of another replica that lasts longer must not hold up the end. */
const NAMES_LIMIT_MS = 1_000;

/** Beginning and end of the way in. */
@Injectable()
export class IngestLifecycle implements OnModuleDestroy {
  readonly #logger = new Logger('Intake');
  #isOpen = false;

  constructor(
    private readonly room: AdmissionControl,
    private readonly buffer: NotificationBuffer,
    private readonly drainer: SpoolDrainer,
    private readonly spool: Spool,
    private readonly names: Names,
  ) {}

  /** From here on notifications can be accepted, whether PostgreSQL is there or not. */
  async open(): Promise<void> {
    await this.spool.open();
    this.drainer.start();
    this.#isOpen = true;
  }

  /** Everything that is here whole is committed or spooled. Nest closes the database only after this. */
  async onModuleDestroy(): Promise<void> {
    if (!this.#isOpen) return;
    await this.buffer.close();
    await this.drainer.stop();
    await this.spool.close();
    await withTimeout(NAMES_LIMIT_MS, this.names.settled()).catch(() => undefined);
    const { notifications } = this.room.inUse;
    if (notifications > 0) this.#logger.error('notifications not saved and not acknowledged', { notifications });
  }
}
