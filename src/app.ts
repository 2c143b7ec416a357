import type { Server } from 'node:http';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { AppModule } from './app.module.js';
import type { Config } from './config.js';
import { answerBrokenRequests } from './http/broken-requests.js';
import { applyHttpRules } from './http/http-rules.js';
import { serveOpenApi } from './http/openapi.js';
import { ProblemFilter } from './http/problem.filter.js';
import { RequestValidation } from './http/validation.js';
import { Door } from './ingest/door.js';
import { takeShortWay } from './ingest/short-way.js';
import { Metrics } from './operations/metrics.js';
import { observeRequests } from './operations/observe-requests.js';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_HEADERS = 100;
/** Longer than what stands in front usually keeps a connection: else that one may send on a connection just closed. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

/**
 * Builds the service, ready to `listen`, but neither connected to its database (`DatabaseStart`) nor with its spool
 * open (`Intake`).
 *
 * @param databaseUrl undefined builds it to look at its document only
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
  app.use(observeRequests(app.get(Metrics)));
  // Whether there is TLS, and for which names, is known to what stands in front, not here.
  const contentSecurityPolicy = { directives: { upgradeInsecureRequests: null } };
  app.use(helmet({ contentSecurityPolicy, strictTransportSecurity: false }));
  applyHttpRules(app);
  app.useGlobalFilters(new ProblemFilter());
  app.useGlobalPipes(new RequestValidation());
  serveOpenApi(app);
  limitRequests(app.getHttpServer());
  answerBrokenRequests(app.getHttpServer());
  takeShortWay(app.getHttpServer(), app.get(Door), app.get(Metrics));
  return app.init();
}

/** Node itself bounds all headers together at 16 KiB. */
function limitRequests(server: Server): void {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  server.maxHeadersCount = MAX_HEADERS;
}
