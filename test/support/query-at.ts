import { Client } from 'pg';

/** The rows of one statement on a connection of its own. */
export async function queryAt<R extends object>(url: string, text: string): Promise<R[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}
