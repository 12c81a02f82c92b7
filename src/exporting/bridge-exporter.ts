/**
 * What one bridge tells collectors: takes what its switch has observed, makes datagrams of it, and hands them to the channels.
 * A shell with a timer; what datagrams contain is made by flows.ts, samples.ts and counters.ts.
 */
import { readFile } from 'node:fs/promises';
import { uptime } from 'node:os';
import type { PortCounters, PortInfo } from '../datapath/protocol.js';
import {
  IPFIX_OBSERVER,
  LIVE_OBSERVER,
  NETFLOW_OBSERVER,
  SFLOW_OBSERVER,
  type Bridge,
  type ExportName,
  type Exports,
  type IpfixSettings,
  type NetflowSettings,
  type PortNumber,
  type SflowSettings,
} from '../domain/index.js';
import type { LacpStatus } from '../protocols/index.js';
import type { Observation, ObserverStatus } from '../switches/observers.js';
import { chooseAgentAddress, type AgentAddress } from './agent-address.js';
import { Channel } from './channel.js';
import type { CollectorStatus } from './collector.js';
import { counterSample, type DeviceStatistics } from './counters.js';
import { FlowExport, type FlowCounters } from './flows.js';
import { LiveFlows, type LiveFlow, type LiveMac } from './live.js';
import { PortIdentities, type PortIdentity } from './ports.js';
import { SampleExport, type SampleCounters } from './samples.js';

/** The part of a switch's driver that exporting needs. */
export interface ObservedSwitch {
  observers(): ObserverStatus[];
  flushObservers(): Promise<void>;
  watchFlows(isWatched: boolean): void;
  lacp(): LacpStatus[];
}

export interface BridgeExporterOptions {
  readonly name: string;
  readonly driver: () => ObservedSwitch | undefined;
  readonly port: (name: string) => PortInfo | undefined;
  /** @throws Error while the datapath does not answer */
  readonly readCounters: () => Promise<ReadonlyMap<string, PortCounters>>;
  readonly log: (message: string) => void;
}

export interface ExportStatus {
  readonly name: ExportName;
  /** Id of the collector set, where users' own flows sample. */
  readonly setId: number | null;
  /** The switch samples and accounts as asked. */
  readonly isActive: boolean;
  /** Why it does not. */
  readonly refused: string | null;
  readonly agent: { readonly address: string; readonly why: string } | null;
  readonly counters: FlowCounters | SampleCounters;
  readonly collectors: readonly CollectorStatus[];
}

/** What has gathered leaves so often at the latest; sFlow's samples may be a second old. */
const TICK_MS = 250;
const PORTS_KNOWN_FOR_MS = 500;
/** The agent's address is looked at again, as interfaces get theirs late. */
const AGENT_AGAIN_MS = 30_000;
/** An observer that is taken away reports what was open: for so long there is somebody to take it. */
const LAST_RECORDS_MS = 5_000;
/** Nobody has looked for so long. */
const WATCH_LASTS_MS = 10_000;
const DEVICE_STATISTICS = [
  ...['multicast', 'collisions', 'rx_frame_errors', 'rx_crc_errors', 'rx_length_errors', 'rx_fifo_errors'],
  ...['tx_heartbeat_errors', 'tx_window_errors', 'tx_aborted_errors', 'tx_fifo_errors', 'tx_carrier_errors'],
] as const;

interface Accounts {
  readonly key: string;
  readonly flows: FlowExport;
  readonly channel: Channel;
}

interface Samples {
  settings: SflowSettings;
  agent: AgentAddress | null;
  export: SampleExport | null;
  agentAtMs: number;
  readonly channel: Channel;
  /** When the counters of an interface are due, by name. */
  readonly polls: Map<string, number>;
}

export class BridgeExporter {
  readonly #options: BridgeExporterOptions;
  readonly #ports = new PortIdentities();
  readonly #accounts = new Map<number, Accounts>();
  readonly #live = new LiveFlows();
  readonly #bootMs = Date.now() - uptime() * 1000;
  #samples: Samples | null = null;
  #bridge: Bridge;
  #portsAtMs = -Infinity;
  #watchedAtMs = -Infinity;
  #isWatching = false;
  #timer: NodeJS.Timeout | null = null;
  #isPolling = false;

