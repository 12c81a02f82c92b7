/** Actions of OF 1.3.5 §7.2.5. */

import { list, union, type Case, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import { constant, pad, padTo8, selfLength, u16, u32, u8 } from '../codec/numbers.js';
import { tagged, type Fields } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { NICIRA, OXM_CLASS_EXPERIMENTER } from '../oxm/fields.js';
import { OxmOne } from '../oxm/match.js';
import { MAX_LENGTH_NO_BUFFER } from './constants.js';
import { actionFault, niciraActions, NICIRA_KEY } from './nicira-actions.js';

function action<const T extends string, const F extends Fields>(
  type: T,
  code: number,
  fields: F,
  doc: string,
) {
  const all = { _type: constant(16, code), _length: selfLength(8), ...fields };
  return tagged(type, all, { clause: '7.2.5', doc, fault: actionFault });
}

export const OutputAction = action(
  'OUTPUT',
  0,
  { port: u32, maxLength: withDefault(u16, MAX_LENGTH_NO_BUFFER), _pad: pad(6) },
  'Sends the packet to a port. `maxLength`: bytes sent to the controller, for `Port.CONTROLLER` only.',
);
export const CopyTtlOutAction = action('COPY_TTL_OUT', 11, { _pad: pad(4) }, 'Copies the TTL outwards.');
export const CopyTtlInAction = action('COPY_TTL_IN', 12, { _pad: pad(4) }, 'Copies the TTL inwards.');
export const SetMplsTtlAction = action(
  'SET_MPLS_TTL',
  15,
  { mplsTtl: u8, _pad: pad(3) },
  'Replaces the MPLS TTL.',
);
export const DecMplsTtlAction = action('DEC_MPLS_TTL', 16, { _pad: pad(4) }, 'Decrements the MPLS TTL.');
export const PushVlanAction = action('PUSH_VLAN', 17, { ethertype: u16, _pad: pad(2) }, 'Pushes a VLAN tag.');
export const PopVlanAction = action('POP_VLAN', 18, { _pad: pad(4) }, 'Pops the outermost VLAN tag.');
export const PushMplsAction = action(
  'PUSH_MPLS',
  19,
  { ethertype: u16, _pad: pad(2) },
  'Pushes an MPLS shim.',
);
export const PopMplsAction = action(
  'POP_MPLS',
  20,
  { ethertype: u16, _pad: pad(2) },
  'Pops the outermost MPLS shim; `ethertype` is that of what remains.',
);
export const SetQueueAction = action('SET_QUEUE', 21, { queueId: u32 }, 'Chooses the queue for output.');
export const GroupAction = action('GROUP', 22, { groupId: u32 }, 'Hands the packet to a group.');
export const SetNwTtlAction = action(
  'SET_NW_TTL',
  23,
  { nwTtl: u8, _pad: pad(3) },
  'Replaces the IP TTL or hop limit.',
);
export const DecNwTtlAction = action(
  'DEC_NW_TTL',
  24,
  { _pad: pad(4) },
  'Decrements the IP TTL or hop limit.',
);
export const SetFieldAction = action(
  'SET_FIELD',
  25,
  { field: OxmOne, _pad: padTo8 },
  'Writes a header field: `field` is a match of that one field.',
);
export const PushPbbAction = action('PUSH_PBB', 26, { ethertype: u16, _pad: pad(2) }, 'Pushes a PBB I-TAG.');
export const PopPbbAction = action('POP_PBB', 27, { _pad: pad(4) }, 'Pops the outermost PBB I-TAG.');
export const ExperimenterAction = action(
  'EXPERIMENTER',
  OXM_CLASS_EXPERIMENTER,
  { experimenter: u32, data: bytes() },
  'An experimenter’s action without a declaration here; `data` is all after the id.',
);
/** An action of a type that OF 1.3.5 does not define; survives a round trip. */
export const UnknownAction = tagged(
  'unknown',
  { code: u16, _length: selfLength(8), raw: bytes() },
  {
    clause: '7.2.5',
    doc: 'An action of a type that is not defined; `raw` is all after the length.',
    fault: actionFault,
  },
);

const standard = [
  OutputAction,
  CopyTtlOutAction,
  CopyTtlInAction,
  SetMplsTtlAction,
  DecMplsTtlAction,
  PushVlanAction,
  PopVlanAction,
  PushMplsAction,
  PopMplsAction,
  SetQueueAction,
  GroupAction,
  SetNwTtlAction,
  DecNwTtlAction,
  SetFieldAction,
  PushPbbAction,
  PopPbbAction,
  ExperimenterAction,
] as const;

type StandardAction = (typeof standard)[number];
type NiciraAction = (typeof niciraActions)[number][1];

/** Any action. */
export type Action = StaticOf<readonly (StandardAction | NiciraAction | typeof UnknownAction)[]> | NxClone;
/** Any action, as the encoder takes it. */
export type ActionInput =
  InputOf<readonly (StandardAction | NiciraAction | typeof UnknownAction)[]> | NxCloneInput;

/** NX_CLONE holds actions itself, so its type is written out. */
export interface NxClone {
  readonly type: 'NX_CLONE';
  readonly actions: readonly Action[];
}
export interface NxCloneInput {
  readonly type: 'NX_CLONE';
  readonly actions: readonly ActionInput[];
}

const typeCode = (variant: StandardAction): number => {
  const [, codec] = variant.schema.fields[0] ?? [];
  return codec?.schema.kind === 'constant' ? codec.schema.value : -1;
};

/** Filled below with NX_CLONE, which refers back to the union. */
const cases: Case[] = [...standard.map((variant): Case => [typeCode(variant), variant]), ...niciraActions];

/** NX_CLONE within NX_CLONE as deep as Open vSwitch lets it be; deeper would let bytes exhaust the stack. */
const MAX_DEPTH = 16;

const nested: Codec<readonly Action[], readonly ActionInput[]> = {
  schema: { kind: 'custom', name: 'actions', doc: 'list of actions' },
  fixedSize: undefined,
  read: (r) => {
    if (++r.depth > MAX_DEPTH) throw r.fail('actions nested too deeply', ['BAD_ACTION', 'TOO_MANY']);
    const actions = Actions.read(r);
    r.depth--;
    return actions;
  },
  write: (w, v) => Actions.write(w, v),
  fromJson: (json) => Actions.fromJson(json),
};

/** Runs actions on a copy of the packet; what they change is forgotten afterwards. */
export const NxCloneAction = tagged(
  'NX_CLONE',
  {
    _type: constant(16, 0xffff),
    _length: selfLength(8),
    _experimenter: constant(32, NICIRA),
    _subtype: constant(16, 42),
    _pad: pad(6),
    actions: nested,
  },
  { clause: 'Nicira NXAST_CLONE', doc: 'Runs actions on a copy of the packet.', fault: actionFault },
);
cases.push([NICIRA_KEY + 42, NxCloneAction]);
const niciraKeys = new Set(cases.map(([key]) => key));

/** One action (§7.2.5). */
export const Action: Codec<Action, ActionInput> = union<Action, ActionInput>('action', {
  peek: (r) => {
    const type = r.peek(2, 0);
    if (type !== 0xffff || r.peek(4, 4) !== NICIRA) return type;
    const key = NICIRA_KEY + r.peek(2, 8);
    return niciraKeys.has(key) ? key : type;
  },
  cases,
  otherwise: UnknownAction,
});
/** Actions up to the bound. */
export const Actions: Codec<readonly Action[], readonly ActionInput[]> = list(Action);
