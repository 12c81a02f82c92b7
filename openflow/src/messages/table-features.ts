/** Table features and their properties (OF 1.3.5 §7.3.5.5). */

import { list, union, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import type { Fault } from '../codec/errors.js';
import { constant, enumeration, pad, selfLength, u16, u32, u64, u8 } from '../codec/numbers.js';
import { struct, tagged, type Fields } from '../codec/struct.js';
import { bytes, text } from '../codec/text.js';
import { OxmId } from '../oxm/match.js';
import { TableConfig } from './constants.js';

const fault: Fault = ['TABLE_FEATURES_FAILED', 'BAD_LEN'];
const noData = new Uint8Array(0);

const InstructionTypes = enumeration('InstructionType', 16, {
  GOTO_TABLE: 1,
  WRITE_METADATA: 2,
  WRITE_ACTIONS: 3,
  APPLY_ACTIONS: 4,
  CLEAR_ACTIONS: 5,
  METER: 6,
  EXPERIMENTER: 0xffff,
});

const ActionTypes = enumeration('ActionType', 16, {
  OUTPUT: 0,
  COPY_TTL_OUT: 11,
  COPY_TTL_IN: 12,
  SET_MPLS_TTL: 15,
  DEC_MPLS_TTL: 16,
  PUSH_VLAN: 17,
  POP_VLAN: 18,
  PUSH_MPLS: 19,
  POP_MPLS: 20,
  SET_QUEUE: 21,
  GROUP: 22,
  SET_NW_TTL: 23,
  DEC_NW_TTL: 24,
  SET_FIELD: 25,
  PUSH_PBB: 26,
  POP_PBB: 27,
  EXPERIMENTER: 0xffff,
});

const idDoc = '`data`: the experimenter id and what follows, for EXPERIMENTER; otherwise empty.';

/** An instruction without its arguments. */
export const InstructionId = struct(
  'ofp_instruction_id',
  { type: InstructionTypes, _length: selfLength(), data: withDefault(bytes(), noData) },
  { clause: '7.3.5.5.2', doc: `An instruction’s type. ${idDoc}`, fault },
);
/** An action without its arguments. */
export const ActionId = struct(
  'ofp_action_id',
  { type: ActionTypes, _length: selfLength(), data: withDefault(bytes(), noData) },
  { clause: '7.3.5.5.2', doc: `An action’s type. ${idDoc}`, fault },
);

function property<const T extends string, const F extends Fields>(
  type: T,
  code: number,
  fields: F,
  doc: string,
) {
  const all = { _type: constant(16, code), _length: selfLength(), ...fields };
  return [code, tagged(type, all, { clause: '7.3.5.5.2', doc, align: 8, fault })] as const;
}

const instructions = { instructions: withDefault(list(InstructionId), []) };
const tables = { tableIds: withDefault(list(u8), []) };
const actions = { actions: withDefault(list(ActionId), []) };
const fields = { fields: withDefault(list(OxmId), []) };
const experimenter = { experimenter: u32, experimenterType: u32, data: withDefault(bytes(), noData) };
const miss = 'The same, for the table-miss entry.';

const cases = [
  property('INSTRUCTIONS', 0, instructions, 'Instructions supported.'),
  property('INSTRUCTIONS_MISS', 1, instructions, miss),
  property('NEXT_TABLES', 2, tables, 'Tables that GOTO_TABLE may name.'),
  property('NEXT_TABLES_MISS', 3, tables, miss),
  property('WRITE_ACTIONS', 4, actions, 'Actions for WRITE_ACTIONS.'),
  property('WRITE_ACTIONS_MISS', 5, actions, miss),
  property('APPLY_ACTIONS', 6, actions, 'Actions for APPLY_ACTIONS.'),
  property('APPLY_ACTIONS_MISS', 7, actions, miss),
  property('MATCH', 8, fields, 'Fields that can be matched; `hasMask`: with masks.'),
  property('WILDCARDS', 10, fields, 'Fields that may be left out.'),
  property('WRITE_SETFIELD', 12, fields, 'Fields that SET_FIELD may write in the action set.'),
  property('WRITE_SETFIELD_MISS', 13, fields, miss),
  property('APPLY_SETFIELD', 14, fields, 'Fields that SET_FIELD may write in APPLY_ACTIONS.'),
  property('APPLY_SETFIELD_MISS', 15, fields, miss),
  property('EXPERIMENTER', 0xfffe, experimenter, 'An experimenter’s property.'),
  property('EXPERIMENTER_MISS', 0xffff, experimenter, miss),
] as const;

const UnknownTableProperty = tagged(
  'unknown',
  { code: u16, _length: selfLength(), raw: bytes() },
  { clause: '7.3.5.5.2', doc: 'A property that is not defined.', align: 8, fault },
);

type TablePropertyCodec = (typeof cases)[number][1] | typeof UnknownTableProperty;
export type TableProperty = StaticOf<readonly TablePropertyCodec[]>;
export type TablePropertyInput = InputOf<readonly TablePropertyCodec[]>;

/** A property of table features. */
export const TableProperty: Codec<TableProperty, TablePropertyInput> = union('table_property', {
  peek: (r) => r.peek(2, 0),
  cases,
  otherwise: UnknownTableProperty,
});

/** `struct ofp_table_features`. */
export const TableFeatures = struct(
  'ofp_table_features',
  {
    _length: selfLength(),
    tableId: u8,
    _pad: pad(5),
    name: text(32),
    metadataMatch: withDefault(u64, 0xffff_ffff_ffff_ffffn),
    metadataWrite: withDefault(u64, 0xffff_ffff_ffff_ffffn),
    config: withDefault(TableConfig, []),
    maxEntries: u32,
    properties: withDefault(list(TableProperty), []),
  },
  { clause: '7.3.5.5.1', doc: 'What a table is and can do.', fault },
);
