/** Addresses and byte strings. */

import { fromHex, type Codec } from './codec.js';
import { OpenFlowEncodeError } from './errors.js';
import { describe, type Writer } from './writer.js';

const hex2: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));
const hexColon: readonly string[] = hex2.map((h) => `${h}:`);
const decimalDot: readonly string[] = hex2.map((_, i) => `${i}.`);

const asString = (json: unknown): string => json as string; // The writer checks.

/** `'aa:bb:cc:dd:ee:ff'`. */
export const mac: Codec<string> = {
  schema: { kind: 'mac' },
  fixedSize: 6,
  read: (r) => {
    const v = r.view;
    const p = r.pos;
    r.skip(6);
    // Two reads instead of six: this is on the packet-in path.
    const a = v.getUint32(p);
    const b = v.getUint16(p + 4);
    return (
      (hexColon[a >>> 24] as string) +
      (hexColon[(a >>> 16) & 255] as string) +
      (hexColon[(a >>> 8) & 255] as string) +
      (hexColon[a & 255] as string) +
      (hexColon[b >>> 8] as string) +
      (hex2[b & 255] as string)
    );
  },
  write: (w, v) => {
    if (typeof v !== 'string' || v.length !== 17) throw notA(v, 'MAC address');
    const p = w.advance(6);
    let wrong = 0;
    for (let i = 0; i < 6; i++) {
      const high = hexDigit(v.charCodeAt(i * 3));
      const low = hexDigit(v.charCodeAt(i * 3 + 1));
      wrong |= high | low | (i < 5 && v.charCodeAt(i * 3 + 2) !== 0x3a ? -1 : 0);
      w.bytes[p + i] = (high << 4) | low;
    }
    if (wrong < 0) throw notA(v, 'MAC address');
  },
  fromJson: asString,
};

const hexValues = Int8Array.from({ length: 128 }, (_, c) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(c).toLowerCase()),
);

/** The value of a hex digit by its character code, -1 for what is none. */
function hexDigit(c: number): number {
  return c < 128 ? (hexValues[c] as number) : -1;
}

/** `'10.0.0.1'`. */
export const ipv4: Codec<string> = {
  schema: { kind: 'ipv4' },
  fixedSize: 4,
  read: (r) => {
    const a = r.u32();
    return (
      (decimalDot[a >>> 24] as string) +
      (decimalDot[(a >>> 16) & 255] as string) +
      (decimalDot[(a >>> 8) & 255] as string) +
      String(a & 255)
    );
  },
  write: (w, v) => {
    const n = typeof v === 'string' ? parseIpv4(v) : undefined;
    if (n === undefined) throw notA(v, 'IPv4 address');
    w.u32(n);
  },
  fromJson: asString,
};

function parseIpv4(text: string): number | undefined {
  let value = 0;
  let part = -1;
  let parts = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i < text.length ? text.charCodeAt(i) : 0x2e;
    if (c === 0x2e) {
      if (part < 0 || part > 255) return undefined;
      value = value * 256 + part;
      part = -1;
      parts++;
    } else if (c >= 0x30 && c <= 0x39 && part < 256) {
      part = (part < 0 ? 0 : part * 10) + (c - 0x30);
    } else {
      return undefined;
    }
  }
  return parts === 4 ? value : undefined;
}

/** RFC 5952 text, `'fe80::1'`. */
export const ipv6: Codec<string> = {
  schema: { kind: 'ipv6' },
  fixedSize: 16,
  read: (r) => {
    const groups = [r.u16(), r.u16(), r.u16(), r.u16(), r.u16(), r.u16(), r.u16(), r.u16()];
    return formatIpv6(groups);
  },
  write: (w, v) => {
    const groups = typeof v === 'string' ? parseIpv6(v) : undefined;
    if (groups === undefined) throw notA(v, 'IPv6 address');
    for (const group of groups) w.u16(group);
  },
  fromJson: asString,
};

