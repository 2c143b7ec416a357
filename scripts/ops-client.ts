import { GENERATED_API_KEY, readSecret } from '../src/config/generated-secrets.js';
import { parseConfig, readEnvironment } from '../src/config/config.js';
import { findServiceUrl, THIS_MACHINE } from './local-service.js';

const TIMEOUT_MS = 120_000;

export type Json = Record<string, unknown>;

/** The service answered with a problem. */
export class ProblemError extends Error {}

/** HTTP client of a running service, with an API key. */
export interface Client {
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Json>;
  post(path: string, body?: Json): Promise<Json>;
}

/** @throws Error that names a missing URL or key */
export async function connect(given: string | undefined): Promise<Client> {
  const base = new URL(given === undefined ? await findServiceUrl() : checkUrl(given));
  const key = await findKey(base);
  const request = async (url: URL, body?: string): Promise<Json> => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    return read(url, await send(url, headers, body));
  };
  return {
    get: async (path, query = {}) => {
      const url = new URL(path, base);
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
      return request(url);
    },
    post: async (path, body = {}) => request(new URL(path, base), JSON.stringify(body)),
  };
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.username || url.password) {
    throw new Error('--url must be like http://127.0.0.1:3000');
  }
  return given;
}

/** Finds the API key. The generated key of the local service is used for this machine only. */
async function findKey({ hostname }: URL): Promise<string> {
  const key = readEnvironment()['AIRUDDER_API_KEY']?.trim();
  if (key) return key;
  if (!THIS_MACHINE.includes(hostname)) throw new Error('AIRUDDER_API_KEY is not set');
  const { dataDir } = parseConfig(readEnvironment());
  const generated = await readSecret(dataDir, GENERATED_API_KEY);
  if (generated !== undefined) return generated;
  throw new Error(`AIRUDDER_API_KEY is not set, and ${dataDir} has no API key`);
}

async function send(url: URL, headers: Record<string, string>, body: string | undefined): Promise<Response> {
  const method = body === undefined ? 'GET' : 'POST';
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    return await fetch(url, { method, headers, redirect: 'error', signal, ...(body !== undefined && { body }) });
  } catch (error) {
    const { code, name } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
    throw new Error(`${url.origin} does not answer (${code ?? name})`, { cause: error });
  }
}

async function read({ origin }: URL, response: Response): Promise<Json> {
  const answer = (await response.json().catch(() => undefined)) as Json | undefined;
  if (response.ok && answer) return answer;
  const { code, detail, errors = [] } = (answer ?? {}) as { code?: string; detail?: string; errors?: Json[] };
  if (code === undefined) throw new ProblemError(`${origin} answers ${response.status}, and not as this service does`);
  const faults = errors.map(({ path, message }) => `\n  ${String(path)} ${String(message)}`);
  throw new ProblemError(`${String(detail)} (${response.status} ${code})${faults.join('')}`);
}
