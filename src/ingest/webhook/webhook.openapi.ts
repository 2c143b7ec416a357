import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiExtraModels, ApiOkResponse, ApiOperation, ApiParam, getSchemaPath } from '@nestjs/swagger';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { KINDS } from '../notification/notification.js';
import { PROVIDER_EXAMPLE } from '../notification/provider-example.js';
import { WorkflowListCompletion } from '../notification/workflow-list-completion.js';

const description = `The address to paste into AI Rudder's console, one for each kind of notification.

\`200\` with the body \`{}\` is sent after the transaction that holds the notification is committed, or, while PostgreSQL is
away, after it is safe on local disk, from where it is brought to PostgreSQL later. No other answer acknowledges it.
\`X-Request-Id\` is then the notification's id. Sending one again is harmless: it is recorded and counted, and the case does
not change.

Unknown fields are accepted and kept. Every body that is refused for what it is goes into quarantine, whole.`;

/** The door in the OpenAPI document. The body is read and judged by the door itself, so nothing here can be inferred. */
export function DescribeWebhook(): MethodDecorator {
  return applyDecorators(
    ApiOperation({ operationId: 'receiveNotification', summary: 'Receive a notification from AI Rudder', description }),
    ApiParam({
      name: 'token',
      description:
        'One of WEBHOOK_TOKENS, or the webhook token that the start printed. It is the only key to this door.',
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
      description: 'Committed, or safe on local disk.',
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
