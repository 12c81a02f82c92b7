/**
 * Structures of sFlow version 5 (sflow_version_5.txt of sFlow.org; LAG: sflow_lag.txt; OpenFlow: sflow_openflow.txt).
 * XDR (RFC 4506): everything in multiples of four bytes, most significant first.
 */
import { bytesOf, layout, reserved, u32, u64, type Layout } from '../layout.js';

/** `struct extended_switch` (flow_data 1001). */
export const ExtendedSwitch = layout({
  sourceVlan: u32,
  sourcePriority: u32,
  destinationVlan: u32,
  destinationPriority: u32,
});

/** `struct if_counters` (counter_data 1), from RFC 2863. */
export const GenericInterface = layout({
  ifIndex: u32,
  ifType: u32,
  /** Bits per second. */
  speed: u64,
  /** 0: unknown, 1: full duplex, 2: half duplex, 3: in, 4: out. */
  direction: u32,
  /** Bit 0: admin up, bit 1: oper up. */
  status: u32,
  inOctets: u64,
  inUnicastPackets: u32,
  inMulticastPackets: u32,
  inBroadcastPackets: u32,
  inDiscards: u32,
  inErrors: u32,
  inUnknownProtocols: u32,
  outOctets: u64,
  outUnicastPackets: u32,
  outMulticastPackets: u32,
  outBroadcastPackets: u32,
  outDiscards: u32,
  outErrors: u32,
  promiscuousMode: u32,
});

/** `struct ethernet_counters` (counter_data 2), from RFC 2358. */
export const EthernetInterface = layout({
  alignmentErrors: u32,
  fcsErrors: u32,
  singleCollisionFrames: u32,
  multipleCollisionFrames: u32,
  sqeTestErrors: u32,
  deferredTransmissions: u32,
  lateCollisions: u32,
  excessiveCollisions: u32,
  internalMacTransmitErrors: u32,
  carrierSenseErrors: u32,
  frameTooLongs: u32,
  internalMacReceiveErrors: u32,
  symbolErrors: u32,
});

/** `struct vlan_counters` (counter_data 5). */
export const VlanCounters = layout({
  vlan: u32,
  octets: u64,
  unicastPackets: u32,
  multicastPackets: u32,
  broadcastPackets: u32,
  discards: u32,
});

/** `struct lag_port_stats` (counter_data 7), from IEEE8023-LAG-MIB. */
export const LagPort = layout({
  /** Each a MAC address, padded to eight bytes as XDR's opaque<6> without its length. */
  actorSystemId: bytesOf(6),
  _pad: reserved(2),
  partnerOperSystemId: bytesOf(6),
  _pad2: reserved(2),
  attachedAggId: u32,
  /** Actor admin, actor oper, partner admin, partner oper: a byte each. */
  state: bytesOf(4),
  lacpdusRx: u32,
  markerPdusRx: u32,
  markerResponsePdusRx: u32,
  unknownRx: u32,
  illegalRx: u32,
  lacpdusTx: u32,
  markerPdusTx: u32,
  markerResponsePdusTx: u32,
});

/** `struct of_port` (counter_data 1004). */
export const OpenFlowPort = layout({ datapathId: u64, portNo: u32 });

export type Values<L> = L extends { readonly encode: (value: infer T) => Uint8Array } ? T : never;

/** A record within a sample: `data_format` (enterprise 0) and what it holds. */
export interface DataRecord {
  readonly format: number;
  readonly bytes: Uint8Array;
}

export const counters = {
  genericInterface: (value: Values<typeof GenericInterface>) => dataRecord(1, GenericInterface.encode(value)),
  ethernetInterface: (value: Values<typeof EthernetInterface>) =>
    dataRecord(2, EthernetInterface.encode(value)),
  vlan: (value: Values<typeof VlanCounters>) => dataRecord(5, VlanCounters.encode(value)),
  lagPort: (value: Values<typeof LagPort>) => dataRecord(7, LagPort.encode(value)),
  openFlowPort: (value: Values<typeof OpenFlowPort>) => dataRecord(1004, OpenFlowPort.encode(value)),
  /** `struct port_name` (counter_data 1005). */
  portName: (name: string) => dataRecord(1005, opaque(new TextEncoder().encode(name.slice(0, 255)))),
} as const;

function dataRecord(format: number, bytes: Uint8Array): DataRecord {
  return { format, bytes };
}

/** Writes XDR (RFC 4506) one after the other into a buffer that grows. */
export class XdrWriter {
  #bytes = new Uint8Array(2048);
  #view = new DataView(this.#bytes.buffer);
  /** Where the next thing goes: bytes written so far. */
  at = 0;

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.at, value >>> 0);
    this.at += 4;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Variable-length opaque: its length, its bytes, zeros to a multiple of four. */
  opaque(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
    const zeros = -bytes.length & 3;
    this.#reserve(zeros);
    this.#bytes.fill(0, this.at, this.at + zeros);
    this.at += zeros;
  }

  /** A structure of fixed size. */
  struct<T>(layout: Layout<T>, value: T): void {
    this.#reserve(layout.size);
    layout.write(this.#bytes, this.at, value);
    this.at += layout.size;
  }

  /** An opaque whose length is only known once `write` has written it. */
  sized(write: () => void): void {
    const begin = this.at;
    this.u32(0);
    write();
    this.#view.setUint32(begin, this.at - begin - 4);
  }

  /** Overwrites what was written before. */
  patch(at: number, value: number): void {
    this.#view.setUint32(at, value >>> 0);
  }

  /** A copy of what was written. */
  slice(from: number, to: number): Uint8Array {
    return this.#bytes.slice(from, to);
  }

  #reserve(count: number): void {
    if (this.at + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.at + count));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/**
 * `struct sampled_header` (flow_data 1), header_protocol 1 (Ethernet).
 * @param frameLength of the frame on the wire, octets stripped from it included
 * @param stripped octets that were removed before the header was taken: the FCS's four at least
 */
export function writeSampledHeader(
  to: XdrWriter,
  header: Uint8Array,
  frameLength: number,
  stripped: number,
): void {
  to.u32(1);
  to.sized(() => {
    to.u32(1);
    to.u32(frameLength);
    to.u32(stripped);
    to.opaque(header);
  });
}

export function writeExtendedSwitch(to: XdrWriter, value: Values<typeof ExtendedSwitch>): void {
  to.u32(1001);
  to.u32(ExtendedSwitch.size);
  to.struct(ExtendedSwitch, value);
}

export function writeRecord(to: XdrWriter, { format, bytes }: DataRecord): void {
  to.u32(format);
  to.opaque(bytes);
}

function opaque(bytes: Uint8Array): Uint8Array {
  const writer = new XdrWriter();
  writer.opaque(bytes);
  return writer.slice(0, writer.at);
}
