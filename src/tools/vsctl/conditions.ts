/** `COLUMN[:KEY]OPERATOR VALUE` as a question about a row (ovs-vsctl(8), `find`, `wait-until`). */
import { equalDatums, excludesAll, includesAll, lookUp, setOf } from '../../ovsdb/index.js';
import type { Atom, Datum, TableSchema } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';
import { parseColumnArgument } from './columns.js';
import type { Context } from './command.js';
import { atomsFromToken, parseDatum } from './text.js';
import { resolver } from './commands/set-column.js';

const PLAIN = ['=', '!=', '<', '>', '<=', '>='];
const OPERATORS = [...PLAIN, ...PLAIN.map((each) => `{${each}}`), '{in}', '{not-in}'];

export function isSatisfied(context: Context, table: TableSchema, uuid: string, argument: string): boolean {
  const { column, key, operator = '', value = '' } = parseColumnArgument(argument, table, OPERATORS);
  const have = context.txn.get(table.name, uuid, column.name);
  const resolve = resolver(context, undefined);
  if (key === undefined) {
    return compare(have, parseDatum(value, { ...column.type, min: 0 }, resolve), operator);
  }
  const { value: valueType } = column.type;
  if (!valueType) throw new Fatal(`cannot specify key to check for non-map column ${column.name}`);
  const [keyAtom = ''] = atomsFromToken(key, column.type.key, resolve);
  const found = lookUp(have, keyAtom);
  const max = operator.startsWith('{') ? Infinity : 1;
  const wanted = parseDatum(value, { key: valueType, min: 0, max }, resolve);
  if (found === undefined && !operator.startsWith('{')) return false;
  return compare(setOf(found === undefined ? [] : [found]), wanted, operator);
}

function compare(have: Datum, wanted: Datum, operator: string): boolean {
  switch (operator) {
    case '=':
      return equalDatums(have, wanted);
    case '!=':
      return !equalDatums(have, wanted);
    case '<':
    case '>':
    case '<=':
    case '>=':
      return holds(order(have, wanted), operator);
    case '{=}':
      return equalDatums(have, wanted);
    case '{!=}':
      return !equalDatums(have, wanted);
    case '{<}':
      return have.keys.length < wanted.keys.length && includesAll(wanted, have);
    case '{<=}':
      return includesAll(wanted, have);
    case '{>}':
      return have.keys.length > wanted.keys.length && includesAll(have, wanted);
    case '{>=}':
      return includesAll(have, wanted);
    case '{in}':
      return wanted.keys.length === 0 || includesAll(wanted, have);
    default:
      return excludesAll(have, wanted);
  }
}

function holds(order: number, operator: string): boolean {
  if (order === 0) return operator.endsWith('=');
  return operator.startsWith('<') ? order < 0 : order > 0;
}

/** A total order: by size, then by elements. */
function order(a: Datum, b: Datum): number {
  if (a.keys.length !== b.keys.length) return a.keys.length < b.keys.length ? -1 : 1;
  for (const [i, key] of a.keys.entries()) {
    const different = orderAtoms(key, b.keys[i]) || orderAtoms(a.values?.[i], b.values?.[i]);
    if (different !== 0) return different;
  }
  return 0;
}

function orderAtoms(a: Atom | undefined, b: Atom | undefined): number {
  if (a === b || a === undefined || b === undefined) return 0;
  return a < b ? -1 : 1;
}
