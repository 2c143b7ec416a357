import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { Answer, Json } from './service.js';

/** An operation of the document. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly hasBody: boolean;
  /** By status. */
  readonly responses: Readonly<Record<string, Json>>;
}

/** `openapi.json` as the judge of the answers that it describes. */
export class Contract {
  readonly operations: readonly Operation[];
  readonly #ajv = new Ajv({ allErrors: true });

  constructor(document: Json) {
    addFormats.default(this.#ajv);
    this.#ajv.addVocabulary([...Object.keys(document), 'example']); // in strict mode a keyword must be known
    this.#ajv.addSchema(close(document) as Json, 'document');
    this.operations = Object.entries(document['paths'] as Json).flatMap(([path, methods]) =>
      Object.entries(methods as Record<string, Json>).map(([method, { operationId, requestBody, responses }]) => ({
        id: operationId,
        method,
        path,
        hasBody: requestBody !== undefined,
        responses,
      })),
    );
  }

  /** What the document promises: each operation with each status and content type. */
  promises(): string[] {
    return this.operations.flatMap(({ id, responses }) =>
      Object.entries(responses).flatMap(([status, { content = { nothing: {} } }]) =>
        Object.keys(content).map((type) => `${id} ${status} ${type}`),
      ),
    );
  }

  /** Everything in which an answer differs from what is promised for its status and content type. */
  faultsOf({ id, method, path, responses }: Operation, answer: Answer): string[] {
    const type = typeOf(answer);
    const { headers = {}, content } = responses[answer.status] ?? {};
    const faults = Object.entries(headers as Json).flatMap(([name, header]) =>
      this.faultsOfHeader(answer, name, header),
    );
    if (content?.[type]) {
      const place = ['paths', path, method, 'responses', String(answer.status), 'content', type, 'schema'];
      faults.push(...this.faultsOfBody(pointer(place), /[/+]json$/.test(type) ? answer.body : answer.text));
    }
    const codes = Object.keys(content?.[type]?.examples ?? {});
    if (type === 'application/problem+json' && !codes.includes(answer.body['code'])) {
      faults.push(`its code ${answer.body['code']} is none of ${codes.join(', ')}`);
    }
    return faults.map((fault) => `${id} ${answer.status}: ${fault}`);
  }

  private faultsOfHeader(answer: Answer, name: string, { required, schema }: Json): string[] {
    const value = answer.headers.get(name);
    if (value === null) return required ? [`${name} is not there`] : [];
    const isValid = this.#ajv.validate(schema, schema.type === 'integer' ? Number(value) : value);
    return isValid ? [] : [`${name} is ${value}`];
  }

  private faultsOfBody(schema: string, body: unknown): string[] {
    const validate = this.#ajv.getSchema(`document#${schema}`);
    if (!validate) return [`the document has no ${schema}`];
    return validate(body) ? [] : [this.#ajv.errorsText(validate.errors, { dataVar: 'body' })];
  }
}

/** An answer without a body has the type `nothing`. */
export function typeOf({ headers, text }: Answer): string {
  return text === '' ? 'nothing' : (headers.get('content-type') ?? '').replace(/;.*/, '');
}

/** A field that no schema names is a fault; and what OpenAPI 3.0 says of null is said in the words of JSON Schema. */
function close(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(close);
  if (typeof node !== 'object' || node === null) return node;
  const schema: Json = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, close(value)]));
  if (schema['nullable'] === true && schema['allOf']) return { anyOf: [{ enum: [null] }, ...schema['allOf']] };
  return schema['type'] === 'object' ? { additionalProperties: false, ...schema } : schema;
}

function pointer(place: readonly string[]): string {
  return place.map((name) => `/${encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');
}
