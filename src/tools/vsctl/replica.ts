/** A copy of the parts of the database that a command needs, kept current by `update2` notifications. */
import { applyDifference, datumFromJson, isObject, openVSwitchSchema } from '../../ovsdb/index.js';
import type { DatabaseSchema, Datum, Json, Row } from '../../ovsdb/index.js';

/** Columns by table; those that a run of commands reads. */
export class Needs {
  readonly #columns = new Map<string, Set<string>>();

  constructor(private readonly schema: DatabaseSchema) {}

  add(table: string, ...columns: string[]): void {
    const known = this.schema.tables.get(table)?.columns;
    let set = this.#columns.get(table);
    if (!set) this.#columns.set(table, (set = new Set()));
    for (const column of columns) if (known?.has(column)) set.add(column);
  }

  addAll(table: string): void {
    this.add(table, ...(this.schema.tables.get(table)?.columns.keys() ?? []));
  }

  /** `<monitor-cond-requests>` (ovsdb-server(7), "Monitor_cond"). */
  toJson(): Json {
    return Object.fromEntries(
      [...this.#columns].map(([table, columns]) => [table, [{ columns: [...columns] }]]),
    );
  }
}

export class Replica {
  readonly #tables = new Map<string, Map<string, Row>>();

  constructor(readonly schema: DatabaseSchema = openVSwitchSchema) {}

  rows(table: string): ReadonlyMap<string, Row> {
    return this.#tables.get(table) ?? new Map<string, Row>();
  }

  /** Takes `<table-updates2>`: `initial`, `insert`, `modify` with what differs, `delete`. */
  apply(updates: Json): void {
    if (!isObject(updates)) return;
    for (const [table, rows] of Object.entries(updates)) {
      if (!isObject(rows)) continue;
      for (const [uuid, update] of Object.entries(rows))
        if (isObject(update)) this.#applyRow(table, uuid, update);
    }
  }

  #applyRow(table: string, uuid: string, update: Readonly<Record<string, Json | undefined>>): void {
    let rows = this.#tables.get(table);
    if (!rows) this.#tables.set(table, (rows = new Map<string, Row>()));
    if ('delete' in update) {
      rows.delete(uuid);
      return;
    }
    const before = rows.get(uuid);
    const change = update['initial'] ?? update['insert'] ?? update['modify'] ?? {};
    const isDifference = 'modify' in update;
    const fields: Record<string, Datum> = { ...before?.fields };
    for (const [name, json] of Object.entries(isObject(change) ? change : {})) {
      const column = this.schema.tables.get(table)?.columns.get(name);
      if (!column || json === undefined) continue;
      const datum = datumFromJson(json, column.type, undefined, true);
      const old = fields[name] ?? column.defaultDatum;
      fields[name] = isDifference ? applyDifference(old, datum, column.type) : datum;
    }
    rows.set(uuid, { uuid, version: '', fields });
  }
}
