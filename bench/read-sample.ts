import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../src/database/data-source.js';
import { Metrics } from '../src/metrics/metrics.js';
import { Cursors } from '../src/http/rest/cursor.js';
import { QueryRouter } from '../src/database/query-router.js';

/** So many different cases are asked for in turn. */
const CASES = 20_000;

/** A stored case by everything that it can be asked for by. */
export interface SampleCase {
  readonly id: string;
  readonly workflow_id: string;
  readonly case_id: string;
  readonly callee_number: string;
  readonly nodetask_id: string;
  readonly task_id: string;
  readonly notification_id: string;
}

/** A place in the list of all cases. */
export type Place = readonly [completedAtMs: number, id: string];

/** What questions are made of. */
export interface Sample {
  readonly cases: readonly SampleCase[];
  /** The place behind so many of the newest cases; as deep as there are, where there are fewer. */
  placeBehind(count: number): Promise<Place>;
  /** A cursor as the service would have given it for this question. */
  cursor(question: readonly unknown[], place: Place): Promise<string>;
}

/** @param work is handed the sample of this database, whose connections are open until it is done */
export async function withSample<T>(databaseUrl: string, work: (sample: Sample) => Promise<T>): Promise<T> {
  const client = new Client(databaseUrl);
  const dataSource = new DataSource(dataSourceOptions(databaseUrl, { poolSize: 1 }));
  try {
    await Promise.all([client.connect(), dataSource.initialize()]);
    const cursors = new Cursors(new QueryRouter(dataSource, new Metrics()));
    await cursors.loadKey();
    return await work({
      cases: (await client.query<SampleCase>(SELECT_CASES, [CASES])).rows,
      placeBehind: async (count) => {
        const { rows } = await client.query<{ completed_at: Date; id: string }>(SELECT_PLACE, [count]);
        if (!rows[0]) throw new Error('no cases are stored');
        return [rows[0].completed_at.getTime(), rows[0].id];
      },
      cursor: async (question, place) => cursors.write(question, place),
    });
  } finally {
    await Promise.all([client.end(), dataSource.destroy()]);
  }
}

/** Some blocks of the table from everywhere in it, then some of their rows. */
const SELECT_CASES = `
  SELECT c.id, c.workflow_id, c.case_id, c.callee_number, s.nodetask_id, s.task_id,
    c.current_notification_id AS notification_id
  FROM (
    SELECT * FROM cases
    TABLESAMPLE SYSTEM (least(100, 2000000.0 / (SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'cases'::regclass)))
    ORDER BY random()
    LIMIT $1) AS c
  JOIN case_node_tasks s ON s.case_ref = c.id AND s.task_id IS NOT NULL`;

/** Of the last ones where there are fewer. */
const SELECT_PLACE = `
  SELECT completed_at, id FROM cases
  ORDER BY completed_at DESC, id DESC
  OFFSET least($1::bigint, (SELECT count(*) FROM cases) * 9 / 10)
  LIMIT 1`;
