/** `<condition>`s of where clauses (RFC 7047 §5.1). */
import { isUuid, shorten } from './atom.js';
import type { Json, ResolveName } from './atom.js';
import { isScalar } from './column-type.js';
import type { ColumnType } from './column-type.js';
import type { Row } from './database.js';
import { compareAtoms } from './atom.js';
import { datumFromJson, emptySet, equalDatums, excludesAll, includesAll } from './datum.js';
import type { Datum } from './datum.js';
import { OvsdbError, syntaxError } from './errors.js';
import type { TableSchema } from './schema.js';
import type { Transaction } from './transaction.js';

type Test = (datum: Datum) => boolean;

export interface Condition {
  readonly clauses: readonly Clause[];
}

interface Clause {
  readonly column: string;
  readonly relation: string;
  readonly argument: Datum;
  readonly holds: Test;
}

const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

const UUID_TYPE: ColumnType = { key: { type: 'uuid' }, min: 1, max: 1 };

/** The type of a column, `_uuid` and `_version` included. @throws OvsdbError "unknown column" */
export function typeOf(table: TableSchema, column: Json | undefined): ColumnType {
  if (column === '_uuid' || column === '_version') return UUID_TYPE;
  const schema = typeof column === 'string' ? table.columns.get(column) : undefined;
  if (!schema) throw new OvsdbError('unknown column', `No column ${shorten(column)} in table ${table.name}.`);
  return schema.type;
}

/** The contents of a column of a row, `_uuid` and `_version` included. */
export function fieldOf(row: Row, column: string): Datum {
  if (column === '_uuid') return { keys: [row.uuid], values: null };
  if (column === '_version') return { keys: [row.version], values: null };
  return row.fields[column] ?? emptySet;
}

/** @throws OvsdbError "syntax error", "unknown column" */
export function conditionFromJson(
  json: Json | undefined,
  table: TableSchema,
  resolveName?: ResolveName,
): Condition {
  if (!Array.isArray(json)) throw syntaxError(`where must be a list of conditions, not ${shorten(json)}`);
  return { clauses: (json as readonly Json[]).map((clause) => clauseFromJson(clause, table, resolveName)) };
}

function clauseFromJson(json: Json, table: TableSchema, resolveName?: ResolveName): Clause {
  if (typeof json === 'boolean') {
    return { column: '_uuid', relation: String(json), argument: emptySet, holds: () => json };
  }
  if (!Array.isArray(json) || json.length !== 3) throw syntaxError(`${shorten(json)} is no condition`);
  const [column, relation, value] = json as [Json, Json, Json];
  const type = typeOf(table, column);
  if (typeof column !== 'string' || typeof relation !== 'string')
    throw syntaxError(`${shorten(json)} is no condition`);
  const clause = (relaxed: boolean, holds: (argument: Datum) => Test): Clause => {
    const argument = datumFromJson(
      value,
      relaxed ? { ...type, min: 0, max: Infinity } : type,
      resolveName,
      relaxed,
    );
    return { column: column, relation: relation, argument, holds: holds(argument) };
  };
  switch (relation) {
    case '==':
      return clause(false, (argument) => (datum) => equalDatums(datum, argument));
    case '!=':
      return clause(false, (argument) => (datum) => !equalDatums(datum, argument));
    case 'includes':
      return isScalar(type)
        ? clause(false, (argument) => (datum) => equalDatums(datum, argument))
        : clause(true, (argument) => (datum) => includesAll(datum, argument));
    case 'excludes':
      return isScalar(type)
        ? clause(false, (argument) => (datum) => !equalDatums(datum, argument))
        : clause(true, (argument) => (datum) => excludesAll(datum, argument));
  }
  const accepts = Object.hasOwn(ORDERS, relation) ? ORDERS[relation] : undefined;
  if (!accepts) throw new OvsdbError('unknown function', `No function named ${shorten(relation)}.`);
  const isNumeric = type.key.type === 'integer' || type.key.type === 'real';
  if (!isNumeric || type.max !== 1 || type.value) {
    throw syntaxError(`"${relation}" compares numbers; ${column} of table ${table.name} is none`);
  }
  return clause(false, (argument) => (datum) => {
    const [left] = datum.keys;
    const [right] = argument.keys;
    return left !== undefined && right !== undefined && accepts(compareAtoms(left, right));
  });
}

export function matches(row: Row, condition: Condition): boolean {
  return condition.clauses.every(({ column, holds }) => holds(fieldOf(row, column)));
}

/** The rows that satisfy the condition, by look-up where `_uuid` or a unique column is compared. */
export function selectRows(transaction: Transaction, table: TableSchema, condition: Condition): Row[] {
  for (const { column, relation, argument } of condition.clauses) {
    if (relation !== '==') continue;
    let row: Row | null | undefined;
    const [key] = argument.keys;
    if (column === '_uuid' && typeof key === 'string' && isUuid(key))
      row = transaction.row(table.name, key) ?? null;
    else row = transaction.findIndexed(table, column, argument);
    if (row !== undefined) return row && matches(row, condition) ? [row] : [];
  }
  return [...transaction.rows(table.name)].filter((row) => matches(row, condition));
}
