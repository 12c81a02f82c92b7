/** `<mutation>`s (RFC 7047 §5.1). */
import { shorten } from './atom.js';
import type { Atom, Json, ResolveName } from './atom.js';
import { checkAtom } from './column-type.js';
import type { ColumnType } from './column-type.js';
import { checkSize, datumFromJson, setOf, subtract, union } from './datum.js';
import type { Datum } from './datum.js';
import { OvsdbError, constraintViolation, syntaxError } from './errors.js';
import type { TableSchema } from './schema.js';
import { typeOf } from './condition.js';

export interface Mutation {
  readonly column: string;
  /** @throws OvsdbError "domain error", "range error", "constraint violation" */
  readonly apply: (datum: Datum) => Datum;
}

type Arithmetic = (a: number, b: number) => number;

const ARITHMETIC: Readonly<Record<string, Arithmetic>> = {
  '+=': (a, b) => a + b,
  '-=': (a, b) => a - b,
  '*=': (a, b) => a * b,
  '/=': (a, b) => a / b,
  '%=': (a, b) => a % b,
};

/** @throws OvsdbError */
export function mutationFromJson(json: Json, table: TableSchema, resolveName?: ResolveName): Mutation {
  if (!Array.isArray(json) || json.length !== 3) throw syntaxError(`${shorten(json)} is no mutation`);
  const [column, mutator, value] = json as [Json, Json, Json];
  const type = typeOf(table, column);
  if (typeof column !== 'string' || typeof mutator !== 'string')
    throw syntaxError(`${shorten(json)} is no mutation`);
  if (table.columns.get(column)?.mutable !== true) {
    throw constraintViolation(`Cannot mutate immutable column ${column} in table ${table.name}.`);
  }
  if (mutator === 'insert' || mutator === 'delete')
    return { column, apply: setMutation(mutator, type, value, resolveName) };
  const operation = Object.hasOwn(ARITHMETIC, mutator) ? ARITHMETIC[mutator] : undefined;
  if (!operation) throw new OvsdbError('unknown mutator', `No mutator named ${mutator}.`);
  const { type: atomic } = type.key;
  if (type.value || (atomic !== 'integer' && atomic !== 'real') || (mutator === '%=' && atomic === 'real')) {
    throw syntaxError(`"${mutator}" is no mutator for column ${column} of table ${table.name}`);
  }
  const [operand] = datumFromJson(value, { key: { type: atomic }, min: 1, max: 1 }).keys;
  if (typeof operand !== 'number') throw syntaxError(`${shorten(value)} is no number`);
  return {
    column,
    apply: (datum) => {
      const result = setOf(
        datum.keys.map((atom) => calculate(mutator, operation, atom, operand, atomic === 'integer')),
      );
      if (result.keys.length < datum.keys.length) {
        throw constraintViolation(`Result of "${mutator}" operation on a set has duplicate elements`);
      }
      for (const atom of result.keys) checkAtom(atom, type.key);
      return result;
    },
  };
}

function calculate(
  mutator: string,
  operation: Arithmetic,
  atom: Atom,
  operand: number,
  isInteger: boolean,
): number {
  if ((mutator === '/=' || mutator === '%=') && operand === 0)
    throw new OvsdbError('domain error', 'Division by zero.');
  const exact = operation(Number(atom), operand);
  const result = isInteger ? Math.trunc(exact) : exact;
  if (isInteger ? !Number.isSafeInteger(result) : !Number.isFinite(result)) {
    throw new OvsdbError('range error', `Result of "${mutator}" operation is out of range.`);
  }
  return result === 0 ? 0 : result;
}

function setMutation(
  mutator: 'insert' | 'delete',
  type: ColumnType,
  json: Json,
  resolveName?: ResolveName,
): (datum: Datum) => Datum {
  if (type.max === 1 && type.min === 1) throw syntaxError(`"${mutator}" is for sets and maps`);
  // A map loses keys where a set is given (RFC 7047 §5.1).
  const isSetOfKeys = mutator === 'delete' && type.value && !(Array.isArray(json) && json[0] === 'map');
  const argumentType: ColumnType = { ...(isSetOfKeys ? { key: type.key } : type), min: 0, max: Infinity };
  const argument = datumFromJson(json, argumentType, resolveName, mutator === 'delete');
  return (datum) => {
    const result = mutator === 'insert' ? union(datum, argument) : subtract(datum, argument);
    checkSize(result, type);
    return result;
  };
}
