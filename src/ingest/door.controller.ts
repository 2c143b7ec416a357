import { Controller, HttpCode, Inject, Logger, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { WebhookTokens } from '../access/webhook-tokens.js';
import { CONFIG, type Config } from '../config.js';
import { isUnstorable } from '../database/errors.js';
import { Problem } from '../http/problem.js';
import { requestIdOf } from '../http/request.js';
import { Metrics } from '../operations/metrics.js';
import { isJsonByContentType, readBody } from './body.js';
import { DescribeDoor } from './door.openapi.js';
import { judge, type Kind, KINDS, type Notification, type Receipt } from './notification.js';
import { Quarantine } from './quarantine.js';
import { Refusal } from './refusal.js';
import { Writer } from './writer.js';

const NOT_KEPT = 'The notification could not be kept just now. Please send it again.';

/** Where AI Rudder posts. A `200` means: committed. Every other answer means: not acknowledged. */
@Controller('webhooks/airudder')
@ApiTags('webhook')
export class DoorController {
  readonly #logger = new Logger('Door');

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly tokens: WebhookTokens,
    private readonly writer: Writer,
    private readonly quarantine: Quarantine,
    private readonly metrics: Metrics,
  ) {}

  @Post(':token/:kind')
  @HttpCode(200)
  @DescribeDoor()
  async receive(
    @Param('token') token: string,
    @Param('kind') kind: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Record<string, never>> {
    try {
      if (!this.tokens.include(token) || !isKind(kind)) throw new Problem('not_found', 'There is nothing here.');
      this.metrics.countReceived();
      await this.accept(requestIdOf(response), kind, request);
      return {};
    } catch (error) {
      // Whatever goes wrong here is our own trouble, and the notification is not kept: the sender must try again.
      const problem = error instanceof Problem ? error : new Problem('service_unavailable', NOT_KEPT, [], error);
      this.metrics.countRefused(problem.code);
      throw problem;
    }
  }

  private async accept(id: string, kind: Kind, request: Request): Promise<void> {
    // Received is what is here whole: counted from its head, a slow one would be older than what overtook it.
    const receive = (): Receipt => ({ id, kind, receivedAt: new Date() });
    try {
      const body = await readBody(request, this.config.bodyLimitBytes);
      if (!isJsonByContentType(request)) {
        throw new Refusal('unsupported_media_type', 'Content-Type must be application/json.', body);
      }
      await this.write(judge(receive(), body));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      await this.keep(receive(), error);
      throw new Problem(error.reason, error.message, error.errors);
    }
  }

  private async keep(receipt: Receipt, refusal: Refusal): Promise<void> {
    const quarantine_id = await this.quarantine.keep(receipt, refusal);
    const { id: request_id, kind } = receipt;
    this.#logger.warn('notification refused', { request_id, quarantine_id, kind, reason: refusal.reason });
  }

  private async write(notification: Notification): Promise<void> {
    try {
      const verdicts = await this.writer.write([notification]);
      for (const verdict of verdicts.values()) this.metrics.countAccepted(verdict);
    } catch (error) {
      if (!isUnstorable(error)) throw error;
      throw new Refusal('unstorable', 'The database refused the content of this notification.', notification.body);
    }
  }
}

function isKind(kind: string): kind is Kind {
  return KINDS.some((known) => known === kind);
}
