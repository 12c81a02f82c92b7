/** Values and masks of match fields: text in ovs-ofctl's notation ↔ values as node-openflow's match holds them. */

import { Port } from '../messages/constants.js';
import { fieldByName } from '../oxm/fields.js';
import { integer, OfctlSyntaxError, readInteger } from './syntax.js';
import type { FieldText } from './fields.js';
import {
  bytesOf,
  numberOf,
  prefixMask,
  prefixOf,
  readIpv4,
  readIpv6,
  readMac,
  writeIpv4,
  writeIpv6,
  writeMac,
} from './values.js';

/** A value and the bits of it that count, as bytes of the field's width; `mask` all ones for an exact value. */
export interface Bits {
  readonly value: bigint;
  readonly mask: bigint;
}

/** Names for ports, both ways. Without one, ports are numbers and reserved names. */
export interface PortNames {
  readonly byName: (name: string) => number | undefined;
  readonly byNumber: (port: number) => string | undefined;
}

/** Reserved ports and their words (ovs-ofctl(8), "Ports"). */
const RESERVED: readonly (readonly [word: string, port: number])[] = [
  ['IN_PORT', Port.IN_PORT],
  ['TABLE', Port.TABLE],
  ['NORMAL', Port.NORMAL],
  ['FLOOD', Port.FLOOD],
  ['ALL', Port.ALL],
  ['CONTROLLER', Port.CONTROLLER],
  ['LOCAL', Port.LOCAL],
  ['ANY', Port.ANY],
];
const RESERVED_BY_WORD = new Map(RESERVED);
const RESERVED_BY_PORT = new Map(RESERVED.map(([word, port]) => [port, word]));

/** Reads a port: number, reserved word (case ignored), or a name that `names` knows, in quotes if it must. */
export function readPort(text: string, names: PortNames | undefined): number | undefined {
  const number = readInteger(text);
  // 0xfff8 to 0xffff are the reserved ports of OpenFlow 1.0 (ovs-ofctl(8)).
  if (number !== undefined && number >= 0xfff8n && number <= 0xffffn) return Number(number) + 0xffff0000;
  if (number !== undefined && number <= 0xffffffffn) return Number(number);
  const bare = /^"(.*)"$/.exec(text)?.[1] ?? text;
  return RESERVED_BY_WORD.get(text.toUpperCase()) ?? names?.byName(bare);
}

export function writePort(port: number, names: PortNames | undefined): string {
  const word = RESERVED_BY_PORT.get(port);
  if (word !== undefined) return word;
  const name = names?.byNumber(port);
  if (name === undefined) return String(port);
  // A name that the parser would take apart or take for something else is quoted.
  return /^[A-Za-z_][\w.-]*$/.test(name) && !RESERVED_BY_WORD.has(name.toUpperCase()) ? name : `"${name}"`;
}

export const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr', 'ns'] as const;
export const CT_STATES = ['new', 'est', 'rel', 'rpl', 'inv', 'trk', 'snat', 'dnat'] as const;
/** ip_frag: bit 0 "is a fragment", bit 1 "is a later one" (ovs-fields(7)). */
const FRAGMENTS: readonly (readonly [word: string, bits: Bits])[] = [
  ['no', { value: 0n, mask: 3n }],
  ['yes', { value: 1n, mask: 1n }],
  ['first', { value: 1n, mask: 3n }],
  ['later', { value: 3n, mask: 3n }],
  ['not_later', { value: 0n, mask: 2n }],
];

/** All ones, by width. */
const ONES: readonly bigint[] = Array.from({ length: 129 }, (_, bits) => (1n << BigInt(bits)) - 1n);

export function onesOf(bits: number): bigint {
  return ONES[bits] ?? (1n << BigInt(bits)) - 1n;
}

/** Reads `VALUE` or `VALUE/MASK` of a field. Bits outside the mask are cleared. @throws OfctlSyntaxError */
export function readBits(field: FieldText, text: string, at: number, names?: PortNames): Bits {
  const ones = onesOf(field.bits);
  if (field.notation === 'tcp-flags' || field.notation === 'ct-state') {
    const flags = readFlags(
      text,
      field.notation === 'tcp-flags' ? TCP_FLAGS : CT_STATES,
      ones,
      at,
      field.name,
    );
    if (flags !== undefined) return flags;
  }
  if (field.notation === 'fragment') {
    const word = FRAGMENTS.find(([name]) => name === text)?.[1];
    if (word !== undefined) return word;
  }
  const slash = text.indexOf('/');
  const valueText = slash < 0 ? text : text.slice(0, slash);
  const value = readOne(field, valueText, at, names);
  if (slash < 0) return { value, mask: ones };
  const mask = readMask(field, text.slice(slash + 1), at + slash + 1);
  return { value: value & mask, mask };
}