/** The longest run of two or more zero groups, the first of equals, becomes `::` (RFC 5952 §4.2). */
function formatIpv6(groups: readonly number[]): string {
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > bestLength) [best, bestLength] = [i, n];
    i += n;
  }
  const text = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(':');
  if (best < 0) return text(groups);
  return `${text(groups.slice(0, best))}::${text(groups.slice(best + bestLength))}`;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const parsed = halves.map((half) => (half === '' ? [] : half.split(':').flatMap(ipv6Group)));
  const [head = [], tail] = parsed;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = tail === undefined ? head : [...head, ...new Array<number>(missing).fill(0), ...tail];
  return groups.every((g) => g >= 0) ? groups : undefined;
}

/** One group's number, two for a dotted IPv4 tail, -1 for what is neither. */
function ipv6Group(text: string): number[] {
  const v4 = text.includes('.') ? parseIpv4(text) : undefined;
  if (v4 !== undefined) return [v4 >>> 16, v4 & 0xffff];
  return [/^[0-9a-f]{1,4}$/i.test(text) ? parseInt(text, 16) : -1];
}

/** `length` bytes; without it, all that is left within the bound. */
export function bytes(length?: number): Codec<Uint8Array> {
  return {
    schema: { kind: 'bytes', bytes: length, multiple: 1, after: 0 },
    fixedSize: length,
    read: (r) => r.bytes(length ?? r.end - r.pos),
    write: (w, v) => {
      if (length !== undefined && v.length !== length) {
        throw new OpenFlowEncodeError(`expected ${length} bytes, found ${v.length}`);
      }
      w.copy(v);
    },
    fromJson: fromHex,
  };
}

/** All bytes left, filled with zeros when written so that with the `after` bytes before them they are a `multiple`. */
export function paddedBytes(multiple: number, after: number): Codec<Uint8Array> {
  return {
    schema: { kind: 'bytes', bytes: undefined, multiple, after },
    fixedSize: undefined,
    read: (r) => r.bytes(r.end - r.pos),
    write: (w, v) => {
      w.copy(v);
      w.zeros((multiple - ((after + v.length) % multiple)) % multiple);
    },
    fromJson: fromHex,
  };
}

const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Text in a field of `length` bytes, filled with zeros (§7: null-terminated strings). Ends at the first zero. The
 * specification asks for ASCII; UTF-8 is taken too, and in a field that is neither, each byte above 0x7f becomes a lone
 * surrogate U+DC80…U+DCFF, so that it still survives a round trip.
 */
export function text(length: number): Codec<string> {
  return {
    schema: { kind: 'text', bytes: length },
    fixedSize: length,
    read: (r) => decodeText(r.bytes(length)),
    write: (w, v) => {
      const start = w.pos;
      writeText(w, v, length);
      w.zeros(length - (w.pos - start));
    },
    fromJson: asString,
  };
}

function writeText(w: Writer, v: string, length: number): void {
  if (typeof v !== 'string') throw notA(v, 'string');
  const encoded = /\p{Surrogate}/u.test(v) ? encodeEscaped(v) : encoder.encode(v);
  if (encoded.length > length) throw new OpenFlowEncodeError(`${describe(v)} is longer than ${length} bytes`);
  w.copy(encoded);
}

function encodeEscaped(v: string): Uint8Array {
  return Uint8Array.from(v.split(''), (char) => {
    const c = char.charCodeAt(0);
    if (c < 0x80) return c;
    if (c >= 0xdc80 && c <= 0xdcff) return c - 0xdc00;
    throw new OpenFlowEncodeError(`${describe(v)} mixes text with bytes that are not UTF-8`);
  });
}

function decodeText(field: Uint8Array): string {
  const zero = field.indexOf(0);
  const used = zero < 0 ? field : field.subarray(0, zero);
  try {
    return utf8.decode(used);
  } catch {
    return Array.from(used, (b) => String.fromCharCode(b < 0x80 ? b : 0xdc00 + b)).join('');
  }
}

function notA(v: unknown, what: string): OpenFlowEncodeError {
  return new OpenFlowEncodeError(`${describe(v)} is not ${/^[AEIOU]/.test(what) ? 'an' : 'a'} ${what}`);
}
