import { createHash } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import {
  CaseEntity,
  CaseNodeTaskEntity,
  NodeTaskEntity,
  NotificationEntity,
  WorkflowEntity,
} from '../src/database/entities.js';
import type { NotificationDto } from './notification.dto.js';

interface Delivery {
  readonly id: string;
  readonly receivedAt: Date;
  readonly body: Buffer;
  readonly digest: Buffer;
}

/** A `save()` per table. What is named already is left alone, else all cases of a workflow would queue for its row. */
export async function saveNotification(manager: EntityManager, dto: NotificationDto): Promise<void> {
  const body = Buffer.from(JSON.stringify(dto));
  const digest = createHash('sha256').update(body).digest();
  const delivery: Delivery = { id: uuidv7(), receivedAt: new Date(), body, digest };
  await saveNames(manager, dto, delivery);
  const { stored, verdict } = await saveCase(manager, dto, delivery);
  await manager.save(NotificationEntity, {
    id: delivery.id,
    kind: 'workflow-list-completion',
    received_at: delivery.receivedAt,
    verdict,
    workflow_id: dto.workflow_id,
    case_ref: stored.id,
    content_digest: digest,
    body,
  });
}

async function saveNames(manager: EntityManager, dto: NotificationDto, { id, receivedAt }: Delivery): Promise<void> {
  const { workflow_id, workflow_name } = dto;
  const workflow = await manager.findOneBy(WorkflowEntity, { workflow_id });
  if (workflow?.workflow_name !== workflow_name) {
    await manager.save(WorkflowEntity, { workflow_id, workflow_name, named_at: receivedAt, named_by: id });
  }

  const known = await manager.findBy(NodeTaskEntity, { workflow_id });
  const changed = dto.rows.filter((row) => {
    const stored = known.find(({ nodetask_id }) => nodetask_id === row.nodetask_id);
    return stored?.nodetask_name !== row.nodetask_name || stored.node_type !== row.node_type;
  });
  const nodeTasks = changed.map(({ nodetask_id, nodetask_name, node_type }) => {
    return { workflow_id, nodetask_id, nodetask_name, node_type, named_at: receivedAt, named_by: id };
  });
  await manager.save(NodeTaskEntity, nodeTasks);
}

async function saveCase(
  manager: EntityManager,
  dto: NotificationDto,
  { id, receivedAt, digest }: Delivery,
): Promise<{ stored: CaseEntity; verdict: 'first' | 'repeat' | 'changed' }> {
  const { workflow_id, case_id, callee_number } = dto;
  const known = await manager.findOneBy(CaseEntity, { workflow_id, case_id, callee_number });
  const isRepeat = known?.content_digest.equals(digest) ?? false;
  const stored = await manager.save(CaseEntity, {
    id: known?.id ?? uuidv7(),
    workflow_id,
    case_id,
    callee_number,
    completed_at: known?.completed_at ?? receivedAt,
    last_notified_at: receivedAt,
    notification_count: (known?.notification_count ?? 0) + 1,
    revision: (known?.revision ?? 0) + (isRepeat ? 0 : 1),
    current_notification_id: id,
    content_digest: digest,
  });
  if (isRepeat) return { stored, verdict: 'repeat' };
  if (known) await manager.delete(CaseNodeTaskEntity, { case_ref: known.id });
  const nodeTasks = dto.rows.map(({ nodetask_id, node_type, task_id }, position) => ({
    case_ref: stored.id,
    position,
    workflow_id,
    nodetask_id,
    node_type,
    task_id: task_id ?? null,
    completed_at: stored.completed_at,
  }));
  await manager.save(CaseNodeTaskEntity, nodeTasks);
  return { stored, verdict: known ? 'changed' : 'first' };
}
