import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiExtraModels, ApiOkResponse, ApiOperation, ApiParam, getSchemaPath } from '@nestjs/swagger';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { KINDS } from '../notification/notification.js';
import { PROVIDER_EXAMPLE } from '../notification/provider-example.js';
import { WorkflowListCompletion } from '../notification/workflow-list-completion.js';

const description = `The address to paste into AI Rudder's console, one for each kind of notification.

A \`200\` with the body \`{}\` acknowledges the notification: it is committed in PostgreSQL. While PostgreSQL is unavailable, it
is synced to local disk, and written to PostgreSQL later. No other response acknowledges it. \`X-Request-Id\` is the id of the
notification. A repeated notification is harmless: it is recorded and counted, and the case does not change.

Unknown fields are accepted and stored. The quarantine stores every rejected body as received.`;

/** Describes the webhook in the OpenAPI document. The handler reads the body itself, so Swagger cannot infer its schema. */
export function DescribeWebhook(): MethodDecorator {
  return applyDecorators(
    ApiOperation({ operationId: 'receiveNotification', summary: 'Receive a notification from AI Rudder', description }),
    ApiParam({
      name: 'token',
      description: 'One of WEBHOOK_TOKENS, or the webhook token that the service printed at its start.',
      schema: { type: 'string' },
    }),
    ApiParam({
      name: 'kind',
      description: 'Kind of the notification.',
      schema: { type: 'string', enum: [...KINDS], default: KINDS[0] },
    }),
    ApiExtraModels(WorkflowListCompletion),
    ApiBody({
      required: true,
      schema: { $ref: getSchemaPath(WorkflowListCompletion) },
      examples: { provider: { summary: "The provider's own example", value: PROVIDER_EXAMPLE } },
    }),
    ApiOkResponse({
      description: 'Committed in PostgreSQL, or synced to local disk.',
      headers: {
        'X-Request-Id': {
          description: "The notification's id.",
          required: true,
          schema: { type: 'string', format: 'uuid' },
        },
      },
      schema: { type: 'object', additionalProperties: false, example: {} },
    }),
    ApiProblems('not_json', 'invalid_fields', 'undecodable_body', 'unstorable', 'incomplete_body'),
    ApiProblems('not_found', 'body_too_large', 'unsupported_media_type', 'too_many_requests'),
    ApiProblems('quarantine_full', 'service_unavailable'),
  );
}
