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
 * So many statements are kept parsed and planned on each connection: all that have constant text, and of the lists the
 * combinations of filters that are asked for first. The rest is planned each time, so that no number of odd questions
 * fills PostgreSQL's memory.
 */
const MAX_PREPARED = 100;

/** The primary sees all that is committed, at once; a replica may be behind. */
export type Target = 'replica' | 'primary';

/** Where all readers send their statements. */
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

  /** One statement; on a read replica, if there is any, which may be behind. Where a replica fails, the primary answers. */
  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.onReplica(async (mode) => this.run(mode, text, values));
  }

  /** One statement about something that was asked for by its id: what a replica does not have yet, the primary may. */
  async queryById<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    const rows = await this.query<Row>(text, values);
    return rows.length > 0 || !this.hasReplicas ? rows : this.queryPrimary(text, values);
  }

  /** One statement, on a replica as `query` does it, or on the primary. */
  async queryOn<Row extends QueryResultRow>(where: Target, text: string, values: readonly unknown[]): Promise<Row[]> {
    return where === 'primary' ? this.queryPrimary(text, values) : this.query(text, values);
  }

  /** One statement where all that is committed can be seen. */
  async queryPrimary<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    return this.run('master', text, values);
  }

  /**
   * For several statements that see the same moment; on a read replica, if there is any. Whoever takes it releases it.
   *
   * @param begin the first of them: where a replica fails, they are run again on the primary
   */
  async snapshot<T>(
    settings: Readonly<Record<string, string>>,
    begin: (snapshot: Snapshot) => Promise<T>,
  ): Promise<[Snapshot, T]> {
    return this.onReplica(async (mode) => {
      const snapshot = await Snapshot.take(this.dataSource, mode, settings);
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

  /** Empty for a statement that is not kept. */
  private nameOf(text: string): string {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_PREPARED) return '';
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 22);
    this.#names.set(text, name);
    return name;
  }
}
