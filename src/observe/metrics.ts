/** Metrics for Prometheus: what is known at the time of the scrape, under a bounded number of labels. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { BridgeCache, PortCounters } from '../datapath/protocol.js';
import type { SwitchStatus } from '../switches/driver.js';
import type { CollectorStatus, ExportStatus } from '../exporting/index.js';
import { LoopLag } from './loop-lag.js';
import type { Sample } from './sampler.js';

/** Of more ports, the rest is summed up as port `(others)`. */
const MAX_PORTS = 2_000;
const MAX_BRIDGES = 500;
const OTHERS = '(others)';

export interface MetricsSource {
  readonly version: string;
  datapath(): { connected: boolean; version: string | null };
  isDatabaseWritable(): boolean;
  bridges(): readonly { name: string; status: SwitchStatus | undefined; sample: Sample | undefined }[];
  /** Sessions that are open, and transactions since weftd started. */
  ovsdb(): { sessions: number; transactions: number };
  eventStreams(): number;
  /** Who is told of a bridge's traffic. */
  exports(bridge: string): readonly ExportStatus[];
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #lag = new LoopLag();
  readonly #requests: Counter<'method' | 'code'>;
  readonly #fill: (() => void)[] = [];

  constructor(private readonly source: MetricsSource) {
    this.#requests = new Counter({
      name: 'weft_http_requests_total',
      help: 'Requests to the REST API, by method and status code.',
      labelNames: ['method', 'code'],
      registers: [this.#registry],
    });
    this.#process();
    this.#state();
    this.#ports();
    this.#exports();
    this.#fastPath();
  }

  readonly contentType = this.#registry.contentType;

  /** Counts an answered request. */
  answered(method: string, code: number): void {
    this.#requests.inc({ method, code: String(code) });
  }

  /** The exposition in Prometheus' text format. */
  text(): Promise<string> {
    for (const fill of this.#fill) fill();
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, labelNames: readonly string[], fill: (set: Set) => void): void {
    const gauge = new Gauge({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
    this.#fill.push(() => {
      gauge.reset();
      fill((value, labels = {}) => gauge.set(labels, value));
    });
  }

  /** Counters are somebody else's: their values are taken over as they are. */
  #counter(name: string, help: string, labelNames: readonly string[], fill: (set: Set) => void): void {
    const counter = new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
    this.#fill.push(() => {
      counter.reset();
      fill((value, labels = {}) => counter.inc(labels, value));
    });
  }

  #process(): void {
    this.#gauge(
      'weft_build_info',
      'Always 1; the versions are in the labels.',
      ['version', 'datapath'],
      (set) => set(1, { version: this.source.version, datapath: this.source.datapath().version ?? '' }),
    );
    const lags = [
      ['p50', 'Median', 'p50S'],
      ['p99', '99th percentile', 'p99S'],
      ['max', 'Maximum', 'maxS'],
    ] as const;
    for (const [word, title, which] of lags) {
      const help = `${title} of the delay of weftd's event loop since these metrics are read.`;
      this.#gauge(`weft_event_loop_lag_${word}_seconds`, help, [], (set) => set(this.#lag.look()[which]));
    }
    this.#gauge('process_resident_memory_bytes', 'Resident memory of weftd.', [], (set) =>
      set(process.memoryUsage.rss()),
    );
    this.#counter('process_cpu_seconds_total', 'CPU time of weftd.', [], (set) => {
      const { user, system } = process.cpuUsage();
      set((user + system) / 1e6);
    });
    this.#gauge('process_start_time_seconds', 'When weftd started, in seconds since 1970.', [], (set) =>
      set(Math.round(Date.now() / 1000 - process.uptime())),
    );
  }

  #state(): void {
    const { source } = this;
    this.#gauge('weft_datapath_connected', 'Whether weftd is connected to weft-datapath.', [], (set) =>
      set(Number(source.datapath().connected)),
    );
    this.#gauge('weft_database_writable', 'Whether the last write to the database worked.', [], (set) =>
      set(Number(source.isDatabaseWritable())),
    );
    this.#gauge('weft_ovsdb_sessions', 'OVSDB clients that are connected.', [], (set) =>
      set(source.ovsdb().sessions),
    );
    this.#counter('weft_ovsdb_transactions_total', 'Transactions that changed the database.', [], (set) =>
      set(source.ovsdb().transactions),
    );
    this.#gauge('weft_event_streams', 'Clients that listen to events.', [], (set) =>
      set(source.eventStreams()),
    );
    const ofBridge = (name: string, help: string, read: (status: SwitchStatus) => number) =>
      this.#gauge(name, help, ['bridge'], (set) => {
        for (const { name: bridge, status } of this.#bridges) if (status) set(read(status), { bridge });
      });
    ofBridge('weft_bridge_connected', 'Whether the switch is connected.', ({ connected }) =>
      Number(connected),
    );
    ofBridge('weft_bridge_in_sync', 'Whether the switch holds what it should.', ({ inSync }) =>
      Number(inSync),
    );
    ofBridge('weft_bridge_flows', 'Flows that the programs want.', ({ flowsWanted }) => flowsWanted);
    ofBridge('weft_bridge_groups', 'Groups that the programs want.', ({ groupsWanted }) => groupsWanted);
    ofBridge('weft_fdb_entries', 'Addresses in the MAC table.', ({ macs }) => macs);
    this.#counter(
      'weft_fdb_refused_total',
      'Addresses not learned, by reason.',
      ['bridge', 'reason'],
      (set) => {
        for (const { name: bridge, status } of this.#bridges) {
          for (const [reason, count] of Object.entries(status?.refused ?? {})) set(count, { bridge, reason });
        }
      },
    );
    this.#counter(
      'weft_openflow_messages_sent_total',
      'Messages sent to the switch by the program’s connection, by OpenFlow type.',
      ['bridge', 'type'],
      (set) => {
        for (const { name: bridge, status } of this.#bridges) {
          for (const [type, count] of Object.entries(status?.messagesSent ?? {}))
            set(count, { bridge, type });
        }
      },
    );
    const labels = ['bridge', 'direction', 'type'];
    this.#counter(
      'weft_openflow_messages_total',
      'What OpenFlow messages were for, by direction.',
      labels,
      (set) => {
        for (const { name: bridge, status } of this.#bridges) {
          if (!status) continue;
          for (const [type, count] of Object.entries(status.sent))
            set(count as number, { bridge, direction: 'sent', type });
          for (const [type, count] of Object.entries(status.received))
            set(count, { bridge, direction: 'received', type });
        }
      },
    );
    this.#counter(
      'weft_drops_total',
      'Frames that the tables dropped, by reason.',
      ['bridge', 'reason'],
      (set) => {
        for (const { name: bridge, sample } of this.#bridges) {
          for (const [reason, count] of Object.entries(sample?.drops ?? {})) set(count, { bridge, reason });
        }
      },
    );
  }

  #ports(): void {
    const counters: readonly [name: string, help: string, read: (port: PortCounters) => number][] = [
      ['receive_packets', 'Frames received', (port) => port.rxPackets],
      ['receive_bytes', 'Bytes received', (port) => port.rxBytes],
      ['receive_dropped', 'Frames lost on receipt', (port) => port.rxDropped],
      ['receive_errors', 'Errors on receipt', (port) => port.rxErrors],
      ['transmit_packets', 'Frames sent', (port) => port.txPackets],
      ['transmit_bytes', 'Bytes sent', (port) => port.txBytes],
      ['transmit_dropped', 'Frames lost on sending', (port) => port.txDropped],
      ['transmit_errors', 'Errors on sending', (port) => port.txErrors],
      ['drops', 'Frames received there that the tables dropped', dropsOf],
    ];
    for (const [name, help, read] of counters) {
      this.#counter(`weft_port_${name}_total`, `${help}, by port.`, ['bridge', 'port'], (set) => {
        let left = MAX_PORTS;
        for (const { name: bridge, sample } of this.#bridges) {
          let others: number | null = null;
          for (const counted of sample?.ports.values() ?? []) {
            if (left-- > 0) set(read(counted), { bridge, port: counted.name });
            else others = (others ?? 0) + read(counted);
          }
          if (others !== null) set(others, { bridge, port: OTHERS });
        }
      });
    }
  }

  #exports(): void {
    const collectors: readonly [name: string, help: string, read: (each: CollectorStatus) => number][] = [
      ['datagrams', 'Datagrams sent to a collector', ({ datagrams }) => datagrams],
      ['bytes', 'Bytes sent to a collector', ({ bytes }) => bytes],
      ['dropped', 'Datagrams for a collector that were given up', ({ dropped }) => dropped],
    ];
    const labels = ['bridge', 'protocol', 'collector'];
    const each = (set: (status: ExportStatus, bridge: string, protocol: string) => void) => {
      for (const { name: bridge } of this.#bridges)
        for (const status of this.source.exports(bridge)) set(status, bridge, status.name.toLowerCase());
    };
    for (const [name, help, read] of collectors) {
      this.#counter(`weft_export_${name}_total`, `${help}.`, labels, (set) =>
        each((status, bridge, protocol) => {
          for (const one of status.collectors) set(read(one), { bridge, protocol, collector: one.target });
        }),
      );
    }
    this.#gauge('weft_export_collector_ok', 'Whether nothing is known against a collector.', labels, (set) =>
      each((status, bridge, protocol) => {
        for (const { target, error } of status.collectors)
          set(Number(error === null), { bridge, protocol, collector: target });
      }),
    );
    const kinds = ['bridge', 'protocol', 'what'];
    this.#counter('weft_export_observed_total', 'Samples and records, and what was lost.', kinds, (set) =>
      each((status, bridge, protocol) => {
        for (const [what, count] of Object.entries(status.counters))
          set(count as number, { bridge, protocol, what });
      }),
    );
  }

  #fastPath(): void {
    const ofCaches = (read: (cache: BridgeCache, bridge: string) => void) => {
      for (const { name, sample } of this.#bridges)
        for (const cache of sample?.fastPath.bridges ?? []) if (cache.name === name) read(cache, name);
    };
    const ofKernel = () => this.#bridges.find(({ sample }) => sample)?.sample?.fastPath;
    this.#gauge('weft_fastpath_active', 'Whether the kernel forwards known flows.', [], (set) => {
      const info = ofKernel();
      if (info) set(Number(info.active));
    });
    this.#gauge('weft_fastpath_masks', 'Masks that the kernel tries.', [], (set) => {
      const masks = ofKernel()?.masks;
      if (masks !== undefined) set(masks);
    });
    this.#counter(
      'weft_fastpath_events_total',
      'What the program in the kernel counted, in frames: misses, deep, punt_drops, too_long, unseen, behind, errors; punts_lost.',
      ['event'],
      (set) => {
        const { statistics = {}, puntsLost } = ofKernel() ?? {};
        for (const [event, count] of Object.entries(statistics)) set(count, { event });
        if (puntsLost !== undefined) set(puntsLost, { event: 'punts_lost' });
      },
    );
    this.#gauge(
      'weft_fastpath_first_packets_processor_ratio',
      'The part of one processor that frames without a flow in the kernel get; 1: there is no limit.',
      [],
      (set) => {
        const share = ofKernel()?.puntShare;
        if (share !== undefined) set(share / 1000);
      },
    );
    this.#counter(
      'weft_fastpath_first_packets_refused_total',
      'Frames without a flow in the kernel that ended where they came in while there was such a limit.',
      [],
      (set) => {
        const refused = ofKernel()?.puntsRefused;
        if (refused !== undefined) set(refused);
      },
    );
    const by = ['bridge', 'by'];
    this.#gauge('weft_megaflows', 'Megaflows, by who forwards their frames.', by, (set) =>
      ofCaches(({ flows, kernelFlows }, bridge) => {
        set(kernelFlows, { bridge, by: 'kernel' });
        set(flows - kernelFlows, { bridge, by: 'user-space' });
      }),
    );
    this.#counter('weft_megaflow_hits_total', 'Frames that found a megaflow, by where.', by, (set) =>
      ofCaches(({ hits, kernelHits }, bridge) => {
        set(kernelHits, { bridge, by: 'kernel' });
        set(hits, { bridge, by: 'user-space' });
      }),
    );
    this.#counter('weft_megaflow_misses_total', 'Frames walked through the tables.', ['bridge'], (set) =>
      ofCaches(({ misses }, bridge) => set(misses, { bridge })),
    );
    this.#counter(
      'weft_megaflow_evictions_total',
      'Megaflows that made room for others.',
      ['bridge'],
      (set) => ofCaches(({ evictions }, bridge) => set(evictions, { bridge })),
    );
    this.#counter(
      'weft_megaflows_turned_away_total',
      'Megaflows not kept, as room or time was short and nobody had asked for them before.',
      ['bridge'],
      (set) => ofCaches(({ turnedAway = 0 }, bridge) => set(turnedAway, { bridge })),
    );
    this.#gauge(
      'weft_megaflows_not_offloaded',
      'Megaflows that the kernel has not, by reason.',
      ['bridge', 'reason'],
      (set) =>
        ofCaches(({ refused = {} }, bridge) => {
          for (const [reason, count] of Object.entries(refused)) set(count, { bridge, reason });
        }),
    );
    const punts = [
      ['sent', 'punts', 'Frames that the kernel handed to user space (each 512 bytes count as one more)'],
      ['dropped', 'punt_drops', 'Frames lost on the way to user space, as too many of the port were on it'],
    ] as const;
    for (const [read, name, help] of punts) {
      this.#counter(`weft_port_${name}_total`, `${help}, by port.`, ['bridge', 'port'], (set) => {
        let left = MAX_PORTS;
        ofCaches((cache, bridge) => {
          let others: number | null = null;
          for (const each of cache.punts ?? []) {
            if (left-- > 0) set(each[read], { bridge, port: each.port });
            else others = (others ?? 0) + each[read];
          }
          if (others !== null) set(others, { bridge, port: OTHERS });
        });
      });
    }
  }

  get #bridges() {
    return this.source.bridges().slice(0, MAX_BRIDGES);
  }
}

type Set = (value: number, labels?: Record<string, string>) => void;

function dropsOf({ drops }: PortCounters): number {
  return Object.values(drops).reduce((sum, packets) => sum + packets, 0);
}
