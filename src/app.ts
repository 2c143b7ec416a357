import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { AppModule } from './app.module.js';
import type { Config } from './config/config.js';
import { handleMalformedRequests } from './http/server/malformed-requests.js';
import { applyResponseHeaders } from './http/rest/response-headers.js';
import { serveOpenApi } from './http/rest/openapi.js';
import { ProblemFilter } from './http/problem/problem.filter.js';
import { TimeLimitedExpressAdapter } from './http/server/http-server.js';
import { RequestValidation } from './http/rest/validation.js';
import { WebhookHandler } from './ingest/webhook/webhook-handler.js';
import { installFastPath } from './ingest/webhook/fast-path.js';
import { Metrics } from './metrics/metrics.js';
import { observeRequests } from './http/server/observe-requests.js';

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
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.for(config, databaseUrl),
    new TimeLimitedExpressAdapter(),
    {
      bodyParser: false, // the door reads its own bodies, and keeps the bytes
      logger,
      abortOnError: false,
    },
  );
  app.disable('x-powered-by');
  app.use(observeRequests(app.get(Metrics)));
  // Whether there is TLS, and for which names, is known to what stands in front, not here.
  const contentSecurityPolicy = { directives: { upgradeInsecureRequests: null } };
  app.use(helmet({ contentSecurityPolicy, strictTransportSecurity: false }));
  applyResponseHeaders(app);
  app.useGlobalFilters(new ProblemFilter());
  app.useGlobalPipes(new RequestValidation());
  serveOpenApi(app);
  const metrics = app.get(Metrics);
  installFastPath(app.getHttpServer(), app.get(WebhookHandler), metrics);
  handleMalformedRequests(app.getHttpServer(), (reason) => metrics.countConnectionEnded(reason));
  return app.init();
}
