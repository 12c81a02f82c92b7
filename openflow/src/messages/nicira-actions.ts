/** Nicira's extension actions in Open vSwitch's wire format (`ofp-actions`): type 0xffff, id 0x2320, subtype. */

import { list, union, type Case, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import type { Fault } from '../codec/errors.js';
import {
  constant,
  enumeration,
  flags,
  pad,
  padTo8,
  selfLength,
  u16,
  u32,
  u64,
  u8,
} from '../codec/numbers.js';
import { tagged, type Fields } from '../codec/struct.js';
import { bytes, paddedBytes } from '../codec/text.js';
import { NICIRA } from '../oxm/fields.js';
import { FieldHeader, OxmOne, ShortFieldHeader } from '../oxm/match.js';
import { MAX_LENGTH_NO_BUFFER, PacketInReason } from './constants.js';
import { LearnSpecs } from './learn.js';

/** How malformed actions are answered. */
export const actionFault: Fault = ['BAD_ACTION', 'BAD_LEN'];

/** Keys of Nicira's actions and messages among the standard's: this plus the subtype. */
export const NICIRA_KEY = 0x1_0000;

const dst = 'offset and width of the bits: `offset << 6 | (bits - 1)`';

function nicira<const T extends string, const F extends Fields>(
  type: T,
  subtype: number,
  fields: F,
  doc: string,
) {
  const all = {
    _type: constant(16, 0xffff),
    _length: selfLength(8),
    _experimenter: constant(32, NICIRA),
    _subtype: constant(16, subtype),
    ...fields,
  };
  const clause = `Nicira NXAST_${type.slice(3)}`;
  return [NICIRA_KEY + subtype, tagged(type, all, { clause, doc, fault: actionFault })] as const;
}

const property = <const T extends string, const F extends Fields>(
  type: T,
  code: number,
  fields: F,
  doc: string,
) =>
  [
    code,
    tagged(
      type,
      { _type: constant(16, code), _length: selfLength(), ...fields },
      {
        clause: 'Nicira NXAST_CONTROLLER2',
        doc,
        align: 8,
        fault: actionFault,
      },
    ),
  ] as const;

const controllerProperties = [
  property('MAX_LEN', 0, { maxLength: u16, _pad: pad(2) }, 'Bytes of the packet to send.'),
  property('CONTROLLER_ID', 1, { controllerId: u16, _pad: pad(2) }, 'The controller connection to send to.'),
  property('REASON', 2, { reason: PacketInReason, _pad: pad(3) }, 'Reason to give.'),
  property('USERDATA', 3, { userdata: bytes() }, 'Bytes to hand back with the packet.'),
  property('PAUSE', 4, {}, 'Stop the pipeline until resumed.'),
  property('METER_ID', 5, { meterId: u32 }, 'Meter to pass first.'),
] as const;

const UnknownControllerProperty = tagged(
  'unknown',
  { code: u16, _length: selfLength(), raw: bytes() },
  {
    clause: 'Nicira NXAST_CONTROLLER2',
    doc: 'A property without a declaration.',
    align: 8,
    fault: actionFault,
  },
);

type ControllerPropertyCodec = (typeof controllerProperties)[number][1] | typeof UnknownControllerProperty;
/** A property of NX_CONTROLLER2. */
export type ControllerProperty = StaticOf<readonly ControllerPropertyCodec[]>;
export type ControllerPropertyInput = InputOf<readonly ControllerPropertyCodec[]>;

/** A property of NX_CONTROLLER2. */
export const ControllerProperty: Codec<ControllerProperty, ControllerPropertyInput> = union(
  'controller_property',
  {
    peek: (r) => r.peek(2, 0),
    cases: controllerProperties satisfies readonly Case[],
    otherwise: UnknownControllerProperty,
  },
);

const SampleDirection = enumeration('SampleDirection', 8, { DEFAULT: 0, INGRESS: 1, EGRESS: 2 });
const sample = { probability: u16, collectorSetId: u32, obsDomainId: u32, obsPointId: u32 };
const sampleDoc = 'Shows `probability` of 65,536 packets (65535: all) to observer `collectorSetId`';

const LearnFlags = flags('LearnFlags', 16, { SEND_FLOW_REM: 1, DELETE_LEARNED: 2, WRITE_RESULT: 4 });

/** Nicira's actions with their keys in the union of actions. */
export const niciraActions = [
  nicira(
    'NX_RESUBMIT',
    1,
    { inPort: u16, _pad: pad(4) },
    'Searches the same table again, as if from port `inPort`.',
  ),
  nicira('NX_SET_TUNNEL', 2, { _pad: pad(2), tunId: u32 }, 'Sets the tunnel id, 32 bits.'),
  nicira('NX_POP_QUEUE', 5, { _pad: pad(6) }, 'Restores the queue to what it was at the start.'),
  nicira(
    'NX_REG_MOVE',
    6,
    {
      bits: u16,
      sourceOffset: withDefault(u16, 0),
      destinationOffset: withDefault(u16, 0),
      source: FieldHeader,
      destination: FieldHeader,
      _pad: padTo8,
    },
    'Copies `bits` bits from one field to another.',
  ),
  nicira(
    'NX_REG_LOAD',
    7,
    { offsetBits: u16, destination: ShortFieldHeader, value: u64 },
    `Loads a value into bits of a field. \`offsetBits\`: ${dst}.`,
  ),
  nicira('NX_NOTE', 8, { note: paddedBytes(8, 10) }, 'Does nothing; carries bytes, padded with zeros.'),
  nicira('NX_SET_TUNNEL64', 9, { _pad: pad(6), tunId: u64 }, 'Sets the tunnel id, 64 bits.'),
  nicira(
    'NX_MULTIPATH',
    10,
    {
      fields: u16,
      basis: withDefault(u16, 0),
      _pad: pad(2),
      algorithm: u16,
      maxLink: u16,
      argument: withDefault(u32, 0),
      _pad2: pad(2),
      offsetBits: u16,
      destination: ShortFieldHeader,
    },
    'Hashes fields into a link number and stores it in a field.',
  ),
  nicira(
    'NX_RESUBMIT_TABLE',
    14,
    { inPort: withDefault(u16, 0xfff8), table: withDefault(u8, 0xff), _pad: pad(3) },
    'Searches `table` (255: the same), as if from port `inPort` (0xfff8: the same).',
  ),
  nicira(
    'NX_OUTPUT_REG',
    15,
    {
      offsetBits: u16,
      source: ShortFieldHeader,
      maxLength: withDefault(u16, MAX_LENGTH_NO_BUFFER),
      _pad: pad(6),
    },
    `Outputs to the port that a field holds. \`offsetBits\`: ${dst}.`,
  ),
  nicira(
    'NX_LEARN',
    16,
    {
      idleTimeout: withDefault(u16, 0),
      hardTimeout: withDefault(u16, 0),
      priority: withDefault(u16, 0x8000),
      cookie: withDefault(u64, 0n),
      flags: withDefault(LearnFlags, []),
      tableId: u8,
      _pad: pad(1),
      finIdleTimeout: withDefault(u16, 0),
      finHardTimeout: withDefault(u16, 0),
      specs: LearnSpecs,
      _end: padTo8,
    },
    'Adds or changes a flow in `tableId`, built from the packet as `specs` say.',
  ),
  nicira('NX_EXIT', 17, { _pad: pad(6) }, 'Ends all processing of the packet.'),
  nicira('NX_DEC_TTL', 18, { _pad: pad(6) }, 'Decrements the IP TTL (OF 1.0 form).'),
  nicira(
    'NX_FIN_TIMEOUT',
    19,
    { finIdleTimeout: u16, finHardTimeout: u16, _pad: pad(2) },
    'Shortens the timeouts of the flow when TCP FIN or RST passes.',
  ),
  nicira(
    'NX_CONTROLLER',
    20,
    {
      maxLength: withDefault(u16, MAX_LENGTH_NO_BUFFER),
      controllerId: withDefault(u16, 0),
      reason: withDefault(PacketInReason, 'ACTION'),
      _pad: pad(1),
    },
    'Sends the packet to the controller with that id.',
  ),
  nicira(
    'NX_DEC_TTL_CNT_IDS',
    21,
    { controllers: u16, _pad: pad(4), ids: list(u16) },
    'Decrements the IP TTL; on expiry tells the first `controllers` of `ids` (which padding zeros follow).',
  ),
  nicira('NX_WRITE_METADATA', 22, { _pad: pad(6), metadata: u64, metadataMask: u64 }, 'Writes metadata.'),
  nicira(
    'NX_STACK_PUSH',
    27,
    { offset: withDefault(u16, 0), field: FieldHeader, bits: u16, _pad: padTo8 },
    'Pushes bits of a field.',
  ),
  nicira(
    'NX_STACK_POP',
    28,
    { offset: withDefault(u16, 0), field: FieldHeader, bits: u16, _pad: padTo8 },
    'Pops into bits of a field.',
  ),
  nicira('NX_SAMPLE', 29, sample, `${sampleDoc}.`),
  nicira(
    'NX_OUTPUT_REG2',
    32,
    { offsetBits: u16, maxLength: withDefault(u16, MAX_LENGTH_NO_BUFFER), source: FieldHeader, _pad: padTo8 },
    `Outputs to the port that a field holds. \`offsetBits\`: ${dst}.`,
  ),
  nicira('NX_REG_LOAD2', 33, { field: OxmOne, _end: padTo8 }, 'Writes a field, with a mask if given.'),
  nicira(
    'NX_CONJUNCTION',
    34,
    { clause: u8, clauses: u8, id: u32 },
    'Dimension `clause` of `clauses` of conjunction `id`.',
  ),
  nicira(
    'NX_CONTROLLER2',
    37,
    { _pad: pad(6), properties: list(ControllerProperty) },
    'Sends the packet to a controller.',
  ),
  nicira(
    'NX_SAMPLE2',
    38,
    { ...sample, samplingPort: u16, _pad: pad(6) },
    `${sampleDoc}, with the port that stands for the packet’s tunnel.`,
  ),
  nicira(
    'NX_OUTPUT_TRUNC',
    39,
    { port: u16, maxLength: u32 },
    'Outputs at most `maxLength` bytes of the packet.',
  ),
  nicira(
    'NX_SAMPLE3',
    41,
    { ...sample, samplingPort: u16, direction: SampleDirection, _pad: pad(5) },
    `${sampleDoc}, with the port that stands for the packet’s tunnel and the direction.`,
  ),
  nicira('NX_CT_CLEAR', 43, { _pad: pad(6) }, 'Clears the connection-tracking state.'),
  nicira(
    'NX_RESUBMIT_TABLE_CT',
    44,
    { inPort: withDefault(u16, 0xfff8), table: withDefault(u8, 0xff), _pad: pad(3) },
    'Like NX_RESUBMIT_TABLE, on the original direction’s addresses.',
  ),
] as const;
