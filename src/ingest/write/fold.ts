import { newId } from '../../database/ids.js';
import type { CaseEntity, Verdict } from '../../database/entities.js';
import type { Notification } from '../notification/notification.js';
import type { Completion } from '../notification/workflow-list-completion.js';
import { collectLabels, type Labels } from './labels.js';

/** The fields of a delivery that determine its position in the history of its case. */
export interface DeliveryKey {
  readonly id: string;
  readonly receivedAt: Date;
  readonly contentDigest: Buffer;
}

interface FoldedDelivery {
  readonly notification: Notification;
  readonly case_ref: string;
  readonly verdict: Verdict;
  /** True if the delivery is late and still changed the completion or the revision of its case. */
  readonly rewritesPast: boolean;
}

/** The rows that a batch of notifications creates and changes. */
export interface Batch {
  readonly notifications: readonly FoldedDelivery[];
  readonly newCases: readonly CaseEntity[];
  readonly existingCases: readonly CaseEntity[];
  /** Cases whose node tasks are written. Those of an existing case replace the stored ones. */
  readonly replacedNodeTasks: readonly { readonly state: CaseEntity; readonly completion: Completion }[];
  /** Existing cases whose node tasks stay, with an earlier time of completion. */
  readonly movedCompletions: readonly CaseEntity[];
  /** Deliveries that an earlier attempt has stored. They change nothing. */
  readonly alreadyStored: readonly Notification[];
  readonly labels: Labels;
}

interface Fold {
  readonly state: CaseEntity;
  /** The stored state; undefined for a new case. */
  readonly before: CaseEntity | undefined;
  /** All stored deliveries of the case. Loaded only if the batch has a late delivery of the case. */
  readonly history: DeliveryKey[] | undefined;
  content: Completion | undefined;
}

/**
 * Applies notifications to the stored cases, and returns the rows to write. The result depends on the set of deliveries
 * alone, not on their order or their grouping into batches. The function is pure, except for the ids of new cases.
 *
 * @param stored the existing cases of these notifications, locked
 * @param histories all deliveries of each case for which `comesOutOfOrder` is true, in order of receipt
 */
export function fold(
  notifications: readonly Notification[],
  stored: readonly CaseEntity[],
  histories: ReadonlyMap<string, readonly DeliveryKey[]>,
): Batch {
  const folds = new Map<string, Fold>();
  for (const state of stored) {
    const history = histories.get(state.id);
    folds.set(identityOf(state), {
      state: { ...state },
      before: state,
      history: history && [...history],
      content: undefined,
    });
  }
  const folded: FoldedDelivery[] = [];
  const alreadyStored: Notification[] = [];
  for (const notification of inOrderOfReceipt(notifications)) {
    const identity = identityOf(notification.completion);
    const entry = folds.get(identity);
    if (!entry) {
      const started = startCase(notification);
      folds.set(identity, started);
      folded.push({ notification, case_ref: started.state.id, verdict: 'first', rewritesPast: false });
    } else if (isStored(entry, notification)) alreadyStored.push(notification);
    else folded.push({ notification, case_ref: entry.state.id, ...applyDelivery(entry, notification) });
  }
  const all = [...folds.values()];
  const changed = all.filter(({ state, before }) => state.notification_count !== before?.notification_count);
  return {
    notifications: folded,
    alreadyStored,
    labels: collectLabels(folded.map(({ notification }) => notification)),
    newCases: all.filter(({ before }) => !before).map(({ state }) => state),
    existingCases: changed.filter(({ before }) => before).map(({ state }) => state),
    replacedNodeTasks: all.flatMap(({ state, content }) => (content ? [{ state, completion: content }] : [])),
    movedCompletions: all
      .filter(({ state, before, content }) => before && !content && state.completed_at < before.completed_at)
      .map(({ state }) => state),
  };
}

/** True if a delivery is not newer than the delivery with the current content of its case. */
export function comesOutOfOrder(delivery: Pick<DeliveryKey, 'id' | 'receivedAt'>, state: CaseEntity): boolean {
  return compareReceipt(delivery, { id: state.current_notification_id, receivedAt: state.last_notified_at }) <= 0;
}

/** The identity of a case as text, for maps. */
export function identityOf(subject: Pick<CaseEntity, 'workflow_id' | 'case_id' | 'callee_number'>): string {
  return JSON.stringify([subject.workflow_id, subject.case_id, subject.callee_number]);
}

/** Sorts deliveries by receipt, then by id. PostgreSQL uses the same order. */
export function inOrderOfReceipt<T extends Pick<DeliveryKey, 'id' | 'receivedAt'>>(deliveries: readonly T[]): T[] {
  return deliveries.toSorted(compareReceipt);
}

function startCase(notification: Notification): Fold {
  const { id, receivedAt, contentDigest, completion } = notification;
  const state: CaseEntity = {
    id: newId(),
    workflow_id: completion.workflow_id,
    case_id: completion.case_id,
    callee_number: completion.callee_number,
    completed_at: receivedAt,
    last_notified_at: receivedAt,
    notification_count: 1,
    revision: 1,
    current_notification_id: id,
    content_digest: contentDigest,
  };
  return { state, before: undefined, history: undefined, content: completion };
}

/** A stored delivery is not newer than the newest one of its case, so its history is loaded. */
function isStored({ history }: Fold, { id }: Notification): boolean {
  return history?.some((delivery) => delivery.id === id) ?? false;
}

function applyDelivery(entry: Fold, notification: Notification): Pick<FoldedDelivery, 'verdict' | 'rewritesPast'> {
  const { state, history } = entry;
  const { revision, completed_at } = state;
  const isSame = notification.contentDigest.equals(state.content_digest);
  const isLate = comesOutOfOrder(notification, state);
  state.notification_count += 1;
  if (isLate) {
    if (!history) throw new Error('the history of a case with a late delivery was not loaded');
    state.revision += insertIntoHistory(history, notification);
    if (notification.receivedAt < state.completed_at) state.completed_at = notification.receivedAt;
  } else {
    if (!isSame) {
      state.revision += 1;
      state.content_digest = notification.contentDigest;
      entry.content = notification.completion;
    }
    state.last_notified_at = notification.receivedAt;
    state.current_notification_id = notification.id;
    history?.push(notification);
  }
  return {
    verdict: isSame ? 'repeat' : isLate ? 'late' : 'changed',
    rewritesPast: isLate && (state.revision !== revision || state.completed_at < completed_at),
  };
}

/**
 * Inserts a late delivery at its position in the history.
 *
 * @returns the change of the revision: the number of runs of equal content in order of receipt
 */
function insertIntoHistory(history: DeliveryKey[], delivery: DeliveryKey): number {
  const index = history.findLastIndex((other) => compareReceipt(other, delivery) < 0) + 1;
  const before = history[index - 1];
  const after = history[index];
  history.splice(index, 0, delivery);
  return differs(before, delivery) + (after ? differs(delivery, after) - differs(before, after) : 0);
}

function differs(one: DeliveryKey | undefined, other: DeliveryKey): 0 | 1 {
  return one?.contentDigest.equals(other.contentDigest) ? 0 : 1;
}

function compareReceipt(a: Pick<DeliveryKey, 'id' | 'receivedAt'>, b: Pick<DeliveryKey, 'id' | 'receivedAt'>): number {
  const difference = a.receivedAt.getTime() - b.receivedAt.getTime();
  if (difference !== 0) return difference;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}
