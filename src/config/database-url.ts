import { accessSync, constants } from 'node:fs';

const EXAMPLE = 'postgres://user:password@host:5432/database';
const TLS_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'];
const TLS_FILES = ['sslrootcert', 'sslcert', 'sslkey'];

/** @throws Error that names the problem and repeats nothing of the URL but the error code of a file */
export function checkDatabaseUrl(text: string): void {
  const isUrl = /^postgres(ql)?:\/\//.test(text) && URL.canParse(text) && isDecodable(text);
  if (!isUrl) throw new Error(`must look like ${EXAMPLE}`);
  checkTls(new URL(text).searchParams);
}

/** The driver decodes user and password, and fails at a bare percent sign. */
function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** The driver accepts unknown modes silently, and opens the files only when it connects. */
function checkTls(parameters: URLSearchParams): void {
  const mode = parameters.get('sslmode');
  if (mode !== null && !TLS_MODES.includes(mode)) throw new Error(`must have an sslmode of ${TLS_MODES.join(', ')}`);
  for (const name of TLS_FILES) {
    const file = parameters.get(name);
    if (file) checkReadable(name, file);
  }
}

function checkReadable(name: string, file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`names in ${name} a file that cannot be read (${code})`, { cause: error });
  }
}
