import { v7 as uuidv7 } from 'uuid';
import type { CaseEntity, Verdict } from '../database/entities.js';
import type { Notification } from './notification.js';
import type { Completion } from './workflow-list-completion.js';

/** A delivery as far as its place among the others of its case goes. */
export interface Delivered {
  readonly id: string;
  readonly receivedAt: Date;
  readonly contentDigest: Buffer;
}

/** What a batch of notifications makes of the tables. */
export interface Batch {
  readonly notifications: readonly {
    readonly notification: Notification;
    readonly case_ref: string;
    readonly verdict: Verdict;
  }[];
  readonly newCases: readonly CaseEntity[];
  readonly knownCases: readonly CaseEntity[];
  /** Cases whose node tasks are to be written; a known case's former ones give way. */
  readonly contents: readonly { readonly state: CaseEntity; readonly completion: Completion }[];
  /** Known cases whose node tasks stay, but were completed earlier than was known. */
  readonly moved: readonly CaseEntity[];
}

interface Fold {
  readonly state: CaseEntity;
  readonly isNew: boolean;
  readonly completedAtBefore: Date;
  /** All deliveries of the case, loaded only where one of them comes out of order. */
  readonly history: Delivered[] | undefined;
  content: Completion | undefined;
}

/**
 * Applies notifications to the cases as they are stored, and says what is to be written. Pure but for the ids that new
 * cases get, and indifferent to how notifications are grouped into batches: the outcome depends on the set of deliveries
 * alone.
 *
 * @param stored the cases of these notifications that exist, locked
 * @param histories all deliveries of each case for which `comesOutOfOrder` is true, in order of receipt
 */
export function fold(
  notifications: readonly Notification[],
  stored: readonly CaseEntity[],
  histories: ReadonlyMap<string, readonly Delivered[]>,
): Batch {
  const folds = new Map<string, Fold>();
  for (const state of stored) {
    const history = histories.get(state.id);
    folds.set(identityOf(state), {
      state: { ...state },
      isNew: false,
      completedAtBefore: state.completed_at,
      history: history && [...history],
      content: undefined,
    });
  }
  const judged = inOrderOfReceipt(notifications).map((notification) => {
    const identity = identityOf(notification.completion);
    const known = folds.get(identity);
    const entry = known ?? begin(notification);
    folds.set(identity, entry);
    return { notification, case_ref: entry.state.id, verdict: known ? apply(known, notification) : ('first' as const) };
  });
  const all = [...folds.values()];
  return {
    notifications: judged,
    newCases: all.filter((entry) => entry.isNew).map((entry) => entry.state),
    knownCases: all.filter((entry) => !entry.isNew).map((entry) => entry.state),
    contents: all.flatMap(({ state, content }) => (content ? [{ state, completion: content }] : [])),
    moved: all
      .filter(({ state, content, completedAtBefore }) => !content && state.completed_at < completedAtBefore)
      .map((entry) => entry.state),
  };
}

/** True if a delivery is not newer than the one that a stored case's content comes from. */
export function comesOutOfOrder(delivered: Pick<Delivered, 'id' | 'receivedAt'>, state: CaseEntity): boolean {
  return compareReceipt(delivered, { id: state.current_notification_id, receivedAt: state.last_notified_at }) <= 0;
}

export function identityOf(of: Pick<CaseEntity, 'workflow_id' | 'case_id' | 'callee_number'>): string {
  return JSON.stringify([of.workflow_id, of.case_id, of.callee_number]);
}

/** The one order of deliveries: by receipt, then by id, as PostgreSQL orders them. */
export function inOrderOfReceipt<T extends Pick<Delivered, 'id' | 'receivedAt'>>(deliveries: readonly T[]): T[] {
  return deliveries.toSorted(compareReceipt);
}

function begin(notification: Notification): Fold {
  const { id, receivedAt, contentDigest, completion } = notification;
  const state: CaseEntity = {
    id: uuidv7(),
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
  return { state, isNew: true, completedAtBefore: receivedAt, history: undefined, content: completion };
}

function apply(entry: Fold, notification: Notification): Verdict {
  const { state, history } = entry;
  const isSame = notification.contentDigest.equals(state.content_digest);
  const isLate = comesOutOfOrder(notification, state);
  state.notification_count += 1;
  if (isLate) {
    if (!history) throw new Error('the history of a case with a late delivery was not loaded');
    state.revision += countRuns([...history, notification]) - countRuns(history);
    if (notification.receivedAt < state.completed_at) state.completed_at = notification.receivedAt;
  } else {
    if (!isSame) {
      state.revision += 1;
      state.content_digest = notification.contentDigest;
      entry.content = notification.completion;
    }
    state.last_notified_at = notification.receivedAt;
    state.current_notification_id = notification.id;
  }
  history?.push(notification);
  if (isSame) return 'repeat';
  return isLate ? 'late' : 'changed';
}

/** How many stretches of equal content the deliveries have in order of receipt: the revisions that a case went through. */
function countRuns(deliveries: readonly Delivered[]): number {
  const ordered = inOrderOfReceipt(deliveries);
  return ordered.filter((delivered, index) => !ordered[index - 1]?.contentDigest.equals(delivered.contentDigest))
    .length;
}

function compareReceipt(a: Pick<Delivered, 'id' | 'receivedAt'>, b: Pick<Delivered, 'id' | 'receivedAt'>): number {
  const difference = a.receivedAt.getTime() - b.receivedAt.getTime();
  if (difference !== 0) return difference;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}
