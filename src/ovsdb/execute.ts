/** The operations of a `transact` request (RFC 7047 §5.2) over one database. */
import { isObject, isUuid, shorten } from './atom.js';
import type { Json } from './atom.js';
import { conditionFromJson, fieldOf, selectRows, typeOf } from './condition.js';
import type { Change, Database, Row } from './database.js';
import { datumFromJson, datumToJson, equalDatums, isWrittenSo } from './datum.js';
import type { Datum } from './datum.js';
import { OvsdbError, constraintViolation, syntaxError } from './errors.js';
import { mutationFromJson } from './mutation.js';
import type { TableSchema } from './schema.js';
import { Transaction } from './transaction.js';

export type Operation = { readonly [key: string]: Json | undefined };

export interface ExecuteOptions {
  readonly newUuid: () => string;
  /** Whether the client holds this lock, for `assert`. */
  readonly holdsLock?: (lock: string) => boolean;
}

export interface Outcome {
  /** One for each operation as RFC 7047 §4.1.3 wants them: null after a failed one, one more if the commit failed. */
  readonly results: Json[];
  /** What to apply; null if the transaction failed. Empty if it changed nothing. */
  readonly changes: Change[] | null;
  readonly error: OvsdbError | null;
  /** Texts of `comment` operations. */
  readonly comment: string;
  /**
   * A `wait` whose condition does not hold yet and that may still come true: try again after the next change, until
   * so many milliseconds after the first attempt (null: for ever), then answer with these results.
   */
  readonly waitsForMs: number | null | undefined;
}

interface Context {
  readonly transaction: Transaction;
  readonly options: ExecuteOptions;
  readonly symbols: Map<string, { readonly uuid: string; inserted: boolean }>;
  readonly comments: string[];
}

/** Thrown by a `wait` that may come true later. */
class NotYet extends OvsdbError {
  constructor(readonly timeoutMs: number | null) {
    super('timed out', 'the condition of "wait" does not hold');
  }
}

/** Runs operations. The database stays as it is: the caller applies {@link Outcome.changes}. */
export function execute(database: Database, operations: readonly Json[], options: ExecuteOptions): Outcome {
  const transaction = new Transaction(database, options.newUuid);
  const context: Context = { transaction, options, symbols: new Map(), comments: [] };
  const results: Json[] = [];
  let error: OvsdbError | null = null;
  let waitsForMs: number | null | undefined;
  let changes: Change[] | null = null;
  try {
    declareNames(operations, context);
    for (const operation of operations) results.push(executeOne(operation, context));
    changes = transaction.commit();
  } catch (thrown) {
    if (!(thrown instanceof OvsdbError)) throw thrown;
    error = thrown;
    results.push(error.toJSON());
    if (thrown instanceof NotYet) waitsForMs = thrown.timeoutMs;
  }
  while (results.length < operations.length) results.push(null);
  return { results, changes, error, comment: context.comments.join('\n'), waitsForMs };
}

/** An insert may be referred to by operations before it, so names are known from the start. */
function declareNames(operations: readonly Json[], { symbols, options }: Context): void {
  for (const operation of operations) {
    if (!isObject(operation) || operation['op'] !== 'insert') continue;
    const name = operation['uuid-name'];
    const given = operation['uuid'];
    if (typeof name !== 'string' || symbols.has(name)) continue;
    symbols.set(name, {
      uuid: typeof given === 'string' && isUuid(given) ? given.toLowerCase() : options.newUuid(),
      inserted: false,
    });
  }
}

function executeOne(operation: Json, context: Context): Json {
  if (!isObject(operation)) throw syntaxError(`${shorten(operation)} is no operation`);
  switch (operation['op']) {
    case 'insert':
      return insert(operation, context);
    case 'select':
      return select(operation, context);
    case 'update':
      return update(operation, context);
    case 'mutate':
      return mutate(operation, context);
    case 'delete':
      return remove(operation, context);
    case 'wait':
      return wait(operation, context);
    case 'commit':
      // Every commit is durable here.
      checkMembers(operation, ['durable']);
      if (typeof operation['durable'] !== 'boolean') throw syntaxError('"durable" must be a boolean');
      return {};
    case 'abort':
      checkMembers(operation, []);
      throw new OvsdbError('aborted', 'aborted by request');
    case 'comment':
      checkMembers(operation, ['comment']);
      if (typeof operation['comment'] !== 'string') throw syntaxError('"comment" must be a string');
      context.comments.push(operation['comment']);
      return {};
    case 'assert': {
      checkMembers(operation, ['lock']);
      const lock = operation['lock'];
      if (typeof lock !== 'string') throw syntaxError('"lock" must be a string');
      if (!context.options.holdsLock?.(lock))
        throw new OvsdbError('not owner', `Asserted lock ${lock} not held.`);
      return {};
    }
  }
  throw syntaxError(`No operation ${shorten(operation['op'])}`);
}

