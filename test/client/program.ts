import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './openapi.js';

type Schemas = components['schemas'];
type Notification = Schemas['WorkflowListCompletion'];

/**
 * What a team's program may look like, with types that are generated from `openapi.json`. It compiles only beside those:
 * `test/client.test.ts` makes them, compiles it, and runs it.
 */
export async function useApi(baseUrl: string, token: string, apiKey: string, [first, second]: [Notification, unknown]) {
  const api = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${apiKey}` } });
  const door = { path: { token, kind: 'workflow-list-completion' } } as const;
  const accepted = await api.POST('/webhooks/airudder/{token}/{kind}', { params: door, body: first });
  const refused = await api.POST('/webhooks/airudder/{token}/{kind}', { params: door, body: second as Notification });

  const { workflow_id, case_id } = first;
  const lookup = ok(
    await api.POST('/v1/cases/lookup', {
      params: { header: { Prefer: 'wait=1' } },
      body: { cases: [{ case_id }, { case_id: 'unknown' }], mode: 'any' },
    }),
  );
  const cases = await listAll(api, workflow_id);
  const path = { id: cases.at(-1)?.id ?? '' };
  const found = ok(await api.GET('/v1/cases/{id}', { params: { path } }));
  const timeline = ok(await api.GET('/v1/cases/{id}/notifications', { params: { path, query: { limit: 10 } } }));
  const workflows = ok(await api.GET('/v1/workflows'));
  const workflow = ok(await api.GET('/v1/workflows/{workflow_id}', { params: { path: { workflow_id } } }));
  const feed = ok(await api.GET('/v1/completions', { params: { query: { from: 'start', workflow_id } } }));
  const quarantine = ok(await api.GET('/v1/quarantine'));
  const unknown = await api.GET('/v1/notifications/{id}', { params: { path: { id: 'unknown' } } });

  return {
    notificationId: accepted.response.headers.get('X-Request-Id'),
    refusal: refused.error?.errors?.map((each) => each.path),
    verdicts: lookup.data.map(({ asked, status }) => [asked.case_id, status]),
    isCertain: !lookup.ingestion.degraded,
    caseIds: cases.map((each) => each.case_id),
    taskIds: found.node_tasks.map(({ node_type, task_id }) => [node_type, task_id?.length ?? null]),
    timeline: timeline.data.map(({ id, verdict }) => [id, verdict]),
    workflows: workflows.data.map((each) => each.workflow_name),
    completedCases: workflow.case_count,
    events: feed.data.map(({ event, case: { callee_number } }) => [event, callee_number]),
    isCaughtUp: feed.caught_up,
    held: quarantine.data.map(({ reason, count }) => [reason, count]),
    problem: unknown.error?.code satisfies Schemas['Problem']['code'] | undefined,
  };
}

async function listAll(api: Client<paths>, workflow_id: string): Promise<Schemas['CaseResponse'][]> {
  const cases = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const query = { workflow_id, order: 'asc', limit: 1, ...(cursor && { cursor }) } as const;
    const page: Schemas['CasesPage'] = ok(await api.GET('/v1/cases', { params: { query } }));
    cases.push(...page.data);
    cursor = page.next_cursor;
  }
  return cases;
}

function ok<T>({ data, error }: { data?: T; error?: Schemas['Problem'] }): T {
  if (data === undefined) throw new Error(error?.detail);
  return data;
}

/** Never called: what the compiler must refuse. */
export async function misuse(api: Client<paths>, notification: Notification): Promise<void> {
  // @ts-expect-error -- there is no such path
  await api.GET('/v1/case');
  // @ts-expect-error -- nothing is posted there
  await api.POST('/v1/cases');
  // @ts-expect-error -- the parameter is called case_id
  await api.GET('/v1/cases', { params: { query: { caseId: 'test-caseid11' } } });
  // @ts-expect-error -- it must be a number
  await api.GET('/v1/cases', { params: { query: { limit: 'all' } } });
  // @ts-expect-error -- it is asc or desc
  await api.GET('/v1/cases', { params: { query: { order: 'newest' } } });
  // @ts-expect-error -- the id is missing
  await api.GET('/v1/cases/{id}', { params: {} });
  // @ts-expect-error -- a question needs its cases
  await api.POST('/v1/cases/lookup', { body: { mode: 'any' } });
  // @ts-expect-error -- it is all or any
  await api.POST('/v1/cases/lookup', { body: { cases: [], mode: 'some' } });
  // @ts-expect-error -- a row has more than that
  notification.rows = [{ node_type: 'call' }];
  const { data, error } = await api.GET('/v1/cases');
  // @ts-expect-error -- whether there is an answer is not known yet
  data.next_cursor;
  // @ts-expect-error -- a case has no such field
  data?.data[0]?.status;
  // @ts-expect-error -- there may be no next page
  data?.next_cursor.length;
  // @ts-expect-error -- no problem has this code
  error?.code === 'not_there';
}
