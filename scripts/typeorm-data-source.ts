import { DataSource } from 'typeorm';
import { parseConfig, readEnvironment } from '../src/config/config.js';
import { dataSourceOptions } from '../src/database/data-source.js';

/** Data source of `npm run migration:…`: the database at DATABASE_URL. Local mode migrates itself at every start. */
const { databaseUrl } = parseConfig({ ...readEnvironment(), GENERATE_SECRETS: 'true' });
if (databaseUrl === undefined) {
  process.stderr.write('DATABASE_URL is not set: manual migrations need a database\n');
  process.exit(1);
}
export const dataSource = new DataSource({
  ...dataSourceOptions(databaseUrl, { poolSize: 1 }),
  logging: ['schema', 'error'],
});
