/** `ofp_match` and single OXM TLVs (OF 1.3.5 §7.2.3). */

import { fromHex, isRecord, toHex, type Codec } from '../codec/codec.js';
import { OpenFlowDecodeError, OpenFlowEncodeError, type Fault } from '../codec/errors.js';
import type { Reader } from '../codec/reader.js';
import { describe, type Writer } from '../codec/writer.js';
import {
  fieldByName,
  fieldOfHeader,
  headerOf,
  OXM_CLASS_EXPERIMENTER,
  type OxmField,
  type OxmFieldName,
  type OxmValue,
} from './fields.js';

/** A value, or a value with the bits of it that count. */
export type Masked<T> = T | { readonly value: T; readonly mask: T };

/**
 * An ordered set of match fields: `{ in_port: 1, eth_dst: { value: '01:…', mask: '01:…' } }`.
 *
 * Keys of fields that are not known are `unknown_<class>_<field>` in hex, for experimenters `unknown_ffff_<field>_<experimenter>`;
 * their values are hex too.
 */
export type Match = { readonly [K in OxmFieldName]?: Masked<OxmValue<K>> } & {
  readonly [K in `unknown_${string}`]?: Masked<string>;
};

const badLength: Fault = ['BAD_MATCH', 'BAD_LEN'];

/** How errors of a list of OXMs are answered: in a match, or in a SET_FIELD action. */
interface Faults {
  readonly length: Fault;
  readonly duplicate: Fault;
}
const matchFaults: Faults = { length: badLength, duplicate: ['BAD_MATCH', 'DUP_FIELD'] };
const setFieldFaults: Faults = {
  length: ['BAD_ACTION', 'BAD_SET_LEN'],
  duplicate: ['BAD_ACTION', 'BAD_SET_TYPE'],
};

type Entries = Record<string, unknown>;

function readOxm(r: Reader, into: Entries, faults: Faults): void {
  const start = r.pos;
  const header = r.u32();
  const hasMask = (header & 0x100) !== 0;
  let length = header & 0xff;
  let field: OxmField | undefined;
  if (header >>> 16 !== OXM_CLASS_EXPERIMENTER) {
    field = fieldOfHeader(header);
  } else {
    if (length < 4) throw r.fail(`experimenter OXM of ${length} bytes`, faults.length, -1);
    field = fieldOfHeader(header, r.u32());
    length -= 4;
  }
  if (r.pos + length > r.end)
    throw r.fail(`OXM of ${length} bytes exceeds the match`, faults.length, start + 3 - r.pos);

  let name: string;
  let value: unknown;
  if (field === undefined) {
    if (hasMask && length % 2 !== 0)
      throw r.fail('masked OXM of odd length', faults.length, start + 3 - r.pos);
    name = unknownName(header, r.pos - start === 8 ? r.view.getUint32(start + 4) : undefined);
    const half = hasMask ? length / 2 : length;
    value = toHex(r.bytes(half));
    if (hasMask) value = { value, mask: toHex(r.bytes(half)) };
  } else {
    name = field.name;
    if (length !== (hasMask ? field.bytes * 2 : field.bytes)) {
      throw r.fail(`length ${length} is wrong for ${name}`, faults.length, start + 3 - r.pos).within(name);
    }
    value = field.codec.read(r);
    if (hasMask) value = { value, mask: field.codec.read(r) };
  }
  if (into[name] !== undefined)
    throw r.fail(`${name} appears twice`, faults.duplicate, start - r.pos).within(name);
  into[name] = value;
}

function unknownName(header: number, experimenter: number | undefined): string {
  const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');
  const name = `unknown_${hex(header >>> 16, 4)}_${hex((header >>> 9) & 0x7f, 2)}`;
  return experimenter === undefined ? name : `${name}_${hex(experimenter, 8)}`;
}

function writeOxm(w: Writer, name: string, given: unknown): void {
  const field = fieldByName(name);
  if (field === undefined) return writeUnknown(w, name, given);
  // Values of fields are never objects, so an object is a value with its mask.
  if (typeof given === 'object' && given !== null) {
    const { value, mask } = given as { readonly value: unknown; readonly mask: unknown };
    w.u32(headerOf(field, true));
    if (field.experimenter !== undefined) w.u32(field.experimenter);
    field.codec.write(w, value);
    field.codec.write(w, mask);
  } else {
    w.u32(headerOf(field, false));
    if (field.experimenter !== undefined) w.u32(field.experimenter);
    if (w.sought !== undefined && w.sought === name) w.found();
    field.codec.write(w, given);
  }
}