  constructor(bridge: Bridge, options: BridgeExporterOptions) {
    this.#bridge = bridge;
    this.#options = options;
  }

  configure(bridge: Bridge): void {
    this.#bridge = bridge;
    const { sflow, netflow, ipfix, sampleSets = [] } = bridge.exports ?? {};
    this.#configureSamples(sflow);
    const wanted = new Map<number, [NetflowSettings | IpfixSettings, () => FlowExport]>();
    if (netflow !== undefined) {
      const identity = { datapathId: bridge.datapathId, bootMs: this.#bootMs };
      wanted.set(NETFLOW_OBSERVER, [netflow, () => FlowExport.netflow(netflow, identity)]);
    }
    const ofIpfix = (settings: IpfixSettings) => () => FlowExport.ipfix(settings, this.#bootMs);
    if (ipfix !== undefined) wanted.set(IPFIX_OBSERVER, [ipfix, ofIpfix(ipfix)]);
    for (const set of sampleSets) wanted.set(set.id, [set.ipfix, ofIpfix(set.ipfix)]);
    for (const [id, [settings, make]] of wanted) this.#configureAccounts(id, settings, make);
    for (const id of this.#accounts.keys()) if (!wanted.has(id)) this.#retireLater(id);
    this.#schedule();
  }

  observed(observation: Observation): void {
    this.#identifyPorts(observation);
    if (observation.type === 'WEFT_SAMPLES') {
      if (observation.observerId === SFLOW_OBSERVER) this.#samples?.export?.take(observation, this.#ports);
    } else if (observation.observerId === LIVE_OBSERVER) {
      this.#live.take(observation.entries, performance.now());
    } else {
      this.#accounts.get(observation.observerId)?.flows.take(observation, this.#ports);
    }
    this.#schedule();
  }

  /** Exports what is open and waits until it has left, as far as that is possible within `withinMs`. */
  async close(withinMs: number): Promise<void> {
    const endMs = performance.now() + withinMs;
    const driver = this.#options.driver();
    if (driver !== undefined && this.#accounts.size > 0)
      await Promise.race([driver.flushObservers().catch(() => undefined), pause(withinMs / 2)]);
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sendAll();
    const leftMs = Math.max(50, endMs - performance.now());
    const channels = [...this.#accounts.values()].map(({ channel }) => channel);
    if (this.#samples) channels.push(this.#samples.channel);
    this.#accounts.clear();
    this.#samples = null;
    await Promise.all(channels.map((channel) => channel.close(leftMs)));
  }

  status(): ExportStatus[] {
    const observers = this.#options.driver()?.observers() ?? [];
    const found: ExportStatus[] = [];
    const add = (
      id: number,
      name: ExportName,
      rest: Pick<ExportStatus, 'agent' | 'counters' | 'collectors'>,
    ) => {
      const known = observers.find(({ observer }) => observer.id === id);
      // Without sampling sFlow has counters only, for which the switch need not do anything.
      const isActive = known === undefined ? name === 'sFlow' : known.isSet;
      const setId = name === 'IPFIX' && id !== IPFIX_OBSERVER ? id : null;
      found.push({ name, setId, isActive, refused: known?.refused ?? null, ...rest });
    };
    if (this.#samples) {
      const { agent, channel, export: made } = this.#samples;
      add(SFLOW_OBSERVER, 'sFlow', {
        agent: agent && { address: agent.text, why: agent.why },
        counters: made?.counters ?? { datagrams: 0, samples: 0, counterSamples: 0, drops: 0 },
        collectors: channel.status(),
      });
    }
    for (const [id, { flows, channel }] of this.#accounts) {
      const name = id === NETFLOW_OBSERVER ? 'NetFlow' : 'IPFIX';
      add(id, name, { agent: null, counters: flows.counters, collectors: channel.status() });
    }
    return found;
  }

  /** The most busy flows and addresses; looking switches accounting on, for as long as somebody goes on looking. */
  busiest(limit: number): {
    flows: LiveFlow[];
    macs: LiveMac[];
    flowCount: number;
    isWarm: boolean;
    refused: string | null;
  } {
    const nowMs = performance.now();
    const isWarm = this.#isWatching;
    this.#watchedAtMs = nowMs;
    this.#watch(true);
    this.#identifyPorts(null);
    const observers = this.#options.driver()?.observers() ?? [];
    return {
      flows: this.#live.flows(limit, this.#ports, nowMs),
      macs: this.#live.macs(limit, this.#ports, nowMs),
      flowCount: this.#live.count,
      isWarm,
      refused: observers.find(({ observer }) => observer.id === LIVE_OBSERVER)?.refused ?? null,
    };
  }

  #configureAccounts(id: number, settings: NetflowSettings | IpfixSettings, make: () => FlowExport): void {
    const { collectors, datagramsPerS, ...rest } = settings;
    const key = JSON.stringify(rest);
    let accounts = this.#accounts.get(id);
    if (accounts === undefined) {
      const channel = new Channel(() => this.#accounts.get(id)?.flows.renewTemplates(), this.#options.log);
      this.#accounts.set(id, (accounts = { key, flows: make(), channel }));
    } else if (accounts.key !== key) {
      accounts.channel.send(accounts.flows.datagrams(Date.now()));
      this.#accounts.set(id, (accounts = { key, flows: make(), channel: accounts.channel }));
    }
    accounts.channel.configure(collectors, datagramsPerS);
  }

  #retireLater(id: number): void {
    const timer = setTimeout(() => {
      const accounts = this.#accounts.get(id);
      if (accounts === undefined || isWanted(this.#bridge.exports, id)) return;
      this.#accounts.delete(id);
      accounts.channel.send(accounts.flows.datagrams(Date.now()));
      void accounts.channel.close(LAST_RECORDS_MS);
    }, LAST_RECORDS_MS);
    timer.unref();
  }

  #configureSamples(settings: SflowSettings | undefined): void {
    if (settings === undefined) {
      const samples = this.#samples;
      this.#samples = null;
      if (samples?.export) samples.channel.send(samples.export.datagrams(Date.now()));
      void samples?.channel.close(LAST_RECORDS_MS);
      return;
    }
    let samples = this.#samples;
    if (samples === null) {
      const channel = new Channel(() => undefined, this.#options.log);
      samples = { settings, agent: null, export: null, agentAtMs: -Infinity, channel, polls: new Map() };
      this.#samples = samples;
    } else {
      if (samples.settings.agent !== settings.agent) samples.agentAtMs = -Infinity;
      if (samples.settings.pollingS !== settings.pollingS) samples.polls.clear();
      if (samples.settings.sampling !== settings.sampling) {
        if (samples.export) samples.channel.send(samples.export.datagrams(Date.now()));
        samples.agent = null;
        samples.agentAtMs = -Infinity;
      }
      samples.settings = settings;
    }
    samples.channel.configure(settings.collectors, settings.datagramsPerS);
  }

  async #findAgent(samples: Samples): Promise<void> {
    samples.agentAtMs = performance.now();
    const { settings } = samples;
    const agent = await chooseAgentAddress(settings.agent, settings.collectors, this.#bridge.name);
    if (this.#samples !== samples || samples.settings !== settings) return;
    if (agent.text !== samples.agent?.text) {
      this.#options.log(`sFlow’s agent address is ${agent.text} (${agent.why})`);
      if (samples.export) samples.channel.send(samples.export.datagrams(Date.now()));
      samples.export = new SampleExport(agent.bytes, this.#bootMs, settings.sampling);
    }
    samples.agent = agent;
  }

  #identifyPorts(observation: Observation | null): void {
    const nowMs = performance.now();
    const isStranger =
      observation?.entries.some(({ inPort }) => this.#ports.nameOf(inPort) === null) ?? false;
    if (!isStranger && nowMs - this.#portsAtMs < PORTS_KNOWN_FOR_MS) return;
    this.#portsAtMs = nowMs;
    const entries = this.#bridge.ports.flatMap(({ interfaces }) =>
      interfaces.flatMap(({ name, ofport }): [PortNumber, PortIdentity][] => {
        const info = this.#options.port(name);
        return ofport === null ? [] : [[ofport, { name, ifIndex: info?.ifindex ?? null }]];
      }),
    );
    this.#ports.update(entries);
  }

  #watch(isWatched: boolean): void {
    if (this.#isWatching !== isWatched) {
      this.#isWatching = isWatched;
      if (isWatched) this.#live.start(performance.now());
      else this.#live.stop();
    }
    // Also to a driver that is new.
    this.#options.driver()?.watchFlows(isWatched);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null) return;
    if (this.#samples === null && this.#accounts.size === 0 && !this.#isWatching) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#tick();
      this.#schedule();
    }, TICK_MS);
    this.#timer.unref();
  }

  #tick(): void {
    const nowMs = performance.now();
    if (this.#isWatching && nowMs - this.#watchedAtMs > WATCH_LASTS_MS) this.#watch(false);
    this.#identifyPorts(null);
    const samples = this.#samples;
    if (samples !== null) {
      if (nowMs - samples.agentAtMs > AGENT_AGAIN_MS) void this.#findAgent(samples);
      void this.#poll(samples, nowMs);
    }
    this.#sendAll();
  }

  #sendAll(): void {
    const nowMs = Date.now();
    for (const { flows, channel } of this.#accounts.values()) channel.send(flows.datagrams(nowMs));
    const samples = this.#samples;
    if (samples?.export) samples.channel.send(samples.export.datagrams(nowMs));
  }

  /** Takes the counters of interfaces that are due. At first they are spread over the interval. */
  async #poll(samples: Samples, nowMs: number): Promise<void> {
    const intervalMs = samples.settings.pollingS * 1000;
    if (intervalMs === 0 || this.#isPolling || samples.export === null) return;
    const all = this.#bridge.ports.flatMap((port) => port.interfaces.map(({ name }) => ({ name, port })));
    const due = all.filter(({ name }, i) => {
      const dueMs = samples.polls.get(name);
      if (dueMs === undefined) samples.polls.set(name, nowMs + (intervalMs * i) / all.length);
      if ((dueMs ?? Infinity) > nowMs && !(dueMs === undefined && i === 0)) return false;
      samples.polls.set(name, nowMs + intervalMs);
      return true;
    });
    if (due.length === 0) return;
    this.#isPolling = true;
    try {
      const counters = await this.#options.readCounters();
      const lacp = this.#options.driver()?.lacp() ?? [];
      for (const { name, port } of due) {
        const [info, counted] = [this.#options.port(name), counters.get(name)];
        if (info === undefined || counted === undefined) continue;
        const device = await readDeviceStatistics(name);
        const member = lacp
          .find((each) => each.port === port.name)
          ?.members.find((each) => each.name === name);
        const [first] = port.interfaces;
        const aggregationIfIndex = this.#options.port(first?.name ?? '')?.ifindex ?? 0;
        const each = { info, counted, port, device, lacp: member ?? null, aggregationIfIndex };
        const sample = counterSample(each, this.#bridge.datapathId);
        if (sample !== null) samples.export?.takeCounters(sample);
      }
    } catch {
      // The datapath is away: its counters are due again with the next round.
    } finally {
      this.#isPolling = false;
    }
  }
}

function isWanted(exports: Exports | undefined, id: number): boolean {
  if (id === NETFLOW_OBSERVER) return exports?.netflow !== undefined;
  if (id === IPFIX_OBSERVER) return exports?.ipfix !== undefined;
  return exports?.sampleSets?.some((set) => set.id === id) === true;
}

async function readDeviceStatistics(device: string): Promise<DeviceStatistics> {
  const entries = DEVICE_STATISTICS.map(async (name): Promise<[string, number][]> => {
    const text = await readFile(`/sys/class/net/${device}/statistics/${name}`, 'utf8').catch(() => '');
    return text === '' ? [] : [[name, Number.parseInt(text, 10)]];
  });
  return Object.fromEntries((await Promise.all(entries)).flat());
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}
