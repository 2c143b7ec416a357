/**
 * Compiles the TypeScript sources into `dist`, unless nothing has changed since the last build.
 *
 * A running service may load files of `dist` at any time. The compiler therefore writes to a staging folder, and only
 * files whose content differs are replaced, each by an atomic rename. Builds may run at the same time: a build takes
 * the staging folder with its incremental state by renaming it, and starts an empty one if another build has it.
 *
 * Plain JavaScript, because it runs before anything is compiled.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

const INPUTS = ['src', 'migrations', 'scripts', 'bench', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
const OUTPUT = 'dist';
const FINGERPRINT = path.join(OUTPUT, 'build.fingerprint');
const STAGING = path.join(OUTPUT, '.staging');
const OWN_STAGING = `${STAGING}-${process.pid}`;
const BUILD_INFO = 'build.tsbuildinfo';

process.chdir(path.join(import.meta.dirname, '..'));
const fingerprint = fingerprintOf(INPUTS);
if (read(FINGERPRINT)?.toString() !== fingerprint) build();

function build() {
  mkdirSync(OUTPUT, { recursive: true });
  tryRename(STAGING, OWN_STAGING);
  try {
    if (compile(OWN_STAGING)) {
      publish(OWN_STAGING);
      writeFileSync(FINGERPRINT, fingerprint);
    } else process.exitCode = 1;
  } finally {
    if (!tryRename(OWN_STAGING, STAGING)) rmSync(OWN_STAGING, { recursive: true, force: true });
  }
}

/** @returns whether the sources have no error */
function compile(directory) {
  const options = ['--outDir', directory, '--tsBuildInfoFile', path.join(directory, BUILD_INFO)];
  const compiler = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...options];
  return spawnSync(process.execPath, compiler, { stdio: 'inherit' }).status === 0;
}

function publish(directory) {
  for (const file of filesIn(directory)) {
    const target = path.join(OUTPUT, path.relative(directory, file));
    if (path.basename(file) === BUILD_INFO || read(target)?.equals(readFileSync(file))) continue;
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(file, `${target}.${process.pid}`);
    renameSync(`${target}.${process.pid}`, target);
  }
}

/** Changes with the path, the size and the modification time of every input. */
function fingerprintOf(inputs) {
  const hash = createHash('sha256');
  for (const file of inputs.flatMap(filesIn)) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function filesIn(entry) {
  if (!statSync(entry).isDirectory()) return [entry];
  return readdirSync(entry)
    .toSorted()
    .flatMap((name) => filesIn(path.join(entry, name)));
}

function read(file) {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @returns whether `from` existed and `to` did not */
function tryRename(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
    return false;
  }
}
