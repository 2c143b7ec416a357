import { GENERATED_API_KEY, readSecret } from '../src/config/generated-secrets.js';
import { parseConfig, readEnvironment } from '../src/config/config.js';
import { findServiceUrl, THIS_MACHINE } from './local-service.js';

const TIMEOUT_MS = 120_000;

export type Json = Record<string, unknown>;

/** The service said no, and why. */
export class ProblemError extends Error {}

/** A running service, as somebody with an API key may ask it. */
export interface Client {
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Json>;
  post(path: string, body?: Json): Promise<Json>;
}

/** @throws Error that says what is missing */
export async function connect(given: string | undefined): Promise<Client> {
  const base = new URL(given === undefined ? await findServiceUrl() : checkUrl(given));
  const key = await findKey(base);
  const ask = async (url: URL, body?: string): Promise<Json> => {
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
      return ask(url);
    },
    post: async (path, body = {}) => ask(new URL(path, base), JSON.stringify(body)),
  };
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.username || url.password) {
    throw new Error('--url must be like http://127.0.0.1:3000');
  }
  return given;
}

/** The key that the local service made is for this machine alone. */
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
