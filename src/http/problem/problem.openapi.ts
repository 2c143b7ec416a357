import { applyDecorators } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiProperty,
  ApiPropertyOptional,
  ApiResponse,
  ApiSchema,
  getSchemaPath,
} from '@nestjs/swagger';
import { type FieldError, type ProblemCode, PROBLEMS } from './problem.js';

@ApiSchema({ name: 'FieldError' })
export class FieldErrorSchema implements FieldError {
  @ApiProperty({
    description: 'Where: the name of a parameter or field; empty for the whole.',
    example: 'rows[1].node_type',
  })
  path: string;

  @ApiProperty({ description: 'What is wrong there.', example: 'must be a string' })
  message: string;
}

/** RFC 9457 problem details. */
@ApiSchema({ name: 'Problem' })
class ProblemSchema {
  @ApiProperty({
    description: 'Address of a page that explains the problem.',
    example: '/docs/problems/invalid_fields',
  })
  type: string;

  @ApiProperty({ description: 'The kind of problem, for people.', example: 'Invalid notification' })
  title: string;

  @ApiProperty({ type: 'integer', description: 'The HTTP status.', example: 400 })
  status: number;

  @ApiProperty({
    description: 'What is wrong with this request.',
    example: 'The notification is not valid: see errors.',
  })
  detail: string;

  @ApiProperty({
    description: 'The kind of problem, for programs.',
    enum: Object.keys(PROBLEMS),
    example: 'invalid_fields',
  })
  code: string;

  @ApiProperty({
    description: 'The X-Request-Id of the answer.',
    format: 'uuid',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  request_id: string;

  @ApiPropertyOptional({ type: [FieldErrorSchema], description: 'For bad input: each fault.' })
  errors?: FieldErrorSchema[];
}

/** Documents the problems that an endpoint may answer with, one response for each status. */
export function ApiProblems(...codes: ProblemCode[]): MethodDecorator & ClassDecorator {
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code].status))];
  return applyDecorators(
    ApiExtraModels(ProblemSchema),
    ...statuses.map((status) =>
      ApiResponse({
        status,
        ...describeStatus(
          status,
          codes.filter((code) => PROBLEMS[code].status === status),
        ),
      }),
    ),
  );
}

/** Headers of a rate limit. */
export const RATE_LIMITS = {
  'RateLimit-Policy': {
    description: 'Each limit: how many requests (`q`) in how many seconds (`w`).',
    schema: { type: 'string', example: '"address";q=60000;w=60, "key";q=30000;w=60' },
  },
  RateLimit: {
    description: 'Remaining requests of each limit (`r`), and seconds until it resets (`t`).',
    schema: { type: 'string', example: '"address";r=59958;t=27, "key";r=29990;t=31' },
  },
};

const HEADERS: Readonly<Record<number, Record<string, object>>> = {
  401: { 'WWW-Authenticate': { description: 'Bearer', required: true, schema: { type: 'string' } } },
  429: {
    'Retry-After': { description: 'Seconds to wait.', required: true, schema: { type: 'integer' } },
    ...RATE_LIMITS,
  },
  503: { 'Retry-After': { description: 'Seconds to wait.', required: true, schema: { type: 'integer' } } },
};

interface ProblemResponse {
  description: string;
  headers: Record<string, object>;
  content: Record<string, object>;
}

/** Describes the response with this status and these problems. */
export function describeStatus(status: number, codes: readonly ProblemCode[]): ProblemResponse {
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].meaning}`).join('\n\n'),
    headers: HEADERS[status] ?? {},
    content: {
      'application/problem+json': {
        schema: { $ref: getSchemaPath(ProblemSchema) },
        examples: Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }])),
      },
    },
  };
}

function exampleOf(code: ProblemCode): Record<string, unknown> {
  const { status, title, meaning } = PROBLEMS[code];
  const hasErrors = code === 'invalid_request' || code === 'invalid_fields';
  const path = code === 'invalid_request' ? 'limit' : 'rows[1].node_type';
  const message =
    code === 'invalid_request' ? 'must be a whole number from 1 to 1000' : 'is missing; it must be a string';
  return {
    type: `/docs/problems/${code}`,
    title,
    status,
    detail: meaning,
    code,
    request_id: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
    ...(hasErrors && { errors: [{ path, message }] }),
  };
}
