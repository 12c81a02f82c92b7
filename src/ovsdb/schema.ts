/** Database schemas (RFC 7047 §3.2). */
import { isObject, shorten } from './atom.js';
import type { Json } from './atom.js';
import { columnTypeFromJson, columnTypeToJson } from './column-type.js';
import type { BaseType, ColumnType } from './column-type.js';
import { defaultDatum } from './datum.js';
import type { Datum } from './datum.js';
import { syntaxError } from './errors.js';

export interface ColumnSchema {
  readonly name: string;
  readonly type: ColumnType;
  /** Not kept over a restart. */
  readonly ephemeral: boolean;
  readonly mutable: boolean;
  readonly defaultDatum: Datum;
}

export interface TableSchema {
  readonly name: string;
  readonly columns: ReadonlyMap<string, ColumnSchema>;
  /** Rows exist by themselves, not only while another row refers to them. */
  readonly isRoot: boolean;
  readonly maxRows: number;
  /** Each is a list of columns whose values together are unique. */
  readonly indexes: readonly (readonly string[])[];
  /** Columns that hold references, worked out once. */
  readonly references: readonly Reference[];
  /** What a row holds of which nothing has been said. Rows are copies of it, so that they are of one shape in memory. */
  readonly defaults: Readonly<Record<string, Datum>>;
}

/** That keys (or values, in maps) of a column refer to rows of a table. */
export interface Reference {
  readonly column: ColumnSchema;
  readonly part: 'keys' | 'values';
  readonly table: string;
  readonly strength: 'strong' | 'weak';
}

