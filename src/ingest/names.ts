import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { NodeTaskEntity, WorkflowEntity } from '../database/entities.js';
import { describeError } from '../database/errors.js';
import { type NameRows, type Renaming, writeBatch } from './batch.js';
import { Connection } from './connection.js';
import { fold, inOrderOfReceipt } from './fold.js';
import { judge, type Kind, type Notification, type Receipt } from './notification.js';
import { Refusal } from './refusal.js';
import { HAS_SETTLED, READ_NEWER } from './statements.js';

const PAGE_SIZE = 500;
const POLL_INTERVAL_MS = 10;
const MAX_POLLS = 500;

const NOTHING = fold([], [], new Map());

/**
 * Keeps the names of workflows and node tasks those of their newest deliveries.
 *
 * A delivery that repeats a name writes nothing, so that the row that all cases of a workflow share is no queue. The price:
 * where a name flips back (A, B, A) and B is written last, B looks newer than the A that is stored. Renaming is rare, so
 * whoever renames looks again: once all transactions that may not have seen the new name have ended, everything newer is
 * in the table, and whoever comes later sees the name.
 */
@Injectable()
export class Names {
  readonly #logger = new Logger('Names');
  readonly #underWay = new Set<Promise<void>>();

  constructor(private readonly dataSource: DataSource) {}

  /** Looks again in the background: nobody's answer waits for it. */
  settle(renamings: readonly Renaming[]): void {
    if (renamings.length === 0) return;
    const work = this.lookAgain(renamings)
      .catch((error: unknown) => this.#logger.warn('names may be out of date', { error: describeError(error) }))
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  /** Returns when nothing is being looked at any more. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  private async lookAgain(renamings: readonly Renaming[]): Promise<void> {
    for (let rest = renamings; rest[0];) {
      await this.waitForOthers(rest[0].transaction);
      const found = await Promise.all(rest.map(async (renaming) => this.readNewer(renaming)));
      const names = collectNames(inOrderOfReceipt(found.flat()));
      const written = await Connection.use(this.dataSource, async (connection) =>
        writeBatch(connection, NOTHING, names),
      );
      rest = written.renamings;
    }
  }

  private async waitForOthers(transaction: string): Promise<void> {
    for (let poll = 0; poll < MAX_POLLS; poll += 1) {
      type Row = { has_settled: boolean };
      const [row] = await Connection.use(this.dataSource, async (connection) =>
        connection.query<Row>(HAS_SETTLED, [transaction]),
      );
      if (row?.has_settled) return;
      await sleep(POLL_INTERVAL_MS);
    }
    throw new Error('some transaction has been open for too long');
  }

  private async readNewer({ workflowId, since }: Renaming): Promise<Notification[]> {
    type Row = { id: string; kind: Kind; received_at: Date; body: Buffer };
    const found: Notification[] = [];
    let after = [since.named_at.toISOString(), since.named_by];
    for (;;) {
      const rows = await Connection.use(this.dataSource, async (connection) =>
        connection.query<Row>(READ_NEWER, [workflowId, ...after, PAGE_SIZE]),
      );
      for (const { id, kind, received_at: receivedAt, body } of rows) {
        found.push(...judgeAgain({ id, kind, receivedAt }, body));
      }
      const last = rows.at(-1);
      if (!last || rows.length < PAGE_SIZE) return found;
      after = [last.received_at.toISOString(), last.id];
    }
  }
}

/** @param notifications in order of receipt: of those that name the same thing the last one is the newest */
export function collectNames(notifications: readonly Notification[]): NameRows {
  const workflows = new Map<string, WorkflowEntity>();
  const nodeTasks = new Map<string, NodeTaskEntity>();
  for (const { id: named_by, receivedAt: named_at, completion } of notifications) {
    const { workflow_id, workflow_name, rows } = completion;
    const naming = { workflow_id, named_at, named_by };
    workflows.set(workflow_id, { ...naming, workflow_name });
    for (const row of rows) nodeTasks.set(`${workflow_id}\0${row.nodetask_id}`, { ...naming, ...row });
  }
  return { workflows: [...workflows.values()], nodeTasks: [...nodeTasks.values()] };
}

/** None if an earlier version of this service accepted what this one would not. */
function judgeAgain(receipt: Receipt, body: Buffer): Notification[] {
  try {
    return [judge(receipt, body)];
  } catch (error) {
    if (error instanceof Refusal) return [];
    throw error;
  }
}
