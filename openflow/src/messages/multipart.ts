/** Multipart requests and replies (OF 1.3.5 §7.3.5): one body declaration for each type and direction. */

import { array, list, union, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import { anyTypeBefore, constant, flags, pad, typeBefore, u32, u64, u8 } from '../codec/numbers.js';
import { tagged, type Fields } from '../codec/struct.js';
import type { Reader } from '../codec/reader.js';
import { bytes, text } from '../codec/text.js';
import { WEFT } from '../oxm/fields.js';
import { Match } from '../oxm/match.js';
import { Group, Meter, Port, Queue, Table } from './constants.js';
import { message } from './header.js';
import { OBSERVER_ALL, ObserverStats } from './observers.js';
import { PortDesc } from './ports.js';
import {
  FlowStats,
  GroupDesc,
  GroupStats,
  MeterConfig,
  MeterStats,
  PortStats,
  QueueStats,
  TableStats,
} from './statistics.js';
import { TableFeatures } from './table-features.js';

/** The type stands before flags and padding, 8 bytes ahead of the body. */
const BACK = 8;

function body<const T extends string, const F extends Fields>(
  type: T,
  code: number,
  clause: string,
  doc: string,
  fields: F,
) {
  return [code, tagged(type, { _type: typeBefore(BACK, code), ...fields }, { clause, doc })] as const;
}

const experimenter = {
  experimenter: u32,
  experimenterType: u32,
  data: withDefault(bytes(), new Uint8Array(0)),
};

/** Keys of the bodies of Weft's own: this plus the type. */
const WEFT_BODY = 0x1_0000;

/** An experimenter's body that is declared. */
function weftBody<const T extends string, const F extends Fields>(
  type: T,
  subtype: number,
  doc: string,
  fields: F,
) {
  const head = {
    _type: typeBefore(BACK, 0xffff),
    _experimenter: constant(32, WEFT),
    _subtype: constant(32, subtype),
  };
  return [WEFT_BODY + subtype, tagged(type, { ...head, ...fields }, { clause: 'Weft', doc })] as const;
}

const UnknownBody = tagged(
  'unknown',
  { code: anyTypeBefore(BACK), raw: withDefault(bytes(), new Uint8Array(0)) },
  { clause: '7.3.5', doc: 'A body of a type that is not defined.' },
);

const selection = {
  tableId: withDefault(u8, Table.ALL),
  _pad: pad(3),
  outPort: withDefault(u32, Port.ANY),
  outGroup: withDefault(u32, Group.ANY),
  _pad2: pad(4),
  cookie: withDefault(u64, 0n),
  cookieMask: withDefault(u64, 0n),
  match: withDefault(Match, {}),
};
const onePort = { portNo: withDefault(u32, Port.ANY), _pad: pad(4) };
const oneGroup = { groupId: withDefault(u32, Group.ALL), _pad: pad(4) };
const oneMeter = { meterId: withDefault(u32, Meter.ALL), _pad: pad(4) };

const requests = [
  body('DESC', 0, '7.3.5.1', 'Asks who made the switch.', {}),
  body('FLOW', 1, '7.3.5.2', 'Asks for the flows that are selected.', selection),
  body('AGGREGATE', 2, '7.3.5.3', 'Asks for the sums over the flows that are selected.', selection),
  body('TABLE', 3, '7.3.5.4', 'Asks for tables’ counters.', {}),
  body('PORT_STATS', 4, '7.3.5.6', 'Asks for ports’ counters.', onePort),
  body('QUEUE', 5, '7.3.5.8', 'Asks for queues’ counters.', {
    portNo: withDefault(u32, Port.ANY),
    queueId: withDefault(u32, Queue.ALL),
  }),
  body('GROUP', 6, '7.3.5.9', 'Asks for groups’ counters.', oneGroup),
  body('GROUP_DESC', 7, '7.3.5.10', 'Asks for groups’ buckets.', {}),
  body('GROUP_FEATURES', 8, '7.3.5.11', 'Asks what groups can do.', {}),
  body('METER', 9, '7.3.5.12', 'Asks for meters’ counters.', oneMeter),
  body('METER_CONFIG', 10, '7.3.5.13', 'Asks for meters’ bands.', oneMeter),
  body('METER_FEATURES', 11, '7.3.5.14', 'Asks what meters can do.', {}),
  body('TABLE_FEATURES', 12, '7.3.5.5', 'Asks what tables can do; with entries, sets it.', {
    entries: withDefault(list(TableFeatures), []),
  }),
  body('PORT_DESC', 13, '7.3.5.7', 'Asks for the ports.', {}),
  body('EXPERIMENTER', 0xffff, '7.3.5.15', 'An experimenter’s request.', experimenter),
  weftBody('WEFT_OBSERVER_STATS', 1, 'Asks for observers’ counters. `observerId`: `OBSERVER_ALL` for all.', {
    observerId: withDefault(u32, OBSERVER_ALL),
    _pad: pad(4),
  }),
] as const;

const GroupTypes = flags('GroupTypes', 32, { ALL: 1, SELECT: 2, INDIRECT: 4, FF: 8 });
const GroupCapabilities = flags('GroupCapabilities', 32, {
  SELECT_WEIGHT: 1,
  SELECT_LIVENESS: 2,
  CHAINING: 4,
  CHAINING_CHECKS: 8,
});
const ActionBits = flags('ActionBits', 32, {
  OUTPUT: 1,
  COPY_TTL_OUT: 1 << 11,
  COPY_TTL_IN: 1 << 12,
  SET_MPLS_TTL: 1 << 15,
  DEC_MPLS_TTL: 1 << 16,
  PUSH_VLAN: 1 << 17,
  POP_VLAN: 1 << 18,
  PUSH_MPLS: 1 << 19,
  POP_MPLS: 1 << 20,
  SET_QUEUE: 1 << 21,
  GROUP: 1 << 22,
  SET_NW_TTL: 1 << 23,
  DEC_NW_TTL: 1 << 24,
  SET_FIELD: 1 << 25,
  PUSH_PBB: 1 << 26,
  POP_PBB: 1 << 27,
});
const BandTypes = flags('BandTypes', 32, { DROP: 1 << 1, DSCP_REMARK: 1 << 2 });
const MeterCapabilities = flags('MeterCapabilities', 32, { KBPS: 1, PKTPS: 2, BURST: 4, STATS: 8 });

const entries = <T, I>(item: Codec<T, I>) => ({ entries: withDefault(list(item), []) });

const replies = [
  body('DESC', 0, '7.3.5.1', 'Who made the switch.', {
    mfrDesc: text(256),
    hwDesc: text(256),
    swDesc: text(256),
    serialNum: text(32),
    dpDesc: text(256),
  }),
  body('FLOW', 1, '7.3.5.2', 'Flows.', entries(FlowStats)),
  body('AGGREGATE', 2, '7.3.5.3', 'Sums over flows.', {
    packetCount: withDefault(u64, 0n),
    byteCount: withDefault(u64, 0n),
    flowCount: withDefault(u32, 0),
    _pad: pad(4),
  }),
  body('TABLE', 3, '7.3.5.4', 'Tables’ counters.', entries(TableStats)),
  body('PORT_STATS', 4, '7.3.5.6', 'Ports’ counters.', entries(PortStats)),
  body('QUEUE', 5, '7.3.5.8', 'Queues’ counters.', entries(QueueStats)),
  body('GROUP', 6, '7.3.5.9', 'Groups’ counters.', entries(GroupStats)),
  body('GROUP_DESC', 7, '7.3.5.10', 'Groups.', entries(GroupDesc)),
  body(
    'GROUP_FEATURES',
    8,
    '7.3.5.11',
    'What groups can do; lists are in the order ALL, SELECT, INDIRECT, FF.',
    {
      types: GroupTypes,
      capabilities: withDefault(GroupCapabilities, []),
      maxGroups: array(4, u32),
      actions: array(4, ActionBits),
    },
  ),
  body('METER', 9, '7.3.5.12', 'Meters’ counters.', entries(MeterStats)),
  body('METER_CONFIG', 10, '7.3.5.13', 'Meters.', entries(MeterConfig)),
  body('METER_FEATURES', 11, '7.3.5.14', 'What meters can do.', {
    maxMeter: u32,
    bandTypes: BandTypes,
    capabilities: MeterCapabilities,
    maxBands: u8,
    maxColor: u8,
    _pad: pad(2),
  }),
  body('TABLE_FEATURES', 12, '7.3.5.5', 'What tables can do.', entries(TableFeatures)),
  body('PORT_DESC', 13, '7.3.5.7', 'Ports.', entries(PortDesc)),
  body('EXPERIMENTER', 0xffff, '7.3.5.15', 'An experimenter’s reply.', experimenter),
  weftBody('WEFT_OBSERVER_STATS', 1, 'Observers’ counters.', entries(ObserverStats)),
] as const;

type RequestBodyCodec = (typeof requests)[number][1] | typeof UnknownBody;
type ReplyBodyCodec = (typeof replies)[number][1] | typeof UnknownBody;

export type MultipartRequestBody = StaticOf<readonly RequestBodyCodec[]>;
export type MultipartRequestBodyInput = InputOf<readonly RequestBodyCodec[]>;
export type MultipartReplyBody = StaticOf<readonly ReplyBodyCodec[]>;
export type MultipartReplyBodyInput = InputOf<readonly ReplyBodyCodec[]>;

/** The type, or the key of an experimenter's that is declared. */
function peek(r: Reader): number {
  const type = r.peek(2, -BACK);
  if (type !== 0xffff || r.peek(4, 0) !== WEFT) return type;
  const key = WEFT_BODY + r.peek(4, 4);
  return weftKeys.has(key) ? key : type;
}
const weftKeys = new Set<number>(requests.map(([key]) => key).filter((key) => key >= WEFT_BODY));

/** The body of a multipart request, by type. */
export const MultipartRequestBody: Codec<MultipartRequestBody, MultipartRequestBodyInput> = union(
  'multipart_request_body',
  { peek, cases: requests, otherwise: UnknownBody },
);
/** The body of a multipart reply, by type. */
export const MultipartReplyBody: Codec<MultipartReplyBody, MultipartReplyBodyInput> = union(
  'multipart_reply_body',
  { peek, cases: replies, otherwise: UnknownBody },
);

export const [, MultipartRequest] = message(
  'MULTIPART_REQUEST',
  18,
  '7.3.5',
  'Asks for statistics or descriptions. The type stands first; it is the `type` of `body`.',
  {
    _bodyType: pad(2),
    flags: withDefault(flags('MultipartRequestFlags', 16, { REQ_MORE: 1 }), []),
    _pad: pad(4),
    body: MultipartRequestBody,
  },
);
export const [, MultipartReply] = message(
  'MULTIPART_REPLY',
  19,
  '7.3.5',
  'Answers a multipart request. The type stands first; it is the `type` of `body`.',
  {
    _bodyType: pad(2),
    flags: withDefault(flags('MultipartReplyFlags', 16, { REPLY_MORE: 1 }), []),
    _pad: pad(4),
    body: MultipartReplyBody,
  },
);
