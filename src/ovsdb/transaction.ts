/**
 * One transaction in the making: changes over a database that nobody else sees. {@link Transaction.commit} collects
 * garbage, checks all that RFC 7047 §3.2 and §4.1.3 leave to the end, and gives the changes; it changes nothing itself.
 */
import { countReferences, indexKey, referredBy } from './database.js';
import type { Change, Database, Row } from './database.js';
import { checkSize } from './datum.js';
import type { Datum } from './datum.js';
import { OvsdbError, constraintViolation } from './errors.js';
import type { TableSchema } from './schema.js';

export class Transaction {
  /** Rows inserted or modified, null for deleted ones. */
  readonly #changed = new Map<string, Map<string, Row | null>>();
  /** Of these, the rows that are new or have other values in unique columns, by table. */
  readonly #rekeyed = new Map<string, Set<string>>();

  constructor(
    readonly database: Database,
    readonly newUuid: () => string,
  ) {}

  row(table: string, uuid: string): Row | undefined {
    const changed = this.#changed.get(table)?.get(uuid);
    return changed === undefined ? this.database.row(table, uuid) : (changed ?? undefined);
  }

  *rows(table: string): Generator<Row> {
    const changed = this.#changed.get(table);
    for (const [uuid, row] of this.database.rows(table)) {
      const now = changed?.get(uuid);
      if (now === undefined) yield row;
      else if (now) yield now;
    }
    for (const [uuid, row] of changed ?? []) {
      if (row && !this.database.row(table, uuid)) yield row;
    }
  }

  /** The row whose single-column index holds this value, at the cost of a look-up. Undefined where `column` has no index. */
  findIndexed(schema: TableSchema, column: string, value: Datum): Row | null | undefined {
    const index = schema.indexes.findIndex((columns) => columns.length === 1 && columns[0] === column);
    if (index < 0) return undefined;
    const key = indexKey({ uuid: '', version: '', fields: { [column]: value } }, [column]);
    for (const changed of this.#rekeyed.get(schema.name) ?? []) {
      const row = this.row(schema.name, changed);
      // Rows changed in this transaction may hold the same value twice until it is checked: look at all of them.
      if (row && indexKey(row, [column]) === key) return undefined;
    }
    const uuid = this.database.indexed(schema.name, index, key);
    const row = uuid === undefined ? undefined : this.row(schema.name, uuid);
    return row && indexKey(row, [column]) === key ? row : null;
  }

  insert(table: TableSchema, uuid: string, given: Readonly<Record<string, Datum>>): Row {
    if (this.row(table.name, uuid)) throw new OvsdbError('duplicate uuid', `there is a row ${uuid} already`);
    const row = { uuid, version: this.newUuid(), fields: { ...table.defaults, ...given } };
    this.#put(table.name, uuid, row);
    return row;
  }

