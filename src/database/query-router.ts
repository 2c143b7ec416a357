import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { QueryResultRow } from 'pg';
import { DataSource, type ReplicationMode } from 'typeorm';
import { Connection } from './connection.js';
import { QUERY } from './data-source.js';
import { describeError, isReplicaUnavailable } from './errors.js';
import { Snapshot } from './snapshot.js';
import { Metrics } from '../metrics/metrics.js';

/**
 * The limit of prepared statements per connection: those of constant text, and the first combinations of list filters.
 * Other statements are planned each time, so that rare filters cannot fill PostgreSQL's memory.
 */
const MAX_PREPARED = 100;

/** The server of a read: every commit is visible on the primary at once, a replica may lag. */
export type Target = 'replica' | 'primary';

/** Routes the statements of all readers to a replica or the primary. */
@Injectable()
export class QueryRouter {
  readonly #names = new Map<string, string>();

  constructor(
    @InjectDataSource(QUERY) private readonly dataSource: DataSource,
    private readonly metrics: Metrics,
  ) {}

  private get hasReplicas(): boolean {
    return this.dataSource.driver.isReplicated;
  }

  /** Runs a statement on a replica, if there is any; on the primary if the replica fails. */
  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.onReplica(async (mode) => this.run(mode, text, values));
  }

  /** Runs a statement for one id; again on the primary if a replica has no row yet. */
  async queryById<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    const rows = await this.query<Row>(text, values);
    return rows.length > 0 || !this.hasReplicas ? rows : this.queryPrimary(text, values);
  }

  /** Runs a statement on the target: as `query`, or as `queryPrimary`. */
  async queryOn<Row extends QueryResultRow>(target: Target, text: string, values: readonly unknown[]): Promise<Row[]> {
    return target === 'primary' ? this.queryPrimary(text, values) : this.query(text, values);
  }

  /** Runs a statement on the primary, where every commit is visible. */
  async queryPrimary<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.run('master', text, values);
  }

  /**
   * Opens a snapshot for several statements, on a replica if there is any. The caller releases it.
   *
   * @param begin the first statements; they run again on the primary if the replica fails
   */
  async snapshot<T>(
    settings: Readonly<Record<string, string>>,
    begin: (snapshot: Snapshot) => Promise<T>,
  ): Promise<[Snapshot, T]> {
    return this.onReplica(async (mode) => {
      const snapshot = await Snapshot.open(this.dataSource, mode, settings);
      try {
        return [snapshot, await begin(snapshot)];
      } catch (error) {
        await snapshot.release();
        throw error;
      }
    });
  }

  private async onReplica<T>(work: (mode: ReplicationMode) => Promise<T>): Promise<T> {
    try {
      return await work('slave');
    } catch (error) {
      if (!this.hasReplicas || !isReplicaUnavailable(error)) throw error;
      const { code, name } = describeError(error);
      this.metrics.replicaFailures.inc({ code: code ?? name });
      return work('master');
    }
  }

  private async run<Row extends QueryResultRow>(
    mode: ReplicationMode,
    text: string,
    values: readonly unknown[],
  ): Promise<Row[]> {
    const statement = { name: this.nameOf(text), text };
    return Connection.use(this.dataSource, async (connection) => connection.query<Row>(statement, values), mode);
  }

  /** The name of a prepared statement; empty above the limit. */
  private nameOf(text: string): string {
    const existing = this.#names.get(text);
    if (existing !== undefined) return existing;
    if (this.#names.size >= MAX_PREPARED) return '';
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 22);
    this.#names.set(text, name);
    return name;
  }
}
