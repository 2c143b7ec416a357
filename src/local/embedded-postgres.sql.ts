/** Parameter: a name. */
export const FIND_DATABASE = 'SELECT FROM pg_database WHERE datname = $1';

export const createDatabaseNamed = (name: string): string => `CREATE DATABASE ${name}`;
