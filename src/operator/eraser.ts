import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Connection } from '../database/connection.js';
import { QUERY } from '../database/data-source.js';
import type { Removed } from '../database/entities.js';
import { FIRST_ID, newId } from '../database/ids.js';
import { Problem } from '../http/problem.js';
import { Erasures, type Subject } from '../ingest/erasures.js';
import { mentions } from '../ingest/mentions.js';
import { judgeAgain } from '../ingest/notification.js';
import { LOCK_USAGE } from '../ingest/quarantine.statements.js';
import { Refusal } from '../ingest/refusal.js';
import type { Spooled } from '../ingest/spool-reader.js';
import { Spool, SpoolError } from '../ingest/spool.js';
import {
  DECIDE,
  FINISH,
  LIST_WRITERS,
  LOCK_CASES_OF_CASE,
  LOCK_CASES_OF_NUMBER,
  READ_QUARANTINE,
  REMOVE_CASES,
  REMOVE_QUARANTINED,
  TAKE_TURN,
} from './erasure.statements.js';

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
export class Eraser {
  constructor(
    @InjectDataSource(QUERY) private readonly dataSource: DataSource,
    private readonly erasures: Erasures,
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
    await this.erasures.learn();
    await this.writersHaveEnded();
    const spooled_notifications = await inSpool('Nothing is removed yet.', async () => this.removeSpooled());
    await this.removeStored(id, subject, { spooled_notifications, mentioning: await this.findRefused(subject) });
    await inSpool('All is removed, but bytes of it may still be in its files.', async () => this.spool.scrub());
    return id;
  }

  private async decide(id: string, subject: Subject, keyName: string): Promise<void> {
    const digest = await this.erasures.digest(subject);
    const kind = 'case_id' in subject ? 'case' : 'callee_number';
    await Connection.use(this.dataSource, async (connection) =>
      connection.transaction(async () => {
        await connection.query(TAKE_TURN, []);
        await connection.query(DECIDE, [id, new Date(), keyName, kind, digest]);
      }),
    );
  }

  /** Those that write now may have looked before the decision; whoever begins later sees it. */
  private async writersHaveEnded(): Promise<void> {
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
    const judged = judgeAgain(receipt, body);
    return judged instanceof Refusal ? this.erasures.coverBody(receipt.receivedAt, body) : this.erasures.cover(judged);
  }

  /** Whoever keeps refused bodies just now is waited for; whoever does so later knows of the erasure. */
  private async findRefused(subject: Subject): Promise<string[]> {
    const needle = Buffer.from('case_id' in subject ? subject.case_id : subject.callee_number);
    return Connection.use(this.dataSource, async (connection) => {
      await connection.transaction(async () => connection.query(LOCK_USAGE, []));
      const found: string[] = [];
      let rows: { id: string; body: Buffer }[] = [];
      do {
        rows = await connection.query(READ_QUARANTINE, [rows.at(-1)?.id ?? FIRST_ID, needle]);
        found.push(...rows.filter(({ body }) => mentions(body, subject)).map(({ id }) => id));
      } while (rows.length > 0);
      return found;
    });
  }

  private async removeStored(
    id: string,
    subject: Subject,
    { spooled_notifications, mentioning }: { spooled_notifications: number; mentioning: readonly string[] },
  ): Promise<void> {
    await Connection.use(this.dataSource, async (connection) =>
      connection.transaction(async () => {
        const cases = await lockCases(connection, subject);
        const [removed] = await connection.query<Partial<Removed>>(REMOVE_CASES, [cases]);
        const refused = await connection.query(REMOVE_QUARANTINED, [mentioning]);
        const counts = { ...removed, quarantined_notifications: refused.length, spooled_notifications };
        await connection.query(FINISH, [id, JSON.stringify(counts)]);
      }),
    );
  }
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
