import type { OpenAPIObject } from '@nestjs/swagger';
import { describeStatus, RATE_LIMITS } from '../problem/problem.openapi.js';

/** Extension that states the scope of an operation; OpenAPI 3.0 has no field for it. */
export const SCOPE_EXTENSION = 'x-scope';

type OperationObject = NonNullable<OpenAPIObject['paths'][string]['get']>;
interface ResponseObject {
  description: string;
  headers?: Record<string, object>;
  content?: Record<string, { schema?: Schema }>;
}
interface Schema {
  $ref?: string;
}
type Schemas = Readonly<Record<string, object>>;

const text = { type: 'string' };
const REQUEST_ID = { 'X-Request-Id': always('Id of this request.', { ...text, format: 'uuid' }) };
const CACHE_CONTROL = { 'Cache-Control': always('`private, no-store`: nothing may keep this answer.', text) };
const ETAG = { ETag: always('Send it as `If-None-Match` to learn whether this answer has changed.', text) };
const LINK = {
  Link: {
    description: '`<…>; rel="next"`: the next page, relative to this address. Not on the last one.',
    schema: text,
  },
};

/** Adds the headers and responses that all operations share, and a sentence with the scope of the extension. */
export function addCommonResponses(document: OpenAPIObject): OpenAPIObject {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods) as [string, OperationObject][]) {
      if (path.startsWith('/v1/')) describeHttpRules(method, operation, document.components?.schemas ?? {});
      for (const response of Object.values(operation.responses)) addHeaders(response as ResponseObject, REQUEST_ID);
      const scope: unknown = Reflect.get(operation, SCOPE_EXTENSION);
      if (typeof scope !== 'string') continue;
      operation.description = [operation.description, `Needs the scope \`${scope}\`.`].filter(Boolean).join('\n\n');
    }
  }
  return document;
}

function describeHttpRules(method: string, operation: OperationObject, schemas: Schemas): void {
  const ok = (operation.responses['200'] ?? operation.responses['201']) as ResponseObject;
  const json = ok.content?.['application/json'];
  operation.responses['406'] = describeStatus(406, ['not_acceptable']);
  operation.responses['429'] = describeStatus(429, ['too_many_requests']);
  addHeaders(ok, { ...CACHE_CONTROL, ...RATE_LIMITS });
  if (method !== 'get' || !json) return;
  describeConditional(operation);
  addHeaders(ok, ETAG);
  if (hasCursor(json.schema, schemas)) addHeaders(ok, LINK);
}

function describeConditional(operation: OperationObject): void {
  operation.responses['304'] = { description: 'Nothing has changed.', headers: { ...CACHE_CONTROL, ...ETAG } };
  operation.parameters = [
    ...(operation.parameters ?? []),
    {
      name: 'If-None-Match',
      in: 'header',
      required: false,
      description: 'The `ETag` of the answer that you have.',
      schema: { type: 'string' },
    },
  ];
}

function addHeaders(response: ResponseObject, headers: Record<string, object>): void {
  response.headers = { ...headers, ...response.headers };
}

function hasCursor({ $ref = '' }: Schema = {}, schemas: Schemas): boolean {
  const { properties = {} } = (schemas[$ref.split('/').at(-1) ?? ''] ?? {}) as { properties?: object };
  return 'next_cursor' in properties;
}

/** A header that every such response has. */
function always(description: string, schema: object): object {
  return { description, required: true, schema };
}
