/** Column types (RFC 7047 §3.2): atoms with constraints, in sets, maps, optional values. */
import { atomFromJson, atomToJson, compareAtoms, isAtomicType, isObject, shorten } from './atom.js';
import type { Atom, AtomicType, Json } from './atom.js';
import { constraintViolation, syntaxError } from './errors.js';

/** `<base-type>`: an atomic type and what its values must satisfy. Bounds include their ends. */
export interface BaseType {
  readonly type: AtomicType;
  /** Allowed values, sorted. */
  readonly enum?: readonly Atom[];
  readonly minInteger?: number;
  readonly maxInteger?: number;
  readonly minReal?: number;
  readonly maxReal?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly refTable?: string;
  /** Given where `refTable` is. */
  readonly refType?: 'strong' | 'weak';
}

/** `<type>`: a scalar is `min` = `max` = 1, an optional value `min` 0 `max` 1, a set or map anything else. */
export interface ColumnType {
  readonly key: BaseType;
  /** Given for maps. */
  readonly value?: BaseType;
  readonly min: 0 | 1;
  /** `Infinity`: unlimited. */
  readonly max: number;
}

const BOUNDS = {
  integer: ['minInteger', 'maxInteger'],
  real: ['minReal', 'maxReal'],
  string: ['minLength', 'maxLength'],
  boolean: [],
  uuid: [],
} as const;

/** @throws OvsdbError "syntax error" */
export function baseTypeFromJson(json: Json | undefined): BaseType {
  if (isAtomicType(json)) return { type: json };
  if (!isObject(json) || !isAtomicType(json['type'])) throw syntaxError(`${shorten(json)} is no base type`);
  const type = json['type'];
  const base: { -readonly [K in keyof BaseType]: BaseType[K] } = { type };
  for (const [name, value] of Object.entries(json)) {
    if (value === undefined || name === 'type') continue;
    if (name === 'enum') {
      const list =
        Array.isArray(value) && value[0] === 'set' && Array.isArray(value[1])
          ? (value[1] as Json[])
          : [value];
      base.enum = list.map((item) => atomFromJson(item, type)).sort(compareAtoms);
    } else if (name === 'refTable' && type === 'uuid' && typeof value === 'string') {
      base.refTable = value;
      base.refType ??= 'strong';
    } else if (name === 'refType' && type === 'uuid' && (value === 'strong' || value === 'weak')) {
      base.refType = value;
    } else if ((BOUNDS[type] as readonly string[]).includes(name) && typeof value === 'number') {
      base[name as 'minInteger'] = value;
    } else throw syntaxError(`"${name}": ${shorten(value)} does not fit a base type of ${type}`);
  }
  return base;
}

/** @throws OvsdbError "syntax error" */
export function columnTypeFromJson(json: Json | undefined): ColumnType {
  if (isAtomicType(json)) return { key: { type: json }, min: 1, max: 1 };
  if (!isObject(json)) throw syntaxError(`${shorten(json)} is no column type`);
  const { key, value, min = 1, max = 1, ...rest } = json;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw syntaxError(`"${unknown}" is no part of a column type`);
  if (min !== 0 && min !== 1) throw syntaxError(`"min" must be 0 or 1, not ${shorten(min)}`);
  const limit = max === 'unlimited' ? Infinity : max;
  if (typeof limit !== 'number' || !(limit >= 1))
    throw syntaxError(`"max" must be at least 1, not ${shorten(max)}`);
  return {
    key: baseTypeFromJson(key),
    ...(value === undefined ? {} : { value: baseTypeFromJson(value) }),
    min,
    max: limit,
  };
}

export function baseTypeToJson(base: BaseType): Json {
  const { enum: allowed, refType, ...rest } = base;
  const constraints = {
    ...rest,
    ...(allowed ? { enum: ['set', allowed.map((atom) => atomToJson(atom, base.type))] as Json } : {}),
    ...(refType === 'weak' ? { refType } : {}),
  };
  return Object.keys(constraints).length === 1 ? base.type : constraints;
}

export function columnTypeToJson(type: ColumnType): Json {
  const key = baseTypeToJson(type.key);
  if (type.min === 1 && type.max === 1 && !type.value && typeof key === 'string') return key;
  return {
    key,
    ...(type.value ? { value: baseTypeToJson(type.value) } : {}),
    ...(type.min === 1 ? {} : { min: type.min }),
    ...(type.max === 1 ? {} : { max: type.max === Infinity ? 'unlimited' : type.max }),
  };
}

export function isScalar(type: ColumnType): boolean {
  return type.min === 1 && type.max === 1 && !type.value;
}

/** @throws OvsdbError "constraint violation" where the atom breaks a constraint of its base type */
export function checkAtom(atom: Atom, base: BaseType): void {
  if (base.enum && !base.enum.includes(atom)) {
    const allowed = base.enum.map(String).join(', ');
    throw constraintViolation(`${String(atom)} is not one of the allowed values (${allowed})`);
  }
  if (typeof atom === 'number') {
    const min = base.minInteger ?? base.minReal ?? -Infinity;
    const max = base.maxInteger ?? base.maxReal ?? Infinity;
    if (atom < min || atom > max) {
      const range =
        max === Infinity ? `at least ${min}` : min === -Infinity ? `at most ${max}` : `${min} to ${max}`;
      throw constraintViolation(`${atom} is not in the valid range ${range}`);
    }
  } else if (typeof atom === 'string' && (base.minLength !== undefined || base.maxLength !== undefined)) {
    // Lengths are in characters, not UTF-16 units (RFC 7047 §3.2).
    const length = [...atom].length;
    if (length < (base.minLength ?? 0)) {
      throw constraintViolation(
        `"${atom}" is ${length} characters long, at least ${base.minLength} are needed`,
      );
    }
    if (length > (base.maxLength ?? Infinity)) {
      throw constraintViolation(
        `"${atom}" is ${length} characters long, at most ${base.maxLength} are allowed`,
      );
    }
  }
}
