/** From the records of a switch's observer to those that NetFlow and IPFIX export. Pure. */
import type { FlowRecord as Accounted, ObserverFlowRecords } from 'node-openflow';
import {
  macAddressBytes,
  type IpfixSettings,
  type MacAddress,
  type NetflowSettings,
} from '../domain/index.js';
import { FlowEndReason, FlowExporter, type FlowRecord, type Observer } from '../protocols/index.js';
import type { PortIdentities } from './ports.js';

/** Collectors that begin to listen want to know the templates soon. */
const TEMPLATES = { templateIntervalMs: 60_000, templateDatagrams: 500 } as const;
const VLAN_ID = 0x0fff;
const IPV4 = 0x0800;

/** Number of an interface in exports. */
type Numbering = (port: number, ports: PortIdentities) => number;

export interface FlowCounters {
  readonly datagrams: number;
  readonly records: number;
  /** Records that the protocol has no form for: IPv6 in NetFlow v5. */
  readonly unsupported: number;
  /** Packets whose flows found no room. */
  readonly lost: number;
}

export interface FlowExportIdentity {
  readonly datapathId: string;
  /** Unix time that sysUpTime counts from. */
  readonly bootMs: number;
}

/** Makes datagrams of one observer's records. */
export class FlowExport {
  /** By observation domain, which IPFIX's `sample` actions name; NetFlow has one. */
  readonly #exporters = new Map<number, FlowExporter>();
  #waiting = new Map<number, FlowRecord[]>();
  #lost = 0n;

  private constructor(
    private readonly exporterOf: (domainId: number) => FlowExporter,
    private readonly domainOf: (entry: Accounted) => number,
    private readonly numbering: Numbering,
  ) {}

  static netflow(settings: NetflowSettings, { datapathId, bootMs }: FlowExportIdentity): FlowExport {
    const engineId = settings.engineId ?? Number.parseInt(datapathId.slice(-2), 16);
    const { engineType, version, sampling: samplingInterval } = settings;
    const domainId = engineType * 256 + engineId;
    const observer: Observer = { engineType, engineId, domainId, samplingInterval, bootMs };
    const protocol = version === 9 ? 'netflow9' : 'netflow5';
    const plain: Numbering = (port, ports) =>
      settings.interfaceNumbers === 'ifindex' ? ports.ifIndexOf(port) : ports.openFlowNumberOf(port);
    // ovs-vswitchd.conf.db(5), `add_id_to_interface`: seven bits of the engine before nine of the port.
    const numbering: Numbering = settings.addIdToInterface
      ? (port, ports) => ((engineId & 0x7f) << 9) | (plain(port, ports) & 0x1ff)
      : plain;
    return new FlowExport(
      () => new FlowExporter({ protocol, observer, ...TEMPLATES }),
      () => domainId,
      numbering,
    );
  }

  static ipfix({ sampling }: Pick<IpfixSettings, 'sampling'>, bootMs: number): FlowExport {
    const plain = { engineType: 0, engineId: 0, samplingInterval: sampling, bootMs };
    return new FlowExport(
      (domainId) => new FlowExporter({ protocol: 'ipfix', observer: { ...plain, domainId }, ...TEMPLATES }),
      ({ domainId }) => domainId,
      (port, ports) => ports.ifIndexOf(port),
    );
  }

  get counters(): FlowCounters {
    const sum = { datagrams: 0, records: 0, unsupported: 0, lost: Number(this.#lost) };
    for (const { counters } of this.#exporters.values()) {
      sum.datagrams += counters.datagrams;
      sum.records += counters.records;
      sum.unsupported += counters.unsupported;
    }
    return sum;
  }

  /** A collector has not heard what was said: templates come with the next datagram. */
  renewTemplates(): void {
    for (const exporter of this.#exporters.values()) exporter.renewTemplates();
  }

  take({ entries, lost }: Pick<ObserverFlowRecords, 'entries' | 'lost'>, ports: PortIdentities): void {
    this.#lost = lost;
    for (const entry of entries) {
      const domainId = this.domainOf(entry);
      const waiting = this.#waiting.get(domainId);
      const record = this.#record(entry, ports);
      if (waiting) waiting.push(record);
      else this.#waiting.set(domainId, [record]);
    }
  }

  /** What waits, as datagrams. @param nowMs Unix time */
  datagrams(nowMs: number): Uint8Array[] {
    const all = this.#waiting;
    this.#waiting = new Map();
    return [...all].flatMap(([domainId, records]) => {
      let exporter = this.#exporters.get(domainId);
      if (!exporter) this.#exporters.set(domainId, (exporter = this.exporterOf(domainId)));
      return exporter.export(records, nowMs);
    });
  }

  #record(entry: Accounted, ports: PortIdentities): FlowRecord {
    const isIpv4 = entry.ethType === IPV4;
    const { protocol, sourcePort, destinationPort, tos, tcpFlags, packets, octets } = entry;
    return {
      // Decoded bytes are views onto what was received.
      source: entry.source.slice(isIpv4 ? 12 : 0),
      destination: entry.destination.slice(isIpv4 ? 12 : 0),
      ...{ protocol, sourcePort, destinationPort, tos, tcpFlags, packets, octets },
      vlan: entry.vlan & VLAN_ID,
      sourceMac: macAddressBytes(entry.ethSrc as MacAddress),
      destinationMac: macAddressBytes(entry.ethDst as MacAddress),
      inputIfIndex: this.numbering(entry.inPort, ports),
      // As routers do: dropped, and sent to several, both have none.
      outputIfIndex: entry.outputs === 1 ? this.numbering(entry.outPort, ports) : 0,
      firstMs: Number(entry.firstMs),
      lastMs: Number(entry.lastMs),
      endReason: endReasonOf(entry.endReason),
      pointId: entry.pointId,
    };
  }
}

function endReasonOf(reason: Accounted['endReason']): FlowEndReason {
  if (typeof reason === 'string') return FlowEndReason[reason];
  return FlowEndReason.FORCED_END;
}
