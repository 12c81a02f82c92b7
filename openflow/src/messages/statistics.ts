/** The entries of multipart replies: statistics and descriptions (OF 1.3.5 §7.3.5). */

import { interned, list } from '../codec/collections.js';
import { withDefault } from '../codec/codec.js';
import { pad, selfLength, u16, u32, u64, u8 } from '../codec/numbers.js';
import { struct } from '../codec/struct.js';
import { Match } from '../oxm/match.js';
import { FlowModFlags, GroupType, MeterFlags } from './constants.js';
import { Bucket } from './groups.js';
import { Instructions } from './instructions.js';
import { MeterBands } from './meters.js';

const duration = { durationSec: withDefault(u32, 0), durationNsec: withDefault(u32, 0) };
const count = withDefault(u64, 0n);

export const FlowStats = struct(
  'ofp_flow_stats',
  {
    _length: selfLength(),
    tableId: u8,
    _pad: pad(1),
    ...duration,
    priority: u16,
    idleTimeout: withDefault(u16, 0),
    hardTimeout: withDefault(u16, 0),
    flags: withDefault(FlowModFlags, []),
    _pad2: pad(4),
    cookie: count,
    packetCount: count,
    byteCount: count,
    match: withDefault(Match, {}),
    // Many flows do the same.
    instructions: withDefault(interned(Instructions), []),
  },
  { clause: '7.3.5.2', doc: 'A flow entry with its counters.' },
);

export const TableStats = struct(
  'ofp_table_stats',
  { tableId: u8, _pad: pad(3), activeCount: u32, lookupCount: count, matchedCount: count },
  { clause: '7.3.5.4', doc: 'A table’s counters.' },
);

export const PortStats = struct(
  'ofp_port_stats',
  {
    portNo: u32,
    _pad: pad(4),
    rxPackets: count,
    txPackets: count,
    rxBytes: count,
    txBytes: count,
    rxDropped: count,
    txDropped: count,
    rxErrors: count,
    txErrors: count,
    rxFrameErr: count,
    rxOverErr: count,
    rxCrcErr: count,
    collisions: count,
    ...duration,
  },
  { clause: '7.3.5.6', doc: 'A port’s counters; all ones: not counted.' },
);

export const QueueStats = struct(
  'ofp_queue_stats',
  { portNo: u32, queueId: u32, txBytes: count, txPackets: count, txErrors: count, ...duration },
  { clause: '7.3.5.8', doc: 'A queue’s counters.' },
);

export const BucketCounter = struct(
  'ofp_bucket_counter',
  { packetCount: count, byteCount: count },
  { clause: '7.3.5.9', doc: 'A bucket’s counters.' },
);

export const GroupStats = struct(
  'ofp_group_stats',
  {
    _length: selfLength(),
    _pad: pad(2),
    groupId: u32,
    refCount: withDefault(u32, 0),
    _pad2: pad(4),
    packetCount: count,
    byteCount: count,
    ...duration,
    bucketStats: withDefault(list(BucketCounter), []),
  },
  { clause: '7.3.5.9', doc: 'A group’s counters.' },
);

export const GroupDesc = struct(
  'ofp_group_desc',
  {
    _length: selfLength(),
    groupType: GroupType,
    _pad: pad(1),
    groupId: u32,
    buckets: withDefault(list(Bucket), []),
  },
  { clause: '7.3.5.10', doc: 'A group with its buckets.' },
);

export const MeterBandStats = struct(
  'ofp_meter_band_stats',
  { packetBandCount: count, byteBandCount: count },
  { clause: '7.3.5.12', doc: 'A band’s counters.' },
);

export const MeterStats = struct(
  'ofp_meter_stats',
  {
    meterId: u32,
    _length: selfLength(),
    _pad: pad(6),
    flowCount: withDefault(u32, 0),
    packetInCount: count,
    byteInCount: count,
    ...duration,
    bandStats: withDefault(list(MeterBandStats), []),
  },
  { clause: '7.3.5.12', doc: 'A meter’s counters.' },
);

export const MeterConfig = struct(
  'ofp_meter_config',
  {
    _length: selfLength(),
    flags: withDefault(MeterFlags, []),
    meterId: u32,
    bands: withDefault(MeterBands, []),
  },
  { clause: '7.3.5.13', doc: 'A meter with its bands.' },
);
