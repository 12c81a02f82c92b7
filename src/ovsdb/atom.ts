/** Atoms (RFC 7047 §5.1): the scalars that columns are made of, their order, their JSON form. */
import { OvsdbError, syntaxError } from './errors.js';

export type AtomicType = 'integer' | 'real' | 'boolean' | 'string' | 'uuid';

/** A uuid is its text; which strings are uuids, the column's type says. */
export type Atom = number | boolean | string;

export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Gives the uuid that a `["named-uuid", name]` of this transaction stands for. */
export type ResolveName = (name: string) => string;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const ZERO_UUID = '00000000-0000-0000-0000-000000000000';

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

export function isAtomicType(value: Json | undefined): value is AtomicType {
  return (
    value === 'integer' || value === 'real' || value === 'boolean' || value === 'string' || value === 'uuid'
  );
}

export function defaultAtom(type: AtomicType): Atom {
  if (type === 'integer' || type === 'real') return 0;
  if (type === 'boolean') return false;
  return type === 'uuid' ? ZERO_UUID : '';
}

/** The total order in which sets and maps keep their keys. */
export function compareAtoms(a: Atom, b: Atom): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @throws OvsdbError "syntax error" where `json` is no atom of this type */
export function atomFromJson(json: Json, type: AtomicType, resolveName?: ResolveName): Atom {
  switch (type) {
    case 'integer':
      if (typeof json === 'number' && Number.isInteger(json)) {
        if (Number.isSafeInteger(json)) return json === 0 ? 0 : json;
        throw syntaxError(`integer ${json} exceeds the 53 bits that this server keeps exactly`);
      }
      break;
    case 'real':
      if (typeof json === 'number') return json === 0 ? 0 : json;
      break;
    case 'boolean':
      if (typeof json === 'boolean') return json;
      break;
    case 'string':
      if (typeof json === 'string') {
        if (json.includes('\0')) throw new OvsdbError('constraint violation', 'a string may not contain NUL');
        return json;
      }
      break;
    case 'uuid':
      if (Array.isArray(json) && json.length === 2 && typeof json[1] === 'string') {
        if (json[0] === 'uuid' && isUuid(json[1])) return json[1].toLowerCase();
        if (json[0] === 'named-uuid' && resolveName) return resolveName(json[1]);
      }
      break;
  }
  throw syntaxError(`expected ${type}, not ${shorten(json)}`);
}

export function atomToJson(atom: Atom, type: AtomicType): Json {
  return type === 'uuid' ? ['uuid', String(atom)] : atom;
}

/** JSON for an error text, cut to a readable length. */
export function shorten(json: Json | undefined): string {
  const text = JSON.stringify(json) ?? 'nothing';
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

export function isObject(json: Json | undefined): json is { readonly [key: string]: Json | undefined } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