function insert(operation: Operation, context: Context): Json {
  const table = tableOf(operation, context);
  checkMembers(operation, ['table', 'row', 'uuid-name', 'uuid']);
  const name = operation['uuid-name'];
  const given = operation['uuid'];
  if (given !== undefined && (typeof given !== 'string' || !isUuid(given)))
    throw syntaxError(`${shorten(given)} is no uuid`);
  let uuid = given?.toLowerCase() ?? context.options.newUuid();
  if (name !== undefined) {
    if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw syntaxError(`${shorten(name)} is no <id>`);
    const symbol = context.symbols.get(name);
    if (!symbol || symbol.inserted) {
      throw new OvsdbError(
        'duplicate uuid-name',
        `This "uuid-name" appeared on an earlier "insert" operation: ${name}`,
      );
    }
    symbol.inserted = true;
    uuid = symbol.uuid;
  }
  const row = context.transaction.insert(table, uuid, rowFromJson(operation['row'], table, context));
  return { uuid: ['uuid', row.uuid] };
}

function select(operation: Operation, context: Context): Json {
  const table = tableOf(operation, context);
  checkMembers(operation, ['table', 'where', 'columns']);
  const rows = selectRows(context.transaction, table, conditionOf(operation, table, context));
  const columns = columnsOf(operation, table) ?? ['_uuid', '_version', ...table.columns.keys()];
  const distinct = new Map<string, Json>();
  for (const row of rows) {
    const json = rowToJson(row, table, columns);
    distinct.set(JSON.stringify(json), json);
  }
  return { rows: [...distinct.values()] };
}

function update(operation: Operation, context: Context): Json {
  const table = tableOf(operation, context);
  checkMembers(operation, ['table', 'where', 'row']);
  const fields = rowFromJson(operation['row'], table, context);
  for (const name of Object.keys(fields)) {
    if (table.columns.get(name)?.mutable === false) {
      throw constraintViolation(`Cannot update immutable column ${name} in table ${table.name}.`);
    }
  }
  const rows = selectRows(context.transaction, table, conditionOf(operation, table, context));
  for (const row of rows) modify(context.transaction, table, row, fields);
  return { count: rows.length };
}

function mutate(operation: Operation, context: Context): Json {
  const table = tableOf(operation, context);
  checkMembers(operation, ['table', 'where', 'mutations']);
  const list = operation['mutations'];
  if (!Array.isArray(list)) throw syntaxError('"mutations" must be a list');
  const mutations = (list as readonly Json[]).map((json) =>
    mutationFromJson(json, table, nameResolver(context)),
  );
  const rows = selectRows(context.transaction, table, conditionOf(operation, table, context));
  for (const row of rows) {
    const fields: Record<string, Datum> = {};
    for (const { column, apply } of mutations) fields[column] = apply(fields[column] ?? fieldOf(row, column));
    modify(context.transaction, table, row, fields);
  }
  return { count: rows.length };
}

/** Keeps datums that stay equal, so that what did not change can be seen by identity. */
function modify(
  transaction: Transaction,
  table: TableSchema,
  row: Row,
  fields: Readonly<Record<string, Datum>>,
): void {
  const changed = Object.entries(fields).filter(([name, datum]) => !equalDatums(datum, fieldOf(row, name)));
  if (changed.length === 0) return;
  const stored = transaction.database.row(table.name, row.uuid);
  const kept = changed.map(([name, datum]): [string, Datum] => {
    const original = stored?.fields[name];
    return [name, original && equalDatums(original, datum) ? original : datum];
  });
  transaction.modify(table.name, row, Object.fromEntries(kept));
}

function remove(operation: Operation, context: Context): Json {
  const table = tableOf(operation, context);
  checkMembers(operation, ['table', 'where']);
  const rows = selectRows(context.transaction, table, conditionOf(operation, table, context));
  for (const row of rows) context.transaction.delete(table.name, row.uuid);
  return { count: rows.length };
}

/**
 * Whether a `wait` is of the simple kind, and holds: one row by its uuid, `==`, and the values there as the server itself
 * writes them. `ovs-vsctl` sends one for every row that it has looked at, a thousand in a transaction.
 */
function holdsPlainly(operation: Operation, table: TableSchema, { transaction }: Context): boolean {
  const { where, rows, until, columns } = operation;
  if (until !== '==' || !Array.isArray(where) || where.length !== 1) return false;
  if (!Array.isArray(rows) || rows.length !== 1 || !Array.isArray(columns)) return false;
  const [clause] = where as [Json];
  const [wanted] = rows as [Json];
  if (!Array.isArray(clause) || clause[0] !== '_uuid' || clause[1] !== '==' || !isObject(wanted))
    return false;
  const uuid: Json = (clause as readonly Json[])[2] ?? null;
  if (!Array.isArray(uuid) || uuid.length !== 2 || uuid[0] !== 'uuid' || typeof uuid[1] !== 'string')
    return false;
  const row = transaction.row(table.name, uuid[1]);
  if (!row || Object.keys(wanted).length !== columns.length) return false;
  return (columns as readonly Json[]).every((column) => {
    const schema = typeof column === 'string' ? table.columns.get(column) : undefined;
    const value = typeof column === 'string' ? wanted[column] : undefined;
    return (
      schema !== undefined &&
      value !== undefined &&
      isWrittenSo(fieldOf(row, schema.name), schema.type, value)
    );
  });
}

