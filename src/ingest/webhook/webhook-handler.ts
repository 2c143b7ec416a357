import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { RateLimiter } from '../../access/rate-limit/rate-limiter.js';
import { WebhookTokenStore } from '../../access/webhook-token-store.js';
import { CONFIG, type Config } from '../../config/config.js';
import { describeError } from '../../database/errors.js';
import { Problem } from '../../http/problem/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { sendProblem } from '../../http/problem/send-problem.js';
import { Metrics } from '../../metrics/metrics.js';
import { isJsonByContentType, readBody } from './body-reader.js';
import { type Acceptance, NotificationBuffer } from '../write/notification-buffer.js';
import { type Kind, KINDS, type Notification, parseNotification, type Receipt } from '../notification/notification.js';
import { Rejection } from '../notification/rejection.js';
import { overloaded, type Admission, AdmissionControl } from './admission.js';
import { SpoolError } from '../spool/spool.js';

export const WEBHOOK_PATH = '/webhooks/airudder';

const ACCEPTED = '{}';
const NOT_STORED_MESSAGE = 'The notification could not be stored. Please send it again.';

/** Receives the notifications of AI Rudder. Only a `200` acknowledges a notification: it is then durable. */
@Injectable()
export class WebhookHandler {
  readonly #logger = new Logger('Webhook');

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly tokens: WebhookTokenStore,
    private readonly limits: RateLimiter,
    private readonly admissions: AdmissionControl,
    private readonly buffer: NotificationBuffer,
    private readonly metrics: Metrics,
  ) {}

  /** Reads, parses and stores one notification, and responds. Never throws. */
  async receive(request: IncomingMessage, response: ServerResponse, token: string, kind: string): Promise<void> {
    const id = requestIdOf(response);
    try {
      if (!this.tokens.isAuthorized(token, request)) this.rejectUnauthorized(request, response);
      this.acknowledge(response, await this.admit(id, kind, request));
    } catch (error) {
      this.fail(response, error);
    }
  }

  /** A wrong token, a right token from a wrong address and an unknown kind get the same response: it reveals no token. */
  private rejectUnauthorized(request: IncomingMessage, response: ServerResponse): never {
    this.limits.countFailure(request, response);
    throw notFound();
  }

  private async admit(id: string, kind: string, request: IncomingMessage): Promise<Acceptance> {
    if (!isKind(kind)) throw notFound();
    this.metrics.notificationsReceived.inc();
    const admission = this.admissions.tryAcquire();
    if (!admission) throw overloaded();
    try {
      return await this.ingestBody(id, kind, request, admission);
    } finally {
      admission.release();
    }
  }

  private async ingestBody(
    id: string,
    kind: Kind,
    request: IncomingMessage,
    admission: Admission,
  ): Promise<Acceptance> {
    const body = await readBody(request, this.config.bodyLimitBytes, admission);
    // The last byte counts as the receipt: by its first byte a slow request would be older than one that overtook it.
    const receipt: Receipt = { id, kind, receivedAt: new Date() };
    const parsed = body instanceof Rejection ? body : parseRequest(receipt, request, body);
    const result = parsed instanceof Rejection ? parsed : await this.buffer.add(parsed);
    return result instanceof Rejection ? this.reject(receipt, result) : result;
  }

  private async reject(receipt: Receipt, rejection: Rejection): Promise<never> {
    const { id, kind } = receipt;
    const quarantine_id = await this.buffer.storeRejected(receipt, rejection);
    this.#logger.warn('notification rejected', { request_id: id, quarantine_id, kind, reason: rejection.reason });
    throw new Problem(rejection.reason, rejection.message, rejection.errors);
  }

  private acknowledge(response: ServerResponse, acceptance: Acceptance): void {
    this.metrics.notificationsAccepted.inc({ verdict: acceptance });
    response.writeHead(200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': ACCEPTED.length,
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(ACCEPTED, 'latin1');
  }

  /** Any other error than a Problem is a failure of the service: the notification is not stored, and the client retries. */
  private fail(response: ServerResponse, error: unknown): void {
    const problem = error instanceof Problem ? error : new Problem('service_unavailable', NOT_STORED_MESSAGE);
    // The spool logs its own failures once.
    if (!(error instanceof Problem) && !(error instanceof SpoolError)) {
      this.#logger.error('notification not stored', { request_id: requestIdOf(response), error: describeError(error) });
    }
    this.metrics.notificationsRefused.inc({ reason: problem.code });
    sendProblem(response, problem);
  }
}

function parseRequest(receipt: Receipt, request: IncomingMessage, body: Buffer): Notification | Rejection {
  if (isJsonByContentType(request)) return parseNotification(receipt, body);
  return new Rejection('unsupported_media_type', 'Content-Type must be application/json.', body);
}

function notFound(): Problem {
  return new Problem('not_found', 'There is nothing here.');
}

function isKind(kind: string): kind is Kind {
  return KINDS.some((supported) => supported === kind);
}
