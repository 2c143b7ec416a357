import type { NodeTaskEntity, WorkflowEntity } from '../../database/entities.js';
import type { Notification } from '../notification/notification.js';

/** Names of workflows, and names and types of node tasks, each as its newest delivery has it. */
export interface Labels {
  readonly workflows: readonly WorkflowEntity[];
  readonly nodeTasks: readonly NodeTaskEntity[];
}

/** Collects the labels of deliveries. If several deliveries have the same label, the newest one wins. */
export function collectLabels(inOrderOfReceipt: readonly Notification[]): Labels {
  const labels = new Map<string, { workflow: WorkflowEntity; nodeTasks: Map<string, NodeTaskEntity> }>();
  for (const { id: named_by, receivedAt: named_at, completion } of inOrderOfReceipt.toReversed()) {
    const { workflow_id, workflow_name, rows } = completion;
    let entry = labels.get(workflow_id);
    if (!entry) {
      entry = { workflow: { workflow_id, workflow_name, named_at, named_by }, nodeTasks: new Map() };
      labels.set(workflow_id, entry);
    }
    for (const row of rows.toReversed()) {
      if (entry.nodeTasks.has(row.nodetask_id)) continue;
      entry.nodeTasks.set(row.nodetask_id, { workflow_id, named_at, named_by, ...row });
    }
  }
  const entries = [...labels.values()];
  return {
    workflows: entries.map(({ workflow }) => workflow),
    nodeTasks: entries.flatMap(({ nodeTasks }) => Array.from(nodeTasks.values())),
  };
}
