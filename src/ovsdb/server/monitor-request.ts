/** Reading `<monitor-requests>` (RFC 7047 §4.1.5) and `<monitor-cond-requests>` (ovsdb-server(7) §4.1.12). */
import { isObject, shorten } from '../atom.js';
import type { Json } from '../atom.js';
import { conditionFromJson, typeOf } from '../condition.js';
import type { Condition } from '../condition.js';
import { OvsdbError } from '../errors.js';
import type { DatabaseSchema, TableSchema } from '../schema.js';
import { RequestError } from './message.js';
import type { ChangeKind, MonitorVersion, MonitoredColumn, MonitoredTable, Select } from './monitor.js';

const KINDS: readonly ChangeKind[] = ['initial', 'insert', 'delete', 'modify'];
const EVERYTHING: Select = { initial: true, insert: true, delete: true, modify: true };

/** @throws RequestError "syntax error" */
export function monitorFromJson(
  json: Json | undefined,
  schema: DatabaseSchema,
  version: MonitorVersion,
): Map<string, MonitoredTable> {
  const tables = new Map<string, MonitoredTable>();
  for (const [table, requests] of tableRequests(json, schema)) {
    const columns = new Map<string, MonitoredColumn>();
    const conditions: Condition[] = [];
    const select = { initial: false, insert: false, delete: false, modify: false };
    for (const request of requests) {
      const read = requestFromJson(request, table, version);
      if (read.condition) conditions.push(read.condition);
      for (const kind of KINDS) select[kind] ||= read.select[kind];
      for (const column of read.columns) {
        if (columns.has(column.name)) {
          throw new RequestError('syntax error', `column ${column.name} mentioned more than once`, request);
        }
        columns.set(column.name, column);
      }
    }
    tables.set(table.name, {
      name: table.name,
      columns: [...columns.values()],
      select,
      condition: anyOf(conditions),
    });
  }
  return tables;
}

/** The tables with the conditions of a `monitor_cond_change`; those it does not name keep theirs. */
export function changedConditions(
  json: Json | undefined,
  schema: DatabaseSchema,
  tables: ReadonlyMap<string, MonitoredTable>,
): Map<string, MonitoredTable> {
  const changed = new Map(tables);
  for (const [table, requests] of tableRequests(json, schema)) {
    const monitored = tables.get(table.name);
    if (!monitored) {
      throw new RequestError('syntax error', `no table named ${table.name} in monitor session`);
    }
    const conditions = requests.flatMap((request) => {
      if (!isObject(request)) throw new RequestError('syntax error', 'a JSON object is wanted', request);
      refuseOthers(request, ['where', 'columns'], table);
      return conditionOf(request['where'], table) ?? [];
    });
    changed.set(table.name, { ...monitored, condition: anyOf(conditions) });
  }
  return changed;
}

function* tableRequests(
  json: Json | undefined,
  schema: DatabaseSchema,
): Generator<[TableSchema, readonly Json[]]> {
  if (!isObject(json)) throw new RequestError('syntax error', 'monitor requests must be a JSON object', json);
  for (const [name, value] of Object.entries(json)) {
    const table = schema.tables.get(name);
    if (!table) throw new RequestError('syntax error', `no table named ${name}`);
    // A single object may stand for a list of it.
    yield [table, Array.isArray(value) ? (value as readonly Json[]) : [value ?? null]];
  }
}

function requestFromJson(
  json: Json,
  table: TableSchema,
  version: MonitorVersion,
): { columns: MonitoredColumn[]; select: Select; condition: Condition | null } {
  if (!isObject(json))
    throw new RequestError('syntax error', 'a monitor request must be a JSON object', json);
  refuseOthers(json, version === 1 ? ['columns', 'select'] : ['columns', 'select', 'where'], table);
  const select = selectFromJson(json['select'], table);
  const names = json['columns'] ?? ['_version', ...table.columns.keys()];
  if (!Array.isArray(names)) {
    throw new RequestError('syntax error', `"columns" of table ${table.name} must be a list`, names);
  }
  const columns = (names as readonly Json[]).map((name): MonitoredColumn => {
    const isKnown =
      typeof name === 'string' && (name === '_uuid' || name === '_version' || table.columns.has(name));
    if (!isKnown) {
      const shown = typeof name === 'string' ? name : shorten(name);
      throw new RequestError('syntax error', `${shown} is not a valid column name`, names);
    }
    return { name, type: typeOf(table, name), select };
  });
  return { columns, select, condition: conditionOf(json['where'], table) };
}

function selectFromJson(json: Json | undefined, table: TableSchema): Select {
  if (json === undefined) return EVERYTHING;
  if (!isObject(json)) throw new RequestError('syntax error', '"select" must be a JSON object', json);
  refuseOthers(json, KINDS, table);
  const select = { ...EVERYTHING };
  for (const kind of KINDS) {
    const value = json[kind] ?? true;
    if (typeof value !== 'boolean')
      throw new RequestError('syntax error', `"${kind}" must be a boolean`, json);
    select[kind] = value;
  }
  return select;
}

function conditionOf(json: Json | undefined, table: TableSchema): Condition | null {
  if (json === undefined) return null;
  try {
    return conditionFromJson(json, table);
  } catch (error) {
    if (error instanceof OvsdbError) throw new RequestError(error.tag, error.details, json);
    throw error;
  }
}

/** A list of requests for one table monitors the rows that any of them asks for. */
function anyOf(conditions: readonly Condition[]): Condition | null {
  return conditions.length === 0 ? null : { clauses: conditions.flatMap(({ clauses }) => clauses) };
}

function refuseOthers(
  json: { readonly [key: string]: Json | undefined },
  allowed: readonly string[],
  table: TableSchema,
): void {
  const other = Object.keys(json).find((key) => !allowed.includes(key));
  if (other === undefined) return;
  throw new RequestError(
    'syntax error',
    `Parsing table ${table.name} failed: Member '${other}' is present but not allowed here.`,
    json,
  );
}
