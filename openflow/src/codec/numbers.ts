/** Integers, enumerations, flags, and the fields that have no value: padding, constants, lengths. */

import { bigintFromJson, type Codec, type Names } from './codec.js';
import { OpenFlowEncodeError, type Fault } from './errors.js';
import type { Reader } from './reader.js';
import { describe, type Writer } from './writer.js';

const readers = {
  8: (r: Reader) => r.u8(),
  16: (r: Reader) => r.u16(),
  32: (r: Reader) => r.u32(),
};
const writers = {
  8: (w: Writer, v: number) => w.u8(v),
  16: (w: Writer, v: number) => w.u16(v),
  32: (w: Writer, v: number) => w.u32(v),
};

function uint(bits: 8 | 16 | 32): Codec<number> {
  return {
    schema: { kind: 'uint', bits },
    fixedSize: bits / 8,
    read: readers[bits],
    write: writers[bits],
    fromJson: (json) => json as number, // The writer checks type and range.
  };
}

export const u8 = uint(8);
export const u16 = uint(16);
export const u32 = uint(32);

export const u64: Codec<bigint> = {
  schema: { kind: 'uint', bits: 64 },
  fixedSize: 8,
  read: (r) => r.u64(),
  write: (w, v) => w.u64(v),
  fromJson: bigintFromJson,
};

export const u128: Codec<bigint> = {
  schema: { kind: 'uint', bits: 128 },
  fixedSize: 16,
  read: (r) => {
    const high = r.u64();
    return (high << 64n) | r.u64();
  },
  write: (w, v) => {
    if (typeof v !== 'bigint' || v < 0n || v >> 128n !== 0n) {
      throw new OpenFlowEncodeError(`${describe(v)} is not an unsigned 128-bit integer`);
    }
    w.u64(v >> 64n);
    w.u64(v & 0xffff_ffff_ffff_ffffn);
  },
  fromJson: bigintFromJson,
};

/** A number by name. Values without a name stay numbers, both ways. */
export function enumeration<const V extends Names>(
  name: string,
  bits: 8 | 16 | 32,
  values: V,
): Codec<(keyof V & string) | number> & { readonly values: V } {
  type Name = (keyof V & string) | number;
  const read = readers[bits];
  const write = writers[bits];
  const names = new Map<number, Name>(Object.entries(values).map(([key, value]) => [value, key]));
  const numbers = new Map<Name, number>(Object.entries(values));
  const toNumber = (v: Name): number => {
    const n = typeof v === 'number' ? v : numbers.get(v);
    if (n === undefined) throw new OpenFlowEncodeError(`${describe(v)} is not a value of ${name}`);
    return n;
  };
  return {
    schema: { kind: 'enum', bits, name, values },
    fixedSize: bits / 8,
    values,
    read: (r) => {
      const v = read(r);
      return names.get(v) ?? v;
    },
    toNumber,
    write: (w, v) => write(w, toNumber(v)),
    fromJson: (json) => json as Name,
  };
}

const noFlags: readonly never[] = Object.freeze([]);

/** A set of bits by name, lowest bit first; bits without a name follow as one number. */
export function flags<const V extends Names>(
  name: string,
  bits: 8 | 16 | 32,
  values: V,
): Codec<readonly ((keyof V & string) | number)[]> & { readonly values: V } {
  type Flag = (keyof V & string) | number;
  const read = readers[bits];
  const write = writers[bits];
  const entries = Object.entries(values);
  const numbers = new Map<Flag, number>(entries);
  const toNumber = (set: readonly Flag[]): number => {
    if (!Array.isArray(set)) throw new OpenFlowEncodeError(`expected a list of ${name}`);
    let v = 0;
    for (const flag of set as readonly Flag[]) {
      const bit = typeof flag === 'number' ? flag : numbers.get(flag);
      if (bit === undefined) throw new OpenFlowEncodeError(`${describe(flag)} is not a flag of ${name}`);
      v = (v | bit) >>> 0;
    }
    return v;
  };
  return {
    schema: { kind: 'flags', bits, name, values },
    fixedSize: bits / 8,
    values,
    read: (r) => {
      let rest = read(r);
      if (rest === 0) return noFlags;
      const set: Flag[] = [];
      for (const [key, bit] of entries) {
        if ((rest & bit) === 0) continue;
        set.push(key);
        rest = (rest & ~bit) >>> 0;
      }
      if (rest !== 0) set.push(rest);
      return set;
    },
    toNumber,
    write: (w, set) => write(w, toNumber(set)),
    fromJson: (json) => json as Flag[],
  };
}