export interface DatabaseSchema {
  readonly name: string;
  readonly version: string;
  readonly tables: ReadonlyMap<string, TableSchema>;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws OvsdbError "syntax error" */
export function schemaFromJson(json: Json): DatabaseSchema {
  if (!isObject(json)) throw syntaxError(`${shorten(json)} is no database schema`);
  const { name, version, tables } = json;
  if (typeof name !== 'string' || !IDENTIFIER.test(name)) throw syntaxError('the schema has no valid name');
  if (typeof version !== 'string' || !/^\d+\.\d+\.\d+$/.test(version))
    throw syntaxError(`"${shorten(version)}" is no version`);
  if (!isObject(tables)) throw syntaxError('the schema has no tables');
  const list = Object.entries(tables).map(([tableName, table]) => tableFromJson(tableName, table));
  // A schema that marks no table as root is of the time before isRoot: then all are (RFC 7047 §3.2).
  const anyRoot = list.some((table) => table.isRoot);
  const schema: DatabaseSchema = {
    name,
    version,
    tables: new Map(list.map((table) => [table.name, anyRoot ? table : { ...table, isRoot: true }])),
  };
  for (const table of schema.tables.values()) {
    for (const reference of table.references) {
      if (schema.tables.has(reference.table)) continue;
      throw syntaxError(
        `${table.name}.${reference.column.name} refers to ${reference.table}, which is no table`,
      );
    }
  }
  return schema;
}

function tableFromJson(name: string, json: Json | undefined): TableSchema {
  if (!IDENTIFIER.test(name) || name.startsWith('_')) throw syntaxError(`"${name}" is no name for a table`);
  if (!isObject(json) || !isObject(json['columns'])) throw syntaxError(`table ${name} has no columns`);
  const { isRoot = false, maxRows = Infinity, indexes = [] } = json;
  if (typeof isRoot !== 'boolean') throw syntaxError(`isRoot of table ${name} is no boolean`);
  if (typeof maxRows !== 'number' || maxRows < 1)
    throw syntaxError(`maxRows of table ${name} is not positive`);
  const columns = new Map(
    Object.entries(json['columns']).map(([columnName, column]) => [
      columnName,
      columnFromJson(columnName, column),
    ]),
  );
  if (!Array.isArray(indexes)) throw syntaxError(`indexes of table ${name} is no list`);
  const lists = (indexes as readonly Json[]).map((index) => {
    const names = Array.isArray(index) ? (index as readonly Json[]) : [];
    const valid =
      names.length > 0 && names.every((column) => typeof column === 'string' && columns.has(column));
    if (!valid) throw syntaxError(`${shorten(index)} is no index of table ${name}`);
    return names as readonly string[];
  });
  return tableOf({ name, columns, isRoot, maxRows, indexes: lists });
}

/** Completes a table with what follows from its columns. */
export function tableOf(table: Omit<TableSchema, 'references' | 'defaults'>): TableSchema {
  const references: Reference[] = [];
  for (const column of table.columns.values()) {
    const add = (part: Reference['part'], base: BaseType | undefined) => {
      if (base?.refTable === undefined) return;
      references.push({ column, part, table: base.refTable, strength: base.refType ?? 'strong' });
    };
    add('keys', column.type.key);
    add('values', column.type.value);
  }
  return { ...table, references, defaults: defaultsOf(table.columns) };
}

/**
 * An object that is filled column by column becomes a hash table to V8 once it has more than a dozen, and so do its copies: slow to
 * make, to copy and to read. One that JSON.parse makes has a fixed layout, however many there are, and so have its copies.
 */
function defaultsOf(columns: TableSchema['columns']): Record<string, Datum> {
  const members = [...columns.keys()].map((name) => `${JSON.stringify(name)}:null`);
  const defaults = JSON.parse(`{${members.join(',')}}`) as Record<string, Datum>;
  for (const { name, defaultDatum: datum } of columns.values()) defaults[name] = datum;
  return defaults;
}

function columnFromJson(name: string, json: Json | undefined): ColumnSchema {
  if (!IDENTIFIER.test(name) || name.startsWith('_')) throw syntaxError(`"${name}" is no name for a column`);
  if (!isObject(json)) throw syntaxError(`${shorten(json)} is no column schema`);
  const { ephemeral = false, mutable = true } = json;
  if (typeof ephemeral !== 'boolean' || typeof mutable !== 'boolean') {
    throw syntaxError(`ephemeral and mutable of column ${name} must be booleans`);
  }
  const type = columnTypeFromJson(json['type']);
  return { name, type, ephemeral, mutable, defaultDatum: defaultDatum(type) };
}

export function schemaToJson(schema: DatabaseSchema): Json {
  const tables: Record<string, Json> = {};
  for (const table of schema.tables.values()) {
    const columns: Record<string, Json> = {};
    for (const { name, type, ephemeral, mutable } of table.columns.values()) {
      columns[name] = {
        type: columnTypeToJson(type),
        ...(ephemeral ? { ephemeral } : {}),
        ...(mutable ? {} : { mutable }),
      };
    }
    tables[table.name] = {
      columns,
      ...(table.isRoot ? { isRoot: true } : {}),
      ...(table.maxRows === Infinity ? {} : { maxRows: table.maxRows }),
      ...(table.indexes.length === 0 ? {} : { indexes: table.indexes }),
    };
  }
  return { name: schema.name, version: schema.version, tables };
}

/**
 * `ours` and whatever tables and columns `theirs` has beyond it, so that a file written by a newer Open vSwitch
 * loses nothing.
 */
export function mergeSchemas(ours: DatabaseSchema, theirs: DatabaseSchema): DatabaseSchema {
  const tables = new Map(ours.tables);
  for (const table of theirs.tables.values()) {
    const known = tables.get(table.name);
    if (!known) tables.set(table.name, table);
    else
      tables.set(table.name, tableOf({ ...known, columns: new Map([...table.columns, ...known.columns]) }));
  }
  return {
    name: ours.name,
    version: compareVersions(ours.version, theirs.version) < 0 ? theirs.version : ours.version,
    tables,
  };
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const order = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

/** Whether the schemas say the same, in whatever order. */
export function equalSchemas(a: DatabaseSchema, b: DatabaseSchema): boolean {
  const canonical = (schema: DatabaseSchema) =>
    JSON.stringify(schemaToJson(schema), (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
        : value,
    );
  return canonical(a) === canonical(b);
}
