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
import { judge, type Kind, KINDS, type Receipt } from '../notification/notification.js';
import { Rejection } from '../notification/rejection.js';
import { overloaded, type Admission, AdmissionControl } from './admission.js';
import { SpoolError } from '../spool/spool.js';

export const WEBHOOK_PATH = '/webhooks/airudder';

const ACCEPTED = '{}';
const NOT_STORED_MESSAGE = 'The notification could not be kept just now. Please send it again.';

/** Where AI Rudder posts. A `200` means: durable. Every other answer means: not acknowledged. */
@Injectable()
export class WebhookHandler {
  readonly #logger = new Logger('Door');

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly tokens: WebhookTokenStore,
    private readonly limits: RateLimiter,
    private readonly room: AdmissionControl,
    private readonly buffer: NotificationBuffer,
    private readonly metrics: Metrics,
  ) {}

  /** Reads, judges and keeps one notification, and answers the request. Never throws. */
  async receive(request: IncomingMessage, response: ServerResponse, token: string, kind: string): Promise<void> {
    const id = requestIdOf(response);
    try {
      if (!this.tokens.isAuthorized(token, request)) this.rejectUnauthorized(request, response);
      this.answer(response, await this.admit(id, kind, request));
    } catch (error) {
      this.refuse(response, error);
    }
  }

  /** A stranger learns nothing: a wrong token, a right one from the wrong address and an unknown kind are all answered alike. */
  private rejectUnauthorized(request: IncomingMessage, response: ServerResponse): never {
    this.limits.countFailure(request, response);
    throw notFound();
  }

  private async admit(id: string, kind: string, request: IncomingMessage): Promise<Acceptance> {
    if (!isKind(kind)) throw notFound();
    this.metrics.notificationsReceived.inc();
    const place = this.room.tryAcquire();
    if (!place) throw overloaded();
    try {
      return await this.ingestBody(id, kind, request, place);
    } finally {
      place.release();
    }
  }

  private async ingestBody(id: string, kind: Kind, request: IncomingMessage, place: Admission): Promise<Acceptance> {
    // Received is what is here whole: counted from its head, a slow one would be older than what overtook it.
    const receive = (): Receipt => ({ id, kind, receivedAt: new Date() });
    try {
      const body = await readBody(request, this.config.bodyLimitBytes, place);
      if (!isJsonByContentType(request)) {
        throw new Rejection('unsupported_media_type', 'Content-Type must be application/json.', body);
      }
      return await this.buffer.add(judge(receive(), body));
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      const quarantine_id = await this.buffer.storeRejected(receive(), error);
      this.#logger.warn('notification refused', { request_id: id, quarantine_id, kind, reason: error.reason });
      throw new Problem(error.reason, error.message, error.errors);
    }
  }

  private answer(response: ServerResponse, acceptance: Acceptance): void {
    this.metrics.notificationsAccepted.inc({ verdict: acceptance });
    response.writeHead(200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': ACCEPTED.length,
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(ACCEPTED, 'latin1');
  }

  /** Whatever is no Problem is our own trouble, and the notification is not kept: the sender must try again. */
  private refuse(response: ServerResponse, error: unknown): void {
    const problem = error instanceof Problem ? error : new Problem('service_unavailable', NOT_STORED_MESSAGE);
    // That the spool takes nothing was logged when it began.
    if (!(error instanceof Problem) && !(error instanceof SpoolError)) {
      this.#logger.error('notification not kept', { request_id: requestIdOf(response), error: describeError(error) });
    }
    this.metrics.notificationsRefused.inc({ reason: problem.code });
    sendProblem(response, problem);
  }
}

function notFound(): Problem {
  return new Problem('not_found', 'There is nothing here.');
}

function isKind(kind: string): kind is Kind {
  return KINDS.some((known) => known === kind);
}
