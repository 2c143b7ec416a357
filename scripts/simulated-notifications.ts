/** Faults of a notification, and the answer that each must get. */
export const FAULTS = {
  'cut-off JSON': { status: 400, code: 'not_json' },
  'missing field': { status: 400, code: 'invalid_fields' },
  'number for string': { status: 400, code: 'invalid_fields' },
  'empty workflow_id': { status: 400, code: 'invalid_fields' },
  'wrong content type': { status: 415, code: 'unsupported_media_type' },
} as const;

export type Fault = keyof typeof FAULTS;

/** One request to the webhook. */
export interface Post {
  readonly sort: 'new' | 'duplicate' | 'changed' | 'malformed';
  readonly fault?: Fault;
  readonly contentType: string;
  readonly body: string;
  /** The case of the simulation and the version of its content: equal for equal bodies. */
  readonly caseOrdinal: number;
  readonly revision: number;
}

/** The parameters of the stream of posts: equal mixtures make equal streams. */
export interface Mixture {
  readonly seed: number;
  readonly workflows: number;
  /** Shares of the posts, from 0 to 1. */
  readonly duplicates: number;
  readonly changes: number;
  readonly malformed: number;
}

type Row = { nodetask_id: string; task_id?: string; nodetask_name: string; node_type: string };

interface Completion {
  case_id: string;
  callee_number: string;
  workflow_id: string;
  workflow_name: string;
  rows: Row[];
  [unknown: string]: unknown;
}

interface Workflow {
  readonly workflow_id: string;
  readonly firstName: string;
  /** As of now: a change may have renamed it. */
  name: string;
  renamings: number;
  readonly nodeTasks: readonly Required<Row>[];
  readonly caseIdPrefix: string;
  readonly numberPrefix: string;
  readonly numberOffset: number;
}

interface KnownCase {
  readonly ordinal: number;
  readonly revision: number;
  readonly workflow: Workflow;
  readonly completion: Completion;
}

type Random = ReturnType<typeof makeRandom>;

/** Duplicates and changes are drawn from so many cases, so that a long run does not fill the memory. */
const MAX_KNOWN_CASES = 10_000;
const EMPTY_CASE_ID_SHARE = 0.02;
const UNKNOWN_FIELDS_SHARE = 0.03;
const MISSING_TASK_ID_SHARE = 0.05;

const WORKFLOW_NAMES = [
  'Payment reminder – 3 days before',
  'Pengingat angsuran Jakarta',
  'Recordatorio de pago México',
  'ऋण अनुस्मारक',
  '还款提醒',
  'Nhắc nợ trước hạn',
  'تذكير بالسداد',
  'แจ้งเตือนชำระเงิน',
  'Welcome 🎉 journey',
];
const NODE_LABELS = {
  call: ['Voicebot Call', '语音机器人', 'Llamada'],
  sms: ['SMS', 'SMS Pengingat', '短信'],
  email: ['Mail', 'Correo electrónico', 'E-mail értesítő'],
  whatsapp: ['WhatsApp', 'WhatsApp 💬'],
} as const;
const NODE_TYPES = Object.keys(NODE_LABELS) as (keyof typeof NODE_LABELS)[];
const NUMBER_PREFIXES = ['+62812', '+5255', '+9198', '+551198', '+63917', '+8490', '+96650', '+6681'];
const CASE_ID_PREFIXES = ['LOAN-', 'ord_', 'C', '2024/INV/', 'kunde-'];

/**
 * An endless stream of notifications as AI Rudder would send them, with its share of re-sent, changed and malformed
 * ones. Equal mixtures give equal posts in equal order. No two of the malformed bodies and no two of the new cases are
 * alike, and a duplicate repeats the case's latest content: so what the tables gain can be foretold exactly.
 */
export function* simulateNotifications(mixture: Mixture): Generator<Post, never> {
  const random = makeRandom(mixture.seed);
  const workflows = Array.from({ length: mixture.workflows }, () => makeWorkflow(random));
  const known: KnownCase[] = [];
  for (let ordinal = 0; ; ordinal += 1) {
    const sort = drawSort(mixture, known.length > 0, random);
    switch (sort) {
      case 'malformed':
        yield makeMalformed(makeCase(ordinal, random.pick(workflows), random), random);
        break;
      case 'duplicate':
        yield toPost(sort, random.pick(known));
        break;
      case 'changed': {
        const index = random.below(known.length);
        const changed = changeCase(known[index] as KnownCase, random);
        known[index] = changed;
        yield toPost(sort, changed);
        break;
      }
      case 'new': {
        const made = makeCase(ordinal, random.pick(workflows), random);
        if (random.chance(EMPTY_CASE_ID_SHARE)) made.completion.case_id = '';
        known[known.length < MAX_KNOWN_CASES ? known.length : random.below(MAX_KNOWN_CASES)] = made;
        yield toPost(sort, made);
      }
    }
  }
}

function drawSort(mixture: Mixture, areCasesKnown: boolean, random: Random): Post['sort'] {
  const lot = random.fraction();
  if (lot < mixture.malformed) return 'malformed';
  if (!areCasesKnown) return 'new';
  if (lot < mixture.malformed + mixture.duplicates) return 'duplicate';
  return lot < mixture.malformed + mixture.duplicates + mixture.changes ? 'changed' : 'new';
}

