/**
 * Datums (RFC 7047 §5.1 `<value>`): the contents of one column of one row. A scalar is a set of one. Immutable;
 * keys are sorted and unique, so equal contents are equal arrays.
 */
import { atomFromJson, atomToJson, compareAtoms, defaultAtom, shorten } from './atom.js';
import type { Atom, AtomicType, Json, ResolveName } from './atom.js';
import { checkAtom } from './column-type.js';
import type { ColumnType } from './column-type.js';
import { OvsdbError, constraintViolation, syntaxError } from './errors.js';

export interface Datum {
  readonly keys: readonly Atom[];
  /** For maps: the value of the key at the same index. */
  readonly values: readonly Atom[] | null;
}

export const emptySet: Datum = { keys: [], values: null };
export const emptyMap: Datum = { keys: [], values: [] };

/** What a column holds when an insert does not name it (RFC 7047 §5.2.1). */
export function defaultDatum(type: ColumnType): Datum {
  if (type.min === 0) return type.value ? emptyMap : emptySet;
  return { keys: [defaultAtom(type.key.type)], values: type.value ? [defaultAtom(type.value.type)] : null };
}

/** A set of these atoms, which may repeat. */
export function setOf(atoms: Iterable<Atom>): Datum {
  return { keys: [...new Set(atoms)].sort(compareAtoms), values: null };
}

export function mapOf(entries: Iterable<readonly [Atom, Atom]>): Datum {
  const sorted = [...new Map(entries)].sort((a, b) => compareAtoms(a[0], b[0]));
  return { keys: sorted.map(([key]) => key), values: sorted.map(([, value]) => value) };
}

/**
 * Reads a `<value>` of the type, checked against all of its constraints.
 * @param relaxed accepts any number of elements, for `includes`, `excludes` and mutations
 * @throws OvsdbError "syntax error", "constraint violation"
 */
export function datumFromJson(
  json: Json,
  type: ColumnType,
  resolveName?: ResolveName,
  relaxed = false,
): Datum {
  const datum = type.value ? mapFromJson(json, type, resolveName) : setFromJson(json, type, resolveName);
  const count = datum.keys.length;
  if (!relaxed && (count < type.min || count > type.max)) {
    throw syntaxError(
      `${type.value ? 'map' : 'set'} must have ${sizesOf(type)} members but ${count} are present`,
    );
  }
  for (const key of datum.keys) checkAtom(key, type.key);
  if (type.value) for (const value of datum.values ?? []) checkAtom(value, type.value);
  return datum;
}

function setFromJson(json: Json, type: ColumnType, resolveName?: ResolveName): Datum {
  const isSet = Array.isArray(json) && json[0] === 'set';
  if (isSet && (json.length !== 2 || !Array.isArray(json[1])))
    throw syntaxError(`${shorten(json)} is no set`);
  const items = isSet ? (json[1] as Json[]) : [json];
  const keys = items.map((item) => atomFromJson(item, type.key.type, resolveName)).sort(compareAtoms);
  if (hasRepeats(keys)) throw new OvsdbError('ovsdb error', 'set contains duplicate');
  return { keys, values: null };
}

function mapFromJson(json: Json, type: ColumnType, resolveName?: ResolveName): Datum {
  if (
    !Array.isArray(json) ||
    json.length !== 2 ||
    json[0] !== 'map' ||
    !Array.isArray(json[1]) ||
    !type.value
  ) {
    throw syntaxError(`${shorten(json)} is no map`);
  }
  const valueType = type.value.type;
  const pairs = (json[1] as Json[]).map((pair): [Atom, Atom] => {
    if (!Array.isArray(pair) || pair.length !== 2) throw syntaxError(`${shorten(pair)} is no pair of a map`);
    const [key, value] = pair as [Json, Json];
    return [atomFromJson(key, type.key.type, resolveName), atomFromJson(value, valueType, resolveName)];
  });
  pairs.sort((a, b) => compareAtoms(a[0], b[0]));
  const keys = pairs.map(([key]) => key);
  if (hasRepeats(keys)) throw new OvsdbError('ovsdb error', 'map contains duplicate key');
  return { keys, values: pairs.map(([, value]) => value) };
}

function hasRepeats(sorted: readonly Atom[]): boolean {
  return sorted.some((atom, i) => i > 0 && atom === sorted[i - 1]);
}

/** @throws OvsdbError "constraint violation" where the datum has too few or too many elements */
export function checkSize(datum: Datum, type: ColumnType): void {
  const count = datum.keys.length;
  if (count >= type.min && count <= type.max) return;
  throw constraintViolation(`${count} values are stored where ${sizesOf(type)} must be`);
}

function sizesOf({ min, max }: ColumnType): string {
  if (max === Infinity) return `at least ${min}`;
  return min === max ? `${min}` : `${min} to ${max}`;
}

