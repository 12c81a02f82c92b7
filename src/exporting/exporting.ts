/** Exporting of all bridges: an exporter for each that has something to tell, or is looked at. */
import type { PortCounters, PortInfo } from '../datapath/protocol.js';
import type { Bridge } from '../domain/index.js';
import type { Observation } from '../switches/observers.js';
import { BridgeExporter, type ExportStatus, type ObservedSwitch } from './bridge-exporter.js';

export interface ExportingOptions {
  readonly driver: (bridge: string) => ObservedSwitch | undefined;
  readonly port: (bridge: string, name: string) => PortInfo | undefined;
  /** Counters of a bridge's ports, by name. @throws Error while the datapath does not answer */
  readonly readCounters: (bridge: string) => Promise<ReadonlyMap<string, PortCounters>>;
  readonly log: { warn(context: object, message: string): void };
}

/** How long a bridge that is gone may take to say its last words. */
const LAST_WORDS_MS = 2_000;

export class Exporting {
  readonly #exporters = new Map<string, BridgeExporter>();
  #bridges: readonly Bridge[] = [];

  constructor(private readonly options: ExportingOptions) {}

  configure(bridges: readonly Bridge[]): void {
    this.#bridges = bridges;
    for (const [name, exporter] of this.#exporters) {
      if (bridges.some((bridge) => bridge.name === name)) continue;
      this.#exporters.delete(name);
      void exporter.close(LAST_WORDS_MS);
    }
    for (const bridge of bridges)
      if (bridge.exports !== undefined || this.#exporters.has(bridge.name))
        this.#of(bridge)?.configure(bridge);
  }

  observed(bridge: string, observation: Observation): void {
    this.#exporters.get(bridge)?.observed(observation);
  }

  /** In the order of their ids; none where the bridge tells nobody. */
  status(bridge: string): ExportStatus[] {
    return this.#exporters.get(bridge)?.status() ?? [];
  }

  /** What is busy on the bridge; undefined: there is no such bridge. */
  busiest(name: string, limit: number): ReturnType<BridgeExporter['busiest']> | undefined {
    const bridge = this.#bridges.find((each) => each.name === name);
    return bridge && this.#of(bridge).busiest(limit);
  }

  /** Exports what is open. */
  async close(withinMs: number): Promise<void> {
    await Promise.all([...this.#exporters.values()].map((exporter) => exporter.close(withinMs)));
    this.#exporters.clear();
  }

  #of(bridge: Bridge): BridgeExporter {
    const { name } = bridge;
    const known = this.#exporters.get(name);
    if (known) return known;
    const { driver, port, readCounters, log } = this.options;
    const exporter = new BridgeExporter(bridge, {
      name,
      driver: () => driver(name),
      port: (each) => port(name, each),
      readCounters: () => readCounters(name),
      log: (message) => log.warn({ bridge: name }, message),
    });
    this.#exporters.set(name, exporter);
    return exporter;
  }
}
