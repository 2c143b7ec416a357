import { promisify } from 'node:util';
import {
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import { json, type Request, type Response } from 'express';
import typeIs from 'type-is';
import { pathOf, safeFieldName } from '../problem/field-errors.js';
import { type FieldError, Problem, type ProblemCode } from '../problem/problem.js';
import { ApiProblems } from '../problem/problem.openapi.js';

/** Fits the largest useful request: a thousand cases with three ids of 800 bytes each, some of them escaped. */
const LIMIT_BYTES = 4 * 1024 * 1024;

const parse = promisify(
  json({ limit: LIMIT_BYTES, strict: false, type: () => true }) as (
    request: Request,
    response: Response,
    done: (error?: unknown) => void,
  ) => void,
);

/** No request of this API is nested deeper, or has more items in a list or more fields in an object. */
const MAX_DEPTH = 3;
const MAX_ITEMS = 1000;
const MAX_FIELDS = 20;

/** Problems of the parser's error types. */
const PROBLEM_OF: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  'entity.parse.failed': ['not_json', 'The body is not JSON.'],
  'entity.too.large': ['body_too_large', `The body has more than ${LIMIT_BYTES} bytes.`],
  'request.aborted': ['incomplete_body', 'The connection ended before the whole body arrived.'],
  'request.size.invalid': ['incomplete_body', 'The body is not as long as Content-Length says.'],
  'encoding.unsupported': ['unsupported_media_type', 'Content-Encoding must be one of identity, gzip, deflate, br.'],
  'charset.unsupported': ['unsupported_media_type', 'The body must be UTF-8.'],
};

/** Parses the body after the guards have admitted the request. */
@Injectable()
class JsonBodyInterceptor implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler): Promise<ReturnType<CallHandler['handle']>> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const type = request.headers['content-type'];
    if (type && typeIs.is(type, ['json', '+json']) === false) {
      throw new Problem('unsupported_media_type', 'Content-Type must be application/json.');
    }
    await parse(request, http.getResponse<Response>()).catch((error: unknown) => {
      const [code, detail] = PROBLEM_OF[(error as { type?: string }).type ?? ''] ?? [
        'not_json',
        'The body is malformed.',
      ];
      throw new Problem(code, detail);
    });
    const body: unknown = request.body;
    const error = isObject(body) ? findLimitViolation(body, '', MAX_DEPTH) : { path: '', message: 'must be an object' };
    if (error) throw new Problem('invalid_request', 'The body is not valid: see errors.', [error]);
    return next.handle();
  }
}

/** Declares an endpoint whose body is a JSON object of at most 4 MiB. */
export function JsonBody(): MethodDecorator {
  return applyDecorators(
    UseInterceptors(JsonBodyInterceptor),
    ApiConsumes('application/json'),
    ApiProblems('not_json', 'invalid_request', 'incomplete_body', 'body_too_large', 'unsupported_media_type'),
  );
}

/**
 * Finds the first part that exceeds the limits. This runs before validation, which takes far longer than parsing: a
 * small body can contain a great many values to validate.
 */
function findLimitViolation(value: unknown, path: string, depth: number): FieldError | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === 0) return { path, message: 'is nested too deep' };
  if (Array.isArray(value)) {
    if (value.length > MAX_ITEMS) return { path, message: `must have at most ${MAX_ITEMS} items` };
  } else if (Object.keys(value).length > MAX_FIELDS) return { path, message: `must have at most ${MAX_FIELDS} fields` };
  for (const [name, inner] of Object.entries(value)) {
    if (!Array.isArray(value) && name in Object.prototype)
      return { path: pathOf(name, path), message: 'is not a known parameter' };
    const error = findLimitViolation(inner, pathOf(Array.isArray(value) ? name : safeFieldName(name), path), depth - 1);
    if (error) return error;
  }
  return undefined;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