const unknownPattern = /^unknown_([0-9a-f]{4})_([0-9a-f]{2})(?:_([0-9a-f]{8}))?$/;

function writeUnknown(w: Writer, name: string, given: unknown): void {
  const parts = unknownPattern.exec(name);
  if (parts === null) throw new OpenFlowEncodeError('is not a match field');
  const [, oxmClass, field, experimenter] = parts;
  const masked = isRecord(given);
  const value = fromHex(masked ? given['value'] : given);
  const mask = masked ? fromHex(given['mask']) : undefined;
  if (mask !== undefined && mask.length !== value.length)
    throw new OpenFlowEncodeError('mask and value differ in length');
  const length = value.length * (masked ? 2 : 1) + (experimenter === undefined ? 0 : 4);
  if (length > 0xff) throw new OpenFlowEncodeError('is longer than 255 bytes');
  const id = parseInt(field ?? '', 16);
  if (id > 0x7f) throw new OpenFlowEncodeError('has a field number above 0x7f');
  w.u16(parseInt(oxmClass ?? '', 16));
  w.u8((id << 1) | (masked ? 1 : 0));
  w.u8(length);
  if (experimenter !== undefined) w.u32(parseInt(experimenter, 16));
  w.copy(value);
  if (mask !== undefined) w.copy(mask);
}

function writeOxms(w: Writer, match: Match): void {
  let name = '';
  try {
    for (name in match) {
      const given = (match as Entries)[name];
      if (given !== undefined) writeOxm(w, name, given);
    }
  } catch (e) {
    if (e instanceof OpenFlowEncodeError) throw e.within(name);
    throw new OpenFlowEncodeError(`cannot be encoded from ${describe((match as Entries)[name])}`).within(
      name,
    );
  }
}

function matchFromJson(json: unknown): Match {
  if (!isRecord(json)) throw new OpenFlowEncodeError('expected an object of match fields');
  const match: Entries = {};
  for (const [name, given] of Object.entries(json)) {
    const field = fieldByName(name);
    if (field === undefined && !unknownPattern.test(name)) {
      throw new OpenFlowEncodeError('is not a match field').within(name);
    }
    const convert = field === undefined ? (v: unknown): unknown => v : field.codec.fromJson;
    try {
      match[name] = isRecord(given)
        ? { value: convert(given['value']), mask: convert(given['mask']) }
        : convert(given);
    } catch (e) {
      throw e instanceof OpenFlowEncodeError ? e.within(name) : e;
    }
  }
  return match as Match;
}

/** `struct ofp_match` (§7.2.3.1): type OFPMT_OXM, length, OXM TLVs, zeros to a multiple of 8. */
export const Match: Codec<Match> = {
  schema: { kind: 'custom', name: 'match', doc: '`ofp_match`: type 1, length, OXM TLVs, padding to 8 bytes' },
  fixedSize: undefined,
  read: (r) => {
    const start = r.pos;
    const outer = r.end;
    const into: Entries = {};
    try {
      const type = r.u16();
      if (type !== 1)
        throw r.fail(`match type ${type} is not OXM`, ['BAD_MATCH', 'BAD_TYPE'], -2).within('type');
      const length = r.u16();
      const padded = (length + 7) & ~7;
      if (length < 4 || start + padded > outer) {
        throw r
          .fail(`match length ${length} does not fit ${outer - start} bytes`, badLength, -2)
          .within('length');
      }
      r.end = start + length;
      while (r.pos < r.end) readOxm(r, into, matchFaults);
      r.end = outer;
      r.pos = start + padded;
    } catch (e) {
      throw e instanceof OpenFlowDecodeError ? e.within(undefined, badLength) : e;
    }
    return into as Match;
  },
  write: (w, match) => {
    const start = w.pos;
    w.u16(1);
    w.u16(0);
    writeOxms(w, match);
    const length = w.pos - start;
    w.view.setUint16(start + 2, length);
    w.zeros(((length + 7) & ~7) - length);
  },
  fromJson: matchFromJson,
};

/** OXM TLVs up to the bound, as in Nicira's NXM structures and in properties. */
export const OxmList: Codec<Match> = {
  schema: { kind: 'custom', name: 'oxms', doc: 'OXM TLVs, without header or padding' },
  fixedSize: undefined,
  read: (r) => {
    const into: Entries = {};
    while (r.pos < r.end) readOxm(r, into, matchFaults);
    return into as Match;
  },
  write: writeOxms,
  fromJson: matchFromJson,
};

