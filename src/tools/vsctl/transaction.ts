/**
 * What commands have changed and not sent yet, on top of a {@link Replica}: they see their own changes at once. Becomes
 * one `transact` request (RFC 7047 §4.1.3).
 */
import { datumToJson, equalDatums, setOf } from '../../ovsdb/index.js';
import type { Atom, ColumnSchema, ColumnType, Datum, Json } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';
import { UUID_COLUMN } from './columns.js';
import type { Replica } from './replica.js';

/** References that were put into a set or taken out of it, no matter what else it holds. */
interface Mutation {
  readonly inserted: Set<Atom>;
  readonly deleted: Set<Atom>;
}

interface Change {
  readonly table: string;
  /** Whole columns. */
  readonly columns: Map<string, Datum>;
  readonly mutations: Map<string, Mutation>;
  isNew: boolean;
  isDeleted: boolean;
}

/** What `@name` stands for. */
export interface RowSymbol {
  readonly uuid: string;
  created: boolean;
  strongRef: boolean;
  weakRef: boolean;
}

export class Transaction {
  readonly #changes = new Map<string, Change>();
  /** Rows whose columns were read to decide something: the database is asked whether they are still so. */
  readonly #verified = new Map<string, { table: string; columns: Set<string> }>();
  readonly symbols = new Map<string, RowSymbol>();
  comment = '';

  constructor(
    readonly replica: Replica,
    private readonly newUuid: () => string,
  ) {}

