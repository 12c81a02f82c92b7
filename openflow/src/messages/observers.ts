/**
 * Observers: Weft's own messages about sampling and accounting. Rules name an observer by the `collectorSetId` of NX_SAMPLE;
 * these messages say what it does with the packets that it is shown, and carry what it has seen.
 */

import { list } from '../codec/collections.js';
import { withDefault } from '../codec/codec.js';
import { enumeration, pad, selfLength, u16, u32, u64, u8 } from '../codec/numbers.js';
import { struct, type Fields } from '../codec/struct.js';
import { bytes, mac } from '../codec/text.js';
import { WEFT } from '../oxm/fields.js';
import { Port } from './constants.js';
import { extension } from './experimenter.js';

/** Stands for all observers in WEFT_OBSERVER_STATS. */
export const OBSERVER_ALL = 0xffff_ffff;

/** Codes of EXPERIMENTER_ERROR with experimenter `WEFT`: `experimenterType`. */
export const ObserverErrorCode = { BAD_ARGUMENT: 1, TOO_MANY: 2 } as const;

const ObserverCommand = enumeration('ObserverCommand', 16, { SET: 0, DELETE: 1 });
const ObserverKind = enumeration('ObserverKind', 16, { SAMPLE: 1, ACCOUNT: 2 });
/** Why a record was made (IANA IPFIX information element 136). */
const FlowEndReason = enumeration('FlowEndReason', 8, {
  IDLE_TIMEOUT: 1,
  ACTIVE_TIMEOUT: 2,
  END_OF_FLOW: 3,
  FORCED_END: 4,
  LACK_OF_RESOURCES: 5,
});

export const ObserverSample = struct(
  'weft_sample',
  {
    _length: selfLength(),
    outputs: u16,
    inPort: u32,
    outPort: withDefault(u32, Port.ANY),
    domainId: withDefault(u32, 0),
    pointId: withDefault(u32, 0),
    frameLength: u32,
    vlanIn: withDefault(u16, 0),
    vlan: withDefault(u16, 0),
    vlanOut: withDefault(u16, 0),
    stripped: withDefault(u16, 0),
    timeMs: u64,
    header: bytes(),
  },
  {
    clause: 'Weft',
    doc:
      'A sampled packet: how many ports it went to and the first of them; bytes of the frame as it came in, without FCS, and the first of ' +
      'them, after `stripped` that are left out. VLANs (TCI with 0x1000 set; 0: no tag): as it came in, where the rules showed it to the ' +
      'observer, as it went to `outPort`. `domainId`, `pointId`: of the action. `timeMs`: Unix time.',
  },
);

export const FlowRecord = struct(
  'weft_flow_record',
  {
    source: bytes(16),
    destination: bytes(16),
    ethSrc: mac,
    ethDst: mac,
    ethType: u16,
    vlan: withDefault(u16, 0),
    protocol: u8,
    tos: withDefault(u8, 0),
    tcpFlags: withDefault(u16, 0),
    sourcePort: withDefault(u16, 0),
    destinationPort: withDefault(u16, 0),
    inPort: u32,
    outPort: withDefault(u32, Port.ANY),
    outputs: u16,
    endReason: FlowEndReason,
    _pad: pad(5),
    domainId: withDefault(u32, 0),
    pointId: withDefault(u32, 0),
    packets: u64,
    octets: u64,
    firstMs: u64,
    lastMs: u64,
  },
  {
    clause: 'Weft',
    doc:
      'The packets of a flow since its last record. IPv4 addresses stand in the last four bytes. `vlan`: id with 0x1000 set, where the ' +
      'rules showed it to the observer; 0: no tag. Ports: of TCP, UDP, SCTP; ICMP: `destinationPort` is type * 256 + code. MAC addresses, ' +
      '`outPort` (the first of `outputs`; `Port.ANY`: none): of the last packet. Segments of a packet with segmentation offload count by ' +
      'themselves; octets are of IP packets, headers included. Times: Unix time in ms.',
  },
);

export const ObserverStats = struct(
  'weft_observer_stats',
  {
    observerId: u32,
    kind: ObserverKind,
    _pad: pad(2),
    packets: withDefault(u64, 0n),
    records: withDefault(u64, 0n),
    lost: withDefault(u64, 0n),
    openFlows: withDefault(u32, 0),
    _pad2: pad(4),
    queued: withDefault(u32, 0),
    _pad3: pad(4),
    octets: withDefault(u64, 0n),
    ageMs: withDefault(u64, 0n),
  },
  {
    clause: 'Weft',
    doc:
      'An observer’s counters since it was set: packets it was shown; samples or records made; samples, or packets of flows, that found no ' +
      'room, came beyond the rate or that nobody took; open flows; records that wait to be sent; octets accounted for.',
  },
);

const weft = <const T extends string, const F extends Fields>(
  type: T,
  subtype: number,
  doc: string,
  fields: F,
) => extension(type, WEFT, subtype, 'Weft', doc, fields);

const observerMod = weft(
  'WEFT_OBSERVER_MOD',
  1,
  'Adds, replaces or deletes an observer, which reports what is open first. Setting it as it is changes nothing but who is sent what ' +
    'it sees: this connection. `interval`: one packet in so many is picked. `headerBytes` are sent of a sample. ' +
    'Timeouts of 0: never. `maxRecordsPerSecond`: samples or records; 0: no limit.',
  {
    command: ObserverCommand,
    kind: ObserverKind,
    observerId: u32,
    interval: withDefault(u32, 1),
    headerBytes: withDefault(u16, 128),
    _pad: pad(2),
    activeTimeoutMs: withDefault(u32, 0),
    idleTimeoutMs: withDefault(u32, 0),
    maxFlows: withDefault(u32, 0),
    maxRecordsPerSecond: withDefault(u32, 0),
  },
);

const observerFlush = weft(
  'WEFT_OBSERVER_FLUSH',
  2,
  'Asks for a report of all open flows (that came in by `port`) now: the reply to a barrier comes after them.',
  { observerId: u32, port: withDefault(u32, Port.ANY) },
);

const samples = weft(
  'WEFT_SAMPLES',
  3,
  'Sampled packets. `pool`: packets that could have been picked; `drops`: samples lost; both since the observer was set.',
  { observerId: u32, drops: u32, pool: u64, entries: withDefault(list(ObserverSample), []) },
);

const flowRecords = weft(
  'WEFT_FLOW_RECORDS',
  4,
  'Records of flows. `lost`: packets that no record will tell of since the observer was set, as their flows found no room.',
  { observerId: u32, _pad: pad(4), lost: u64, entries: withDefault(list(FlowRecord), []) },
);

export const observerMessages = [observerMod, observerFlush, samples, flowRecords] as const;

export const [[, ObserverMod], [, ObserverFlush], [, ObserverSamples], [, ObserverFlowRecords]] =
  observerMessages;
