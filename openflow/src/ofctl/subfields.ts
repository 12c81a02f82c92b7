/** Bits of fields: `NXM_OF_ETH_DST[8..47]`, `reg0[3]`, `reg0[]` (ovs-actions(7), "subfields"). */

import { fieldByName, type OxmFieldName } from '../oxm/fields.js';
import type { FieldHeader } from '../oxm/match.js';
import { fieldNamed, fieldOf } from './fields.js';
import { OfctlSyntaxError } from './syntax.js';

export interface Subfield {
  readonly field: FieldHeader;
  readonly offset: number;
  readonly bits: number;
}

/** Bits that subfields can reach: those of the id used on the wire; of a VID without its presence bit. */
export function widthOf(field: FieldHeader): number {
  return field === 'vlan_vid' ? 12 : (fieldByName(field)?.bits ?? 0);
}

/** Reads a subfield; without brackets it is the whole field. @throws OfctlSyntaxError */
export function readSubfield(text: string, at: number): Subfield {
  const match = /^([A-Za-z0-9_]+)(?:\[(?:(\d+)(?:\.\.(\d+))?)?\])?$/.exec(text);
  if (match === null) throw new OfctlSyntaxError('not a field with bits, FIELD[START..END]', text, at);
  const [, name = '', first, last] = match;
  const field = headerNamed(name);
  if (field === undefined) throw new OfctlSyntaxError('unknown field', name, at);
  const width = field.startsWith('header_') ? 1 << 11 : widthOf(field);
  const offset = first === undefined ? 0 : Number(first);
  const end = last === undefined ? (first === undefined ? width - 1 : offset) : Number(last);
  if (end < offset) throw new OfctlSyntaxError('bits end before they start', text, at);
  if (end >= width) throw new OfctlSyntaxError(`${name} has only ${width} bits`, text, at);
  return { field, offset, bits: end - offset + 1 };
}

function headerNamed(name: string): FieldHeader | undefined {
  if (/^header_[0-9a-f]+$/.test(name)) return name as FieldHeader;
  // A standard field's own OXM name means that id; every other name means the id Open vSwitch sends.
  const own = name.toLowerCase().replace(/^oxm_of_/, '');
  if (/^OXM_OF_/i.test(name) && fieldByName(own) !== undefined) return own as OxmFieldName;
  return fieldNamed(name)?.twin;
}

export function writeSubfield({ field, offset, bits }: Subfield): string {
  const name = fieldOf(field)?.nxm ?? field;
  if (offset === 0 && bits === widthOf(field)) return `${name}[]`;
  return bits === 1 ? `${name}[${offset}]` : `${name}[${offset}..${offset + bits - 1}]`;
}

/** Nicira's packed form: `offset << 6 | (bits - 1)`. */
export function packBits({ offset, bits }: { offset: number; bits: number }): number {
  return (offset << 6) | (bits - 1);
}

export function unpackBits(field: FieldHeader, packed: number): Subfield {
  return { field, offset: packed >>> 6, bits: (packed & 0x3f) + 1 };
}
