import { createServer, type RequestListener } from 'node:http';
import { ExpressAdapter } from '@nestjs/platform-express';

/** Measured from the connection, or from the first byte after the previous response. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Interval of Node's timeout checks. With the default of 30 s a timeout of 15 s could take 45 s. */
const CHECK_INTERVAL_MS = 1_000;
/** Longer than the idle timeout of common load balancers, so that the balancer closes first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** A client that reads nothing for this long is considered disconnected. */
const STALL_TIMEOUT_MS = 60_000;
/** A connection needs some kilobytes and a file descriptor. */
const MAX_CONNECTIONS = 10_000;
const MAX_HEADERS = 100;

/** Express adapter whose server enforces time limits. Node itself limits the total size of headers to 16 KiB. */
export class TimeLimitedExpressAdapter extends ExpressAdapter {
  override initHttpServer(): void {
    const server = createServer(
      {
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
        requireHostHeader: false, // `requireHostHeader` rejects with problem details instead
      },
      this.getInstance<RequestListener>(),
    );
    server.maxHeadersCount = MAX_HEADERS;
    server.maxConnections = MAX_CONNECTIONS;
    server.timeout = STALL_TIMEOUT_MS;
    this.httpServer = server;
  }
}