/** A field without a value. Its name starts with `_`, and it appears in no type. */
export type Hidden = Codec<undefined>;

function hidden(
  schema: Hidden['schema'],
  fixedSize: number,
  read: (r: Reader) => void,
  write: (w: Writer) => void,
): Hidden {
  return {
    schema,
    fixedSize,
    read: (r) => {
      read(r);
      return undefined;
    },
    write,
    fromJson: () => undefined,
  };
}

/** Zeros when written, anything when read (§7: padding is ignored by the receiver). */
export function pad(bytes: number): Hidden {
  return hidden(
    { kind: 'pad', bytes },
    bytes,
    (r) => r.skip(bytes),
    (w) => w.zeros(bytes),
  );
}

/** A number that must be this one. `fault` is the error to answer for another. */
export function constant(bits: 8 | 16 | 32, value: number, fault?: Fault): Hidden {
  const read = readers[bits];
  const write = writers[bits];
  return hidden(
    { kind: 'constant', bits, value },
    bits / 8,
    (r) => {
      const v = read(r);
      if (v !== value) throw r.fail(`expected ${value}, found ${v}`, fault, -bits / 8);
    },
    (w) => write(w, value),
  );
}

/** The length in bytes of the struct it stands in: bounds what follows, and is checked against what was read. */
export function selfLength(multiple = 1): Hidden {
  return hidden(
    { kind: 'selfLength', multiple },
    2,
    (r) => r.skip(2),
    (w) => w.zeros(2),
  );
}

/** The length in bytes of the later field `field` of the same struct. */
export function lengthOf(field: string, bits: 16 | 32 = 16): Hidden {
  return hidden(
    { kind: 'lengthOf', field, bits },
    bits / 8,
    (r) => r.skip(bits / 8),
    (w) => w.zeros(bits / 8),
  );
}

/** Padding up to a multiple of 8 bytes of the struct it ends. The struct does the work: it knows where it started. */
export const padTo8: Hidden = {
  schema: { kind: 'padTo' },
  fixedSize: undefined,
  read: (r) => {
    if (r.end - r.pos < 8) r.skip(r.end - r.pos);
    return undefined;
  },
  write: () => undefined,
  fromJson: () => undefined,
};

/**
 * A 16-bit number that stands `back` bytes before the body it tells the type of, where the enclosing message left room.
 */
export function typeBefore(back: number, value: number): Hidden {
  return hidden(
    { kind: 'typeBefore', back, value },
    0,
    () => undefined,
    (w) => w.view.setUint16(beforeBody(w, back), value),
  );
}

function beforeBody(w: Writer, back: number): number {
  if (w.length < back) throw new OpenFlowEncodeError('a body can be encoded within its message only');
  return w.pos - back;
}

/** Like {@link typeBefore}, for bodies of a type without a declaration: the number is a field. */
export function anyTypeBefore(back: number): Codec<number> {
  return {
    schema: { kind: 'typeBefore', back, value: undefined },
    fixedSize: 0,
    read: (r) => {
      const type = r.peek(2, -back);
      if (type < 0) throw r.fail('a body without its message');
      return type;
    },
    write: (w, v) => {
      if ((v & 0xffff) !== v)
        throw new OpenFlowEncodeError(`${describe(v)} is not an unsigned 16-bit integer`);
      w.view.setUint16(beforeBody(w, back), v);
    },
    fromJson: (json) => json as number,
  };
}
