import type { Json } from './ops-client.js';

/** Renders rows as a table. Replaces control characters, so that client data cannot steer the terminal. */
export function renderTable(rows: readonly Json[], names: readonly string[]): string {
  const lines = [names, ...rows.map((row) => names.map((name) => toText(row[name])))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Renders fields, one per line. */
export function renderFields(fields: Json): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(width)}  ${toText(value)}\n`)
    .join('');
}

/** Renders counts as `2 invalid_fields, 1 not_json`. */
export function renderCounts(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}

/** Counts the rows per text value of a column. */
export function countBy(rows: readonly Json[], name: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { [name]: value } of rows) if (typeof value === 'string') counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return '-';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{FFFD}');
}
