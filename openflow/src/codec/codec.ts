/**
 * What a declaration of a wire structure is: one value that reads, writes, converts from JSON and describes itself.
 *
 * Combinators (`u16`, `enumeration`, `struct`, `list`, `union`, …) build codecs from codecs. The description (`schema`)
 * drives the reference docs and the generators of the property tests, so neither can drift from the code that runs.
 */

import { OpenFlowEncodeError } from './errors.js';
import type { Reader } from './reader.js';
import type { Writer } from './writer.js';

/** `T` is what reading gives, `I` what writing takes. */
export interface Codec<T, I = T> {
  readonly schema: Schema;
  /** Bytes on the wire, when always the same. */
  readonly fixedSize: number | undefined;
  readonly read: (r: Reader) => T;
  readonly write: (w: Writer, value: I) => void;
  /** For enumerations and flags: the number that stands for the value on the wire. */
  readonly toNumber?: (value: I) => number;
  /** From the JSON form. Checks only what writing will not. */
  readonly fromJson: (json: unknown) => I;
}

/** Any codec, where its types do not matter. */
export interface AnyCodec {
  readonly schema: Schema;
  readonly fixedSize: number | undefined;
  readonly read: (r: Reader) => unknown;
  readonly write: (w: Writer, value: never) => void;
  readonly fromJson: (json: unknown) => unknown;
}

/** A field's codec whose value may be left out when encoding. */
export interface Defaulted<T, I = T> extends Codec<T, I> {
  readonly fallback: I;
}

/** The type that decoding gives. */
export type Static<C> = C extends { readonly read: (r: Reader) => infer T } ? T : never;

/** The type that encoding takes. */
export type Input<C> = C extends { readonly write: (w: Writer, value: infer I) => void } ? I : never;

export type Bits = 8 | 16 | 32 | 64 | 128;

/** A structure's own words, for the reference docs. */
export interface StructSchema {
  readonly kind: 'struct';
  readonly name: string;
  /** Value of the `type` property, for members of unions. */
  readonly tag: string | undefined;
  readonly clause: string;
  readonly doc: string;
  readonly fields: readonly (readonly [name: string, codec: AnyCodec])[];
}

/** A codec's description of itself. */
export type Schema =
  | { readonly kind: 'uint'; readonly bits: Bits }
  | {
      readonly kind: 'enum' | 'flags';
      readonly bits: 8 | 16 | 32;
      readonly name: string;
      readonly values: Names;
    }
  | { readonly kind: 'pad'; readonly bytes: number }
  | { readonly kind: 'constant'; readonly bits: 8 | 16 | 32; readonly value: number }
  | { readonly kind: 'padTo' }
  | { readonly kind: 'typeBefore'; readonly back: number; readonly value: number | undefined }
  | { readonly kind: 'selfLength'; readonly multiple: number }
  | { readonly kind: 'lengthOf'; readonly field: string; readonly bits: 16 | 32 }
  | { readonly kind: 'mac' | 'ipv4' | 'ipv6' }
  | {
      readonly kind: 'bytes';
      readonly bytes: number | undefined;
      readonly multiple: number;
      readonly after: number;
    }
  | { readonly kind: 'text'; readonly bytes: number | undefined }
  | { readonly kind: 'list'; readonly item: AnyCodec; readonly count: number | undefined }
  | { readonly kind: 'union'; readonly name: string; readonly variants: readonly AnyCodec[] }
  | { readonly kind: 'custom'; readonly name: string; readonly doc: string }
  | StructSchema;

/** Names of an enumeration's values or of flag bits. */
export type Names = Readonly<Record<string, number>>;

/** Makes a field optional for the encoder. */
export function withDefault<T, I>(codec: Codec<T, I>, fallback: I): Defaulted<T, I> {
  return { ...codec, fallback };
}

/** The JSON form of a decoded value: bigints as `"0x…"`, bytes as hex, everything else as it is. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, toJson(v)]));
}

const PLAIN_TEXT = /^[ !#-[\]-~]*$/;

/** Names of members as JSON has them, colon included. They come from declarations; what else there is, is not kept. */
const JSON_NAMES = new Map<string, string>();
const MOST_JSON_NAMES = 1000;

function jsonName(name: string): string {
  const known = JSON_NAMES.get(name);
  if (known !== undefined) return known;
  const text = `${toJsonText(name)}:`;
  if (JSON_NAMES.size < MOST_JSON_NAMES) JSON_NAMES.set(name, text);
  return text;
}

/** `JSON.stringify(toJson(value))`, at a fraction of the cost. Members that are undefined are left out. */
export function toJsonText(value: unknown): string {
  if (typeof value === 'string') return PLAIN_TEXT.test(value) ? `"${value}"` : JSON.stringify(value);
  if (typeof value === 'number') return Number.isFinite(value) ? `${value}` : 'null';
  if (typeof value === 'bigint') return `"0x${value.toString(16)}"`;
  if (typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (value === null) return 'null';
  if (Array.isArray(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++)
      text += i === 0 ? toJsonText(value[i]) : `,${toJsonText(value[i])}`;
    return `${text}]`;
  }
  if (value instanceof Uint8Array) return `"${toHex(value)}"`;
  let text = '{';
  // Plain objects only: nothing is inherited.
  for (const name in value) {
    const member = (value as Readonly<Record<string, unknown>>)[name];
    if (member === undefined) continue;
    if (text.length > 1) text += ',';
    text += jsonName(name) + toJsonText(member);
  }
  return `${text}}`;
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

export function fromHex(json: unknown): Uint8Array {
  if (json instanceof Uint8Array) return json;
  if (typeof json !== 'string' || json.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(json)) {
    throw new OpenFlowEncodeError('expected a string of hex digits');
  }
  return Uint8Array.from(Buffer.from(json, 'hex'));
}

/** A bigint from its JSON form, `"0x1f"` or decimal digits; small numbers pass too. */
export function bigintFromJson(json: unknown): bigint {
  if (typeof json === 'bigint') return json;
  if (typeof json === 'number' && Number.isSafeInteger(json) && json >= 0) return BigInt(json);
  if (typeof json === 'string' && /^(0x[0-9a-f]+|[0-9]+)$/i.test(json)) return BigInt(json);
  throw new OpenFlowEncodeError('expected an integer as "0x…"');
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