function readOne(field: FieldText, text: string, at: number, names: PortNames | undefined): bigint {
  const wrong = (what: string): OfctlSyntaxError =>
    new OfctlSyntaxError(`${field.name}: not ${what}`, text, at);
  switch (field.notation) {
    case 'mac': {
      const bytes = readMac(text);
      if (bytes === undefined) throw wrong('an Ethernet address');
      return numberOf(bytes);
    }
    case 'ipv4': {
      const bytes = readIpv4(text);
      if (bytes === undefined) throw wrong('an IPv4 address');
      return numberOf(bytes);
    }
    case 'ipv6': {
      const bytes = readIpv6(text);
      if (bytes === undefined) throw wrong('an IPv6 address');
      return numberOf(bytes);
    }
    case 'port': {
      const port = readPort(text, names);
      if (port === undefined) throw wrong('a port that is known');
      return BigInt(port);
    }
    default:
      return integer(text, field.bits, at, field.name);
  }
}

function readMask(field: FieldText, text: string, at: number): bigint {
  if (field.notation === 'ipv4' || field.notation === 'ipv6') {
    if (/^\d+$/.test(text)) {
      if (Number(text) > field.bits)
        throw new OfctlSyntaxError(`${field.name}: prefix longer than ${field.bits}`, text, at);
      return numberOf(prefixMask(Number(text), field.bits / 8));
    }
  }
  if (text === '-1' && field.notation === 'hex') return onesOf(field.bits);
  return readOne(field, text, at, undefined);
}

/** `+syn-ack` (both stated, the rest free) or `syn|ack` (these, and none of the rest); undefined when it is a number. */
function readFlags(
  text: string,
  flags: readonly string[],
  ones: bigint,
  at: number,
  what: string,
): Bits | undefined {
  if (/^[0-9]/.test(text)) return undefined;
  const bit = (word: string, offset: number): bigint => {
    const index = flags.indexOf(word);
    if (index < 0) throw new OfctlSyntaxError(`${what}: unknown flag`, word, at + offset);
    return 1n << BigInt(index);
  };
  let value = 0n;
  let mask = 0n;
  if (!/^[+-]/.test(text)) {
    let offset = 0;
    for (const word of text.split('|')) {
      if (word !== '0') value |= bit(word, offset);
      offset += word.length + 1;
    }
    return { value, mask: ones };
  }
  let rest = 0;
  for (const match of text.matchAll(/([+-])([^+-]*)/g)) {
    rest = match.index;
    const one = bit(match[2] ?? '', rest + 1);
    if ((mask & one) !== 0n)
      throw new OfctlSyntaxError(`${what}: flag given twice`, match[2] ?? '', at + rest + 1);
    mask |= one;
    if (match[1] === '+') value |= one;
  }
  return { value, mask };
}

/**
 * Writes an entry of a match: {@link writeBits} of {@link fromEntry}. Dumps consist of these, so what is common, exact
 * numbers and addresses and IPv4 prefixes, is written without a detour over bits.
 */
export function writeEntry(field: FieldText, entry: unknown, names?: PortNames): string {
  return writeCommon(field, entry, names) ?? writeBits(field, fromEntry(field, entry), names);
}

const IPV4 = /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
const PREFIXES = new Map<string, string>(
  Array.from({ length: 33 }, (_, prefix) => [writeIpv4(prefixMask(prefix, 4)), `/${prefix}`] as const),
);
PREFIXES.set('255.255.255.255', '');

function writeCommon(field: FieldText, entry: unknown, names: PortNames | undefined): string | undefined {
  switch (field.notation) {
    case 'decimal':
      return typeof entry === 'number' ? String(entry) : undefined;
    case 'hex':
      return typeof entry === 'number' ? hex(entry, field.digits) : undefined;
    case 'port':
      return typeof entry === 'number' ? writePort(entry, names) : undefined;
    case 'mac':
      return typeof entry === 'string' && MAC.test(entry) ? entry : undefined;
    case 'ipv4': {
      if (typeof entry === 'string') return IPV4.test(entry) ? entry : undefined;
      const { value, mask } = entry as { value: unknown; mask: unknown };
      const prefix = typeof mask === 'string' ? PREFIXES.get(mask) : undefined;
      return prefix !== undefined && typeof value === 'string' && IPV4.test(value)
        ? value + prefix
        : undefined;
    }
    default:
      return undefined;
  }
}

