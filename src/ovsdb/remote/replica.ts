/** A copy of a database that others serve: what its notifications mean here, and what a transaction went by. Pure. */
import { isObject } from '../atom.js';
import type { Json } from '../atom.js';
import type { Change, Database, Row } from '../database.js';
import { applyDifference, datumFromJson, datumToJson, equalDatums } from '../datum.js';
import type { Datum } from '../datum.js';
import type { TableSchema } from '../schema.js';

/** `<table-updates2>` (ovsdb-server(7), "Update2"), by table and row. */
type RowUpdates = [table: TableSchema, uuid: string, update: Readonly<Record<string, Json | undefined>>][];

function rowUpdates(database: Database, updates: Json): RowUpdates {
  if (!isObject(updates)) return [];
  return Object.entries(updates).flatMap(([name, rows]) => {
    const table = database.schema.tables.get(name);
    if (!table || !isObject(rows)) return [];
    return Object.entries(rows).flatMap(([uuid, update]): RowUpdates => {
      return isObject(update) ? [[table, uuid, update]] : [];
    });
  });
}

function fieldsOf(table: TableSchema, json: Json | undefined, base: Row | null): Record<string, Datum> {
  const fields: Record<string, Datum> = { ...(base?.fields ?? table.defaults) };
  for (const [name, value] of Object.entries(isObject(json) ? json : {})) {
    const column = table.columns.get(name);
    if (!column || value === undefined) continue;
    // What lies between two values may be more than a value can hold.
    const datum = datumFromJson(value, column.type, undefined, base !== null);
    fields[name] = base ? applyDifference(fields[name] ?? column.defaultDatum, datum, column.type) : datum;
  }
  return fields;
}

/** What a notification changes here. @throws OvsdbError where a value is none of its column's type */
export function changesOf(database: Database, updates: Json, newUuid: () => string): Change[] {
  return rowUpdates(database, updates).flatMap(([table, uuid, update]): Change[] => {
    const old = database.row(table.name, uuid) ?? null;
    if ('delete' in update) return old ? [{ table: table.name, uuid, old, new: null }] : [];
    const isDifference = 'modify' in update;
    if (isDifference && !old) return [];
    const given = update['initial'] ?? update['insert'] ?? update['modify'];
    const fields = fieldsOf(table, given, isDifference ? old : null);
    return [{ table: table.name, uuid, old, new: { uuid, version: newUuid(), fields } }];
  });
}

/** What is to change here so that it holds this and nothing else. @throws OvsdbError as {@link changesOf} */
export function changesTo(database: Database, everything: Json, newUuid: () => string): Change[] {
  const changes: Change[] = [];
  const there = new Set<string>();
  for (const change of changesOf(database, everything, newUuid)) {
    there.add(`${change.table} ${change.uuid}`);
    const { old, new: row } = change;
    const isSame =
      old && row && Object.entries(row.fields).every(([name, it]) => equalDatums(old.fields[name] ?? it, it));
    if (!isSame) changes.push(change);
  }
  for (const table of database.schema.tables.keys()) {
    for (const [uuid, old] of database.rows(table))
      if (!there.has(`${table} ${uuid}`)) changes.push({ table, uuid, old, new: null });
  }
  return changes;
}

/** `wait` operations that hold only while the rows to be modified are as they were when that was decided. */
export function guardsOf(database: Database, changes: readonly Change[]): Json[] {
  return changes.flatMap(({ table, uuid, old, new: row }): Json[] => {
    const schema = database.schema.tables.get(table);
    if (!schema || !old || !row) return [];
    const columns = [...schema.columns.values()].filter(({ name }) => old.fields[name] !== row.fields[name]);
    const expected = columns.map(({ name, type, defaultDatum }) => {
      return [name, datumToJson(old.fields[name] ?? defaultDatum, type)] as const;
    });
    return [
      {
        op: 'wait',
        timeout: 0,
        table,
        where: [['_uuid', '==', ['uuid', uuid]]],
        columns: columns.map(({ name }) => name),
        until: '==',
        rows: [Object.fromEntries(expected)],
      },
    ];
  });
}
