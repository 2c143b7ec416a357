import { DataSource } from 'typeorm';
import { parseConfig, readEnvironment } from '../src/config/config.js';
import { dataSourceOptions } from '../src/database/data-source.js';

/** What `npm run migration:…` works on: the database at DATABASE_URL. Local mode migrates itself at each start. */
const { databaseUrl } = parseConfig({ ...readEnvironment(), GENERATE_SECRETS: 'true' });
if (databaseUrl === undefined) {
  process.stderr.write('DATABASE_URL is not set: migrations by hand need a database to work on\n');
  process.exit(1);
}
export const dataSource = new DataSource({
  ...dataSourceOptions(databaseUrl, { poolSize: 1 }),
  logging: ['schema', 'error'],
});
