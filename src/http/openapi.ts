import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

/** Under this name the document tells which scope an operation needs: OpenAPI 3.0 has no word for it. */
export const SCOPE_EXTENSION = 'x-scope';

type OperationObject = NonNullable<OpenAPIObject['paths'][string]['get']>;
type ResponseObject = { headers?: Record<string, object> };

const description = `Receives AI Rudder's workflow notifications and answers whether a case is done.

**Keys.** The webhook is opened by the token in its path. Everything under \`/v1\` needs an API key, sent as
\`Authorization: Bearer <key>\`: press *Authorize* and paste it. A key has scopes: \`read\` asks; \`reveal\` also sees whole
phone numbers and raw bodies; \`operate\` also works the quarantine. Without \`reveal\` a phone number shows its last three
characters behind asterisks, or only asterisks if it has six characters or fewer. Health and metrics need no key.

**Lists** come as \`{ "data": […], "next_cursor": "…" }\`. Pass \`next_cursor\` as \`cursor\`, with the same filters, to get
the next page; it is null on the last one.

The document behind this page is [/openapi.json](/openapi.json).

**Times** are RFC 3339 in UTC with milliseconds. **Errors** are RFC 9457 problem details. Every answer of an
endpoint carries \`X-Request-Id\`.`;

/** The OpenAPI document of the running service. `openapi.json` is its committed copy. */
export function buildOpenApi(app: INestApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setTitle('AI Rudder notifications')
    .setDescription(description)
    .setVersion('1')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addTag('webhook', 'Where AI Rudder posts.')
    .addTag('cases', 'Is this case done, when, and through which node tasks?')
    .addTag('completions', 'What was completed, as it happens.')
    .addTag('workflows', 'The workflows that cases belong to.')
    .addTag('notifications', 'What was received.')
    .addTag('quarantine', 'What was refused, and why.')
    .addTag('operations', 'Health and metrics.')
    .addBearerAuth(
      {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'opaque',
        description: 'The secret of an entry in API_KEYS, or the API key that the start printed.',
      },
      'apiKey',
    );
  return describeAll(SwaggerModule.createDocument(app, builder.build()));
}

/** Adds what is true of every operation: the header of its answers, and in words the scope that the extension names. */
function describeAll(document: OpenAPIObject): OpenAPIObject {
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path) as OperationObject[]) {
      for (const response of Object.values(operation.responses)) describeRequestId(response as ResponseObject);
      const scope: unknown = Reflect.get(operation, SCOPE_EXTENSION);
      if (typeof scope !== 'string') continue;
      operation.description = [operation.description, `Needs the scope \`${scope}\`.`].filter(Boolean).join('\n\n');
    }
  }
  return document;
}

function describeRequestId(response: ResponseObject): void {
  response.headers = {
    'X-Request-Id': { description: 'Id of this request.', schema: { type: 'string', format: 'uuid' } },
    ...response.headers,
  };
}

/** The document as the file `openapi.json` has it. */
export function renderOpenApi(app: INestApplication): string {
  return `${JSON.stringify(buildOpenApi(app), null, 2)}\n`;
}

/** Serves Swagger UI at /docs and the document at /openapi.json. */
export function serveOpenApi(app: INestApplication): void {
  SwaggerModule.setup('docs', app, buildOpenApi(app), {
    jsonDocumentUrl: 'openapi.json',
    customSiteTitle: 'AI Rudder notifications',
    swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true, defaultModelsExpandDepth: 0 },
  });
}
