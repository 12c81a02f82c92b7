/**
 * The flow_mod_specs of NX_LEARN (Open vSwitch `nx_action_learn`): what the learned flow matches and does.
 *
 * ```
 *  15 14 13 12 11 10                 0
 * +-----+--+-----+--------------------+
 * | 0 0 |S | D   |  n_bits            |   S: 0 field, 1 immediate;  D: 0 match, 1 load, 2 output
 * +-----+--+-----+--------------------+
 *   source:       header u32, offset u16 | immediate, n_bits rounded up to 16
 *   destination:  header u32, offset u16 | nothing (output)
 * ```
 * A header of zero ends the list.
 */

import { fromHex, isRecord, toHex, type Codec } from '../codec/codec.js';
import { OpenFlowEncodeError, type Fault } from '../codec/errors.js';
import type { Reader } from '../codec/reader.js';
import { describe, type Writer } from '../codec/writer.js';
import { FieldHeader } from '../oxm/match.js';

const badArgument: Fault = ['BAD_ACTION', 'BAD_ARGUMENT'];

/** Bits of a field, from `offset` on. */
export interface LearnField {
  readonly field: FieldHeader;
  readonly offset: number;
}

/** One step of building the learned flow: `bits` bits from a field of the packet or an immediate value. */
export interface LearnSpec {
  readonly bits: number;
  /** A field of the packet at hand, or an immediate value in hex of whole 16-bit words. */
  readonly source: LearnField | { readonly value: string };
  /** Match on a field, load into a field, or output to the port that the source names. */
  readonly destination: ({ readonly type: 'MATCH' | 'LOAD' } & LearnField) | { readonly type: 'OUTPUT' };
}

const MAX_BITS = 0x7ff;
const words = (bits: number): number => 2 * Math.ceil(bits / 16);

function readField(r: Reader): LearnField {
  return { field: FieldHeader.read(r), offset: r.u16() };
}

function readSpec(r: Reader, header: number): LearnSpec {
  const bits = header & MAX_BITS;
  const kind = (header >>> 11) & 3;
  if (header >>> 14 !== 0 || kind === 3) {
    throw r.fail(`0x${header.toString(16)} is not a flow_mod_spec`, badArgument, -2);
  }
  const source = (header & 0x2000) !== 0 ? { value: toHex(r.bytes(words(bits))) } : readField(r);
  if (kind === 2) return { bits, source, destination: { type: 'OUTPUT' } };
  const { field, offset } = readField(r);
  return { bits, source, destination: { type: kind === 0 ? 'MATCH' : 'LOAD', field, offset } };
}

function writeField(w: Writer, { field, offset }: LearnField): void {
  FieldHeader.write(w, field);
  w.u16(offset);
}

const kinds = { MATCH: 0, LOAD: 1, OUTPUT: 2 } as const;

function writeSpec(w: Writer, { bits, source, destination }: LearnSpec): void {
  if (bits >>> 0 !== bits || bits > MAX_BITS)
    throw new OpenFlowEncodeError(`${describe(bits)} is not a number of bits`);
  const immediate = 'value' in source;
  const kind = kinds[destination.type] as number | undefined;
  if (kind === undefined)
    throw new OpenFlowEncodeError(`${describe(destination.type)} is not MATCH, LOAD or OUTPUT`);
  const header = (immediate ? 0x2000 : 0) | (kind << 11) | bits;
  if (header === 0) throw new OpenFlowEncodeError('matching no bits of a field would end the list');
  w.u16(header);
  if (immediate) {
    const value = fromHex(source.value);
    if (value.length !== words(bits))
      throw new OpenFlowEncodeError(`${bits} bits need ${words(bits)} bytes of value`);
    w.copy(value);
  } else {
    writeField(w, source);
  }
  if (destination.type !== 'OUTPUT') writeField(w, destination);
}

/** All specs of an NX_LEARN action, up to its end. */
export const LearnSpecs: Codec<readonly LearnSpec[]> = {
  schema: {
    kind: 'custom',
    name: 'learn_specs',
    doc: 'list of `{ bits, source, destination }`, ended by zeros',
  },
  fixedSize: undefined,
  read: (r) => {
    const specs: LearnSpec[] = [];
    while (r.end - r.pos >= 2) {
      const header = r.u16();
      if (header === 0) {
        r.pos -= 2;
        if (r.end - r.pos >= 8) throw r.fail('more than padding follows the end of the specs', badArgument);
        break;
      }
      specs.push(readSpec(r, header));
    }
    return specs;
  },
  write: (w, specs) => {
    for (const spec of specs) writeSpec(w, spec);
  },
  fromJson: (json) => {
    if (!Array.isArray(json) || !json.every(isRecord))
      throw new OpenFlowEncodeError('expected a list of specs');
    return json as unknown as readonly LearnSpec[]; // Already in JSON form; the writer checks.
  },
};
