import { writeFile } from 'node:fs/promises';
import { createApp } from '../src/app.js';
import { parseConfig } from '../src/config/config.js';
import { renderOpenApi } from '../src/http/rest/openapi.js';

/** Generates `openapi.json` from the code. Needs no database, because it handles no request. */
const app = await createApp(parseConfig({}), undefined, false);
await writeFile('openapi.json', renderOpenApi(app));
await app.close();
