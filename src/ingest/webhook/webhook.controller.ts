import { Controller, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { DescribeDoor } from './webhook.openapi.js';
import { Door } from './webhook-handler.js';

/** The door in Nest's routes: its documentation, and the way for spellings that `takeShortWay` does not know. */
@Controller('webhooks/airudder')
@ApiTags('webhook')
export class DoorController {
  constructor(private readonly door: Door) {}

  @Post(':token/:kind')
  @DescribeDoor()
  async receive(
    @Param('token') token: string,
    @Param('kind') kind: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    await this.door.receive(request, response, token, kind);
  }
}
