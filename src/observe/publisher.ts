/** Writes what was sampled into the database, where `ovs-vsctl list interface` shows it. */
import {
  bondOperations,
  controllerOperations,
  deviceOperations,
  deviceState,
  mirrorOperations,
  statisticsIntervalMs,
  statisticsOperations,
  systemOperations,
  wantsSystemStatistics,
} from '../config/index.js';
import type {
  ActiveMember,
  Configuration,
  ControllerStatus,
  DeviceFacts,
  InterfaceStatistics,
} from '../config/index.js';
import type { PortCounters } from '../datapath/protocol.js';
import type { MirrorCounters } from './mirrors.js';
import type { Sampler } from './sampler.js';

export interface PublisherOptions {
  readonly configuration: Pick<Configuration, 'database' | 'transact' | 'reading'>;
  readonly sampler: Pick<Sampler, 'known'>;
  /** The controllers of each bridge. @throws Error while the datapath does not answer */
  readonly controllers: () => Promise<ReadonlyMap<string, readonly ControllerStatus[]>>;
  /** What drivers say of devices; `states` is by name and another text when the device or its link is. */
  readonly devices: (states: ReadonlyMap<string, string>) => Promise<ReadonlyMap<string, DeviceFacts>>;
  readonly bonds: () => readonly ActiveMember[];
  /** By uuid. */
  readonly mirrors: () => Promise<ReadonlyMap<string, MirrorCounters>>;
  /** Statistics of the machine, for `Open_vSwitch.statistics`. */
  readonly machine: () => Promise<Record<string, string>>;
  readonly nowMs: () => number;
}

export class Publisher {
  #lastMs = -Infinity;
  #isAtWork = false;

  constructor(private readonly options: PublisherOptions) {}

  /** To be called after each round of samples; writes as often as `stats-update-interval` says. */
  async roundEnded(): Promise<void> {
    const { configuration, nowMs } = this.options;
    // Timers are no exact clocks: a round a little early still counts.
    const isDue = nowMs() - this.#lastMs >= statisticsIntervalMs(configuration.database) * 0.9;
    if (!isDue || this.#isAtWork) return;
    this.#isAtWork = true;
    this.#lastMs = nowMs();
    try {
      await this.#publish();
    } finally {
      this.#isAtWork = false;
    }
  }

  async #publish(): Promise<void> {
    const { configuration, sampler, controllers } = this.options;
    const interfaces = new Map<string, InterfaceStatistics>();
    for (const { name } of configuration.reading.network.bridges) {
      for (const port of sampler.known(name)?.newest?.ports.values() ?? []) {
        interfaces.set(port.name, statisticsOf(port));
      }
    }
    const { database } = configuration;
    const states = new Map([...interfaces.keys()].map((name) => [name, deviceState(database, name)]));
    const devices = await this.options.devices(states);
    const machine = wantsSystemStatistics(database) ? await this.options.machine() : {};
    const known = await controllers().catch(() => new Map<string, ControllerStatus[]>());
    const mirrors = await this.options.mirrors().catch(() => new Map<string, MirrorCounters>());
    // What differs is found in one go, lest it be written over by what came in between.
    const operations = [
      ...statisticsOperations(database, interfaces),
      ...deviceOperations(database, devices),
      ...bondOperations(database, this.options.bonds()),
      ...mirrorOperations(database, mirrors),
      ...systemOperations(database, machine),
      ...[...known].flatMap(([bridge, list]) => controllerOperations(database, bridge, list)),
    ];
    if (operations.length > 0) await configuration.transact(operations);
  }
}

function statisticsOf(port: PortCounters): InterfaceStatistics {
  return {
    rx_packets: port.rxPackets,
    rx_bytes: port.rxBytes,
    rx_dropped: port.rxDropped,
    rx_errors: port.rxErrors,
    tx_packets: port.txPackets,
    tx_bytes: port.txBytes,
    tx_dropped: port.txDropped,
    tx_errors: port.txErrors,
  };
}
