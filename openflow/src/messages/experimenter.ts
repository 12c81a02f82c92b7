/** Experimenter messages (OF 1.3.5 §7.5.4): unknown ones, Nicira's, and ONF bundles (EXT-230). */

import { list, union, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import { constant, enumeration, flags, pad, selfLength, u16, u32, u64, u8 } from '../codec/numbers.js';
import { struct, tagged, type Fields } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { NICIRA, ONF, WEFT } from '../oxm/fields.js';
import { OxmList } from '../oxm/match.js';
import { PacketInReason } from './constants.js';
import { message } from './header.js';

/** Keys of Nicira's messages: this plus the subtype. */
export const NICIRA_MESSAGE = 0x1_0000;
/** Keys of ONF's messages: this plus the type. */
export const ONF_MESSAGE = 0x2_0000;
/** Keys of Weft's own messages: this plus the type. */
export const WEFT_MESSAGE = 0x3_0000;

/** Where the keys of an experimenter's messages start; 0: none are declared. */
export function messageKeys(experimenter: number): number {
  if (experimenter === NICIRA) return NICIRA_MESSAGE;
  if (experimenter === ONF) return ONF_MESSAGE;
  return experimenter === WEFT ? WEFT_MESSAGE : 0;
}

/** Declares an experimenter's message: header, experimenter, type, then its fields. */
export function extension<const T extends string, const F extends Fields>(
  type: T,
  experimenter: number,
  subtype: number,
  clause: string,
  doc: string,
  fields: F,
) {
  const head = { _experimenter: constant(32, experimenter), _subtype: constant(32, subtype) };
  const [, codec] = message(type, 4, clause, doc, { ...head, ...fields });
  return [messageKeys(experimenter) + subtype, codec] as const;
}

/** An experimenter's message without a declaration here. */
export const [, Experimenter] = message('EXPERIMENTER', 4, '7.5.4', 'An experimenter’s message.', {
  experimenter: u32,
  experimenterType: u32,
  data: withDefault(bytes(), new Uint8Array(0)),
});

// --- Nicira ----------------------------------------------------------------------------------------------------------

const PacketInFormat = enumeration('PacketInFormat', 32, {
  STANDARD: 0,
  NXT_PACKET_IN: 1,
  NXT_PACKET_IN2: 2,
});

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
        clause: 'Nicira NXT_PACKET_IN2',
        doc,
        align: 8,
      },
    ),
  ] as const;

const packetInProperties = [
  property('PACKET', 0, { data: bytes() }, 'The packet, or its first bytes.'),
  property('FULL_LEN', 1, { fullLength: u32 }, 'Length of the whole packet, when `PACKET` is cut.'),
  property('BUFFER_ID', 2, { bufferId: u32 }, 'Buffer that holds the packet.'),
  property('TABLE_ID', 3, { tableId: u8, _pad: pad(3) }, 'Table that sent it.'),
  property('COOKIE', 4, { _pad: pad(4), cookie: u64 }, 'Cookie of the flow that sent it.'),
  property('REASON', 5, { reason: PacketInReason, _pad: pad(3) }, 'Why it was sent.'),
  property('METADATA', 6, { fields: OxmList }, 'Fields beside the packet.'),
  property('USERDATA', 7, { userdata: bytes() }, 'Bytes from NX_CONTROLLER2.'),
  property('CONTINUATION', 8, { continuation: bytes() }, 'Opaque state to resume with.'),
] as const;

const UnknownPacketInProperty = tagged(
  'unknown',
  { code: u16, _length: selfLength(), raw: bytes() },
  { clause: 'Nicira NXT_PACKET_IN2', doc: 'A property without a declaration.', align: 8 },
);

type PacketInPropertyCodec = (typeof packetInProperties)[number][1] | typeof UnknownPacketInProperty;
export type PacketInProperty = StaticOf<readonly PacketInPropertyCodec[]>;
export type PacketInPropertyInput = InputOf<readonly PacketInPropertyCodec[]>;

/** A property of NX_PACKET_IN2 and NX_RESUME. */
export const PacketInProperty: Codec<PacketInProperty, PacketInPropertyInput> = union('packet_in_property', {
  peek: (r) => r.peek(2, 0),
  cases: packetInProperties,
  otherwise: UnknownPacketInProperty,
});