function wait(operation: Operation, context: Context): Json {
  const table = tableOf(operation, context);
  checkMembers(operation, ['table', 'where', 'columns', 'until', 'rows', 'timeout']);
  const { timeout, until, rows: wanted } = operation;
  if (timeout !== undefined && (typeof timeout !== 'number' || timeout < 0))
    throw syntaxError('"timeout" must not be negative');
  if (until !== '==' && until !== '!=') throw syntaxError('"until" must be "==" or "!="');
  if (!Array.isArray(wanted)) throw syntaxError('"rows" must be a list');
  if (holdsPlainly(operation, table, context)) return {};
  const columns = columnsOf(operation, table) ?? [...table.columns.keys()];
  const expected = (wanted as readonly Json[]).map((json): Row => {
    const given = rowFromJson(json, table, context, true);
    const fields: Record<string, Datum> = {};
    for (const column of columns) {
      const datum = given[column] ?? table.columns.get(column)?.defaultDatum;
      if (datum) fields[column] = datum;
    }
    const [uuid, version] = [given['_uuid']?.keys[0], given['_version']?.keys[0]];
    return { uuid: String(uuid ?? ''), version: String(version ?? ''), fields };
  });
  const found = selectRows(context.transaction, table, conditionOf(operation, table, context));
  const isEqual = haveEqualRows(found, expected, table, columns);
  if (isEqual === (until === '==')) return {};
  if (timeout === 0) throw new OvsdbError('timed out', '"wait" timed out');
  throw new NotYet(timeout ?? null);
}

/** Whether both have the same rows in these columns; how often they have each does not matter. */
function haveEqualRows(
  found: readonly Row[],
  expected: readonly Row[],
  table: TableSchema,
  columns: readonly string[],
): boolean {
  const [one, other] = [found[0], expected[0]];
  // What nearly every `wait` is about.
  if (one && other && found.length === 1 && expected.length === 1)
    return columns.every((column) => equalDatums(fieldOf(one, column), fieldOf(other, column)));
  const project = (row: Row) => JSON.stringify(rowToJson(row, table, columns));
  const texts = new Set(expected.map(project));
  const foundTexts = found.map(project);
  return foundTexts.every((text) => texts.has(text)) && new Set(foundTexts).size === texts.size;
}

// ---------------------------------------------------------------------------------------------------------------

function tableOf(operation: Operation, { transaction }: Context): TableSchema {
  const name = operation['table'];
  const table = typeof name === 'string' ? transaction.database.schema.tables.get(name) : undefined;
  if (!table) throw syntaxError(`No table named ${shorten(name)}.`);
  return table;
}

function checkMembers(operation: Operation, allowed: readonly string[]): void {
  for (const name of Object.keys(operation)) {
    if (name !== 'op' && !allowed.includes(name))
      throw syntaxError(`"${name}" is no member of this operation`);
  }
}

function conditionOf(operation: Operation, table: TableSchema, context: Context) {
  return conditionFromJson(operation['where'], table, nameResolver(context));
}

function columnsOf(operation: Operation, table: TableSchema): string[] | undefined {
  const columns = operation['columns'];
  if (columns === undefined) return undefined;
  if (!Array.isArray(columns)) throw syntaxError('"columns" must be a list');
  for (const column of columns as readonly Json[]) {
    const isKnown =
      column === '_uuid' ||
      column === '_version' ||
      (typeof column === 'string' && table.columns.has(column));
    if (!isKnown) throw syntaxError(`${shorten(column)} is not a valid column name`);
  }
  return columns as string[];
}

function nameResolver({ symbols, options }: Context): (name: string) => string {
  return (name) => {
    let symbol = symbols.get(name);
    // A name that no insert declares is a row that does not exist: the reference is refused at commit.
    if (!symbol) symbols.set(name, (symbol = { uuid: options.newUuid(), inserted: false }));
    return symbol.uuid;
  };
}

function rowFromJson(
  json: Json | undefined,
  table: TableSchema,
  context: Context,
  withIdentity = false,
): Record<string, Datum> {
  if (!isObject(json)) throw syntaxError(`${shorten(json)} is no row`);
  const fields: Record<string, Datum> = {};
  for (const [name, value] of Object.entries(json)) {
    const type = typeOf(table, name);
    if (value === undefined) continue;
    if (!withIdentity && !table.columns.has(name)) throw constraintViolation(`${name} cannot be set`);
    fields[name] = datumFromJson(value, type, nameResolver(context));
  }
  return fields;
}

export function rowToJson(row: Row, table: TableSchema, columns: Iterable<string>): Json {
  const json: Record<string, Json> = {};
  for (const column of columns) json[column] = datumToJson(fieldOf(row, column), typeOf(table, column));
  return json;
}
