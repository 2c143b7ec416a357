import type { Snapshot } from '../../database/snapshot.js';
import type { CaseRow } from '../cases/case.dto.js';
import { NAME_NODE_TASKS, NAME_WORKFLOWS } from './export.sql.js';

/** Above this length the cache is cleared before the next batch of cases. */
const MAX_CACHED_LENGTH = 2 ** 22;

interface WorkflowNames {
  workflow: string;
  readonly nodeTasks: Map<string, string>;
}

/**
 * The names of workflows and node tasks at the time of the snapshot. Each is read once: a join to every case would take
 * longer than the cases themselves.
 */
export class ExportLabels {
  readonly #names = new Map<string, WorkflowNames>();
  #length = 0;

  constructor(private readonly snapshot: Snapshot) {}

  /** Fills in the names of cases that were read without them. */
  async fill(cases: readonly CaseRow[]): Promise<void> {
    if (this.#length > MAX_CACHED_LENGTH) {
      this.#names.clear();
      this.#length = 0;
    }
    const missing = cases.filter((each) => !this.name(each));
    if (missing.length === 0) return;
    await this.readWorkflows(new Set(missing.map(({ workflow_id }) => workflow_id)));
    await this.readNodeTasks(missing);
    for (const each of missing) this.name(each);
  }

  /** False if a name is not cached. */
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

  private async readWorkflows(ids: ReadonlySet<string>): Promise<void> {
    type Row = { workflow_id: string; workflow_name: string };
    const missing = [...ids].filter((id) => !this.#names.has(id));
    for (const row of await this.snapshot.query<Row>(NAME_WORKFLOWS, [missing])) {
      this.#names.set(row.workflow_id, { workflow: row.workflow_name, nodeTasks: new Map() });
      this.#length += row.workflow_name.length;
    }
  }

  private async readNodeTasks(cases: readonly CaseRow[]): Promise<void> {
    type Row = { workflow_id: string; nodetask_id: string; nodetask_name: string };
    const byKey = new Map<string, readonly [string, string]>(); // stored texts have no NUL
    for (const { workflow_id, node_tasks } of cases)
      for (const [, nodetask_id] of node_tasks ?? [])
        byKey.set(`${workflow_id}\0${nodetask_id}`, [workflow_id, nodetask_id]);
    const pairs = [...byKey.values()];
    const columns = [pairs.map(([workflowId]) => workflowId), pairs.map(([, nodetaskId]) => nodetaskId)];
    for (const row of await this.snapshot.query<Row>(NAME_NODE_TASKS, columns)) {
      this.#names.get(row.workflow_id)?.nodeTasks.set(row.nodetask_id, row.nodetask_name);
      this.#length += row.nodetask_name.length;
    }
  }
}
