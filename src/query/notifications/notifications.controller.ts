import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import { ApiPage, PageQuery } from '../../http/rest/page.js';
import { NotificationsPage, NotificationWithBodyResponse } from './notification.dto.js';
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
  @ApiIdParam('Id of the notification: the X-Request-Id of its response.', '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55')
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
    @CurrentDisclosure() disclosure: Disclosure,
    @Query() _none: NoQuery,
  ): Promise<NotificationWithBodyResponse> {
    return orNotFound(await this.notifications.get(id, disclosure));
  }
}

/** Serves the timeline of a case. */
@Controller('v1/cases')
@ApiTags('cases')
@NeedsScope('read')
@ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class CaseNotificationsController {
  constructor(private readonly notifications: NotificationsReader) {}

  @Get(':id/notifications')
  @ApiOperation({
    operationId: 'listCaseNotifications',
    summary: 'The timeline of a case: every delivery with its verdict',
    description: 'In order of receipt.',
  })
  @ApiIdParam('Id of the case in this service.', '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77')
  @ApiPage(NotificationsPage)
  @ApiProblems('invalid_request', 'invalid_cursor', 'not_found')
  async listNotifications(
    @IdParam() id: string,
    @Query() query: PageQuery,
    @CurrentDisclosure() disclosure: Disclosure,
  ): Promise<NotificationsPage> {
    return orNotFound(await this.notifications.listOfCase(id, query, disclosure));
  }
}
