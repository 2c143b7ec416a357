import type { Snapshot } from '../../database/snapshot.js';
import type { CaseRow } from '../cases/case.dto.js';
import { NAME_NODE_TASKS, NAME_WORKFLOWS } from './export.sql.js';

/** Of so much text at most what one batch of cases needs is kept. */
const MAX_KEPT_LENGTH = 2 ** 22;

interface WorkflowNames {
  workflow: string;
  readonly nodeTasks: Map<string, string>;
}

/**
 * The names as they were at the moment of the snapshot. Each is read once: joined to every case that shares them, they take
 * PostgreSQL longer than the cases.
 */
export class ExportNames {
  readonly #names = new Map<string, WorkflowNames>();
  #length = 0;

  constructor(private readonly snapshot: Snapshot) {}

  /** Gives cases that were read without names theirs. */
  async fill(cases: readonly CaseRow[]): Promise<void> {
    if (this.#length > MAX_KEPT_LENGTH) {
      this.#names.clear();
      this.#length = 0;
    }
    const missing = cases.filter((each) => !this.name(each));
    if (missing.length === 0) return;
    await this.learnWorkflows(new Set(missing.map(({ workflow_id }) => workflow_id)));
    await this.learnNodeTasks(missing);
    for (const each of missing) this.name(each);
  }

  /** False if not all of its names are known. */
  private name(row: CaseRow): boolean {
    const names = this.#names.get(row.workflow_id);
    if (!names) return false;
    row.workflow_name = names.workflow;
    for (const task of row.node_tasks ?? []) {
      const name = names.nodeTasks.get(task[1]);
      if (name === undefined) return false;
      task[2] = name;
    }
    return true;
  }

  private async learnWorkflows(ids: ReadonlySet<string>): Promise<void> {
    type Row = { workflow_id: string; workflow_name: string };
    const unknown = [...ids].filter((id) => !this.#names.has(id));
    for (const row of await this.snapshot.query<Row>(NAME_WORKFLOWS, [unknown])) {
      this.#names.set(row.workflow_id, { workflow: row.workflow_name, nodeTasks: new Map() });
      this.#length += row.workflow_name.length;
    }
  }

  private async learnNodeTasks(cases: readonly CaseRow[]): Promise<void> {
    type Row = { workflow_id: string; nodetask_id: string; nodetask_name: string };
    const asked = new Map<string, readonly [string, string]>(); // no stored text has a NUL in it
    for (const { workflow_id, node_tasks } of cases)
      for (const [, nodetask_id] of node_tasks ?? [])
        asked.set(`${workflow_id}\0${nodetask_id}`, [workflow_id, nodetask_id]);
    const pairs = [...asked.values()];
    const columns = [pairs.map(([workflowId]) => workflowId), pairs.map(([, nodetaskId]) => nodetaskId)];
    for (const row of await this.snapshot.query<Row>(NAME_NODE_TASKS, columns)) {
      this.#names.get(row.workflow_id)?.nodeTasks.set(row.nodetask_id, row.nodetask_name);
      this.#length += row.nodetask_name.length;
    }
  }
}
