import type { Spread } from './statistics.js';

/** A table as prettier would write it; the first column stands left, the others right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => width(row[column]))));
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((size, column) => pad(cells[column] ?? '', size, column > 0)).join(' | ')} |`;
  const rule = widths.map((size, column) => (column > 0 ? `${'-'.repeat(size - 1)}:` : '-'.repeat(size)));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** A median, and between which values it lies. */
export function spread({ median, min, max }: Spread, digits = 0): string {
  return `${number(median, digits)} (${number(min, digits)}–${number(max, digits)})`;
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function width(text = ''): number {
  return [...text].length;
}

function pad(text: string, size: number, isRight: boolean): string {
  const space = ' '.repeat(size - width(text));
  return isRight ? space + text : text + space;
}