  modify(table: string, row: Row, fields: Readonly<Record<string, Datum>>): void {
    this.#put(table, row.uuid, {
      uuid: row.uuid,
      version: this.newUuid(),
      fields: { ...row.fields, ...fields },
    });
  }

  delete(table: string, uuid: string): void {
    this.#put(table, uuid, null);
  }

  #put(table: string, uuid: string, row: Row | null): void {
    let changed = this.#changed.get(table);
    if (!changed) this.#changed.set(table, (changed = new Map<string, Row | null>()));
    changed.set(uuid, row);
    if (row && this.#isRekeyed(table, row)) {
      const rekeyed = this.#rekeyed.get(table);
      if (rekeyed) rekeyed.add(uuid);
      else this.#rekeyed.set(table, new Set([uuid]));
    }
  }

  #isRekeyed(table: string, { uuid, fields }: Row): boolean {
    const stored = this.database.row(table, uuid);
    return (
      !stored ||
      this.#schema(table)
        .indexes.flat()
        .some((column) => fields[column] !== stored.fields[column])
    );
  }

  /** @throws OvsdbError "referential integrity violation", "constraint violation" */
  commit(): Change[] {
    if (this.#changed.size === 0) return [];
    this.#collectGarbage();
    this.#checkStrongReferences();
    this.#dropDanglingWeakReferences();
    this.#checkRowCounts();
    this.#checkIndexes();
    return this.#changes();
  }

  /** The net effect: rows that were inserted and deleted again, or changed back, are not in it. */
  #changes(): Change[] {
    const changes: Change[] = [];
    for (const [table, rows] of this.#changed) {
      for (const [uuid, row] of rows) {
        const old = this.database.row(table, uuid) ?? null;
        if (old === row) continue;
        if (old && row && Object.keys(row.fields).every((name) => old.fields[name] === row.fields[name]))
          continue;
        changes.push({ table, uuid, old, new: row });
      }
    }
    return changes;
  }

  /** How much the count of strong references to each row differs from the database's. */
  #referenceDeltas(): Map<string, Map<string, number>> {
    const deltas = new Map<string, Map<string, number>>();
    for (const [table, rows] of this.#changed) {
      const schema = this.#schema(table);
      for (const [uuid, row] of rows) {
        countReferences(schema, this.database.row(table, uuid) ?? null, row, (target, targetUuid, delta) => {
          let counts = deltas.get(target);
          if (!counts) deltas.set(target, (counts = new Map<string, number>()));
          counts.set(targetUuid, (counts.get(targetUuid) ?? 0) + delta);
        });
      }
    }
    return deltas;
  }

  /** Deletes rows of non-root tables that no other row refers to, and then those that only they referred to. */
  #collectGarbage(): void {
    const deltas = this.#referenceDeltas();
    const candidates: [TableSchema, string][] = [];
    for (const [table, counts] of deltas)
      for (const uuid of counts.keys()) candidates.push([this.#schema(table), uuid]);
    for (const [table, rows] of this.#changed) {
      for (const uuid of rows.keys()) candidates.push([this.#schema(table), uuid]);
    }
    for (let next = candidates.pop(); next; next = candidates.pop()) {
      const [schema, uuid] = next;
      if (schema.isRoot) continue;
      const count =
        this.database.referenceCount(schema.name, uuid) + (deltas.get(schema.name)?.get(uuid) ?? 0);
      const row = this.row(schema.name, uuid);
      if (count > 0 || !row) continue;
      this.delete(schema.name, uuid);
      countReferences(schema, row, null, (target, targetUuid, delta) => {
        let counts = deltas.get(target);
        if (!counts) deltas.set(target, (counts = new Map<string, number>()));
        counts.set(targetUuid, (counts.get(targetUuid) ?? 0) + delta);
        candidates.push([this.#schema(target), targetUuid]);
      });
    }
  }

  #checkStrongReferences(): void {
    for (const [table, rows] of this.#changed) {
      const schema = this.#schema(table);
      for (const row of rows.values()) {
        if (!row) continue;
        for (const reference of schema.references) {
          if (reference.strength !== 'strong') continue;
          for (const target of referredBy(row, reference)) {
            if (this.row(reference.table, String(target))) continue;
            throw new OvsdbError(
              'referential integrity violation',
              `Table ${table} column ${reference.column.name} row ${row.uuid} references nonexistent row ${String(target)} in table ${reference.table}.`,
            );
          }
        }
      }
    }
    const deltas = this.#referenceDeltas();
    for (const [table, rows] of this.#changed) {
      for (const [uuid, row] of rows) {
        if (row || !this.database.row(table, uuid)) continue;
        const count = this.database.referenceCount(table, uuid) + (deltas.get(table)?.get(uuid) ?? 0);
        if (count > 0) {
          throw new OvsdbError(
            'referential integrity violation',
            `cannot delete ${table} row ${uuid} because of ${count} remaining reference(s)`,
          );
        }
      }
    }
  }

  /** RFC 7047 §3.2: a weak reference goes with its row; a set may not fall below its minimum by that. */
  #dropDanglingWeakReferences(): void {
    const deletedFrom = new Set<string>();
    for (const [table, rows] of this.#changed) {
      for (const row of rows.values()) if (!row) deletedFrom.add(table);
    }
    for (const schema of this.database.schema.tables.values()) {
      const weak = schema.references.filter(({ strength }) => strength === 'weak');
      if (weak.length === 0) continue;
      const searchAll = weak.some(({ table }) => deletedFrom.has(table));
      const rows = searchAll
        ? [...this.rows(schema.name)]
        : [...(this.#changed.get(schema.name)?.values() ?? [])];
      for (const row of rows) {
        if (!row) continue;
        const fields: Record<string, Datum> = {};
        for (const reference of weak) {
          const { name, type } = reference.column;
          const datum = fields[name] ?? row.fields[name];
          if (!datum) continue;
          const atoms = (reference.part === 'keys' ? datum.keys : datum.values) ?? [];
          const kept = atoms.map((atom) => this.row(reference.table, String(atom)) !== undefined);
          if (kept.every(Boolean)) continue;
          const rest: Datum = {
            keys: datum.keys.filter((_, i) => kept[i]),
            values: datum.values?.filter((_, i) => kept[i]) ?? null,
          };
          if (rest.keys.length < type.min) {
            throw constraintViolation(
              `Weak reference column ${name} in ${schema.name} row ${row.uuid} is now empty, which its type does not allow`,
            );
          }
          checkSize(rest, type);
          fields[name] = rest;
        }
        if (Object.keys(fields).length > 0) this.modify(schema.name, row, fields);
      }
    }
  }

  #checkRowCounts(): void {
    for (const [table, rows] of this.#changed) {
      const { maxRows } = this.#schema(table);
      if (maxRows === Infinity) continue;
      let count = this.database.rows(table).size;
      for (const [uuid, row] of rows) count += (row ? 1 : 0) - (this.database.row(table, uuid) ? 1 : 0);
      if (count > maxRows) {
        throw constraintViolation(
          `transaction causes "${table}" table to contain ${count} rows, greater than the schema-defined limit of ${maxRows} row(s)`,
        );
      }
    }
  }

  #checkIndexes(): void {
    for (const [table, rows] of this.#changed) {
      this.#schema(table).indexes.forEach((columns, index) => {
        const taken = new Map<string, string>();
        for (const row of rows.values()) {
          if (!row) continue;
          const key = indexKey(row, columns);
          const stored = this.database.indexed(table, index, key);
          // A stored holder that this transaction changes is in `rows` itself.
          const other = taken.get(key) ?? (stored !== undefined && !rows.has(stored) ? stored : undefined);
          if (other !== undefined) {
            throw constraintViolation(
              `Transaction causes multiple rows in "${table}" table to have identical values (${columns
                .map((column) => row.fields[column]?.keys.map((atom) => JSON.stringify(atom)).join(', '))
                .join('; ')}) for index on column${columns.length > 1 ? 's' : ''} ${columns
                .map((column) => `"${column}"`)
                .join(' and ')}: rows ${other} and ${row.uuid}`,
            );
          }
          taken.set(key, row.uuid);
        }
      });
    }
  }

  #schema(table: string): TableSchema {
    const schema = this.database.schema.tables.get(table);
    if (!schema) throw new RangeError(`no table named ${table}`);
    return schema;
  }
}
