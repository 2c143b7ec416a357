import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import { QUERY } from '../../database/data-source.js';
import type { Removed } from '../../database/entities.js';
import { FIRST_ID, newId } from '../../database/ids.js';
import { Problem } from '../../http/problem/problem.js';
import { ErasureFilter } from '../../ingest/erasure/erasure-filter.js';
import { containsSubject, type Subject } from '../../ingest/erasure/body-search.js';
import { parseNotification } from '../../ingest/notification/notification.js';
import { LOCK_USAGE } from '../../ingest/quarantine/quarantine.sql.js';
import { Rejection } from '../../ingest/notification/rejection.js';
import type { Spooled } from '../../ingest/spool/spool-reader.js';
import { Spool, SpoolError } from '../../ingest/spool/spool.js';
import {
  INSERT_ERASURE,
  COMPLETE_ERASURE,
  REDACT_DISCARD_REASONS,
  LIST_WRITERS,
  LOCK_CASES_OF_CASE,
  LOCK_CASES_OF_NUMBER,
  READ_QUARANTINE,
  REMOVE_CASES,
  REMOVE_QUARANTINED,
  ACQUIRE_ERASURE_LOCK,
} from './erasure.sql.js';

const POLL_INTERVAL_MS = 10;
/** Longer than the idle timeout of this service's transactions: a longer one belongs to another program. */
const WRITERS_LIMIT_MS = 6_000;
const SPOOL_PAGE = { count: 500, bytes: 4 * 1024 * 1024 };

/**
 * Removes all data of a person.
 *
 * The erasure is committed first: from then on a process must load it before it can write deliveries (`ErasureFilter`).
 * The service then waits for older write transactions. After that no replica, spool or quarantine can write a delivery
 * received before the erasure, so that the removed rows cannot return. Later deliveries are new.
 */
@Injectable()
export class ErasureService {
  constructor(
    @InjectDataSource(QUERY) private readonly dataSource: DataSource,
    private readonly erasures: ErasureFilter,
    private readonly spool: Spool,
  ) {}

  /**
   * @returns the id of the erasure
   * @throws Problem `service_unavailable` if another transaction writes for too long, or if the spool's disk is full:
   *   the client has to repeat the request
   */
  async erase(subject: Subject, keyName: string): Promise<string> {
    const id = newId();
    await this.insert(id, subject, keyName);
    await this.erasures.refresh();
    await this.waitForWriters();
    const cases = await this.removeCases(subject); // first, because later deliveries are new and stay
    const spooled_notifications = await inSpool('Cases are removed.', async () => this.removeSpooled());
    const quarantined_notifications = await this.removeQuarantined(subject);
    await inSpool('All data is removed, but bytes may remain in spool files.', async () => this.spool.compactAll());
    await this.complete(id, subject, { ...cases, quarantined_notifications, spooled_notifications });
    return id;
  }

  private async insert(id: string, subject: Subject, keyName: string): Promise<void> {
    const digest = await this.erasures.digest(subject);
    const kind = 'case_id' in subject ? 'case' : 'callee_number';
    await Connection.use(this.dataSource, async (connection) =>
      connection.transaction(async () => {
        await connection.query(ACQUIRE_ERASURE_LOCK, []);
        await connection.query(INSERT_ERASURE, [id, new Date(), keyName, kind, digest]);
      }),
    );
  }

  /** Running transactions may not see the erasure; later ones do. */
  private async waitForWriters(): Promise<void> {
    const deadline = performance.now() + WRITERS_LIMIT_MS;
    let running = new Set(await this.listWriters());
    while (running.size > 0) {
      if (performance.now() > deadline)
        throw new Problem('service_unavailable', 'Another transaction writes for too long. Nothing is removed yet.');
      await sleep(POLL_INTERVAL_MS);
      const current = await this.listWriters();
      running = new Set(current.filter((writer) => running.has(writer)));
    }
  }

  private async listWriters(): Promise<string[]> {
    const rows = await Connection.use(this.dataSource, async (connection) =>
      connection.query<{ writer: string }>(LIST_WRITERS, []),
    );
    return rows.map(({ writer }) => writer);
  }

  /** Removes from the spool of this process. Other processes skip erased notifications when they drain theirs. */
  private async removeSpooled(): Promise<number> {
    let removed = 0;
    let page: Spooled[] = [];
    do {
      await turn(); // reads are synchronous, and the spool may hold a day of notifications
      page = this.spool.oldest(SPOOL_PAGE, page.at(-1)?.key);
      const erased = page.filter(({ record }) => this.isErased(record)).map(({ key }) => key);
      await this.spool.remove(erased);
      removed += erased.length;
    } while (page.length > 0);
    return removed;
  }

  private isErased({ receipt, body }: Spooled['record']): boolean {
    const parsed = parseNotification(receipt, body);
    return parsed instanceof Rejection
      ? this.erasures.matchesBody(receipt.receivedAt, body)
      : this.erasures.matches(parsed);
  }

  private async removeCases(subject: Subject): Promise<RemovedCases> {
    return Connection.use(this.dataSource, async (connection) =>
      connection.transaction(async () => {
        const cases = await lockCases(connection, subject);
        const [removed] = await connection.query<RemovedCases>(REMOVE_CASES, [cases]);
        return removed as RemovedCases;
      }),
    );
  }

  /** The lock waits for running writes to the quarantine; later ones have loaded the erasure. */
  private async removeQuarantined(subject: Subject): Promise<number> {
    const needle = Buffer.from(nameOf(subject));
    return Connection.use(this.dataSource, async (connection) => {
      await connection.transaction(async () => connection.query(LOCK_USAGE, []));
      let removed = 0;
      for (let after: string | undefined = FIRST_ID; after !== undefined;) {
        const scanned: ScannedBody[] = await connection.query<ScannedBody>(READ_QUARANTINE, [after, needle]);
        const mentioning: string[] = [];
        for (const { id, body } of scanned) {
          await turn(); // a body may be large, and there may be many
          if (id !== null && body !== null && containsSubject(body, subject)) mentioning.push(id);
        }
        if (mentioning.length > 0) removed += (await connection.query(REMOVE_QUARANTINED, [mentioning])).length;
        after = scanned[0]?.last;
      }
      return removed;
    });
  }

  private async complete(id: string, subject: Subject, removed: Removed): Promise<void> {
    await Connection.use(this.dataSource, async (connection) => {
      await connection.query(REDACT_DISCARD_REASONS, [nameOf(subject)]);
      await connection.query(COMPLETE_ERASURE, [id, JSON.stringify(removed)]);
    });
  }
}

type RemovedCases = Pick<Removed, 'cases' | 'case_node_tasks' | 'notifications'>;
/** The last id scanned, and a body that may mention the person; null if there is none. */
type ScannedBody = { last: string; id: string | null; body: Buffer | null };

function nameOf(subject: Subject): string {
  return 'case_id' in subject ? subject.case_id : subject.callee_number;
}

async function inSpool<T>(state: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    throw new Problem('service_unavailable', `The spool's disk is full or not writable. ${state}`);
  }
}

async function lockCases(connection: Connection, subject: Subject): Promise<string[]> {
  const rows = await ('case_id' in subject
    ? connection.query<{ id: string }>(LOCK_CASES_OF_CASE, [subject.workflow_id, subject.case_id])
    : connection.query<{ id: string }>(LOCK_CASES_OF_NUMBER, [subject.callee_number]));
  return rows.map(({ id }) => id);
}
