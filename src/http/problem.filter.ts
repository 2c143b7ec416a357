import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { describeError, isDatabaseUnavailable } from '../database/errors.js';
import { Problem, PROBLEMS } from './problem.js';
import { requestIdOf, routeOf } from './request.js';

const RETRY_AFTER_S = 5;

/** Turns whatever a request ends with into `application/problem+json`; what is our own fault is logged, without values. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const requestId = requestIdOf(response);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const problem = toProblem(error);
    const [status, title] = PROBLEMS[problem.code];
    if (status >= 500) {
      const request = host.switchToHttp().getRequest<Request>();
      const route = routeOf(request);
      this.#logger.error('request failed', {
        request_id: requestId,
        method: request.method,
        route,
        status,
        error: describeError(error instanceof Problem ? error.cause : error),
      });
    }
    if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
    if (status === 503) response.setHeader('Retry-After', String(RETRY_AFTER_S));
    response
      .status(status)
      .type('application/problem+json')
      .send(
        JSON.stringify({
          type: `/docs/problems/${problem.code}`,
          title,
          status,
          detail: problem.detail,
          code: problem.code,
          request_id: requestId,
          errors: problem.errors?.length ? problem.errors : undefined,
        }),
      );
  }
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isDatabaseUnavailable(error)) return new Problem('service_unavailable', 'The database cannot be reached now.');
  const status = statusOf(error);
  // Beside our own problems only Express's refusal of a path that is no UTF-8 comes as 400: such a path leads nowhere.
  if (status === 404 || status === 400) return new Problem('not_found', 'There is nothing here.');
  if (status >= 400 && status < 500) return new Problem('invalid_request', 'The request is malformed.');
  return new Problem('internal_error', 'Something went wrong on our side.');
}

/** The framework's errors, and those of Express's own parsers, which carry a `status`. */
function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  const status: unknown = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' ? status : 500;
}
