import { Controller, HttpCode, Module, Post } from '@nestjs/common';
import { createApp } from '../src/app.js';
import { AppModule } from '../src/app.module.js';
import { parseConfig } from '../src/config.js';
import { serve } from './child.js';

const [databaseUrl = '', dataDir = ''] = process.argv.slice(2);

@Controller()
class NothingController {
  @Post()
  @HttpCode(200)
  nothing(): Record<string, never> {
    return {};
  }
}

/** Contestant b: the whole service, with an endpoint more that does nothing. The module's own decorator is empty. */
Module({ controllers: [NothingController] })(AppModule);
const config = parseConfig({
  DATABASE_URL: databaseUrl,
  DATA_DIR: dataDir,
  WEBHOOK_TOKENS: 'bench',
  API_KEYS: 'bench:read:nothing',
});
const app = await createApp(config, databaseUrl, false);
serve(app.getHttpServer());
