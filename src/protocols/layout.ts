/**
 * Wire structures of fixed size, declared once: the declaration gives decoder, encoder and type.
 *
 * ```ts
 * const Header = layout({ _subtype: constant(u8, 1), version: u8, system: mac, _reserved: reserved(3) });
 * Header.encode({ version: 1, system });      // Uint8Array of Header.size bytes
 * Header.decode(bytes);                       // undefined where a constant is another or bytes are missing
 * ```
 */
import { macAddressAt, macAddressBytes, type MacAddress } from '../domain/index.js';

export interface Field<T> {
  /** Bytes. */
  readonly size: number;
  /** `size` bytes are there. Undefined: they cannot be this. */
  read(bytes: Uint8Array, offset: number): T | undefined;
  write(bytes: Uint8Array, offset: number, value: T): void;
}

/** Fields in wire order. Those whose names start with `_` have no value: constants and reserved bytes. */
export type Fields = Readonly<Record<string, Field<unknown>>>;
type Visible<F> = Exclude<keyof F & string, `_${string}`>;
export type Static<F extends Fields> = {
  readonly [K in Visible<F>]: F[K] extends Field<infer T> ? T : never;
};

export interface Layout<T> extends Field<T> {
  /** What `bytes` begin with. Never throws. */
  decode(bytes: Uint8Array): T | undefined;
  encode(value: T): Uint8Array;
}

export function layout<const F extends Fields>(fields: F): Layout<Static<F>> {
  const entries = Object.entries(fields);
  const size = entries.reduce((sum, [, field]) => sum + field.size, 0);
  const read = (bytes: Uint8Array, offset: number): Static<F> | undefined => {
    const value: Record<string, unknown> = {};
    let at = offset;
    for (const [name, field] of entries) {
      const item = field.read(bytes, at);
      if (item === undefined) return undefined;
      if (!name.startsWith('_')) value[name] = item;
      at += field.size;
    }
    return value as Static<F>;
  };
  const write = (bytes: Uint8Array, offset: number, value: Static<F>): void => {
    let at = offset;
    for (const [name, field] of entries) {
      field.write(bytes, at, (value as Record<string, unknown>)[name]);
      at += field.size;
    }
  };
  return {
    size,
    read,
    write,
    decode: (bytes) => (bytes.length < size ? undefined : read(bytes, 0)),
    encode: (value) => {
      const bytes = new Uint8Array(size);
      write(bytes, 0, value);
      return bytes;
    },
  };
}

function uint(size: 1 | 2 | 4): Field<number> {
  return {
    size,
    read(bytes, offset) {
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + (bytes[offset + i] ?? 0);
      return value;
    },
    write(bytes, offset, value) {
      for (let i = 0; i < size; i++) bytes[offset + i] = value >>> (8 * (size - 1 - i));
    },
  };
}

/** Unsigned integers, most significant byte first. */
export const u8 = uint(1);
export const u16 = uint(2);
export const u32 = uint(4);

/** Unsigned, of 64 bits; -1n stands for all ones. */
export const u64: Field<bigint> = {
  size: 8,
  read(bytes, offset) {
    let value = 0n;
    for (let i = 0; i < 8; i++) value = value * 256n + BigInt(bytes[offset + i] ?? 0);
    return value;
  },
  write(bytes, offset, value) {
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(offset, value);
  },
};

/** So many bytes as they are. */
export function bytesOf(size: number): Field<Uint8Array> {
  return {
    size,
    read: (bytes, offset) => bytes.slice(offset, offset + size),
    write: (bytes, offset, value) => bytes.set(value.subarray(0, size), offset),
  };
}

export const mac: Field<MacAddress> = {
  size: 6,
  read: macAddressAt,
  write: (bytes, offset, value) => bytes.set(macAddressBytes(value), offset),
};

/** A field that has this value, or the structure is another one. */
export function constant<T>(field: Field<T>, value: T): Field<unknown> {
  return {
    size: field.size,
    read: (bytes, offset) => (field.read(bytes, offset) === value ? value : undefined),
    write: (bytes, offset) => field.write(bytes, offset, value),
  };
}

/** Sent as zeros, ignored when received. */
export function reserved(size: number): Field<unknown> {
  return { size, read: () => null, write: () => undefined };
}

/** A byte of flags, by name from the lowest bit up. */
export function bits<const N extends readonly string[]>(
  ...names: N
): Field<{ readonly [K in N[number]]: boolean }> {
  type Flags = { readonly [K in N[number]]: boolean };
  return {
    size: 1,
    read: (bytes, offset) => {
      const byte = bytes[offset] ?? 0;
      return Object.fromEntries(names.map((name, i) => [name, (byte & (1 << i)) !== 0])) as Flags;
    },
    write: (bytes, offset, value) => {
      bytes[offset] = names.reduce((byte, name, i) => byte | (value[name as N[number]] ? 1 << i : 0), 0);
    },
  };
}
