import type { RequestListener, Server } from 'node:http';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { AppModule } from './app.module.js';
import type { Config } from './config/config.js';
import { ConnectionTracker } from './http/server/connection-tracker.js';
import { handleMalformedRequests, requireHostHeader } from './http/server/malformed-requests.js';
import { applyResponseHeaders } from './http/rest/response-headers.js';
import { serveOpenApi } from './http/rest/openapi.js';
import { ProblemFilter } from './http/problem/problem.filter.js';
import { TimeLimitedExpressAdapter } from './http/server/http-server.js';
import { RequestValidation } from './http/rest/validation.js';
import { WebhookHandler } from './ingest/webhook/webhook-handler.js';
import { composeRequestChain } from './http/server/request-chain.js';
import { assignRequestIds } from './http/request-id.js';
import { webhookFastPath } from './ingest/webhook/fast-path.js';
import { Metrics } from './metrics/metrics.js';
import { observeRequests } from './http/server/observe-requests.js';

/**
 * Builds the service, ready to `listen`. `DatabaseStartup` connects its database, and `IngestLifecycle` opens its spool.
 * A request passes the steps of the request chain in their order, then Express.
 *
 * @param databaseUrl undefined if only the OpenAPI document is needed
 */
export async function createApp(
  config: Config,
  databaseUrl: string | undefined,
  logger: LoggerService | false,
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.for(config, databaseUrl),
    new TimeLimitedExpressAdapter(),
    {
      bodyParser: false, // the webhook reads bodies itself and stores their bytes
      logger,
      abortOnError: false,
    },
  );
  app.disable('x-powered-by');
  app.use(observeRequests(app.get(Metrics)));
  // The reverse proxy terminates TLS, so only it can set the headers that require TLS.
  const contentSecurityPolicy = { directives: { upgradeInsecureRequests: null } };
  app.use(helmet({ contentSecurityPolicy, strictTransportSecurity: false }));
  applyResponseHeaders(app);
  app.useGlobalFilters(new ProblemFilter());
  app.useGlobalPipes(new RequestValidation());
  serveOpenApi(app);
  const metrics = app.get(Metrics);
  const server: Server = app.getHttpServer();
  handleMalformedRequests(server, (reason) => metrics.connectionsEnded.inc({ reason }));
  const steps = [
    app.get(ConnectionTracker).track(server),
    requireHostHeader,
    assignRequestIds,
    webhookFastPath(app.get(WebhookHandler), metrics),
  ];
  const express = app.getHttpAdapter().getInstance() as RequestListener;
  server.removeAllListeners('request').on('request', composeRequestChain(steps, express));
  return app.init();
}
