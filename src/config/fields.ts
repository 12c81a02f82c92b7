/** Reading the columns of a row as what they hold. */
import type { Row } from '../ovsdb/index.js';

export function textOf(row: Row, column: string): string | undefined {
  const [atom] = row.fields[column]?.keys ?? [];
  return typeof atom === 'string' ? atom : undefined;
}

export function numberOf(row: Row, column: string): number | undefined {
  const [atom] = row.fields[column]?.keys ?? [];
  return typeof atom === 'number' ? atom : undefined;
}

export function flagOf(row: Row, column: string): boolean {
  return row.fields[column]?.keys[0] === true;
}

export function numbersOf(row: Row, column: string): number[] {
  return (row.fields[column]?.keys ?? []).filter((atom) => typeof atom === 'number');
}

export function textsOf(row: Row, column: string): string[] {
  return (row.fields[column]?.keys ?? []).filter((atom) => typeof atom === 'string');
}

export function mapOfTexts(row: Row, column: string): Map<string, string> {
  const { keys = [], values = [] } = row.fields[column] ?? {};
  return new Map(keys.map((key, i) => [String(key), String(values?.[i])]));
}

/**
 * The port number of an interface: the column, or, while that says -1 (the interface does not work), the number that is
 * reserved for it.
 */
export function ofportOf(row: Row, reserved: ReadonlyMap<string, number>): number | undefined {
  const ofport = numberOf(row, 'ofport');
  return ofport !== undefined && ofport > 0 ? ofport : reserved.get(row.uuid);
}
