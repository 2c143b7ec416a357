import { newId } from '../../database/ids.js';
import type { CaseEntity, Verdict } from '../../database/entities.js';
import type { Notification } from '../notification/notification.js';
import type { Completion } from '../notification/workflow-list-completion.js';
import { collectLabels, type Labels } from './labels.js';

/** A delivery as far as its place among the others of its case goes. */
export interface DeliveryKey {
  readonly id: string;
  readonly receivedAt: Date;
  readonly contentDigest: Buffer;
}

interface FoldedDelivery {
  readonly notification: Notification;
  readonly case_ref: string;
  readonly verdict: Verdict;
  /** Came out of order, and still changed the completion or the revision of its case. */
  readonly rewritesPast: boolean;
}

/** What a batch of notifications makes of the tables. */
export interface Batch {
  readonly notifications: readonly FoldedDelivery[];
  readonly newCases: readonly CaseEntity[];
  readonly existingCases: readonly CaseEntity[];
  /** Cases whose node tasks are to be written; a known case's former ones give way. */
  readonly replacedNodeTasks: readonly { readonly state: CaseEntity; readonly completion: Completion }[];
  /** Known cases whose node tasks stay, but were completed earlier than was known. */
  readonly movedCompletions: readonly CaseEntity[];
  /** Deliveries that are stored already: an earlier attempt had been committed after all. They change nothing. */
  readonly alreadyStored: readonly Notification[];
  readonly labels: Labels;
}

interface Fold {
  readonly state: CaseEntity;
  /** As stored; none for a new case. */
  readonly before: CaseEntity | undefined;
  /** All deliveries of the case, loaded only where one of them comes out of order. */
  readonly history: DeliveryKey[] | undefined;
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
  const judged: FoldedDelivery[] = [];
  const alreadyStored: Notification[] = [];
  for (const notification of inOrderOfReceipt(notifications)) {
    const identity = identityOf(notification.completion);
    const entry = folds.get(identity);
    if (!entry) {
      const made = startCase(notification);
      folds.set(identity, made);
      judged.push({ notification, case_ref: made.state.id, verdict: 'first', rewritesPast: false });
    } else if (isStored(entry, notification)) alreadyStored.push(notification);
    else judged.push({ notification, case_ref: entry.state.id, ...applyDelivery(entry, notification) });
  }
  const all = [...folds.values()];
  const changed = all.filter(({ state, before }) => state.notification_count !== before?.notification_count);
  return {
    notifications: judged,
    alreadyStored,
    labels: collectLabels(judged.map(({ notification }) => notification)),
    newCases: all.filter(({ before }) => !before).map(({ state }) => state),
    existingCases: changed.filter(({ before }) => before).map(({ state }) => state),
    replacedNodeTasks: all.flatMap(({ state, content }) => (content ? [{ state, completion: content }] : [])),
    movedCompletions: all
      .filter(({ state, before, content }) => before && !content && state.completed_at < before.completed_at)
      .map(({ state }) => state),
  };
}

/** True if a delivery is not newer than the one that a stored case's content comes from. */
export function comesOutOfOrder(delivered: Pick<DeliveryKey, 'id' | 'receivedAt'>, state: CaseEntity): boolean {
  return compareReceipt(delivered, { id: state.current_notification_id, receivedAt: state.last_notified_at }) <= 0;
}

export function identityOf(of: Pick<CaseEntity, 'workflow_id' | 'case_id' | 'callee_number'>): string {
  return JSON.stringify([of.workflow_id, of.case_id, of.callee_number]);
}

/** The one order of deliveries: by receipt, then by id, as PostgreSQL orders them. */
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

/** A delivery that is stored is no newer than its case's newest, so the history is there to be looked at. */
function isStored({ history }: Fold, { id }: Notification): boolean {
  return history?.some((delivered) => delivered.id === id) ?? false;
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
 * Puts a delivery in its place among those of its case.
 *
 * @returns by how many the revisions change: the stretches of equal content in order of receipt
 */
function insertIntoHistory(history: DeliveryKey[], delivered: DeliveryKey): number {
  const place = history.findLastIndex((other) => compareReceipt(other, delivered) < 0) + 1;
  const before = history[place - 1];
  const after = history[place];
  history.splice(place, 0, delivered);
  return differs(before, delivered) + (after ? differs(delivered, after) - differs(before, after) : 0);
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
