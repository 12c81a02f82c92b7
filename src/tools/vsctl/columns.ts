/** Names of tables and columns, which may be cut short, and arguments of the form `COLUMN[:KEY][=VALUE]`. */
import type { ColumnSchema, ColumnType, DatabaseSchema, TableSchema } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';
import { Scanner } from './text.js';

/** How well `given` stands for `name`: everything for the whole name, else the length of a beginning of it. */
function score(name: string, given: string): number {
  const [whole, part] = [name, given].map((text) => text.toLowerCase().replaceAll('-', '_')) as [
    string,
    string,
  ];
  if (name === given) return Infinity;
  if (whole === part) return Number.MAX_SAFE_INTEGER;
  return whole.startsWith(part) ? part.length : 0;
}

/** The names that `given` stands for best. */
function bestMatches(names: Iterable<string>, given: string): string[] {
  let best = 0;
  let matches: string[] = [];
  for (const name of names) {
    const points = score(name, given);
    if (points > best) [best, matches] = [points, [name]];
    else if (points === best && points > 0) matches.push(name);
  }
  return matches.sort();
}

/** @throws Fatal */
export function tableNamed(schema: DatabaseSchema, given: string): TableSchema {
  const matches = bestMatches(schema.tables.keys(), given);
  const table = matches.length === 1 ? schema.tables.get(matches[0] ?? '') : undefined;
  if (table) return table;
  if (matches.length > 1) {
    throw new Fatal(`"${given}" matches multiple table names: ${matches.join(', ')}`);
  }
  throw new Fatal(`unknown table "${given}"`);
}

const UUID_TYPE: ColumnType = { key: { type: 'uuid' }, min: 1, max: 1 };
/** The column that every row has. */
export const UUID_COLUMN: ColumnSchema = {
  name: '_uuid',
  type: UUID_TYPE,
  ephemeral: false,
  mutable: false,
  defaultDatum: { keys: [], values: null },
};

/** @throws Fatal */
export function columnNamed(table: TableSchema, given: string): ColumnSchema {
  const matches = bestMatches(['_uuid', ...table.columns.keys()], given);
  const [first] = matches;
  if (first === undefined) {
    throw new Fatal(`${table.name} does not contain a column whose name matches "${given}"`);
  }
  if (matches.length > 1) {
    const list = matches.join(', ');
    throw new Fatal(`${table.name} contains more than one column whose name matches "${given}": ${list}`);
  }
  return first === '_uuid' ? UUID_COLUMN : (table.columns.get(first) ?? UUID_COLUMN);
}

export interface ColumnArgument {
  readonly column: ColumnSchema;
  /** As typed, quotes included. */
  readonly key: string | undefined;
  /** One of those that were allowed; absent where the argument ends before. */
  readonly operator: string | undefined;
  readonly value: string | undefined;
}

/**
 * Reads `COLUMN[:KEY][OP VALUE]`.
 * @param operators those allowed, none for arguments without a value
 * @throws Fatal
 */
export function parseColumnArgument(
  text: string,
  table: TableSchema,
  operators: readonly string[],
): ColumnArgument {
  const scanner = new Scanner(text);
  const given = scanner.token();
  if (given === '') throw new Fatal(`${text}: missing column name`);
  const column = columnNamed(table, given);
  const key = scanner.take(':') ? scanner.token() : undefined;
  if (operators.length === 0) {
    if (!scanner.isAtEnd) throw new Fatal(`${text}: trailing garbage "${scanner.rest}" in argument`);
    return { column, key, operator: undefined, value: undefined };
  }
  const operator = [...operators].sort((a, b) => b.length - a.length).find((each) => scanner.take(each));
  if (operator === undefined || scanner.isAtEnd) {
    const list = operators.map((each) => `"${each}"`);
    const last = list.pop() ?? '';
    const allowed = list.length === 0 ? last : `${list.join(', ')}, or ${last}`;
    throw new Fatal(`${text}: argument does not end in ${allowed} followed by a value.`);
  }
  return { column, key, operator, value: scanner.rest };
}
