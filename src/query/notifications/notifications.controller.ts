import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import { NotificationWithBodyResponse } from './notification.dto.js';
import { NotificationsReader } from './notifications.reader.js';

@Controller('v1/notifications')
@ApiTags('notifications')
@NeedsScope('read')
export class NotificationsController {
  constructor(private readonly notifications: NotificationsReader) {}

  @Get(':id')
  @ApiOperation({
    operationId: 'getNotification',
    summary: 'One notification',
    description: 'With the scope `reveal` also the bytes as received.',
  })
  @ApiIdParam('Id of the notification: the X-Request-Id of its answer.', '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55')
  @ApiOkResponse({ type: NotificationWithBodyResponse, description: 'The notification.' })
  @ApiProblems(
    'invalid_request',
    'unauthorized',
    'insufficient_scope',
    'not_found',
    'internal_error',
    'service_unavailable',
  )
  async get(
    @IdParam() id: string,
    @CurrentDisclosure() sight: Disclosure,
    @Query() _none: NoQuery,
  ): Promise<NotificationWithBodyResponse> {
    return orNotFound(await this.notifications.get(id, sight));
  }
}