function makeWorkflow(random: Random): Workflow {
  const name = `${random.pick(WORKFLOW_NAMES)} ${random.below(1000)}`;
  const types = ['call' as const, ...Array.from({ length: 1 + random.below(4) }, () => random.pick(NODE_TYPES))];
  const nodeTasks = types.map((node_type, index) => {
    const nth = types.slice(0, index + 1).filter((type) => type === node_type).length;
    const nodetask_name = `${random.pick(NODE_LABELS[node_type])}${nth}`;
    return { nodetask_id: random.id(), task_id: random.id(), nodetask_name, node_type };
  });
  return {
    workflow_id: random.id(),
    firstName: name,
    name,
    renamings: 0,
    nodeTasks,
    caseIdPrefix: random.pick(CASE_ID_PREFIXES),
    numberPrefix: random.pick(NUMBER_PREFIXES),
    numberOffset: random.below(10_000_000),
  };
}

function makeCase(ordinal: number, workflow: Workflow, random: Random): KnownCase {
  const completion: Completion = {
    case_id: `${workflow.caseIdPrefix}${String(ordinal + 1).padStart(7, '0')}`,
    callee_number: makeNumber(ordinal, workflow),
    workflow_id: workflow.workflow_id,
    workflow_name: workflow.name,
    rows: drawPath(workflow, random).map((nodeTask) => makeRow(nodeTask, random)),
  };
  if (random.chance(UNKNOWN_FIELDS_SHARE)) {
    Object.assign(
      completion,
      random.pick([{ extra_a: 'gold' }, { version: 2 }, { tags: ['vip', 'é'], retries: null }]),
    );
  }
  return { ordinal, revision: 1, workflow, completion };
}

/** The factor has no divisor in common with 10^7: as many ordinals have different numbers, which do not look counted. */
function makeNumber(ordinal: number, workflow: Workflow): string {
  const digits = (ordinal * 7_368_787 + workflow.numberOffset) % 10_000_000;
  return `${workflow.numberPrefix}${String(digits).padStart(7, '0')}`;
}

/** Most cases stop somewhere on the way, as when a call is answered; some skip node tasks. */
function drawPath({ nodeTasks }: Workflow, random: Random): Required<Row>[] {
  if (random.chance(0.7)) return nodeTasks.slice(0, 1 + random.below(nodeTasks.length));
  const taken = nodeTasks.filter(() => random.chance(0.6));
  return taken.length > 0 ? taken : [random.pick(nodeTasks)];
}

function makeRow({ task_id, ...nodeTask }: Required<Row>, random: Random): Row {
  const hasTask = nodeTask.node_type === 'call' && !random.chance(MISSING_TASK_ID_SHARE);
  return hasTask ? { ...nodeTask, task_id } : nodeTask;
}

function changeCase(known: KnownCase, random: Random): KnownCase {
  const { workflow } = known;
  const completion = structuredClone(known.completion);
  const { rows } = completion;
  const withoutTask = rows.find((row) => row.node_type === 'call' && row.task_id === undefined);
  const passedBy = workflow.nodeTasks.find(({ nodetask_id }) => rows.every((row) => row.nodetask_id !== nodetask_id));
  if (random.chance(0.1)) rename(workflow);
  else if (withoutTask && random.chance(0.5)) withoutTask.task_id = taskOf(withoutTask, workflow);
  else rows.push(makeRow(passedBy ?? random.pick(workflow.nodeTasks), random));
  completion.workflow_name = workflow.name;
  return { ...known, revision: known.revision + 1, completion };
}

function taskOf(row: Row, { nodeTasks }: Workflow): string {
  return (nodeTasks.find(({ nodetask_id }) => nodetask_id === row.nodetask_id) as Required<Row>).task_id;
}

function rename(workflow: Workflow): void {
  workflow.renamings += 1;
  workflow.name = `${workflow.firstName} (v${workflow.renamings + 1})`;
}

function toPost(sort: Post['sort'], { ordinal, revision, completion }: KnownCase): Post {
  const body = JSON.stringify(completion);
  return { sort, contentType: 'application/json', body, caseOrdinal: ordinal, revision };
}

/** Whatever is taken away, case id or number stays and makes the body the only one of its kind. */
function makeMalformed(made: KnownCase, random: Random): Post {
  const { completion } = made;
  const fault = random.pick(Object.keys(FAULTS) as Fault[]);
  const post = { ...toPost('malformed', made), fault };
  switch (fault) {
    case 'cut-off JSON': {
      const rowsAt = post.body.indexOf('"rows"');
      return { ...post, body: post.body.slice(0, rowsAt + random.below(post.body.length - rowsAt)) };
    }
    case 'missing field': {
      const field = random.pick(['workflow_id', 'workflow_name', 'case_id', 'callee_number', 'rows']);
      return { ...post, body: JSON.stringify({ ...completion, [field]: undefined }) };
    }
    case 'number for string':
      return { ...post, body: JSON.stringify({ ...completion, callee_number: Number(completion.callee_number) }) };
    case 'empty workflow_id':
      return { ...post, body: JSON.stringify({ ...completion, workflow_id: '' }) };
    case 'wrong content type':
      return { ...post, contentType: 'text/plain' };
    default:
      return fault satisfies never;
  }
}

/** mulberry32: small, quick, and the same everywhere for the same seed. */
function makeRandom(seed: number) {
  let state = seed;
  const uint32 = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const fraction = (): number => uint32() / 2 ** 32;
  const below = (limit: number): number => Math.floor(fraction() * limit);
  return {
    fraction,
    below,
    chance: (share: number): boolean => fraction() < share,
    pick: <T>(choices: readonly T[]): T => choices[below(choices.length)] as T,
    /** 32 lower-case hexadecimal digits, as the provider's ids have. */
    id: (): string => Array.from({ length: 4 }, () => uint32().toString(16).padStart(8, '0')).join(''),
  };
}
