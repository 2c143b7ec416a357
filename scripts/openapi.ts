import { writeFile } from 'node:fs/promises';
import { createApp } from '../src/app.js';
import { parseConfig } from '../src/config/config.js';
import { renderOpenApi } from '../src/http/rest/openapi.js';

/** Writes `openapi.json` anew from the code. Needs no database: nothing is asked of it. */
const app = await createApp(parseConfig({}), undefined, false);
await writeFile('openapi.json', renderOpenApi(app));
await app.close();
