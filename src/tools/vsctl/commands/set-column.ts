/** `COLUMN[:KEY]=VALUE`, where it is an order. */
import { mapOf, pairs } from '../../../ovsdb/index.js';
import type { Atom, DatabaseSchema, TableSchema } from '../../../ovsdb/index.js';
import { Fatal } from '../../fatal.js';
import { columnNamed, parseColumnArgument } from '../columns.js';
import type { Context } from '../command.js';
import type { Needs } from '../replica.js';
import { Scanner, atomsFromToken, parseDatum } from '../text.js';
import type { ResolveSymbol } from '../text.js';

export function tableOf(schema: DatabaseSchema, name: string): TableSchema {
  const table = schema.tables.get(name);
  if (!table) throw new Fatal(`this database has no table ${name}`);
  return table;
}

/** The columns that these arguments name, as far as they can be understood; the rest is told when they are carried out. */
export function needSettings(
  needs: Needs,
  schema: DatabaseSchema,
  table: string,
  settings: readonly string[],
): void {
  for (const setting of settings) {
    try {
      needs.add(table, columnNamed(tableOf(schema, table), new Scanner(setting).token()).name);
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
    }
  }
}

/** What `@name` stands for where a column of this kind refers to it. */
export function resolver(context: Context, strength: 'strong' | 'weak' | undefined): ResolveSymbol {
  return (name) => {
    const symbol = context.txn.symbol(name);
    if (strength === 'strong') symbol.strongRef = true;
    else symbol.weakRef = true;
    return symbol.uuid;
  };
}

export function setColumn(context: Context, tableName: string, uuid: string, argument: string): void {
  const table = tableOf(context.schema, tableName);
  const { column, key, value = '' } = parseColumnArgument(argument, table, ['=']);
  checkMutable(context, tableName, uuid, column.name, column.mutable);
  const resolve = resolver(context, column.type.value?.refType ?? column.type.key.refType);
  if (key === undefined) {
    context.txn.set(tableName, uuid, column.name, parseDatum(value, column.type, resolve));
    return;
  }
  const valueType = column.type.value;
  if (!valueType) throw new Fatal(`cannot specify key to set for non-map column ${column.name}`);
  const [keyAtom = ''] = atomsFromToken(key, column.type.key, resolve);
  // The value is all that is left, blanks and commas too.
  const [valueAtom = ''] = atomsFromToken(value, valueType, resolve);
  const entries = new Map<Atom, Atom>(pairs(context.txn.get(tableName, uuid, column.name)));
  context.txn.verify(tableName, uuid, column.name);
  context.txn.set(tableName, uuid, column.name, mapOf(entries.set(keyAtom, valueAtom)));
}

/** Columns that cannot change are given when the row is made. */
export function checkMutable(
  context: Context,
  table: string,
  uuid: string,
  column: string,
  isMutable: boolean,
): void {
  if (isMutable || (column !== '_uuid' && !context.txn.replica.rows(table).has(uuid))) return;
  throw new Fatal(`cannot modify read-only column ${column} in table ${table}`);
}
