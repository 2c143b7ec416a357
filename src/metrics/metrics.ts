import { Injectable } from '@nestjs/common';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The counters and histograms of the service. No label has a value that a client chooses. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly notificationsReceived = new Counter({
    name: 'airudder_notifications_received_total',
    help: 'Notifications with a valid token and a known kind, whatever the answer.',
    registers: [this.registry],
  });
  readonly notificationsAccepted = new Counter({
    name: 'airudder_notifications_accepted_total',
    help: 'Notifications acknowledged with 200, by verdict; `spooled` if it is not known yet.',
    labelNames: ['verdict'],
    registers: [this.registry],
  });
  readonly notificationsRefused = new Counter({
    name: 'airudder_notifications_refused_total',
    help: 'Requests to the webhook that are not acknowledged, by the code of the answer.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly writeRetries = new Counter({
    name: 'airudder_write_retries_total',
    help: 'Retries of write transactions, by the SQLSTATE or the error name of the failed attempt.',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly replicaFailures = new Counter({
    name: 'airudder_replica_failures_total',
    help: 'Reads that fail on a read replica and go to the primary, by the SQLSTATE or the error name.',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly rateLimited = new Counter({
    name: 'airudder_rate_limited_total',
    help: 'Requests answered with 429, by limit: per key, per address, failures (wrong tokens and keys).',
    labelNames: ['limit'],
    registers: [this.registry],
  });
  readonly addressesRefused = new Counter({
    name: 'airudder_addresses_refused_total',
    help: 'Requests to the webhook with a valid token from an address outside WEBHOOK_ALLOWED_ADDRESSES.',
    registers: [this.registry],
  });
  readonly connectionsEnded = new Counter({
    name: 'airudder_connections_ended_total',
    help: 'Connections closed because of a malformed or slow request or a stalled response, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly secretReloads = new Counter({
    name: 'airudder_secrets_reloads_total',
    help: 'Reloads of a changed file with tokens or keys, by outcome.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  readonly commitSize = new Histogram({
    name: 'airudder_commit_notifications',
    help: 'Notifications per commit.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200],
    registers: [this.registry],
  });
  readonly commitDuration = new Histogram({
    name: 'airudder_commit_duration_seconds',
    help: 'Time to commit a batch of notifications in PostgreSQL or in the spool.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [this.registry],
  });
  readonly requestDuration = new Histogram({
    name: 'airudder_http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its response.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });
  readonly watchingRequests = new Gauge({
    name: 'airudder_watching_requests',
    help: 'Requests and streams that wait for a completion.',
    registers: [this.registry],
  });
  readonly retentionRemoved = new Counter({
    name: 'airudder_retention_removed_total',
    help: 'Rows removed because of their age.',
    labelNames: ['rows'],
    registers: [this.registry],
  });
  readonly oldestRow = new Gauge({
    name: 'airudder_oldest_row_timestamp_seconds',
    help: 'Time of the oldest row of each kind; 0 if there is none. Only the replica that runs retention has it.',
    labelNames: ['rows'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}
