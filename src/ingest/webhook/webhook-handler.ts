import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Limits } from '../../access/rate-limit/rate-limiter.js';
import { WebhookTokens } from '../../access/webhook-token-store.js';
import { CONFIG, type Config } from '../../config/config.js';
import { describeError } from '../../database/errors.js';
import { Problem } from '../../http/problem/problem.js';
import { requestIdOf } from '../../http/request-id.js';
import { sendProblem } from '../../http/problem/send-problem.js';
import { DoorState } from '../../metrics/ingest-status.js';
import { Metrics } from '../../metrics/metrics.js';
import { isJsonByContentType, readBody } from './body-reader.js';
import { type Acceptance, NotificationBuffer } from '../write/notification-buffer.js';
import { judge, type Kind, KINDS, type Receipt } from '../notification/notification.js';
import { Refusal } from '../notification/rejection.js';
import { noRoom, type Place, Room } from './admission.js';
import { Spool, SpoolError } from '../spool/spool.js';

export const DOOR_PATH = '/webhooks/airudder';

const ACCEPTED = '{}';
const NOT_KEPT = 'The notification could not be kept just now. Please send it again.';

/** Where AI Rudder posts. A `200` means: durable. Every other answer means: not acknowledged. */
@Injectable()
export class Door {
  readonly #logger = new Logger('Door');

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly tokens: WebhookTokens,
    private readonly limits: Limits,
    private readonly room: Room,
    private readonly buffer: NotificationBuffer,
    private readonly metrics: Metrics,
    spool: Spool,
    state: DoorState,
  ) {
    state.read = () => {
      const { isClosed, isSpooling } = buffer;
      const { report } = spool;
      const isAccepting = !room.isFull && !isClosed && (!isSpooling || report.condition === 'ok');
      return { isAccepting, isSpooling, waiting: room.taken, spool: report };
    };
  }

  /** Reads, judges and keeps one notification, and answers the request. Never throws. */
  async receive(request: IncomingMessage, response: ServerResponse, token: string, kind: string): Promise<void> {
    const id = requestIdOf(response);
    try {
      if (!this.tokens.open(token, request)) this.turnAway(request, response);
      this.answer(response, await this.accept(id, kind, request));
    } catch (error) {
      this.refuse(response, error);
    }
  }

  /** A stranger learns nothing: a wrong token, a right one from the wrong address and an unknown kind are all answered alike. */
  private turnAway(request: IncomingMessage, response: ServerResponse): never {
    this.limits.countFailure(request, response);
    throw nothingHere();
  }

  private async accept(id: string, kind: string, request: IncomingMessage): Promise<Acceptance> {
    if (!isKind(kind)) throw nothingHere();
    this.metrics.countReceived();
    const place = this.room.enter();
    if (!place) throw noRoom();
    try {
      return await this.keep(id, kind, request, place);
    } finally {
      place.leave();
    }
  }

  private async keep(id: string, kind: Kind, request: IncomingMessage, place: Place): Promise<Acceptance> {
    // Received is what is here whole: counted from its head, a slow one would be older than what overtook it.
    const receive = (): Receipt => ({ id, kind, receivedAt: new Date() });
    try {
      const body = await readBody(request, this.config.bodyLimitBytes, place);
      if (!isJsonByContentType(request)) {
        throw new Refusal('unsupported_media_type', 'Content-Type must be application/json.', body);
      }
      return await this.buffer.add(judge(receive(), body));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const quarantine_id = await this.buffer.keepRefused(receive(), error);
      this.#logger.warn('notification refused', { request_id: id, quarantine_id, kind, reason: error.reason });
      throw new Problem(error.reason, error.message, error.errors);
    }
  }

  private answer(response: ServerResponse, acceptance: Acceptance): void {
    this.metrics.countAccepted(acceptance);
    response.writeHead(200, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': ACCEPTED.length,
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(ACCEPTED, 'latin1');
  }

  /** Whatever is no Problem is our own trouble, and the notification is not kept: the sender must try again. */
  private refuse(response: ServerResponse, error: unknown): void {
    const problem = error instanceof Problem ? error : new Problem('service_unavailable', NOT_KEPT);
    // That the spool takes nothing was logged when it began.
    if (!(error instanceof Problem) && !(error instanceof SpoolError)) {
      this.#logger.error('notification not kept', { request_id: requestIdOf(response), error: describeError(error) });
    }
    this.metrics.countRefused(problem.code);
    sendProblem(response, problem);
  }
}

function nothingHere(): Problem {
  return new Problem('not_found', 'There is nothing here.');
}

function isKind(kind: string): kind is Kind {
  return KINDS.some((known) => known === kind);
}
