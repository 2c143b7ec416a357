import { createServer, type RequestListener } from 'node:http';
import { ExpressAdapter } from '@nestjs/platform-express';

/** From the connection, or the first byte after an earlier answer. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** How often Node looks for those that take longer: its own 30 s would let them stay for 45. */
const CHECK_INTERVAL_MS = 1_000;
/** Longer than what stands in front usually keeps a connection: else that one may send on a connection just closed. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** A client that takes nothing of its answer for so long is gone, or as good as that. */
const STALL_TIMEOUT_MS = 60_000;
/** Each takes some kilobytes, and a file descriptor. */
const MAX_CONNECTIONS = 10_000;
const MAX_HEADERS = 100;

/** Express, on a server that lets nobody take as long as they like. Node itself bounds all headers together at 16 KiB. */
export class TimeLimitedExpressAdapter extends ExpressAdapter {
  override initHttpServer(): void {
    const server = createServer(
      {
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
        requireHostHeader: false, // it is required, but Node's own refusal would be no problem details: see refuseHostless
      },
      this.getInstance<RequestListener>(),
    );
    server.maxHeadersCount = MAX_HEADERS;
    server.maxConnections = MAX_CONNECTIONS;
    server.timeout = STALL_TIMEOUT_MS;
    this.httpServer = server;
  }
}
