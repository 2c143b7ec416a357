import type { Config } from '../config/config.js';
import type { ConfigWithSecrets } from '../config/generated-secrets.js';
import { KINDS } from '../ingest/notification/notification.js';
import { PROVIDER_EXAMPLE } from '../ingest/notification/provider-example.js';

/**
 * Renders the first steps for the operator: Swagger UI, the address to paste into AI Rudder, and a `curl` for each
 * side. Shows generated secrets only, never configured ones.
 */
export function renderBanner(baseUrl: string, config: Config, generated: ConfigWithSecrets['generated']): string {
  const token = generated.webhookToken ?? '<one of WEBHOOK_TOKENS>';
  const key = generated.apiKey ?? '<a secret from API_KEYS>';
  const webhook = `${baseUrl}/webhooks/airudder/${token}/${KINDS[0]}`;
  return `
Ready (${config.databaseUrl === undefined ? `local mode, data in ${config.dataDir}` : 'PostgreSQL at DATABASE_URL'})

  Swagger UI    ${baseUrl}/docs
  Webhook token ${token}
  API key       ${key}

  Paste into AI Rudder ("Notification for Workflow List Completion"), with the public address that leads here in place
  of ${baseUrl}:
    ${webhook}

  Send the provider's example:
    curl '${webhook}' -H 'Content-Type: application/json' \\
      -d '${JSON.stringify(PROVIDER_EXAMPLE)}'

  Ask for it:
    curl '${baseUrl}/v1/cases?case_id=${PROVIDER_EXAMPLE.case_id}' -H 'Authorization: Bearer ${key}'
`;
}
