import type { DataSource } from 'typeorm';
import { withTimeout } from './timeout.js';

/** False on a standby, and in a database that was recreated without tables. */
const CAN_WRITE = `
  SELECT current_setting('transaction_read_only') = 'off' AND to_regclass('notifications') IS NOT NULL AS can_write`;

const TIMEOUT_MS = 2_000;

/** True if PostgreSQL confirms within two seconds that it accepts writes. */
export async function canWrite(dataSource: DataSource): Promise<boolean> {
  if (!dataSource.isInitialized) return false;
  return withTimeout(TIMEOUT_MS, dataSource.query<[{ can_write: boolean }]>(CAN_WRITE)).then(
    ([row]) => row.can_write,
    () => false,
  );
}
