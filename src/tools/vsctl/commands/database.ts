/** Commands on tables, rows and columns (ovs-vsctl(8), "Database Commands"). */
import { mapOf, setOf, subtract, union } from '../../../ovsdb/index.js';
import type { Datum, TableSchema } from '../../../ovsdb/index.js';
import { Fatal } from '../../fatal.js';
import { UUID_COLUMN, columnNamed, parseColumnArgument, tableNamed } from '../columns.js';
import { define } from '../command.js';
import type { Command, Context } from '../command.js';
import { isSatisfied } from '../conditions.js';
import { findRecord, needRecord, record } from '../records.js';
import { Scanner, atomText, atomsFromToken, datumText, elementsName, parseDatum } from '../text.js';
import { checkMutable, needSettings, resolver, setColumn } from './set-column.js';

const EVER = Number.MAX_SAFE_INTEGER;

/** The table, what names its rows, and the columns in `args` from that place on. */
function needs(firstColumn: number): Command['needs'] {
  return (needs, args, _options, schema) => {
    try {
      const table = tableNamed(schema, args[0] ?? '').name;
      needRecord(needs, schema, table);
      needSettings(needs, schema, table, args.slice(firstColumn));
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
    }
  };
}

/** Also those of `--columns`, all if it is absent. */
function needShown(firstColumn: number): Command['needs'] {
  return (into, args, options, schema) => {
    needs(firstColumn)(into, args, options, schema);
    try {
      const table = tableNamed(schema, args[0] ?? '');
      const shown = options.get('--columns');
      if (shown === undefined || shown === null) into.addAll(table.name);
      else needSettings(into, schema, table.name, shown.split(/[, ]+/));
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
    }
  };
}

const tableOf = (context: Context) => tableNamed(context.schema, context.args[0] ?? '');

export const databaseCommands: readonly Command[] = [
  define(
    'comment',
    [0, EVER],
    [],
    () => undefined,
    (context) => {
      context.txn.comment += `\n${context.args.join(' ')}`;
    },
  ),
  define('get', [2, EVER], ['--if-exists', '--id='], needs(2), get),
  define('list', [1, EVER], ['--if-exists', '--columns='], needShown(EVER), (context) => {
    const table = tableOf(context);
    const [, ...records] = context.args;
    const isOptional = context.options.has('--if-exists');
    const uuids =
      records.length === 0
        ? [...context.txn.uuids(table.name)]
        : records.flatMap((name) =>
            isOptional ? (findRecord(context, table, name) ?? []) : record(context, table, name),
          );
    show(context, table, uuids);
  }),
  define('find', [1, EVER], ['--columns='], needShown(1), (context) => {
    const table = tableOf(context);
    const [, ...conditions] = context.args;
    const uuids = [...context.txn.uuids(table.name)].filter((uuid) =>
      conditions.every((condition) => isSatisfied(context, table, uuid, condition)),
    );
    show(context, table, uuids);
  }),
  define('set', [3, EVER], ['--if-exists'], needs(2), (context) => {
    const [, name = '', ...settings] = context.args;
    const table = tableOf(context);
    const uuid = rowOf(context, table, name);
    if (uuid === undefined) return;
    for (const setting of settings) setColumn(context, table.name, uuid, setting);
    context.invalidate();
  }),
  define('add', [4, EVER], ['--if-exists'], needs(2), (context) => change(context, 'add')),
  define('remove', [4, EVER], ['--if-exists'], needs(2), (context) => change(context, 'remove')),
  define('clear', [3, EVER], ['--if-exists'], needs(2), (context) => {
    const [, name = '', ...columns] = context.args;
    const table = tableOf(context);
    const uuid = rowOf(context, table, name);
    if (uuid === undefined) return;
    for (const given of columns) {
      const column = columnNamed(table, given);
      checkMutable(context, table.name, uuid, column.name, column.mutable);
      if (column.type.min > 0) {
        throw new Fatal(
          `"clear" operation cannot be applied to column ${column.name} of table ${table.name}, which is not allowed to be empty`,
        );
      }
      context.txn.set(table.name, uuid, column.name, column.type.value ? mapOf([]) : setOf([]));
    }
    context.invalidate();
  }),
  define('create', [2, EVER], ['--id='], needs(EVER), create),
  define('destroy', [1, EVER], ['--if-exists', '--all'], needs(EVER), (context) => {
    const [, ...records] = context.args;
    const table = tableOf(context);
    const all = context.options.has('--all');
    if (all && records.length > 0) {
      throw new Fatal('--all and records argument should not be specified together');
    }
    if (!all && records.length === 0) {
      context.warn('either --all or records argument should be specified');
    }
    const uuids = all
      ? [...context.txn.uuids(table.name)]
      : records.flatMap((name) => rowOf(context, table, name) ?? []);
    for (const uuid of uuids) context.txn.delete(table.name, uuid);
    context.invalidate();
  }),
  {
    ...define('wait-until', [2, EVER], [], needs(2), () => undefined),
    waits: (context) => {
      const [, name = '', ...conditions] = context.args;
      const table = tableOf(context);
      const uuid = findRecord(context, table, name);
      if (uuid === undefined) return false;
      return conditions.every((condition) => isSatisfied(context, table, uuid, condition));
    },
  },
];

