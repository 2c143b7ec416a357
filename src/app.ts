import type { Server } from 'node:http';
import { type LoggerService, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { AppModule } from './app.module.js';
import type { Config } from './config.js';
import { toFieldErrors } from './http/field-errors.js';
import { serveOpenApi } from './http/openapi.js';
import { ProblemFilter } from './http/problem.filter.js';
import { Problem } from './http/problem.js';
import { assignRequestId } from './http/request.js';
import { Metrics } from './operations/metrics.js';
import { observeRequests } from './operations/observe-requests.js';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_HEADERS = 100;

/**
 * Builds the service, ready to `listen`.
 *
 * @param databaseUrl of a migrated database; undefined builds it without ever connecting, to look at its document
 */
export async function createApp(
  config: Config,
  databaseUrl: string | undefined,
  logger: LoggerService | false,
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule.for(config, databaseUrl), {
    bodyParser: false, // the door reads its own bodies, and keeps the bytes
    logger,
    abortOnError: false,
  });
  app.disable('x-powered-by');
  app.use(assignRequestId, observeRequests(app.get(Metrics)));
  // Upgrading to https would break Swagger UI wherever TLS ends elsewhere or nowhere.
  app.use(helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } }));
  app.useGlobalFilters(new ProblemFilter());
  app.useGlobalPipes(
    new ValidationPipe({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      exceptionFactory: (errors) =>
        new Problem('invalid_request', 'The request is not valid: see errors.', toFieldErrors(errors)),
    }),
  );
  serveOpenApi(app);
  limitRequests(app.getHttpServer());
  return app.init();
}

/** Node itself bounds all headers together at 16 KiB. */
function limitRequests(server: Server): void {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxHeadersCount = MAX_HEADERS;
}
