/** Lists and tagged unions. */

import { isRecord, type AnyCodec, type Codec, type Input, type Static } from './codec.js';
import { OpenFlowDecodeError, OpenFlowEncodeError } from './errors.js';
import type { Reader } from './reader.js';
import { describe } from './writer.js';

/** Items up to the bound: of the struct, or of the field that a `lengthOf` measures. */
export function list<T, I>(item: Codec<T, I>): Codec<readonly T[], readonly I[]> {
  const { read, write } = item;
  return {
    schema: { kind: 'list', item: item as unknown as AnyCodec, count: undefined },
    fixedSize: undefined,
    read: (r) => {
      const items: T[] = [];
      while (r.pos < r.end) {
        const before = r.pos;
        try {
          items.push(read(r));
        } catch (e) {
          throw e instanceof OpenFlowDecodeError ? e.within(items.length) : e;
        }
        // An item of no bytes would be read for ever.
        if (r.pos === before) throw r.fail('empty item').within(items.length - 1);
      }
      return items;
    },
    write: (w, items) => {
      if (!Array.isArray(items)) throw new OpenFlowEncodeError(`expected a list, found ${describe(items)}`);
      let at = 0;
      try {
        for (; at < items.length; at++) write(w, items[at] as I);
      } catch (e) {
        throw e instanceof OpenFlowEncodeError ? e.within(at) : e;
      }
    },
    fromJson: (json) => {
      if (!Array.isArray(json)) throw new OpenFlowEncodeError('expected a list');
      return json.map((element, i) => {
        try {
          return item.fromJson(element);
        } catch (e) {
          throw e instanceof OpenFlowEncodeError ? e.within(i) : e;
        }
      });
    },
  };
}

/** Values kept by {@link interned}: of more, all are forgotten. */
const MOST_INTERNED = 4096;

/**
 * The same as `codec`, whose bytes reach up to the bound, for what repeats: equal bytes are decoded to one and the same
 * value, which nobody may change. What looks into the bytes themselves is made anew each time, as those go.
 */
export function interned<T, I>(codec: Codec<T, I>): Codec<T, I> {
  const known = new Map<string, T>();
  return {
    ...codec,
    read: (r) => {
      const { buffer } = r.view;
      const key = Buffer.from(buffer as ArrayBuffer, r.pos, r.end - r.pos).toString('latin1');
      const found = known.get(key);
      if (found !== undefined) {
        r.pos = r.end;
        return found;
      }
      const value = codec.read(r);
      if (r.pos === r.end && !holdsBytes(value)) {
        if (known.size >= MOST_INTERNED) known.clear();
        known.set(key, value);
      }
      return value;
    },
  };
}

function holdsBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof Uint8Array || Object.values(value).some(holdsBytes);
}

/** Exactly `count` items. */
export function array<T, I>(count: number, item: Codec<T, I>): Codec<readonly T[], readonly I[]> {
  const items = list(item);
  return {
    ...items,
    schema: { kind: 'list', item: item as unknown as AnyCodec, count },
    fixedSize: item.fixedSize === undefined ? undefined : count * item.fixedSize,
    read: (r) => Array.from({ length: count }, () => item.read(r)),
    write: (w, v) => {
      if (!Array.isArray(v) || v.length !== count)
        throw new OpenFlowEncodeError(`expected a list of ${count}`);
      items.write(w, v as readonly I[]);
    },
  };
}

/** A codec whose values carry the `type` by which a union chooses it. */
export type Variant = AnyCodec & { readonly tag: string };

/** A case of a union: the number that `peek` gives for its bytes, and its struct. */
export type Case = readonly [key: number, variant: Variant];

export interface UnionOptions {
  /** Looks ahead at what the bytes are; -1 when there are too few to tell. */
  readonly peek: (r: Reader) => number;
  readonly cases: readonly Case[];
  /** The case for bytes that have none of their own; may throw the error to answer instead. */
  readonly otherwise: Variant | ((r: Reader, key: number) => OpenFlowDecodeError);
}

/** One of several structs, told apart by bytes when reading and by `type` when writing. */
export function union<T extends { readonly type: string }, I extends { readonly type: string }>(
  name: string,
  options: UnionOptions,
): Codec<T, I> {
  const { peek, cases, otherwise } = options;
  type Member = Codec<T, I> & { readonly tag: string };
  const byKey = new Map(cases as unknown as readonly (readonly [number, Member])[]);
  const variants = [...byKey.values()];
  if (typeof otherwise !== 'function') variants.push(otherwise as unknown as Member);
  const byTag = new Map(variants.map((variant) => [variant.tag, variant]));
  const writers = new Map(variants.map(({ tag, write }) => [tag, write]));
  return {
    schema: { kind: 'union', name, variants: variants as unknown as readonly AnyCodec[] },
    fixedSize: undefined,
    read: (r) => {
      const key = peek(r);
      const found = byKey.get(key);
      if (found !== undefined) return found.read(r);
      if (typeof otherwise === 'function') throw otherwise(r, key);
      return (otherwise as unknown as Member).read(r);
    },
    write: (w, v) => {
      const found = writers.get(v.type);
      if (found === undefined) throw new OpenFlowEncodeError(`${describe(v.type)} is not a type of ${name}`);
      found(w, v);
    },
    fromJson: (json) => {
      const found = isRecord(json) && typeof json['type'] === 'string' ? byTag.get(json['type']) : undefined;
      if (found === undefined) throw new OpenFlowEncodeError(`expected a ${name} with a known "type"`);
      return found.fromJson(json);
    },
  };
}

/** The decoded type of any of several codecs. */
export type StaticOf<A extends readonly unknown[]> = Static<A[number]>;
/** The encodable type of any of several codecs. */
export type InputOf<A extends readonly unknown[]> = Input<A[number]>;
