import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { refuseOtherMethods } from './method-not-allowed.js';
import { addCommonResponses } from './openapi-common.js';

const description = `Receives AI Rudder's workflow notifications and answers whether a case is done.

**Keys.** The webhook is opened by the token in its path. Everything under \`/v1\` needs an API key, sent as
\`Authorization: Bearer <key>\`: press *Authorize* and paste it. A key has scopes: \`read\` asks; \`reveal\` also sees whole
phone numbers and raw bodies; \`operate\` also works the quarantine. Without \`reveal\` a phone number shows its last three
characters behind asterisks, or only asterisks if it has six characters or fewer. What a key with \`reveal\` is shown whole is
put on record (\`GET /v1/audit\`); while it cannot be, such an answer is \`503\`. Health and metrics need no key.

**Lists** come as \`{ "data": […], "next_cursor": "…" }\`. Pass \`next_cursor\` as \`cursor\`, with the same filters, to get
the next page; it is null on the last one. The header \`Link: <…>; rel="next"\` has the same as an address.

**HTTP.** \`HEAD\` is answered like \`GET\`, without the body. A method that a path does not have is \`405\`, and \`Allow\` names
those it has. Send an answer's \`ETag\` as \`If-None-Match\`, and it is \`304\` without a body as long as nothing changed. Answers
are compressed for those who send \`Accept-Encoding\`. What is under \`/v1\` may hold phone numbers: nothing may store it
(\`Cache-Control: private, no-store\`).

**Limits.** Each key, and each address, may ask so many times a minute; \`RateLimit-Policy\` and \`RateLimit\` tell how many, and how many
are left. Beyond that it is \`429\`, with \`Retry-After\`. The webhook has no limit for those who have a token.

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
    .addTag('stats', 'How many cases are done, and when.')
    .addTag('notifications', 'What was received.')
    .addTag('quarantine', 'What was refused, why, and putting it right.')
    .addTag('audit', 'Who was shown whole numbers and raw bodies.')
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
  return addCommonResponses(SwaggerModule.createDocument(app, builder.build()));
}

/** The document as the file `openapi.json` has it. */
export function renderOpenApi(app: INestApplication): string {
  return `${JSON.stringify(buildOpenApi(app), null, 2)}\n`;
}

/** Serves Swagger UI at /docs and the document at /openapi.json, and refuses methods that are not in the document. */
export function serveOpenApi(app: INestApplication): void {
  const document = buildOpenApi(app);
  app.use(refuseOtherMethods(document));
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'openapi.json',
    customSiteTitle: 'AI Rudder notifications',
    swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true, defaultModelsExpandDepth: 0 },
  });
}
