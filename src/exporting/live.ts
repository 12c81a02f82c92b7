/** The live view: rates of flows and of Ethernet addresses over the last seconds. Pure. */
import { ipv4, ipv6, decodeAs, type FlowRecord } from 'node-openflow';
import type { PortIdentities } from './ports.js';

/** Records come every second; rates are means over so long. */
const WINDOW_MS = 4_000;
const SLICE_MS = 1_000;
const VLAN_ID = 0x0fff;
const IPV4 = 0x0800;

interface Rates {
  readonly packetsPerS: number;
  readonly bitsPerS: number;
}

export interface LiveFlow extends Rates {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly vlan: number;
  readonly tos: number;
  /** Names of ports; null: none or not known. */
  readonly inPort: string | null;
  readonly outPort: string | null;
  readonly outputs: number;
}

export interface LiveMac extends Rates {
  readonly mac: string;
  readonly vlan: number;
  readonly port: string | null;
}

interface Counted {
  readonly last: FlowRecord;
  /** By slice of time. */
  readonly slices: { readonly slice: number; packets: number; octets: number }[];
}

export class LiveFlows {
  readonly #flows = new Map<string, Counted>();
  #startedMs: number | null = null;

  /** Somebody begins to look. */
  start(nowMs: number): void {
    this.#startedMs ??= nowMs;
  }

  stop(): void {
    this.#flows.clear();
    this.#startedMs = null;
  }

  take(records: readonly FlowRecord[], nowMs: number): void {
    const slice = Math.floor(nowMs / SLICE_MS);
    for (const record of records) {
      const key = keyOf(record);
      const counted = this.#flows.get(key) ?? { last: record, slices: [] };
      let current = counted.slices.at(-1);
      if (current?.slice !== slice) counted.slices.push((current = { slice, packets: 0, octets: 0 }));
      current.packets += Number(record.packets);
      current.octets += Number(record.octets);
      this.#flows.set(key, { ...counted, last: copied(record) });
    }
    this.#forget(nowMs);
  }

  /** The most busy by bits, first. */
  flows(limit: number, ports: PortIdentities, nowMs: number): LiveFlow[] {
    const spanS = this.#spanS(nowMs);
    return this.#busiest(nowMs)
      .slice(0, limit)
      .map(({ last, packets, octets }) => ({
        source: addressText(last, last.source),
        destination: addressText(last, last.destination),
        protocol: last.protocol,
        sourcePort: last.sourcePort,
        destinationPort: last.destinationPort,
        vlan: last.vlan & VLAN_ID,
        tos: last.tos,
        inPort: ports.nameOf(last.inPort),
        outPort: ports.nameOf(last.outPort),
        outputs: last.outputs,
        packetsPerS: packets / spanS,
        bitsPerS: (octets * 8) / spanS,
      }));
  }

  /** Addresses by what they send, IP only. */
  macs(limit: number, ports: PortIdentities, nowMs: number): LiveMac[] {
    const spanS = this.#spanS(nowMs);
    const sums = new Map<string, { last: FlowRecord; packets: number; octets: number }>();
    for (const { last, packets, octets } of this.#busiest(nowMs)) {
      const key = `${last.ethSrc} ${last.vlan}`;
      const sum = sums.get(key);
      if (sum) {
        sum.packets += packets;
        sum.octets += octets;
      } else sums.set(key, { last, packets, octets });
    }
    return [...sums.values()]
      .sort((a, b) => b.octets - a.octets)
      .slice(0, limit)
      .map(({ last, packets, octets }) => ({
        mac: last.ethSrc,
        vlan: last.vlan & VLAN_ID,
        port: ports.nameOf(last.inPort),
        packetsPerS: packets / spanS,
        bitsPerS: (octets * 8) / spanS,
      }));
  }

  get count(): number {
    return this.#flows.size;
  }

  #spanS(nowMs: number): number {
    const lookedMs = nowMs - (this.#startedMs ?? nowMs);
    return Math.min(Math.max(lookedMs, SLICE_MS), WINDOW_MS) / 1000;
  }

  #busiest(nowMs: number): { last: FlowRecord; packets: number; octets: number }[] {
    this.#forget(nowMs);
    return [...this.#flows.values()]
      .map(({ last, slices }) => {
        const packets = slices.reduce((sum, each) => sum + each.packets, 0);
        const octets = slices.reduce((sum, each) => sum + each.octets, 0);
        return { last, packets, octets };
      })
      .sort((a, b) => b.octets - a.octets);
  }

  #forget(nowMs: number): void {
    const oldest = Math.floor((nowMs - WINDOW_MS) / SLICE_MS);
    for (const [key, { slices }] of this.#flows) {
      while ((slices[0]?.slice ?? Infinity) <= oldest) slices.shift();
      if (slices.length === 0) this.#flows.delete(key);
    }
  }
}

function keyOf(record: FlowRecord): string {
  const { source, destination, protocol, sourcePort, destinationPort, tos, vlan, inPort } = record;
  const text = (bytes: Uint8Array) =>
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return `${text(source)}${text(destination)}${protocol} ${sourcePort} ${destinationPort} ${tos} ${vlan} ${inPort}`;
}

/** Decoded bytes are views onto what was received, which is much larger. */
function copied(record: FlowRecord): FlowRecord {
  return { ...record, source: record.source.slice(), destination: record.destination.slice() };
}

function addressText({ ethType }: FlowRecord, bytes: Uint8Array): string {
  return ethType === IPV4 ? decodeAs(ipv4, bytes.slice(12)) : decodeAs(ipv6, bytes.slice());
}