/** The row, or undefined where it may be missing and is. */
function rowOf(context: Context, table: TableSchema, name: string): string | undefined {
  return context.options.has('--if-exists') ? findRecord(context, table, name) : record(context, table, name);
}

function show(context: Context, table: TableSchema, uuids: readonly string[]): void {
  const given = context.options.get('--columns');
  const columns =
    given === undefined || given === null
      ? [UUID_COLUMN, ...[...table.columns.values()].sort((a, b) => (a.name < b.name ? -1 : 1))]
      : given
          .split(/[, ]+/)
          .filter((name) => name !== '')
          .map((name) => columnNamed(table, name));
  if (columns.length === 0) throw new Fatal('must specify at least one column name');
  context.table = {
    headings: columns.map(({ name }) => name),
    rows: uuids.map((uuid) =>
      columns.map(({ name, type }) => ({ datum: context.txn.get(table.name, uuid, name), type })),
    ),
  };
}

function get(context: Context): void {
  const [, name = '', ...columns] = context.args;
  const { txn, options } = context;
  const table = tableOf(context);
  const mustExist = !options.has('--if-exists');
  const id = options.get('--id');
  if (id !== undefined && !mustExist) throw new Fatal('--if-exists and --id may not be specified together');
  const uuid = rowOf(context, table, name);
  if (uuid === undefined) return;
  if (id !== undefined && id !== null) {
    checkSymbolName(id);
    if (txn.symbols.has(id)) {
      throw new Fatal(`row id "${id}" specified on "get" command was used before it was defined`);
    }
    txn.symbols.set(id, { uuid, created: true, strongRef: true, weakRef: false });
  } else if (columns.length === 0) {
    context.warn('"get" command without row arguments or "--id" is possibly erroneous');
  }
  for (const argument of columns) {
    const { column, key } = parseColumnArgument(argument, table, []);
    const datum = txn.get(table.name, uuid, column.name);
    txn.verify(table.name, uuid, column.name);
    if (key === undefined) {
      context.print(datumText(datum, column.type));
      continue;
    }
    if (!column.type.value) throw new Fatal(`cannot specify key to get for non-map column ${column.name}`);
    const [atom = ''] = atomsFromToken(key, column.type.key, resolver(context, undefined));
    const index = datum.keys.indexOf(atom);
    if (index >= 0) context.print(atomText(datum.values?.[index] ?? '', column.type.value.type));
    else if (!mustExist) context.print('');
    else {
      throw new Fatal(`no key "${key}" in ${table.name} record "${name}" column ${column.name}`);
    }
  }
}

/** `add` and `remove`: elements of a set, pairs of a map. */
function change(context: Context, verb: 'add' | 'remove'): void {
  const [, name = '', columnName = '', ...values] = context.args;
  const { txn } = context;
  const table = tableOf(context);
  const uuid = rowOf(context, table, name);
  if (uuid === undefined) return;
  const column = columnNamed(table, columnName);
  checkMutable(context, table.name, uuid, column.name, column.mutable);
  const { type } = column;
  const resolve = resolver(context, type.key.refType);
  const relaxed = { ...type, min: 0, max: Infinity } as const;
  let datum = txn.get(table.name, uuid, column.name);
  for (const value of values) {
    if (verb === 'add') datum = union(parseDatum(value, relaxed, resolve), datum);
    else
      datum = subtract(
        datum,
        removed(
          value,
          type.value !== undefined,
          () => parseDatum(value, relaxed, resolve),
          () => parseDatum(value, { key: type.key, min: 0, max: Infinity }, resolve),
        ),
      );
  }
  const count = datum.keys.length;
  if (count > type.max || count < type.min) {
    const [limit, number] = count > type.max ? ['maximum', type.max] : ['minimum', type.min];
    throw new Fatal(
      `"${verb}" operation would put ${count} ${elementsName(type)} in column ${column.name} of table ${table.name} but the ${limit} number is ${number}`,
    );
  }
  txn.verify(table.name, uuid, column.name);
  txn.set(table.name, uuid, column.name, datum);
  context.invalidate();
}

/** What is to be taken out of a map may be keys alone. */
function removed(text: string, isMap: boolean, asPairs: () => Datum, asKeys: () => Datum): Datum {
  if (!isMap) return asKeys();
  const scanner = new Scanner(text);
  scanner.take('{');
  scanner.token();
  return scanner.peek() === '=' ? asPairs() : asKeys();
}

function create(context: Context): void {
  const [, ...settings] = context.args;
  const { txn, options } = context;
  const table = tableOf(context);
  const id = options.get('--id');
  let uuid: string | undefined;
  if (id !== undefined && id !== null) {
    checkSymbolName(id);
    const symbol = txn.symbol(id);
    if (symbol.created) throw new Fatal(`row id "${id}" may only be specified on one --id option`);
    symbol.created = true;
    if (table.isRoot) symbol.strongRef = true;
    ({ uuid } = symbol);
  } else if (!table.isRoot) {
    context.warn(`applying "create" command to table ${table.name} without --id option will have no effect`);
  }
  uuid = txn.insert(table.name, uuid);
  for (const setting of settings) setColumn(context, table.name, uuid, setting);
  context.printUuid(uuid);
  context.invalidate();
}

function checkSymbolName(id: string): void {
  if (!id.startsWith('@')) throw new Fatal(`row id "${id}" does not begin with "@"`);
}