/** Writes a value, and its mask when it is not all ones. */
export function writeBits(field: FieldText, bits: Bits, names?: PortNames): string {
  const isExact = bits.mask === onesOf(field.bits);
  const value = writeOne(field, bits.value, names);
  switch (field.notation) {
    case 'tcp-flags':
      return writeFlags(TCP_FLAGS, bits, isExact);
    case 'ct-state':
      return writeFlags(CT_STATES, bits, isExact);
    case 'fragment':
      return (
        FRAGMENTS.find(([, each]) => each.value === bits.value && each.mask === bits.mask)?.[0] ??
        `0x${bits.value.toString(16)}/0x${bits.mask.toString(16)}`
      );
    case 'ipv4':
    case 'ipv6': {
      if (isExact) return value;
      const prefix = prefixOf(bytesOf(bits.mask, field.bits / 8));
      return `${value}/${prefix ?? writeOne(field, bits.mask)}`;
    }
    case 'decimal':
    case 'port':
      return isExact ? value : `0x${bits.value.toString(16)}/0x${bits.mask.toString(16)}`;
    default:
      return isExact ? value : `${value}/${writeOne(field, bits.mask)}`;
  }
}

function writeOne(field: FieldText, value: bigint, names?: PortNames): string {
  switch (field.notation) {
    case 'mac':
      return writeMac(bytesOf(value, 6));
    case 'ipv4':
      return writeIpv4(bytesOf(value, 4));
    case 'ipv6':
      return writeIpv6(bytesOf(value, 16));
    case 'port':
      return writePort(Number(value), names);
    case 'decimal':
      return value.toString();
    default:
      return hex(value, field.digits);
  }
}

/** C's `%#x`: zero has no prefix, unless digits are asked for. */
export function hex(value: bigint | number, digits = 0): string {
  if (digits === 0 && (value === 0 || value === 0n)) return '0';
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

function writeFlags(flags: readonly string[], bits: Bits, isExact: boolean): string {
  const unknown = (which: bigint): bigint => which >> BigInt(flags.length);
  if (isExact && unknown(bits.value) === 0n) {
    const set = flags.filter((_, i) => ((bits.value >> BigInt(i)) & 1n) === 1n);
    return set.length === 0 ? '0' : set.join('|');
  }
  if (unknown(bits.mask) !== 0n) return `${hex(bits.value)}/${hex(bits.mask)}`;
  return flags
    .flatMap((flag, i) => {
      if (((bits.mask >> BigInt(i)) & 1n) === 0n) return [];
      return [`${((bits.value >> BigInt(i)) & 1n) === 1n ? '+' : '-'}${flag}`];
    })
    .join('');
}

/** From a number, bigint or address of a match to a bigint. */
export function toBigint(field: FieldText, value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return BigInt(value);
  if (typeof value === 'string') {
    const bytes =
      field.notation === 'mac'
        ? readMac(value)
        : field.notation === 'ipv4'
          ? readIpv4(value)
          : readIpv6(value);
    if (bytes !== undefined) return numberOf(bytes);
  }
  throw new TypeError(`${field.oxm}: ${String(value)} is not a value of this field`);
}

/** The other way: what node-openflow's codec for the field takes. */
export function fromBigint(field: FieldText, value: bigint): number | bigint | string {
  switch (fieldByName(field.oxm)?.codec.schema.kind) {
    case 'mac':
      return writeMac(bytesOf(value, 6));
    case 'ipv4':
      return writeIpv4(bytesOf(value, 4));
    case 'ipv6':
      return writeIpv6(bytesOf(value, 16));
    default:
      return field.bits > 32 ? value : Number(value);
  }
}

/** A match's entry: the value alone, or with its mask. */
export function toEntry(field: FieldText, bits: Bits): unknown {
  const value = fromBigint(field, bits.value);
  return bits.mask === onesOf(field.bits) ? value : { value, mask: fromBigint(field, bits.mask) };
}

/** The other way. */
export function fromEntry(field: FieldText, entry: unknown): Bits {
  if (typeof entry === 'object' && entry !== null && 'value' in entry && 'mask' in entry) {
    return { value: toBigint(field, entry.value), mask: toBigint(field, entry.mask) };
  }
  return { value: toBigint(field, entry), mask: onesOf(field.bits) };
}
