import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { countNotifications } from './cluster.js';
import type { Contestant } from './contestants.js';

const SETTLE_MS = 500;

/** What a contestant was sent in one measurement. */
export interface Entry {
  readonly series: number;
  readonly acknowledged: number;
  /** Ordinals of what may be stored all the same: it was under way at the end, or its commit was answered to nobody. */
  readonly notAcknowledged: readonly number[];
}

/** How many notifications of this run are stored, and how many were acknowledged. */
export interface Balance {
  readonly acknowledged: number;
  readonly stored: number;
  readonly notAcknowledged: number;
}

/** Counted case by case: in the sums alone, what is missing would hide behind what was stored and not acknowledged. */
const COUNT_ACKNOWLEDGED = `
  SELECT count(DISTINCT one.id)::integer AS cases, count(*)::integer AS notifications
  FROM cases one
  JOIN notifications ON notifications.case_ref = one.id
  WHERE one.case_id >= $1 AND one.case_id < $2 AND right(one.case_id, 9)::integer <> ALL ($3::integer[])`;

/**
 * Compares what was acknowledged with what is stored: each once, and nothing that was not sent.
 *
 * @throws Error if something is missing, stored twice, or was not sent
 */
export async function balance({ label, account, databaseUrl }: Contestant): Promise<Balance | undefined> {
  if (databaseUrl === undefined) return undefined;
  const stored = (await settledCount(databaseUrl)) - account.before;
  const acknowledged = sum(account.entries.map((entry) => entry.acknowledged));
  const notAcknowledged = sum(account.entries.map((entry) => entry.notAcknowledged.length));
  const client = new Client(databaseUrl);
  await client.connect();
  try {
    for (const entry of account.entries) await compare(client, label, entry);
  } finally {
    await client.end();
  }
  if (stored > acknowledged + notAcknowledged)
    throw new Error(`${label} stored ${stored} notifications, more than were sent`);
  return { acknowledged, stored, notAcknowledged };
}

async function compare(client: Client, label: string, { series, acknowledged, notAcknowledged }: Entry): Promise<void> {
  const prefix = `case-${String(series).padStart(4, '0')}`;
  const values = [`${prefix}-`, `${prefix}.`, notAcknowledged]; // in the order of bytes a full stop follows a hyphen
  const { rows } = await client.query<{ cases: number; notifications: number }>(COUNT_ACKNOWLEDGED, values);
  const [found] = rows;
  if (found?.cases !== acknowledged || found.notifications !== acknowledged) {
    throw new Error(
      `${label} acknowledged ${acknowledged} notifications of ${prefix}; stored are ${JSON.stringify(found)}`,
    );
  }
}

/** Once nothing more is written. */
async function settledCount(databaseUrl: string): Promise<number> {
  let before = -1;
  for (;;) {
    const count = await countNotifications(databaseUrl);
    if (count === before) return count;
    before = count;
    await sleep(SETTLE_MS);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
