import { DataSource } from 'typeorm';
import { parseConfig, readEnvironment } from '../src/config.js';
import { dataSourceOptions } from '../src/database/data-source.js';

/** What `npm run migration:…` works on: the database at DATABASE_URL. Local mode migrates itself at each start. */
const { databaseUrl } = parseConfig({ ...readEnvironment(), GENERATE_SECRETS: 'true' });
if (databaseUrl === undefined)
  throw new Error('DATABASE_URL is not set: migrations by hand need a database to work on');

export const dataSource = new DataSource({ ...dataSourceOptions(databaseUrl), logging: ['schema', 'error'] });