const nicira = <const T extends string, const F extends Fields>(
  type: T,
  subtype: number,
  doc: string,
  fields: F,
) => extension(type, NICIRA, subtype, `Nicira NXT_${type.slice(3)}`, doc, fields);

const flag = enumeration('Switch', 8, { OFF: 0, ON: 1 });

export const niciraMessages = [
  nicira('NX_FLOW_MOD_TABLE_ID', 15, 'Whether flow mods name tables; of no effect in OF 1.3.', {
    set: flag,
    _pad: pad(7),
  }),
  nicira('NX_SET_PACKET_IN_FORMAT', 16, 'Which form of packet-in to send.', { format: PacketInFormat }),
  nicira('NX_SET_CONTROLLER_ID', 20, 'Gives this connection the id that NX_CONTROLLER names.', {
    _pad: pad(6),
    controllerId: u16,
  }),
  nicira('NX_RESUME', 28, 'Goes on with a packet that NX_CONTROLLER2 paused.', {
    properties: list(PacketInProperty),
  }),
  nicira('NX_PACKET_IN2', 30, 'A packet for the controller, as properties.', {
    properties: list(PacketInProperty),
  }),
] as const;

// --- ONF EXT-230 -----------------------------------------------------------------------------------------------------

const BundleControlType = enumeration('BundleControlType', 16, {
  OPEN_REQUEST: 0,
  OPEN_REPLY: 1,
  CLOSE_REQUEST: 2,
  CLOSE_REPLY: 3,
  COMMIT_REQUEST: 4,
  COMMIT_REPLY: 5,
  DISCARD_REQUEST: 6,
  DISCARD_REPLY: 7,
});
const BundleFlags = flags('BundleFlags', 16, { ATOMIC: 1, ORDERED: 2 });

/** Ends of flow monitoring, which Open vSwitch speaks with ONF's numbers in OF 1.3. */
export const flowMonitorMessages = [
  extension('FLOW_MONITOR_CANCEL', ONF, 1870, 'EXT-187', 'Ends a flow monitor.', { id: u32 }),
  extension(
    'FLOW_MONITOR_PAUSED',
    ONF,
    1871,
    'EXT-187',
    'Updates are held back until the connection has drained.',
    {},
  ),
  extension('FLOW_MONITOR_RESUMED', ONF, 1872, 'EXT-187', 'Updates go on.', {}),
] as const;

/** A property of a bundle; only experimenters have any. */
export const BundleProperty = struct(
  'ofp_bundle_prop',
  { code: u16, _length: selfLength(), raw: bytes() },
  { clause: 'EXT-230', doc: 'A property of a bundle; `raw` is all after the length.', align: 8 },
);

export const BundleControl = extension(
  'BUNDLE_CONTROL',
  ONF,
  2300,
  'EXT-230',
  'Opens, closes, commits or discards a bundle of messages that take effect together.',
  {
    bundleId: u32,
    controlType: BundleControlType,
    flags: withDefault(BundleFlags, []),
    properties: withDefault(list(BundleProperty), []),
  },
);

/** The fields of BUNDLE_ADD_MESSAGE around the message, which comes from the union of all others. */
export function bundleAddMessage<T, I>(inner: Codec<T, I>) {
  return extension(
    'BUNDLE_ADD_MESSAGE',
    ONF,
    2301,
    'EXT-230',
    'Adds a message to a bundle. Its xid must be that of the message. `properties` is all after it, padding included.',
    {
      bundleId: u32,
      _pad: pad(2),
      flags: withDefault(BundleFlags, []),
      message: inner,
      properties: withDefault(bytes(), new Uint8Array(0)),
    },
  );
}

/** Codes of the ONF experimenter error that bundles fail with (`experimenterType` of EXPERIMENTER_ERROR). */
export const BundleErrorCode = {
  UNKNOWN: 2300,
  EPERM: 2301,
  BAD_ID: 2302,
  BUNDLE_EXIST: 2303,
  BUNDLE_CLOSED: 2304,
  OUT_OF_BUNDLES: 2305,
  BAD_TYPE: 2306,
  BAD_FLAGS: 2307,
  MSG_BAD_LEN: 2308,
  MSG_BAD_XID: 2309,
  MSG_UNSUP: 2310,
  MSG_CONFLICT: 2311,
  MSG_TOO_MANY: 2312,
  MSG_FAILED: 2313,
  TIMEOUT: 2314,
  BUNDLE_IN_PROGRESS: 2315,
} as const;
