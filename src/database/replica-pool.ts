import { Logger } from '@nestjs/common';
import pg, { Pool, type PoolClient, type PoolConfig } from 'pg';
import { describeError } from './errors.js';

const RETRY_INTERVAL_MS = 1_000;

type Release = (error?: Error | boolean) => void;
type Callback = (error: Error | undefined, client: PoolClient | undefined, release: Release) => void;

/**
 * The driver as TypeORM is to use it where there are read replicas: it makes all its pools alike, and those of the replicas
 * must bear that their server is away.
 */
export function driverWithReplicas(urls: readonly string[]): typeof pg {
  function makePool(options: PoolConfig): Pool {
    const index = urls.indexOf(options.connectionString ?? '');
    return index === -1 ? new Pool(options) : new ReplicaPool(options, index + 1);
  }
  return { ...pg, Pool: makePool as unknown as typeof Pool };
}

/**
 * The connections to one read replica. Nobody waits for a replica that is known to be away: who asks is given at once the error
 * that the last attempt ended with, and at most once a second that makes for a new attempt, which nobody waits for either.
 */
class ReplicaPool extends Pool {
  readonly #logger = new Logger('Replica');
  #isProbed = false;
  /** Why the replica is passed over; undefined while it is not. */
  #trouble: Error | undefined;
  #retryAt = 0;

  /** @param number what the replica is called in logs: its place in DATABASE_READ_URL */
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
    else if (this.#trouble) this.passOver(this.#trouble, callback);
    else this.attempt(callback);
  }

  /** TypeORM's first call only looks whether the server is there. Were it told that it is not, no read would go anywhere. */
  private probe(callback: Callback): void {
    this.#isProbed = true;
    this.attempt((_error, client, release) => callback(undefined, client, release));
  }

  private passOver(trouble: Error, callback: Callback): void {
    if (performance.now() >= this.#retryAt) {
      this.#retryAt = Infinity;
      this.attempt((_error, client) => {
        client?.release();
        this.#retryAt = performance.now() + RETRY_INTERVAL_MS;
      });
    }
    callback(trouble, undefined, () => undefined);
  }

  private attempt(callback: Callback): void {
    super.connect((error, client, release) => {
      const replica = this.number;
      if (error && !this.#trouble && !this.ending) {
        this.#logger.error('a read replica is passed over', { replica, error: describeError(error) });
      }
      if (!error && this.#trouble) this.#logger.log('a read replica is back', { replica });
      this.#trouble = error;
      callback(error, client, release);
    });
  }
}

/**
 * A server that is written to itself, as one that follows by logical replication, counts transactions of its own: there the
 * change feed would not be the same.
 */
function refuseUnlessStandby(client: PoolClient, done: (error?: Error) => void): void {
  client.query('SELECT pg_is_in_recovery() AS is_standby', (error: Error | null, found?: { rows: Row[] }) => {
    if (error) done(error);
    else done(found?.rows[0]?.is_standby === true ? undefined : new NotAStandbyError());
  });
}

interface Row {
  readonly is_standby: boolean;
}

class NotAStandbyError extends Error {
  readonly code = 'ENOTASTANDBY';
}
