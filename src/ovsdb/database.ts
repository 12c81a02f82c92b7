/**
 * The state of one database: rows of tables, unique indexes, counts of strong references. Changes come in as whole
 * committed transactions ({@link Database.apply}) and can be taken back ({@link Database.revert}).
 */
import type { Atom } from './atom.js';
import { setOf } from './datum.js';
import type { Datum } from './datum.js';
import type { DatabaseSchema, Reference, TableSchema } from './schema.js';

/** Immutable. Every column of the table is in `fields`. */
export interface Row {
  readonly uuid: string;
  /** Changes with every modification (RFC 7047 §3.2 `_version`). */
  readonly version: string;
  readonly fields: Readonly<Record<string, Datum>>;
}

/** What a transaction did to one row: inserted (`old` null), deleted (`new` null) or modified. */
export interface Change {
  readonly table: string;
  readonly uuid: string;
  readonly old: Row | null;
  readonly new: Row | null;
}

interface TableState {
  readonly schema: TableSchema;
  readonly rows: Map<string, Row>;
  /** One per index of the schema: {@link indexKey} → uuid. */
  readonly indexes: readonly Map<string, string>[];
  /** How many strong references from other rows each row has; none: not in the map. */
  readonly referenceCounts: Map<string, number>;
}

export class Database {
  readonly #tables: ReadonlyMap<string, TableState>;
  #generation = 0;

  constructor(readonly schema: DatabaseSchema) {
    this.#tables = new Map(
      [...schema.tables].map(([name, table]) => [
        name,
        {
          schema: table,
          rows: new Map<string, Row>(),
          indexes: table.indexes.map(() => new Map<string, string>()),
          referenceCounts: new Map<string, number>(),
        },
      ]),
    );
  }

  /** Another number after every change: what was worked out at the same number still holds. */
  get generation(): number {
    return this.#generation;
  }

  /** The rows of a table by uuid. @throws RangeError where the schema has no such table */
  rows(table: string): ReadonlyMap<string, Row> {
    return this.#table(table).rows;
  }

  row(table: string, uuid: string): Row | undefined {
    return this.#table(table).rows.get(uuid);
  }

  /** The row that holds this key in the table's index number `index`. */
  indexed(table: string, index: number, key: string): string | undefined {
    return this.#table(table).indexes[index]?.get(key);
  }

  /** The row whose `column`, which an index makes unique by itself, holds this value. */
  find(table: string, column: string, value: Atom): Row | undefined {
    const { schema, rows, indexes } = this.#table(table);
    const index = schema.indexes.findIndex((columns) => columns.length === 1 && columns[0] === column);
    if (index < 0) throw new RangeError(`${table}.${column} is not unique`);
    const uuid = indexes[index]?.get(
      indexKey({ uuid: '', version: '', fields: { [column]: setOf([value]) } }, [column]),
    );
    return uuid === undefined ? undefined : rows.get(uuid);
  }

  referenceCount(table: string, uuid: string): number {
    return this.#table(table).referenceCounts.get(uuid) ?? 0;
  }

  /** Takes over changes that a {@link Transaction} has checked. */
  apply(changes: readonly Change[]): void {
    this.#generation++;
    // Removals first: a key may move from a deleted row to a new one.
    for (const change of changes) if (change.old) this.#unindex(change.table, change.old);
    for (const { table, uuid, old, new: row } of changes) {
      const state = this.#table(table);
      if (row) state.rows.set(uuid, row);
      else state.rows.delete(uuid);
      if (row) {
        state.schema.indexes.forEach((columns, i) => state.indexes[i]?.set(indexKey(row, columns), uuid));
      }
      countReferences(state.schema, old, row, (target, targetUuid, delta) => {
        const counts = this.#table(target).referenceCounts;
        const count = (counts.get(targetUuid) ?? 0) + delta;
        if (count === 0) counts.delete(targetUuid);
        else counts.set(targetUuid, count);
      });
    }
  }

  /** Takes the changes of the latest transaction back. */
  revert(changes: readonly Change[]): void {
    this.apply(invert(changes));
  }

  #unindex(table: string, row: Row): void {
    const state = this.#table(table);
    state.schema.indexes.forEach((columns, i) => state.indexes[i]?.delete(indexKey(row, columns)));
  }

  #table(name: string): TableState {
    const table = this.#tables.get(name);
    if (!table) throw new RangeError(`no table named ${name}`);
    return table;
  }
}

export function invert(changes: readonly Change[]): Change[] {
  return changes.map((change) => ({ ...change, old: change.new, new: change.old }));
}

/** What two transactions, the second of which was made after the first, do together. */
export function joined(first: readonly Change[], second: readonly Change[]): Change[] {
  const all = new Map(first.map((change) => [`${change.table} ${change.uuid}`, change]));
  for (const change of second) {
    const key = `${change.table} ${change.uuid}`;
    all.set(key, { ...change, old: (all.get(key) ?? change).old });
  }
  return [...all.values()].filter((change) => change.old !== null || change.new !== null);
}

/** The values of the columns, as text equal for equal values. */
export function indexKey(row: Row, columns: readonly string[]): string {
  return JSON.stringify(columns.map((column) => [row.fields[column]?.keys, row.fields[column]?.values]));
}

/** Calls back for every strong reference that `now` has more (+1) or fewer (−1) than `before`, a row's own aside. */
export function countReferences(
  schema: TableSchema,
  before: Row | null,
  now: Row | null,
  count: (table: string, uuid: string, delta: 1 | -1) => void,
): void {
  for (const reference of schema.references) {
    if (reference.strength !== 'strong') continue;
    const { name } = reference.column;
    if (before && now && before.fields[name] === now.fields[name]) continue;
    for (const [row, delta] of [
      [now, 1],
      [before, -1],
    ] as const) {
      if (!row) continue;
      for (const target of referredBy(row, reference)) {
        if (reference.table !== schema.name || target !== row.uuid)
          count(reference.table, String(target), delta);
      }
    }
  }
}

export function referredBy(row: Row, { column, part }: Reference): readonly Atom[] {
  return row.fields[column.name]?.[part] ?? [];
}
