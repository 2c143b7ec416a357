import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { describeError, isDatabaseUnavailable } from '../../database/errors.js';
import { Problem, PROBLEMS } from './problem.js';
import { requestIdOf, routeOf } from '../request-id.js';
import { sendProblem } from './send-problem.js';

/** Turns every error of a request into `application/problem+json`, and logs faults of the service without values. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger('Http');

  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const problem = toProblem(error);
    const { status } = PROBLEMS[problem.code];
    const isDeliberate = error instanceof Problem && error.cause === undefined; // such as an overload
    if (status >= 500 && !isDeliberate) {
      const request = host.switchToHttp().getRequest<Request>();
      const route = routeOf(request);
      this.#logger.error('request failed', {
        request_id: requestIdOf(response),
        method: request.method,
        route,
        status,
        error: describeError(error instanceof Problem ? error.cause : error),
      });
    }
    sendProblem(response, problem);
  }
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (isDatabaseUnavailable(error))
    return new Problem('service_unavailable', 'The database is unavailable, or too many requests wait for it.');
  const status = statusOf(error);
  // A 400 of Express means that the path is not UTF-8, so it matches nothing.
  if (status === 404 || status === 400) return new Problem('not_found', 'There is nothing here.');
  if (status >= 400 && status < 500) return new Problem('invalid_request', 'The request is malformed.');
  return new Problem('internal_error', 'The service has a fault.');
}

/** Returns the status of an error of Nest, or of an error of Express, which has a `status`. */
function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  const status: unknown = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' ? status : 500;
}