export function datumToJson(datum: Datum, type: ColumnType): Json {
  const { value } = type;
  if (value) {
    const pairs = datum.keys.map((key, i): Json => {
      return [atomToJson(key, type.key.type), atomToJson(datum.values?.[i] ?? '', value.type)];
    });
    return ['map', pairs];
  }
  const [first, ...others] = datum.keys;
  if (first !== undefined && others.length === 0) return atomToJson(first, type.key.type);
  return ['set', datum.keys.map((key) => atomToJson(key, type.key.type))];
}

/**
 * Whether `json` is what {@link datumToJson} makes of the datum. False says nothing: the same may be written in another
 * way.
 */
export function isWrittenSo({ keys, values }: Datum, { key, value }: ColumnType, json: Json): boolean {
  if (!value && keys.length === 1 && keys[0] !== undefined) return isAtomWrittenSo(keys[0], key.type, json);
  if (!Array.isArray(json) || json.length !== 2 || json[0] !== (value ? 'map' : 'set')) return false;
  const items: Json = (json as readonly Json[])[1] ?? null;
  if (!Array.isArray(items) || items.length !== keys.length) return false;
  return (items as readonly Json[]).every((item, i) => {
    const at = keys[i];
    if (at === undefined) return false;
    if (!value) return isAtomWrittenSo(at, key.type, item);
    const mapped = values?.[i];
    if (mapped === undefined || !Array.isArray(item) || item.length !== 2) return false;
    const [first, second] = item as [Json, Json];
    return isAtomWrittenSo(at, key.type, first) && isAtomWrittenSo(mapped, value.type, second);
  });
}

function isAtomWrittenSo(atom: Atom, type: AtomicType, json: Json): boolean {
  if (type !== 'uuid') return atom === json;
  return Array.isArray(json) && json.length === 2 && json[0] === 'uuid' && json[1] === atom;
}

export function equalDatums(a: Datum, b: Datum): boolean {
  return a === b || (equalAtoms(a.keys, b.keys) && equalAtoms(a.values ?? [], b.values ?? []));
}

function equalAtoms(a: readonly Atom[], b: readonly Atom[]): boolean {
  return a.length === b.length && a.every((atom, i) => atom === b[i]);
}

/** The value of the key in a map, or the key itself in a set; undefined where it is not in. */
export function lookUp(datum: Datum, key: Atom): Atom | undefined {
  let low = 0;
  let high = datum.keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = datum.keys[middle];
    if (at === key) return datum.values ? datum.values[middle] : key;
    if (at !== undefined && compareAtoms(at, key) < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

/** Whether every element (for maps: key with value) of `part` is in `whole`. */
export function includesAll(whole: Datum, part: Datum): boolean {
  return part.keys.every((key, i) => holds(whole, key, part.values?.[i]));
}

/** Whether no element of `part` is in `whole`. */
export function excludesAll(whole: Datum, part: Datum): boolean {
  return !part.keys.some((key, i) => holds(whole, key, part.values?.[i]));
}

function holds(whole: Datum, key: Atom, value: Atom | undefined): boolean {
  const found = lookUp(whole, key);
  return found !== undefined && (!whole.values || value === undefined || found === value);
}

/** `a` and what `b` has more; of a key in both, `a` keeps its value (RFC 7047 §5.1, mutator "insert"). */
export function union(a: Datum, b: Datum): Datum {
  if (b.keys.length === 0) return a;
  if (a.values && b.values) return mapOf([...pairs(b), ...pairs(a)]);
  return setOf([...a.keys, ...b.keys]);
}

/** `a` without the elements of `b`. A map loses pairs if `b` is a map, keys if it is a set (mutator "delete"). */
export function subtract(a: Datum, b: Datum): Datum {
  const kept = a.keys.map((key, i) => !holds(b, key, b.values ? a.values?.[i] : undefined));
  if (kept.every(Boolean)) return a;
  return {
    keys: a.keys.filter((_, i) => kept[i]),
    values: a.values?.filter((_, i) => kept[i]) ?? null,
  };
}

/**
 * What turns `before` into `after`, as journals with `_is_diff` and `update2` write it: the new value where at most
 * one element is allowed, else the elements added, removed, and for maps changed.
 */
export function difference(before: Datum, after: Datum, type: ColumnType): Datum {
  if (type.max === 1) return after;
  if (!type.value) return setOf([...subtract(before, after).keys, ...subtract(after, before).keys]);
  const gone = pairs(before).filter(([key]) => lookUp(after, key) === undefined);
  return mapOf([...gone, ...pairs(subtract(after, before))]);
}

/** The inverse: `applyDifference(before, difference(before, after))` is `after`. */
export function applyDifference(before: Datum, diff: Datum, type: ColumnType): Datum {
  if (type.max === 1) return diff;
  if (!type.value) return setOf([...subtract(before, diff).keys, ...subtract(diff, before).keys]);
  const result = new Map(pairs(before));
  for (const [key, value] of pairs(diff)) {
    if (result.get(key) === value) result.delete(key);
    else result.set(key, value);
  }
  return mapOf(result);
}

export function pairs(map: Datum): [Atom, Atom][] {
  return map.keys.map((key, i) => [key, map.values?.[i] ?? '']);
}
