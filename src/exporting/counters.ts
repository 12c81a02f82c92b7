/** Counter samples of a bridge's interfaces, as sFlow has them. Pure. */
import type { PortCounters, PortInfo } from '../datapath/protocol.js';
import { macAddressBytes, type LogicalPort } from '../domain/index.js';
import {
  counters,
  lacpStateByte,
  type CounterSample,
  type DataRecord,
  type LacpMemberStatus,
} from '../protocols/index.js';

/** sFlow's word for a counter that nobody has (sflow_version_5.txt §5.3): all ones. */
const UNKNOWN = 0xffff_ffff;
const U32 = 0x1_0000_0000;
/** ifType of RFC 2863: ethernetCsmacd. */
const ETHERNET = 6;
const FULL_DUPLEX = 1;

/** Of the kernel's own statistics of a device, where it has them. */
export type DeviceStatistics = Readonly<Record<string, number>>;

export interface CountedInterface {
  readonly info: PortInfo;
  readonly counted: PortCounters;
  readonly port: LogicalPort;
  readonly device: DeviceStatistics;
  /** Of a member of a bond with LACP. */
  readonly lacp: LacpMemberStatus | null;
  /** ifIndex that stands for its aggregation; 0: none. */
  readonly aggregationIfIndex: number;
}

/** Null where the interface has no ifIndex. */
export function counterSample(each: CountedInterface, datapathId: string): CounterSample | null {
  const { info, counted, port } = each;
  if (info.ifindex === null) return null;
  const records: DataRecord[] = [genericInterface(each, info.ifindex), ethernetInterface(each.device)];
  // All that an access port carries is its VLAN's; on trunks nobody counts by VLAN.
  if (port.vlanMode === 'access' && port.tag !== null && port.interfaces.length === 1)
    records.push(
      counters.vlan({
        vlan: port.tag,
        octets: BigInt(counted.rxBytes),
        unicastPackets: counted.rxPackets % U32,
        multicastPackets: UNKNOWN,
        broadcastPackets: UNKNOWN,
        discards: dropsOf(counted) % U32,
      }),
    );
  if (each.lacp !== null) records.push(lagPort(each.lacp, each.aggregationIfIndex));
  // Last, as Wireshark 4.0 loses its way behind structures that it does not know.
  records.push(
    counters.openFlowPort({ datapathId: BigInt(`0x${datapathId}`), portNo: info.ofport }),
    counters.portName(info.name),
  );
  return { ifIndex: info.ifindex, records };
}

function genericInterface({ info, counted, device }: CountedInterface, ifIndex: number): DataRecord {
  const multicasts = device['multicast'] ?? 0;
  return counters.genericInterface({
    ifIndex,
    ifType: ETHERNET,
    speed: BigInt(info.speedMbps ?? 0) * 1_000_000n,
    direction: FULL_DUPLEX,
    status: (info.adminUp ? 1 : 0) | (info.linkUp ? 2 : 0),
    inOctets: BigInt(counted.rxBytes),
    inUnicastPackets: Math.max(0, counted.rxPackets - multicasts) % U32,
    inMulticastPackets: multicasts % U32,
    inBroadcastPackets: UNKNOWN,
    // Lost on receipt, and refused by the tables.
    inDiscards: (counted.rxDropped + dropsOf(counted)) % U32,
    inErrors: counted.rxErrors % U32,
    inUnknownProtocols: UNKNOWN,
    outOctets: BigInt(counted.txBytes),
    outUnicastPackets: counted.txPackets % U32,
    outMulticastPackets: UNKNOWN,
    outBroadcastPackets: UNKNOWN,
    outDiscards: counted.txDropped % U32,
    outErrors: counted.txErrors % U32,
    promiscuousMode: 1,
  });
}

function ethernetInterface(device: DeviceStatistics): DataRecord {
  const of = (name: string): number => {
    const value = device[name];
    return value === undefined ? UNKNOWN : value % U32;
  };
  return counters.ethernetInterface({
    alignmentErrors: of('rx_frame_errors'),
    fcsErrors: of('rx_crc_errors'),
    singleCollisionFrames: UNKNOWN,
    multipleCollisionFrames: of('collisions'),
    sqeTestErrors: of('tx_heartbeat_errors'),
    deferredTransmissions: UNKNOWN,
    lateCollisions: of('tx_window_errors'),
    excessiveCollisions: of('tx_aborted_errors'),
    internalMacTransmitErrors: of('tx_fifo_errors'),
    carrierSenseErrors: of('tx_carrier_errors'),
    frameTooLongs: of('rx_length_errors'),
    internalMacReceiveErrors: of('rx_fifo_errors'),
    symbolErrors: UNKNOWN,
  });
}

/** `attachedAggId`: the ifIndex of the aggregator (IEEE8023-LAG-MIB, dot3adAggPortAttachedAggID). */
function lagPort(member: LacpMemberStatus, aggregationIfIndex: number): DataRecord {
  const { actor, partner } = member;
  const [actorState, partnerState] = [lacpStateByte(actor.state), lacpStateByte(partner.state)];
  return counters.lagPort({
    actorSystemId: macAddressBytes(actor.systemId),
    partnerOperSystemId: macAddressBytes(partner.systemId),
    attachedAggId: member.isAttached ? aggregationIfIndex : 0,
    state: Uint8Array.of(actorState, actorState, partnerState, partnerState),
    lacpdusRx: member.counters.received,
    markerPdusRx: member.counters.markers,
    markerResponsePdusRx: 0,
    unknownRx: 0,
    illegalRx: member.counters.bad,
    lacpdusTx: member.counters.sent,
    markerPdusTx: 0,
    markerResponsePdusTx: member.counters.markers,
  });
}

function dropsOf({ drops }: PortCounters): number {
  return Object.values(drops).reduce((sum, packets) => sum + packets, 0);
}
