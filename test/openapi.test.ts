import { readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../src/app.js';
import { parseConfig } from '../src/config/config.js';
import { renderOpenApi } from '../src/http/rest/openapi.js';
import { PROBLEMS } from '../src/http/problem/problem.js';
import { PROVIDER_EXAMPLE } from '../src/ingest/notification/provider-example.js';
import { type Json, send, startService, type TestService, webhookPath } from './support/service.js';

let service: TestService;
let document: Json;
beforeAll(async () => {
  service = await startService();
  document = (await send(`${service.url}/openapi.json`)).body;
});
afterAll(async () => service.stop());

const operations = (): [string, string, Json][] =>
  Object.entries(document['paths'] as Json).flatMap(([path, methods]) =>
    Object.entries(methods as Json).map(([method, operation]): [string, string, Json] => [
      method,
      path,
      operation as Json,
    ]),
  );

test('the committed openapi.json is the document that the service serves', async () => {
  const committed = await readFile('openapi.json', 'utf8');
  expect(renderOpenApi(service.app)).toBe(committed);
  expect(document).toEqual(JSON.parse(committed));
});

test('the document can be made without a database', async () => {
  const app = await createApp(parseConfig({}), undefined, false);
  expect(renderOpenApi(app)).toBe(await readFile('openapi.json', 'utf8'));
  await app.close();
});

test('the document is valid OpenAPI by an independent validator', async () => {
  const result = await new Validator().validate(structuredClone(document));
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
});

test('every endpoint of the contract is in it, and nothing else', () => {
  expect(
    operations()
      .map(([method, path]) => `${method.toUpperCase()} ${path}`)
      .toSorted(),
  ).toEqual([
    'GET /health/live',
    'GET /health/ready',
    'GET /metrics',
    'GET /v1/audit',
    'GET /v1/cases',
    'GET /v1/cases/export',
    'GET /v1/cases/{id}',
    'GET /v1/cases/{id}/notifications',
    'GET /v1/completions',
    'GET /v1/completions/stream',
    'GET /v1/erasures',
    'GET /v1/erasures/{id}',
    'GET /v1/notifications/{id}',
    'GET /v1/quarantine',
    'GET /v1/quarantine/actions',
    'GET /v1/quarantine/{id}',
    'GET /v1/stats/completions',
    'GET /v1/workflows',
    'GET /v1/workflows/{workflow_id}',
    'GET /v1/workflows/{workflow_id}/node-tasks',
    'POST /v1/cases/lookup',
    'POST /v1/erasures',
    'POST /v1/quarantine/discard',
    'POST /v1/quarantine/replay',
    'POST /v1/quarantine/{id}/discard',
    'POST /v1/quarantine/{id}/replay',
    'POST /webhooks/airudder/{token}/{kind}',
  ]);
});

test('every operation says what it does, and every parameter, field and answer is described', () => {
  for (const [method, path, operation] of operations()) {
    const place = `${method} ${path}`;
    expect(operation['summary'], place).toBeTruthy();
    expect(operation['operationId'], place).toBeTruthy();
    expect(operation['tags'], place).toHaveLength(1);
    for (const parameter of operation['parameters'] as Json[]) {
      expect(parameter['description'], `${place} ${parameter['name']}`).toBeTruthy();
    }
    for (const [status, response] of Object.entries(operation['responses'] as Json)) {
      expect((response as Json)['description'], `${place} ${status}`).toBeTruthy();
    }
    if (path.startsWith('/v1/')) {
      expect(operation['security'], place).toEqual([{ apiKey: [] }]);
      expect(operation['description'] ?? '', place).toMatch(/Needs the scope `(read|operate)`/);
      expect(Object.keys(operation['responses']), place).toEqual(
        expect.arrayContaining([
          path === '/v1/erasures' && method === 'post' ? '201' : '200',
          '401',
          '403',
          '500',
          '503',
        ]),
      );
    }
  }
  for (const [name, schema] of Object.entries(document['components'].schemas as Json)) {
    for (const [field, property] of Object.entries((schema as Json)['properties'] as Json)) {
      expect((property as Json)['description'], `${name}.${field}`).toBeTruthy();
    }
  }
});

test('no optional parameter is filled in when an operation is tried out, so that nothing is filtered unasked', () => {
  for (const [method, path, operation] of operations()) {
    for (const parameter of (operation['parameters'] as Json[]).filter((each) => !each['required'])) {
      expect(
        parameter['example'] ?? parameter['schema'].example,
        `${method} ${path} ${parameter['name']}`,
      ).toBeUndefined();
    }
  }
});

test("the provider's own example is the example of the webhook's body, and trying it out works", async () => {
  const { requestBody } = document['paths']['/webhooks/airudder/{token}/{kind}'].post as Json;
  const { value } = requestBody.content['application/json'].examples.provider;
  expect(value).toEqual(PROVIDER_EXAMPLE);
  expect((await service.post(value)).text).toBe('{}');
  expect(webhookPath('x')).toBe('/webhooks/airudder/x/workflow-list-completion');
});

describe('the pages', () => {
  test('Swagger UI is served at /docs, and all that it loads comes from this service', async () => {
    const page = await send(`${service.url}/docs`);
    expect(page.status).toBe(200);
    const loaded = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      (match) => new URL(match[1] ?? '', `${service.url}/docs`),
    );
    expect(loaded.length).toBeGreaterThan(3);
    for (const url of loaded) {
      expect(url.origin).toBe(service.url);
      expect((await fetch(url)).status, url.href).toBe(200);
    }
    expect(page.text).not.toMatch(/<script>(?!\s*<\/script>)/); // the content security policy would block it
  });

  test.each(Object.keys(PROBLEMS))('the type of the problem %s leads to a page that explains it', async (code) => {
    const page = await send(`${service.url}/docs/problems/${code}`);
    expect(page.status).toBe(200);
    expect(page.text).toMatch(code);
  });

  test('the base address leads to Swagger UI', async () => {
    const answer = await fetch(service.url, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/docs']);
  });

  test('an unknown problem code is 404', async () => {
    expect((await send(`${service.url}/docs/problems/toString`)).status).toBe(404);
  });
});
