import { killChildren } from './children.js';
import { type Cluster, startCluster } from './cluster.js';
import { compare } from './compare.js';
import { describeMachine } from './machine.js';
import { type Options, parseOptions } from './options.js';
import { measureOutage } from './outage.js';
import { renderOutage } from './outage.report.js';
import { print } from './print.js';
import { measureReading } from './read.js';
import { renderReading } from './read.report.js';
import { renderComparison } from './report.js';
import { writeSection } from './report-file.js';
import { measureWaiting } from './waiting.js';
import { renderWaiting } from './waiting.report.js';

/** Ends with 0 if every answer and every balance was right, with 1 if not, with 2 if nothing could be measured. */
main().then(
  (faults) => process.exit(faults.length === 0 ? 0 : 1),
  (error: unknown) => {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exit(2);
  },
);

async function main(): Promise<readonly string[]> {
  const options = parseOptions(process.argv.slice(2));
  if ('help' in options) {
    process.stdout.write(options.help);
    return [];
  }
  const starting = startCluster(options.postgresSettings, options.keep);
  try {
    return await Promise.race([run(options, starting), interruption()]);
  } finally {
    killChildren();
    await (await starting).remove();
  }
}

async function run(options: Options, starting: Promise<Cluster>): Promise<readonly string[]> {
  const cluster = await starting;
  const head = [`Measured ${new Date().toISOString().slice(0, 16)}Z.`, ...(await describeMachine(cluster.url()))];
  print(head.join('\n'));
  const { key, what, text, faults } = await part(cluster, options);
  const node = process.versions.node.split('.')[0];
  const section = `## Node.js ${node}, ${what}\n\n${[...head, describeOptions(options)].join('\\\n')}\n\n${text}`;
  print(`\n${section}`);
  await writeSection(options.output, `node=${node} ${key}`, section);
  for (const fault of faults) process.stderr.write(`bench: ${fault}\n`);
  return faults;
}

interface Part {
  /** Names the section in the report. */
  readonly key: string;
  readonly what: string;
  readonly text: string;
  readonly faults: readonly string[];
}

async function part(cluster: Cluster, options: Options): Promise<Part> {
  if (options.outage) return outage(cluster, options);
  if (options.waiting) return waiting(cluster, options);
  return options.read ? reading(cluster, options) : comparison(cluster, options);
}

async function comparison(cluster: Cluster, options: Options): Promise<Part> {
  const result = await compare(cluster, options);
  const what = `${options.preload.toLocaleString('en-US')} cases stored before`;
  return { key: `preload=${options.preload}`, what, text: renderComparison(result, options), faults: result.faults };
}

async function outage(cluster: Cluster, options: Options): Promise<Part> {
  const result = await measureOutage(cluster, options);
  return { key: 'outage', what: 'PostgreSQL away', text: renderOutage(result), faults: result.faults };
}

async function waiting(cluster: Cluster, options: Options): Promise<Part> {
  const text = renderWaiting(await measureWaiting(cluster, options));
  return { key: 'waiting', what: 'a thousand who wait', text, faults: [] };
}

async function reading(cluster: Cluster, options: Options): Promise<Part> {
  const readings = await measureReading(cluster, options);
  const what = `reading with ${options.preload.toLocaleString('en-US')} cases stored`;
  return { key: `read preload=${options.preload}`, what, text: renderReading(readings, options), faults: [] };
}

function describeOptions({ rounds, seconds, connections, postgresSettings }: Options): string {
  const settings = Object.entries(postgresSettings).map(([name, value]) => `, ${name}=${value}`);
  return `${rounds} rounds, ${seconds} s per measurement, ${connections} connections${settings.join('')}`;
}

/** Rejects when the run is broken off. */
async function interruption(): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (signal: string): void => reject(new Error(`ended by ${signal}`));
    process.once('SIGINT', stop).once('SIGTERM', stop).once('SIGHUP', stop);
  });
}
