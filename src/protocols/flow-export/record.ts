/** What is accounted for: one flow in one direction, as long as it was watched. */

/** Why a record was made (IANA IPFIX information element 136, flowEndReason). */
export const FlowEndReason = {
  IDLE_TIMEOUT: 1,
  ACTIVE_TIMEOUT: 2,
  END_OF_FLOW: 3,
  FORCED_END: 4,
  LACK_OF_RESOURCES: 5,
} as const;
export type FlowEndReason = (typeof FlowEndReason)[keyof typeof FlowEndReason];

export interface FlowRecord {
  /** IPv4: 4 bytes; IPv6: 16. Both addresses have as many. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** TCP, UDP, SCTP; others: 0. */
  readonly sourcePort: number;
  /** ICMP: type * 256 + code. */
  readonly destinationPort: number;
  /** The whole octet: DSCP and ECN. */
  readonly tos: number;
  /** All flags of all its packets. */
  readonly tcpFlags: number;
  /** 0: untagged. */
  readonly vlan: number;
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  /** SNMP ifIndex. 0: none, as for what was dropped. */
  readonly inputIfIndex: number;
  readonly outputIfIndex: number;
  readonly packets: bigint;
  /** Of the IP packets, headers included (RFC 5102 §5.10.1). */
  readonly octets: bigint;
  /** Unix time. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly endReason: FlowEndReason;
  /** IPFIX: where in the observation domain; 0: not said. */
  readonly pointId?: number;
}

/** Whose records they are, and how the flows were chosen. */
export interface Observer {
  /** NetFlow v5: engine type and id; v9: source id; IPFIX: observation domain. */
  readonly engineType: number;
  readonly engineId: number;
  readonly domainId: number;
  /** One of so many packets was looked at, at random; 1: all. */
  readonly samplingInterval: number;
  /** Unix time of the moment that the clock of NetFlow's records (sysUpTime) counts from. */
  readonly bootMs: number;
}

/** ms on the clock of NetFlow's records, which starts at boot; wraps as 32 bits do. */
export function sinceBoot(unixMs: number, bootMs: number): number {
  return Math.max(0, Math.round(unixMs - bootMs)) >>> 0;
}

/** Octets of UDP payload that reach a collector over Ethernet without fragments, even through a tunnel. */
export const DATAGRAM_BYTES = 1400;
