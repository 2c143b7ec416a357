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
/** Longer than a transaction of ours may be idle: one that writes for longer is not ours. */
const WRITERS_LIMIT_MS = 6_000;
const SPOOL_PAGE = { count: 500, bytes: 4 * 1024 * 1024 };

/**
 * Removes all that is known of a person.
 *
 * First the erasure is decided: from its commit on no statement that does not know it writes deliveries (`Erasures`). What was
 * begun before that is waited for. So when the rows are removed, nothing that was received before can come after them, from no
 * replica, spool or quarantine; and what is received later is new.
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
   * @throws Problem `service_unavailable` if some other transaction writes for too long: then it has to be asked for again,
   *   and so it has if the disk of the spool has no room
   */
  async erase(subject: Subject, keyName: string): Promise<string> {
    const id = newId();
    await this.decide(id, subject, keyName);
    await this.erasures.refresh();
    await this.waitForWriters();
    const cases = await this.removeCases(subject); // first: what arrives from here on is new, and stays
    const spooled_notifications = await inSpool('Cases are removed.', async () => this.removeSpooled());
    const quarantined_notifications = await this.removeRefused(subject);
    await inSpool('All is removed, but bytes of it may still be in its files.', async () => this.spool.compactAll());
    await this.finish(id, subject, { ...cases, quarantined_notifications, spooled_notifications });
    return id;
  }

  private async decide(id: string, subject: Subject, keyName: string): Promise<void> {
    const digest = await this.erasures.digest(subject);
    const kind = 'case_id' in subject ? 'case' : 'callee_number';
    await Connection.use(this.dataSource, async (connection) =>
      connection.transaction(async () => {
        await connection.query(ACQUIRE_ERASURE_LOCK, []);
        await connection.query(INSERT_ERASURE, [id, new Date(), keyName, kind, digest]);
      }),
    );
  }

  /** Those that write now may have looked before the decision; whoever begins later sees it. */
  private async waitForWriters(): Promise<void> {
    const deadline = performance.now() + WRITERS_LIMIT_MS;
    let left = new Set(await this.listWriters());
    while (left.size > 0) {
      if (performance.now() > deadline)
        throw new Problem('service_unavailable', 'Another transaction writes for too long. Nothing is removed yet.');
      await sleep(POLL_INTERVAL_MS);
      const now = await this.listWriters();
      left = new Set(now.filter((writer) => left.has(writer)));
    }
  }

  private async listWriters(): Promise<string[]> {
    const rows = await Connection.use(this.dataSource, async (connection) =>
      connection.query<{ writer: string }>(LIST_WRITERS, []),
    );
    return rows.map(({ writer }) => writer);
  }

  /** From the spool of this process. Other processes leave out what is in theirs when they drain it. */
  private async removeSpooled(): Promise<number> {
    let removed = 0;
    let found: Spooled[] = [];
    do {
      await turn(); // reading it takes no time off the event loop by itself, and there may be a day of notifications
      found = this.spool.oldest(SPOOL_PAGE, found.at(-1)?.key);
      const erased = found.filter(({ record }) => this.isErased(record)).map(({ key }) => key);
      await this.spool.remove(erased);
      removed += erased.length;
    } while (found.length > 0);
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

  /** Whoever keeps refused bodies just now is waited for; whoever does so later knows of the erasure. */
  private async removeRefused(subject: Subject): Promise<number> {
    const needle = Buffer.from(nameOf(subject));
    return Connection.use(this.dataSource, async (connection) => {
      await connection.transaction(async () => connection.query(LOCK_USAGE, []));
      let removed = 0;
      for (let after: string | undefined = FIRST_ID; after !== undefined;) {
        const found: Looked[] = await connection.query<Looked>(READ_QUARANTINE, [after, needle]);
        const mentioning: string[] = [];
        for (const { id, body } of found) {
          await turn(); // a body may be large, and there may be many
          if (id !== null && body !== null && containsSubject(body, subject)) mentioning.push(id);
        }
        if (mentioning.length > 0) removed += (await connection.query(REMOVE_QUARANTINED, [mentioning])).length;
        after = found[0]?.last;
      }
      return removed;
    });
  }

  private async finish(id: string, subject: Subject, removed: Removed): Promise<void> {
    await Connection.use(this.dataSource, async (connection) => {
      await connection.query(REDACT_DISCARD_REASONS, [nameOf(subject)]);
      await connection.query(COMPLETE_ERASURE, [id, JSON.stringify(removed)]);
    });
  }
}

type RemovedCases = Pick<Removed, 'cases' | 'case_node_tasks' | 'notifications'>;
/** Up to which refused body was looked, and one that may mention the person; null if none does. */
type Looked = { last: string; id: string | null; body: Buffer | null };

function nameOf(subject: Subject): string {
  return 'case_id' in subject ? subject.case_id : subject.callee_number;
}

async function inSpool<T>(stands: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    throw new Problem('service_unavailable', `The disk of the spool does not take it. ${stands}`);
  }
}

async function lockCases(connection: Connection, subject: Subject): Promise<string[]> {
  const rows = await ('case_id' in subject
    ? connection.query<{ id: string }>(LOCK_CASES_OF_CASE, [subject.workflow_id, subject.case_id])
    : connection.query<{ id: string }>(LOCK_CASES_OF_NUMBER, [subject.callee_number]));
  return rows.map(({ id }) => id);
}
