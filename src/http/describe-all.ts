import type { OpenAPIObject } from '@nestjs/swagger';
import { describeStatus } from './problem.openapi.js';

/** Under this name the document tells which scope an operation needs: OpenAPI 3.0 has no word for it. */
export const SCOPE_EXTENSION = 'x-scope';

type OperationObject = NonNullable<OpenAPIObject['paths'][string]['get']>;
interface ResponseObject {
  description: string;
  headers?: Record<string, object>;
  content?: Record<string, { schema?: { properties?: object } }>;
}

const REQUEST_ID = { 'X-Request-Id': header('Id of this request.', { format: 'uuid' }) };
const CACHE_CONTROL = { 'Cache-Control': header('`private, no-store`: nothing may keep this answer.') };
const ETAG = { ETag: header('Send it as `If-None-Match` to learn whether this answer has changed.') };
const LINK = { Link: header('`<…>; rel="next"`: the next page, relative to this address. Not on the last one.') };

/** Adds what is true of every operation, and in words the scope that the extension names. */
export function describeAll(document: OpenAPIObject): OpenAPIObject {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods) as [string, OperationObject][]) {
      if (path.startsWith('/v1/')) describeHttpRules(method, operation);
      for (const response of Object.values(operation.responses)) addHeaders(response as ResponseObject, REQUEST_ID);
      const scope: unknown = Reflect.get(operation, SCOPE_EXTENSION);
      if (typeof scope !== 'string') continue;
      operation.description = [operation.description, `Needs the scope \`${scope}\`.`].filter(Boolean).join('\n\n');
    }
  }
  return document;
}

function describeHttpRules(method: string, operation: OperationObject): void {
  const ok = operation.responses['200'] as ResponseObject;
  const json = ok.content?.['application/json'];
  operation.responses['406'] = describeStatus(406, ['not_acceptable']);
  addHeaders(ok, CACHE_CONTROL);
  if (method !== 'get' || !json) return;
  describeConditional(operation);
  addHeaders(ok, ETAG);
  if (json.schema?.properties && 'next_cursor' in json.schema.properties) addHeaders(ok, LINK);
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

function header(description: string, schema: object = {}): object {
  return { description, schema: { type: 'string', ...schema } };
}