/** Exactly one OXM TLV, padded with zeros to the bound: the field of SET_FIELD (§7.2.5). */
export const OxmOne: Codec<Match> = {
  schema: { kind: 'custom', name: 'oxm', doc: 'one OXM TLV: `{ field: value }`' },
  fixedSize: undefined,
  read: (r) => {
    const into: Entries = {};
    readOxm(r, into, setFieldFaults);
    return into as Match;
  },
  write: (w, match) => {
    let count = 0;
    for (const name in match) if ((match as Entries)[name] !== undefined) count++;
    if (count !== 1) throw new OpenFlowEncodeError(`expected exactly one field, found ${count}`);
    writeOxms(w, match);
  },
  fromJson: matchFromJson,
};

/** A field's name, or `header_<hex>` for an OXM header that is not a known field without mask. */
export type FieldHeader = OxmFieldName | `header_${string}`;

function readHeader(r: Reader): { readonly name: FieldHeader; readonly hasMask: boolean } {
  const header = r.u32();
  const experimenter = header >>> 16 === OXM_CLASS_EXPERIMENTER ? r.u32() : undefined;
  const field = fieldOfHeader(header, experimenter);
  const hasMask = (header & 0x100) !== 0;
  if (field !== undefined && headerOf(field, hasMask) === header)
    return { name: field.name as OxmFieldName, hasMask };
  const tail = experimenter === undefined ? '' : experimenter.toString(16).padStart(8, '0');
  return { name: `header_${header.toString(16).padStart(8, '0')}${tail}`, hasMask: false };
}

function writeHeader(w: Writer, name: string, hasMask: boolean): void {
  const field = fieldByName(name);
  if (field !== undefined) {
    w.u32(headerOf(field, hasMask));
    if (field.experimenter !== undefined) w.u32(field.experimenter);
    return;
  }
  const raw = /^header_([0-9a-f]{8})([0-9a-f]{8})?$/.exec(name);
  if (raw?.[1] === undefined) throw new OpenFlowEncodeError(`${describe(name)} is not a match field`);
  const header = parseInt(raw[1], 16);
  if ((header >>> 16 === OXM_CLASS_EXPERIMENTER) !== (raw[2] !== undefined)) {
    throw new OpenFlowEncodeError(`${describe(name)}: experimenter headers, and no others, have 16 digits`);
  }
  w.u32(header);
  if (raw[2] !== undefined) w.u32(parseInt(raw[2], 16));
}

/** The OXM header by which Nicira actions name a field. */
export const FieldHeader: Codec<FieldHeader> = {
  schema: { kind: 'custom', name: 'field', doc: 'OXM header without mask: the name of a match field' },
  fixedSize: undefined,
  read: (r) => {
    const start = r.pos;
    const { name, hasMask } = readHeader(r);
    if (!hasMask) return name;
    // A name stands for the header without mask; this one keeps its bits.
    const wide = r.pos - start === 8;
    r.pos = start;
    return `header_${toHex(r.bytes(wide ? 8 : 4))}`;
  },
  write: (w, name) => writeHeader(w, name, false),
  fromJson: (json) => json as FieldHeader,
};

/** The same in the actions that have room for 4 bytes only: experimenters' fields, whose headers take 8, do not fit. */
export const ShortFieldHeader: Codec<FieldHeader> = {
  schema: {
    kind: 'custom',
    name: 'short_field',
    doc: 'u32, OXM header without mask: the name of a match field',
  },
  fixedSize: 4,
  read: (r) => {
    if (r.peek(2, 0) === OXM_CLASS_EXPERIMENTER) {
      throw r.fail('an experimenter’s field does not fit', ['BAD_ACTION', 'BAD_ARGUMENT']);
    }
    return FieldHeader.read(r);
  },
  write: (w, name) => {
    const start = w.pos;
    writeHeader(w, name, false);
    if (w.pos - start !== 4)
      throw new OpenFlowEncodeError(`${describe(name)} has a header of 8 bytes, which does not fit`);
  },
  fromJson: (json) => json as FieldHeader,
};

/** An OXM id in table features: which field, and whether it may be masked (§7.3.5.5.2). */
export interface OxmId {
  readonly field: FieldHeader;
  readonly hasMask: boolean;
}

export const OxmId: Codec<OxmId> = {
  schema: { kind: 'custom', name: 'oxm_id', doc: 'OXM header: `{ field, hasMask }`' },
  fixedSize: undefined,
  read: (r) => {
    const { name, hasMask } = readHeader(r);
    return { field: name, hasMask };
  },
  write: (w, id) => writeHeader(w, id.field, id.hasMask),
  fromJson: (json) => json as OxmId,
};
