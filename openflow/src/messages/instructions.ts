/** Instructions of OF 1.3.5 §7.2.4. */

import { list, union, type Case, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import type { Fault } from '../codec/errors.js';
import { constant, pad, selfLength, u16, u32, u64, u8 } from '../codec/numbers.js';
import { tagged, type Fields } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { Actions } from './actions.js';

const fault: Fault = ['BAD_INSTRUCTION', 'BAD_LEN'];
const ALL_ONES = 0xffff_ffff_ffff_ffffn;

function instruction<const T extends string, const F extends Fields>(
  type: T,
  code: number,
  fields: F,
  doc: string,
) {
  const all = { _type: constant(16, code), _length: selfLength(8), ...fields };
  return [code, tagged(type, all, { clause: '7.2.4', doc, fault })] as const;
}

const actions = { _pad: pad(4), actions: withDefault(Actions, []) };

const cases = [
  instruction('GOTO_TABLE', 1, { tableId: u8, _pad: pad(3) }, 'Goes on at a later table.'),
  instruction(
    'WRITE_METADATA',
    2,
    { _pad: pad(4), metadata: u64, metadataMask: withDefault(u64, ALL_ONES) },
    'Writes the metadata bits that the mask selects.',
  ),
  instruction('WRITE_ACTIONS', 3, actions, 'Merges actions into the action set.'),
  instruction('APPLY_ACTIONS', 4, actions, 'Runs actions at once, in order.'),
  instruction('CLEAR_ACTIONS', 5, { _pad: pad(4) }, 'Empties the action set.'),
  instruction('METER', 6, { meterId: u32 }, 'Passes the packet through a meter first.'),
  instruction('EXPERIMENTER', 0xffff, { experimenter: u32, data: bytes() }, 'An experimenter’s instruction.'),
] as const satisfies readonly Case[];

/** An instruction of a type that OF 1.3.5 does not define; survives a round trip. */
export const UnknownInstruction = tagged(
  'unknown',
  { code: u16, _length: selfLength(8), raw: bytes() },
  { clause: '7.2.4', doc: 'An instruction of a type that is not defined.', fault },
);

type InstructionCodec = (typeof cases)[number][1] | typeof UnknownInstruction;
/** Any instruction. */
export type Instruction = StaticOf<readonly InstructionCodec[]>;
/** Any instruction, as the encoder takes it. */
export type InstructionInput = InputOf<readonly InstructionCodec[]>;

/** One instruction (§7.2.4). */
export const Instruction: Codec<Instruction, InstructionInput> = union('instruction', {
  peek: (r) => r.peek(2, 0),
  cases,
  otherwise: UnknownInstruction,
});
/** Instructions up to the bound. */
export const Instructions: Codec<readonly Instruction[], readonly InstructionInput[]> = list(Instruction);
