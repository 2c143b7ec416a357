import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dataSourceOptions } from '../src/database/data-source.js';
import { migrate } from '../src/database/migrate.js';
import { createDatabase, type TestDatabase } from './support/database.js';

const MIGRATIONS = 5;

describe('on an empty database', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase({ empty: true });
  });
  afterEach(async () => database.drop());

  test('many that migrate at once all come up, and each migration runs once', async () => {
    const ran = await Promise.all(Array.from({ length: 5 }, async () => migrate(database.url)));
    expect(ran.map((migrations) => migrations.length).toSorted()).toEqual([0, 0, 0, 0, MIGRATIONS]);
    expect(await migrate(database.url)).toEqual([]);
  });

  test('down takes everything away, and up again makes the same', async () => {
    await migrate(database.url);
    const first = await describeSchema(database);
    expect(first.length).toBeGreaterThan(60);

    const dataSource = await new DataSource(dataSourceOptions(database.url, { poolSize: 1 })).initialize();
    for (let left = dataSource.migrations.length; left > 0; left -= 1) await dataSource.undoLastMigration();
    await dataSource.destroy();
    const left = await describeSchema(database);
    expect(left.filter((line) => !line.includes('migrations'))).toEqual([]);

    await migrate(database.url);
    expect(await describeSchema(database)).toEqual(first);
  });

  test('where there is nothing to do the database may be read-only', async () => {
    await migrate(database.url);
    const [row] = await database.query<{ name: string }>(`SELECT current_database() AS name`);
    await database.query(`ALTER DATABASE ${row?.name} SET default_transaction_read_only = on`);
    expect(await migrate(database.url)).toEqual([]);
  });

  test('a migration waits for the one that is under way, however long that takes, and goes on when its process dies', async () => {
    await database.query(`SELECT pg_advisory_lock(6158420175)`);
    let isDone = false;
    const migrating = migrate(database.url).then(() => (isDone = true));
    await expect.poll(async () => (await waitingForLock()).length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 12_000)); // a pool would have closed an idle connection by now
    expect(await waitingForLock()).toHaveLength(1);
    expect(isDone).toBe(false);
    await database.query(`SELECT pg_advisory_unlock_all()`); // what the server does for a process that dies
    await migrating;
    expect(await migrate(database.url)).toEqual([]);
  });

  test('who waits for the migration of another can be told to wait no longer', async () => {
    await database.query(`SELECT pg_advisory_lock(6158420175)`);
    const waiting = new AbortController();
    const migrating = migrate(database.url, waiting.signal);
    await expect.poll(async () => (await waitingForLock()).length).toBe(1);
    waiting.abort();
    await expect(migrating).rejects.toThrow('Connection terminated');
    await database.query(`SELECT pg_advisory_unlock_all()`);
  });

  const waitingForLock = async (): Promise<object[]> =>
    database.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (
      SELECT oid FROM pg_database WHERE datname = current_database())`);

  test('the lock is held until the migration has ended', async () => {
    const blocker = new Client(database.url);
    await blocker.connect();
    await blocker.query(`BEGIN; CREATE TABLE workflows (id integer)`); // the migration waits for this name
    const migrating = migrate(database.url).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    const held = await database.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (
      SELECT oid FROM pg_database WHERE datname = current_database())`);
    expect(held).toHaveLength(1);
    await blocker.query(`ROLLBACK`);
    await blocker.end();
    expect(await migrating).toHaveLength(MIGRATIONS);
  });

  test('a database in another encoding is refused, for it could not hold every text', async () => {
    const latin = new URL(database.url);
    latin.pathname = `${latin.pathname}_latin1`;
    const name = latin.pathname.slice(1);
    await database.query(
      `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' ${await builtinLocale(database)}`,
    );
    await expect(migrate(latin.href)).rejects.toThrow("the database's encoding is LATIN1, but must be UTF8");
    await database.query(`DROP DATABASE ${name}`);
  });
});

describe('on the migrated database', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  beforeAll(async () => {
    database = await createDatabase();
    dataSource = await new DataSource(dataSourceOptions(database.url, { poolSize: 1 })).initialize();
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const differences = async (): Promise<string[]> => {
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    return upQueries.map(({ query }) => query);
  };

  test('migrations and entities agree', async () => {
    expect(await differences()).toEqual([]);
  });

  test.each([
    [`ALTER TABLE cases ALTER COLUMN revision TYPE bigint`, `ALTER TABLE cases ALTER COLUMN revision TYPE integer`],
    [`ALTER TABLE cases ALTER COLUMN case_id DROP NOT NULL`, `ALTER TABLE cases ALTER COLUMN case_id SET NOT NULL`],
    [
      `ALTER TABLE cases RENAME CONSTRAINT uq_cases_identity TO other`,
      `ALTER TABLE cases RENAME CONSTRAINT other TO uq_cases_identity`,
    ],
    [`ALTER INDEX ix_cases_callee RENAME TO other`, `ALTER INDEX other RENAME TO ix_cases_callee`],
    [
      `ALTER TABLE notifications RENAME CONSTRAINT ck_notifications_verdict TO other`,
      `ALTER TABLE notifications RENAME CONSTRAINT other TO ck_notifications_verdict`,
    ],
  ])('a disagreement is noticed: %s', async (change, undo) => {
    await database.query(change);
    expect(await differences()).not.toEqual([]);
    await database.query(undo);
    expect(await differences()).toEqual([]);
  });

  test('ids are compared byte by byte, whatever the collation of the database', async () => {
    const rows = await database.query<{ name: string; collation: string }>(
      `SELECT table_name || '.' || column_name AS name, collation_name AS collation
       FROM information_schema.columns
       WHERE table_schema = 'public' AND data_type = 'text' AND column_name ~ '(_id|_number|node_type)$'`,
    );
    expect(rows.length).toBeGreaterThan(10);
    for (const { name, collation } of rows) expect(collation, name).toBe('C');
  });
});

/** From 17 on a template may have a locale of PostgreSQL's own, which is for UTF8 only. */
async function builtinLocale(database: TestDatabase): Promise<string> {
  const [row] = await database.query<{ version: number }>(
    `SELECT current_setting('server_version_num')::integer AS version`,
  );
  return (row?.version ?? 0) >= 170_000 ? `LOCALE_PROVIDER libc` : '';
}

/** Every column, constraint and index of the database, a line each. */
async function describeSchema(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ line: string }>(`
    SELECT format('%s.%s %s %s %s %s', table_name, column_name, data_type, collation_name, is_nullable, datetime_precision) AS line
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    ORDER BY 1`);
  return rows.map(({ line }) => line);
}
