import { Controller, Get, HttpCode, Module, Post, Query } from '@nestjs/common';
import { NeedsScope } from '../src/access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../src/access/disclosure/disclosure.js';
import { createApp } from '../src/app.js';
import { AppModule } from '../src/app.module.js';
import { parseConfig } from '../src/config/config.js';
import { NoQuery } from '../src/http/rest/validation.js';
import { IdParam } from '../src/http/rest/id-params.js';
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

/** Everything that a request for one case passes through, but for the case. */
@Controller('v1/nothing')
@NeedsScope('read')
class ReadNothingController {
  @Get(':id')
  get(@IdParam() _id: string, @CurrentDisclosure() _sight: Disclosure, @Query() _none: NoQuery): Record<string, never> {
    return {};
  }
}

/** Contestant b: the whole service, with two endpoints more that do nothing. The module's own decorator is empty. */
Module({ controllers: [NothingController, ReadNothingController] })(AppModule);
const config = parseConfig({
  DATABASE_URL: databaseUrl,
  DATA_DIR: dataDir,
  WEBHOOK_TOKENS: 'bench',
  API_KEYS: 'bench:read:nothing',
});
const app = await createApp(config, databaseUrl, false);
serve(app.getHttpServer());