  /** Uuids of a table's rows: those of the database, then new ones. */
  *uuids(table: string): Generator<string> {
    for (const uuid of this.replica.rows(table).keys()) {
      if (this.#changes.get(uuid)?.isDeleted !== true) yield uuid;
    }
    for (const [uuid, change] of this.#changes) {
      if (change.isNew && !change.isDeleted && change.table === table) yield uuid;
    }
  }

  has(table: string, uuid: string): boolean {
    const change = this.#changes.get(uuid);
    if (change?.isDeleted === true) return false;
    return change?.isNew === true ? change.table === table : this.replica.rows(table).has(uuid);
  }

  get(table: string, uuid: string, column: string): Datum {
    if (column === UUID_COLUMN.name) return setOf([uuid]);
    const change = this.#changes.get(uuid);
    const whole = change?.columns.get(column);
    if (whole) return whole;
    const { defaultDatum } = this.#column(table, column);
    const mutation = change?.mutations.get(column);
    // A set that is put together in a new row begins empty, whatever the column's default.
    const fallback = mutation ? setOf([]) : defaultDatum;
    const base = this.replica.rows(table).get(uuid)?.fields[column] ?? fallback;
    if (!mutation) return base;
    return setOf([...base.keys.filter((key) => !mutation.deleted.has(key)), ...mutation.inserted]);
  }

  text(table: string, uuid: string, column: string): string | undefined {
    const [atom] = this.get(table, uuid, column).keys;
    return typeof atom === 'string' ? atom : undefined;
  }

  set(table: string, uuid: string, column: string, datum: Datum): void {
    const change = this.#change(table, uuid);
    change.mutations.delete(column);
    change.columns.set(column, datum);
  }

  /** Puts an element into a set, whatever others make of the set meanwhile. */
  insertInto(table: string, uuid: string, column: string, atom: Atom): void {
    this.#mutate(table, uuid, column, atom, true);
  }

  removeFrom(table: string, uuid: string, column: string, atom: Atom): void {
    this.#mutate(table, uuid, column, atom, false);
  }

  insert(table: string, uuid: string = this.newUuid()): string {
    const change = { table, columns: new Map(), mutations: new Map(), isNew: true, isDeleted: false };
    this.#changes.set(uuid, change);
    return uuid;
  }

  delete(table: string, uuid: string): void {
    this.#change(table, uuid).isDeleted = true;
  }

  /** Commits only if the column is still as it was read. */
  verify(table: string, uuid: string, column: string): void {
    if (column === UUID_COLUMN.name || !this.replica.rows(table).has(uuid)) return;
    let entry = this.#verified.get(uuid);
    if (!entry) this.#verified.set(uuid, (entry = { table, columns: new Set() }));
    entry.columns.add(column);
  }

  /** What `@name` stands for, from here on. */
  symbol(name: string): RowSymbol {
    let symbol = this.symbols.get(name);
    if (!symbol) {
      symbol = { uuid: this.newUuid(), created: false, strongRef: false, weakRef: false };
      this.symbols.set(name, symbol);
    }
    return symbol;
  }

  get isEmpty(): boolean {
    return this.#operations().length === 0;
  }

  /**
   * The operations; `indexOf` says at which place among their results a new row's is.
   * @param increment raise `next_cfg` of this root row, and read it
   */
  operations(increment: string | null): {
    operations: Json[];
    indexOf: Map<string, number>;
    nextCfg: number;
  } {
    const changes = this.#operations();
    const waits = this.#waits();
    const operations: Json[] = [...waits, ...changes.map(({ operation }) => operation)];
    const indexOf = new Map<string, number>();
    changes.forEach(({ uuid, isInsert }, i) => isInsert && indexOf.set(uuid, waits.length + i));
    let nextCfg = -1;
    if (increment !== null) {
      const where: Json = [['_uuid', '==', this.#uuidJson(increment)]];
      const table = 'Open_vSwitch';
      operations.push({ op: 'mutate', table, where, mutations: [['next_cfg', '+=', 1]] });
      nextCfg = operations.length;
      operations.push({ op: 'select', table, where, columns: ['next_cfg'] });
    }
    if (this.comment !== '') operations.push({ op: 'comment', comment: this.comment });
    return { operations, indexOf, nextCfg };
  }

  #operations(): { operation: Json; uuid: string; isInsert: boolean }[] {
    const list: { operation: Json; uuid: string; isInsert: boolean }[] = [];
    for (const [uuid, change] of this.#changes) {
      const { table } = change;
      const where: Json = [['_uuid', '==', ['uuid', uuid]]];
      if (change.isDeleted) {
        // Rows of other tables live as long as something refers to them: that is the server's to decide.
        const isRoot = this.replica.schema.tables.get(table)?.isRoot === true;
        if (!change.isNew && isRoot)
          list.push({ operation: { op: 'delete', table, where }, uuid, isInsert: false });
        continue;
      }
      if (change.isNew) {
        const row = this.#rowJson(table, uuid, change);
        list.push({
          operation: { op: 'insert', table, 'uuid-name': nameOf(uuid), row },
          uuid,
          isInsert: true,
        });
        continue;
      }
      const row = this.#rowJson(table, uuid, change);
      if (Object.keys(row).length > 0) {
        list.push({ operation: { op: 'update', table, where, row }, uuid, isInsert: false });
      }
      const mutations = this.#mutationsJson(table, uuid, change);
      if (mutations.length > 0) {
        list.push({ operation: { op: 'mutate', table, where, mutations }, uuid, isInsert: false });
      }
    }
    return list;
  }

  #rowJson(table: string, uuid: string, change: Change): Record<string, Json> {
    const row: Record<string, Json> = {};
    const names = change.isNew
      ? [...change.columns.keys(), ...change.mutations.keys()]
      : change.columns.keys();
    for (const name of names) {
      const { type, defaultDatum } = this.#column(table, name);
      const before = change.isNew ? defaultDatum : this.replica.rows(table).get(uuid)?.fields[name];
      const datum = this.get(table, uuid, name);
      if (!before || !equalDatums(before, datum)) row[name] = this.#datumJson(datum, type);
    }
    return row;
  }

  #mutationsJson(table: string, uuid: string, change: Change): Json[] {
    const list: Json[] = [];
    for (const [name, { inserted, deleted }] of change.mutations) {
      const { type } = this.#column(table, name);
      const base = this.replica.rows(table).get(uuid)?.fields[name];
      const gone = [...deleted].filter((atom) => base?.keys.includes(atom) !== false);
      const come = [...inserted].filter((atom) => base?.keys.includes(atom) !== true);
      if (gone.length > 0)
        list.push([name, 'delete', ['set', gone.map((atom) => this.#atomJson(atom, type))]]);
      if (come.length > 0)
        list.push([name, 'insert', ['set', come.map((atom) => this.#atomJson(atom, type))]]);
    }
    return list;
  }

  #waits(): Json[] {
    return [...this.#verified].map(([uuid, { table, columns }]): Json => {
      const row: Record<string, Json> = {};
      for (const name of columns) {
        const { type, defaultDatum } = this.#column(table, name);
        row[name] = datumToJson(this.replica.rows(table).get(uuid)?.fields[name] ?? defaultDatum, type);
      }
      return {
        op: 'wait',
        table,
        timeout: 0,
        where: [['_uuid', '==', ['uuid', uuid]]],
        columns: [...columns],
        until: '==',
        rows: [row],
      };
    });
  }

  #datumJson(datum: Datum, type: ColumnType): Json {
    const isReference = type.key.type === 'uuid' || type.value?.type === 'uuid';
    if (!isReference) return datumToJson(datum, type);
    const keys = datum.keys.map((atom) => this.#atomJson(atom, type));
    if (!type.value) return keys.length === 1 ? (keys[0] ?? null) : ['set', keys];
    const isUuid = type.value.type === 'uuid';
    const pairs = keys.map((key, i): Json => {
      const value = datum.values?.[i] ?? '';
      return [key, isUuid ? this.#uuidJson(String(value)) : value];
    });
    return ['map', pairs];
  }

  #atomJson(atom: Atom, type: ColumnType): Json {
    return type.key.type === 'uuid' ? this.#uuidJson(String(atom)) : atom;
  }

  /** Of a new row the server knows no uuid yet. */
  #uuidJson(uuid: string): Json {
    return this.#changes.get(uuid)?.isNew === true ? ['named-uuid', nameOf(uuid)] : ['uuid', uuid];
  }

  #mutate(table: string, uuid: string, column: string, atom: Atom, isInsert: boolean): void {
    const change = this.#change(table, uuid);
    const whole = change.columns.get(column);
    if (whole) {
      const others = whole.keys.filter((key) => key !== atom);
      change.columns.set(column, setOf(isInsert ? [...others, atom] : others));
      return;
    }
    let mutation = change.mutations.get(column);
    if (!mutation) change.mutations.set(column, (mutation = { inserted: new Set(), deleted: new Set() }));
    const [into, from] = isInsert
      ? [mutation.inserted, mutation.deleted]
      : [mutation.deleted, mutation.inserted];
    if (!from.delete(atom) || !isInsert) into.add(atom);
  }

  #change(table: string, uuid: string): Change {
    let change = this.#changes.get(uuid);
    if (!change) {
      change = { table, columns: new Map(), mutations: new Map(), isNew: false, isDeleted: false };
      this.#changes.set(uuid, change);
    }
    return change;
  }

  #column(table: string, name: string): ColumnSchema {
    const column = this.replica.schema.tables.get(table)?.columns.get(name);
    if (!column) throw new Fatal(`this database has no column ${name} in table ${table}`);
    return column;
  }
}

/** A uuid as a name for this transaction (`<id>` of RFC 7047 §3.1). */
function nameOf(uuid: string): string {
  return `row${uuid.replaceAll('-', '_')}`;
}
