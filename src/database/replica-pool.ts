import { Logger } from '@nestjs/common';
import pg, { Pool, type PoolClient, type PoolConfig } from 'pg';
import { describeError } from './errors.js';

const RETRY_INTERVAL_MS = 1_000;

type Release = (error?: Error | boolean) => void;
type Callback = (error: Error | undefined, client: PoolClient | undefined, release: Release) => void;

/**
 * The driver for a data source with read replicas. TypeORM creates all pools alike, but the pool of a replica must
 * tolerate that its server is unavailable.
 */
export function driverWithReplicas(urls: readonly string[]): typeof pg {
  function makePool(options: PoolConfig): Pool {
    const index = urls.indexOf(options.connectionString ?? '');
    return index === -1 ? new Pool(options) : new ReplicaPool(options, index + 1);
  }
  return { ...pg, Pool: makePool as unknown as typeof Pool };
}

/**
 * The connection pool of one read replica.
 *
 * - *Available*: a request gets a connection.
 * - *Unavailable*, from a failed attempt until one succeeds: a request fails at once with the error of the last
 *   attempt. At most once a second a request also starts an attempt in the background.
 */
class ReplicaPool extends Pool {
  readonly #logger = new Logger('Replica');
  #isProbed = false;
  /** Error of the last attempt; undefined while the replica is available. */
  #lastError: Error | undefined;
  #retryAt = 0;

  /** @param number position in DATABASE_READ_URL, which names the replica in logs */
  constructor(
    options: PoolConfig,
    private readonly number: number,
  ) {
    super({ ...options, verify: refuseUnlessStandby });
  }

  override connect(): Promise<PoolClient>;
  override connect(callback: Callback): void;
  override connect(callback?: Callback): Promise<PoolClient> | void {
    if (!callback) return super.connect();
    if (!this.#isProbed) this.probe(callback);
    else if (this.#lastError) this.failFast(this.#lastError, callback);
    else this.attempt(callback);
  }

  /** The first call is TypeORM's check of the server. An error here would fail the whole data source. */
  private probe(callback: Callback): void {
    this.#isProbed = true;
    this.attempt((_error, client, release) => callback(undefined, client, release));
  }

  private failFast(lastError: Error, callback: Callback): void {
    if (performance.now() >= this.#retryAt) {
      this.#retryAt = Infinity;
      this.attempt((_error, client) => {
        client?.release();
        this.#retryAt = performance.now() + RETRY_INTERVAL_MS;
      });
    }
    callback(lastError, undefined, () => undefined);
  }

  private attempt(callback: Callback): void {
    super.connect((error, client, release) => {
      const replica = this.number;
      if (error && !this.#lastError && !this.ending) {
        this.#logger.error('read replica unavailable, using the primary', { replica, error: describeError(error) });
      }
      if (!error && this.#lastError) this.#logger.log('read replica available again', { replica });
      this.#lastError = error;
      callback(error, client, release);
    });
  }
}

/**
 * Accepts only streaming standbys. A server with writes of its own, such as a logical replica, has other transaction
 * ids, so its change feed would differ.
 */
function refuseUnlessStandby(client: PoolClient, done: (error?: Error) => void): void {
  client.query('SELECT pg_is_in_recovery() AS is_standby', (error: Error | null, result?: { rows: Row[] }) => {
    if (error) done(error);
    else done(result?.rows[0]?.is_standby === true ? undefined : new NotAStandbyError());
  });
}

interface Row {
  readonly is_standby: boolean;
}

class NotAStandbyError extends Error {
  readonly code = 'ENOTASTANDBY';
}
