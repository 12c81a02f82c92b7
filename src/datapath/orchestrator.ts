/**
 * Brings weft-datapath to what the configuration wants (bridges, ports) and keeps a switch driver per bridge. Works
 * off one desired state at a time; what changed meanwhile is taken next. After a connection is lost everything is
 * compared anew, since the datapath may be another process.
 */
import type { Bridge } from '../domain/index.js';
import { faultyStatus } from '../config/index.js';
import type { BridgeStatus, InterfaceStatus, Reading } from '../config/index.js';
import type { PlanSize } from '../reconcile/index.js';
import type { Log, SwitchDriver } from '../switches/driver.js';
import { DatapathClient } from './client.js';
import { bridgesToRemove, desiredBridge, portText, portsToRemove } from './desired.js';
import type { DesiredBridge } from './desired.js';
import { API_VERSION } from './protocol.js';
import type { Methods, PortChanged, PortInfo, VersionInfo } from './protocol.js';

export interface OrchestratorOptions {
  readonly socketPath: string;
  readonly log: Log;
  readonly createDriver: (bridge: Bridge) => SwitchDriver;
  /** Takes what the switch says about interfaces and bridges. */
  readonly onStatus: (interfaces: InterfaceStatus[], bridges: BridgeStatus[]) => void;
  /** The datapath has been met, perhaps another process than before. */
  readonly onConnected?: (version: VersionInfo) => void;
  /** Hears what the datapath tells by itself. */
  readonly onEvent?: (event: DatapathEvent) => void;
}

export type DatapathEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly because: string }
  | ({ readonly kind: 'port'; readonly before: PortInfo | undefined } & PortChanged);

export interface DatapathStatus {
  readonly connected: boolean;
  readonly version: VersionInfo | null;
  readonly lastError: string | null;
}

/** What may be asked of the datapath from outside: it changes nothing there. */
export type Question =
  | 'bridge.list'
  | 'port.stats'
  | 'drops'
  | 'drops.last'
  | 'trace'
  | 'fastpath.show'
  | 'fastpath.flows'
  | 'pidfile.hold'
  | 'log.level'
  | 'shutdown';

/**
 * A thousand calls of `ovs-vsctl --no-wait` must not look at a thousand ports each: where nobody waits for them, changes
 * that come one upon another are taken together. The more ports there are, the longer the pause.
 */
const PAUSE_PER_PORT_MS = 0.2;
const LONGEST_PAUSE_MS = 200;

/** What failed is tried again after so long, twice as long each time. */
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

export class Orchestrator {
  readonly #client: DatapathClient;
  readonly #drivers = new Map<string, SwitchDriver>();
  /** What each driver's bridge was last configured with, to see what changed. */
  readonly #connections = new Map<string, string>();
  /** What the connected datapath has acknowledged, as JSON of the parameters. Empty: unknown. */
  readonly #acknowledged = new Map<string, { params: string; ports: Map<string, string> }>();
  readonly #ports = new Map<string, Map<string, PortInfo>>();
  /** Why a bridge is not as wanted; under '' what concerns all. */
  readonly #faults = new Map<string, string>();
  /** Why a port is not, by name. */
  readonly #portFaults = new Map<string, string>();
  /** The row whose status was last told, by interface name: another row of that name has to be told anew. */
  readonly #told = new Map<string, string>();
  readonly #waiters = new Set<() => void>();
  #reading: Reading | null = null;
  /** Counts desired states, and which of them the datapath has. */
  #wanted = 0;
  #done = 0;
  #drivenTo = 0;
  #isDue = false;
  #working: Promise<void> | null = null;
  /** Somebody waits for what is due. */
  #isUrgent = false;
  /** Not before this, if nobody waits. */
  #notBeforeMs = 0;
  #endPause: (() => void) | null = null;
  #audited = false;
  #version: VersionInfo | null = null;
  #lastError: string | null = null;
  #retryTimer: NodeJS.Timeout | null = null;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  constructor(private readonly options: OrchestratorOptions) {
    this.#client = new DatapathClient(options.socketPath, {
      connected: () => {
        this.#audited = false;
        this.#acknowledged.clear();
        this.#faults.clear();
        this.#retryMs = FIRST_RETRY_MS;
        options.onEvent?.({ kind: 'connected' });
        this.hurry();
        this.#wake();
      },
      disconnected: (because) => {
        options.onEvent?.({ kind: 'disconnected', because });
        options.log.warn({ because }, 'weft-datapath went away, reconnecting');
        this.#lastError = because;
        this.#version = null;
        this.#audited = false;
      },
      portChanged: (event) => this.#portChanged(event),
    });
  }

  start(): void {
    this.#client.start();
  }

  /** Leaves the datapath as it is: it keeps forwarding. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    if (this.#retryTimer) clearTimeout(this.#retryTimer);
    this.#client.stop();
    await Promise.all([...this.#drivers.values()].map((driver) => driver.stop()));
    await this.#working;
  }

  /** Takes a new desired state; returns at once. */
  configure(reading: Reading): void {
    this.#reading = reading;
    this.#wanted++;
    this.#retryMs = FIRST_RETRY_MS;
    this.#wake();
  }

  /**
   * Resolves when the switch of `bridge` (of all bridges, if none is named) forwards as configured by now.
   * @param port whose fault matters; faults of other ports do not
   * @throws Error that says what is missing, after `timeoutMs` or as soon as it is clear
   */
  async synced(timeoutMs: number, bridge?: string, port?: string): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    this.hurry();
    const bridges = (this.#reading?.network.bridges ?? []).filter(({ name }) => bridge === undefined || name === bridge);
    if (bridge === undefined || bridges.length === 0 || bridges.some(isOurs)) await this.#brought(endMs);
    else await this.#driven(endMs);
    await Promise.all(
      bridges.map(async ({ name }) => {
        const fault = this.#faults.get(name) ?? this.#portFaults.get(port ?? '');
        if (fault !== undefined) throw new Error(fault);
        await this.#drivers.get(name)?.synced(Math.max(1, Math.round(endMs - performance.now())));
      }),
    );
  }

  /**
   * Like {@link synced} of all bridges, except that it does not {@link hurry}, and that a bridge that cannot be made does
   * not count: its own interface has been given the error, as an interface has that cannot be attached.
   * @throws Error that says what is missing, after `timeoutMs` or as soon as it is clear
   */
  async settled(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    const bridges = this.#reading?.network.bridges ?? [];
    await this.#brought(endMs);
    await Promise.all(
      bridges
        .filter(({ name }) => !this.#faults.has(name))
        .map(async ({ name }) => {
          const driver = this.#drivers.get(name);
          try {
            await driver?.synced(Math.max(1, Math.round(endMs - performance.now())));
          } catch (error) {
            // A bridge that has been removed meanwhile holds nobody up.
            if (this.#drivers.get(name) === driver) throw error;
          }
        }),
    );
  }

  /** Somebody waits: what is due is done at once. */
  hurry(): void {
    if (this.#isDue) this.#isUrgent = true;
    this.#endPause?.();
  }

  /** Resolves when the datapath has taken the present desired state, but for what it refuses. */
  async #brought(endMs: number): Promise<void> {
    const wanted = this.#wanted;
    while (this.#done < wanted) {
      const fault = this.#client.isConnected ? this.#faults.get('') : undefined;
      if (fault !== undefined) throw new Error(fault);
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(this.#client.isConnected ? 'weft-datapath is not done yet' : 'weft-datapath is not connected');
      await this.#nextTurn(leftMs);
    }
  }

  /** Resolves when the drivers of switches that are not ours know of the present desired state. */
  async #driven(endMs: number): Promise<void> {
    const wanted = this.#wanted;
    while (this.#drivenTo < wanted) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error('weftd is not done yet with what came before');
      await this.#nextTurn(leftMs);
    }
  }

  /** What it would take to make a bridge's switch forward so; a bridge that is not there yet takes all its flows. */
  preview(bridge: Bridge): PlanSize {
    return (this.#drivers.get(bridge.name) ?? this.options.createDriver(bridge)).preview(bridge);
  }

  driver(bridge: string): SwitchDriver | undefined {
    return this.#drivers.get(bridge);
  }

  /** What is known of an interface's device; undefined while the datapath has not told. */
  port(bridge: string, name: string): PortInfo | undefined {
    return this.#ports.get(bridge)?.get(name);
  }

  /** Asks the datapath something. @throws DatapathError what it answered, or with code `disconnected`, `timeout` */
  ask<M extends Question>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']> {
    return this.#client.call(method, params);
  }

  status(): DatapathStatus {
    return {
      connected: this.#client.isConnected,
      version: this.#version,
      lastError: this.#client.isConnected ? null : this.#lastError,
    };
  }

  #wake(): void {
    if (this.#stopped) return;
    this.#isDue = true;
    this.#working ??= this.#work();
  }

  async #work(): Promise<void> {
    await Promise.resolve();
    while (this.#isDue && !this.#stopped) {
      await this.#pause();
      this.#isDue = false;
      this.#isUrgent = false;
      await this.#workOnce();
      const ports = this.#reading?.interfaces.size ?? 0;
      this.#notBeforeMs = performance.now() + Math.min(LONGEST_PAUSE_MS, ports * PAUSE_PER_PORT_MS);
      for (const wake of [...this.#waiters]) wake();
    }
    this.#working = null;
  }

  async #pause(): Promise<void> {
    const leftMs = this.#notBeforeMs - performance.now();
    // A switch that is not ours is told at once.
    const isFree = this.#reading?.network.bridges.every(isOurs) !== true;
    if (this.#isUrgent || isFree || leftMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, leftMs);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endPause = null;
  }

  async #workOnce(): Promise<void> {
    const reading = this.#reading;
    if (!reading) return;
    const wanted = this.#wanted;
    const { bridges } = reading.network;
    // Foreign switches do not depend on the datapath.
    try {
      await this.#drive(bridges.filter((bridge) => !isOurs(bridge)));
      await this.#dropDrivers(bridges);
      this.#drivenTo = wanted;
      for (const wake of [...this.#waiters]) wake();
    } catch (error) {
      this.options.log.error({ err: error }, 'a switch that is not ours could not be driven');
      this.#retryLater();
    }
    if (!this.#client.isConnected) return;
    this.#faults.clear();
    this.#portFaults.clear();
    try {
      await this.#bring(reading);
      this.#done = wanted;
    } catch (error) {
      // The connection was lost, or the datapath does not answer.
      this.options.log.warn({ err: error }, 'weft-datapath could not be configured');
      this.#faults.set('', (error as Error).message);
    }
    if (this.#faults.size + this.#portFaults.size > 0) this.#retryLater();
  }

  async #bring({ network, interfaces }: Reading): Promise<void> {
    const ours = network.bridges.filter(isOurs);
    const want = ours.map((bridge) => desiredBridge(bridge, interfaces));
    await this.#audit(want);
    for (const name of bridgesToRemove([...this.#acknowledged.keys()].map((each) => ({ name: each, datapathId: '' })), want)) {
      await this.#client.call('bridge.remove', { name });
      this.#acknowledged.delete(name);
      this.#ports.delete(name);
    }
    // Ports that leave any bridge first: they may be wanted on another.
    for (const desired of want) await this.#removePorts(desired);
    const statuses: BridgeStatus[] = [];
    for (const desired of want) {
      const { name } = desired.params;
      try {
        await this.#ensure(desired);
        statuses.push({ name, datapathId: desired.params.datapathId });
      } catch (error) {
        if (!this.#client.isConnected) throw error;
        this.options.log.error({ bridge: name, err: error }, `bridge ${name} could not be configured`);
        this.#faults.set(name, (error as Error).message);
        this.options.onStatus([faultyStatus(name, (error as Error).message)], []);
        this.#told.delete(name);
      }
    }
    await this.#drive(ours);
    this.options.onStatus([], statuses);
  }

  /** On a new connection: who is it, and what does it have? */
  async #audit(want: readonly DesiredBridge[]): Promise<void> {
    if (this.#audited) return;
    const version = await this.#client.call('version', {});
    if (version.api !== API_VERSION) {
      throw new Error(`weft-datapath ${version.version} speaks version ${version.api} of the control protocol, not ${API_VERSION}`);
    }
    await this.#client.call('events.subscribe', {});
    const have = await this.#client.call('bridge.list', {});
    for (const name of bridgesToRemove(have, want)) await this.#client.call('bridge.remove', { name });
    for (const { params } of want) {
      if (!have.some(({ name }) => name === params.name)) continue;
      const ports = await this.#client.call('port.list', { bridge: params.name });
      this.#ports.set(params.name, new Map(ports.map((port) => [port.name, port])));
      this.#acknowledged.set(params.name, { params: '', ports: new Map(ports.map(({ name }) => [name, ''])) });
    }
    this.#version = version;
    this.#audited = true;
    this.options.onConnected?.(version);
    const { pid: datapathPid, forwarding, whyUserSpace } = version;
    const about = { datapathPid, version: version.version, forwarding };
    const path = whyUserSpace ? { ...about, whyUserSpace } : about;
    this.options.log.info(path, 'connected to weft-datapath');
  }

  async #removePorts({ params, ports }: DesiredBridge): Promise<void> {
    const acknowledged = this.#acknowledged.get(params.name);
    const have = [...(this.#ports.get(params.name)?.values() ?? [])];
    for (const name of portsToRemove(have, ports)) {
      await this.#client.call('port.remove', { bridge: params.name, name });
      acknowledged?.ports.delete(name);
      this.#ports.get(params.name)?.delete(name);
    }
  }

  async #ensure({ params, ports, uuids }: DesiredBridge): Promise<void> {
    let acknowledged = this.#acknowledged.get(params.name);
    const wanted = JSON.stringify(params);
    if (acknowledged?.params !== wanted) {
      const { created } = await this.#client.call('bridge.ensure', params);
      if (!acknowledged || created) this.#acknowledged.set(params.name, (acknowledged = { params: wanted, ports: new Map() }));
      acknowledged.params = wanted;
    }
    const known = acknowledged.ports;
    let infos = this.#ports.get(params.name);
    if (!infos) this.#ports.set(params.name, (infos = new Map<string, PortInfo>()));
    const statuses: InterfaceStatus[] = [];
    // All at once: each is answered by itself, and a thousand ports must not take a thousand round trips.
    await Promise.all(
      ports.map(async (port) => {
        const json = portText(port);
        const uuid = uuids.get(port.name) ?? '';
        const isTold = this.#told.get(port.name) === uuid;
        this.#told.set(port.name, uuid);
        const have = infos.get(port.name);
        if (known.get(port.name) === json && have) {
          if (!isTold) statuses.push(interfaceStatus(have));
          return;
        }
        try {
          const info = await this.#client.call('port.ensure', port);
          known.set(port.name, json);
          infos.set(port.name, info);
          statuses.push(interfaceStatus(info));
        } catch (error) {
          if (!this.#client.isConnected) throw error;
          const message = (error as Error).message;
          this.options.log.warn({ bridge: params.name, port: port.name }, `port ${port.name}: ${message}`);
          this.#portFaults.set(port.name, `port ${port.name}: ${message}`);
          statuses.push(faultyStatus(port.name, message));
        }
      }),
    );
    this.options.onStatus(statuses, []);
  }

  async #drive(bridges: readonly Bridge[]): Promise<void> {
    for (const bridge of bridges) {
      const connection = JSON.stringify(bridge.connection);
      let driver = this.#drivers.get(bridge.name);
      if (driver && this.#connections.get(bridge.name) !== connection) {
        await driver.stop();
        driver = undefined;
      }
      if (driver) driver.configure(bridge);
      else {
        driver = this.options.createDriver(bridge);
        this.#drivers.set(bridge.name, driver);
        this.#connections.set(bridge.name, connection);
        if (!isOurs(bridge)) this.#follow(driver);
        driver.start();
      }
    }
  }

  async #dropDrivers(bridges: readonly Bridge[]): Promise<void> {
    for (const [name, driver] of this.#drivers) {
      if (bridges.some((bridge) => bridge.name === name)) continue;
      this.#drivers.delete(name);
      this.#connections.delete(name);
      await driver.stop();
    }
  }

  /** On a foreign switch, the driver is who knows the ports. */
  #follow(driver: SwitchDriver): void {
    driver.subscribe((event) => {
      if (event.kind !== 'connected' && event.kind !== 'port' && event.kind !== 'in-sync') return;
      const statuses = driver.ports().map((port): InterfaceStatus => {
        const { ofport, mac, isAdminUp: adminUp, isLinkUp: linkUp } = port;
        return { name: port.name, ofport, ifindex: null, mac, mtu: null, adminUp, linkUp, speedMbps: null, error: null };
      });
      const { datapathId } = driver.status();
      this.options.onStatus(statuses, datapathId === null ? [] : [{ name: driver.bridge, datapathId }]);
    });
  }

  #portChanged({ bridge, port, change }: PortChanged): void {
    const ports = this.#ports.get(bridge);
    this.options.onEvent?.({ kind: 'port', bridge, port, change, before: ports?.get(port.name) });
    if (!ports) return;
    if (change === 'removed') ports.delete(port.name);
    else ports.set(port.name, port);
    if (change !== 'removed') this.options.onStatus([interfaceStatus(port)], []);
  }

  #retryLater(): void {
    if (this.#retryTimer || this.#stopped) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null;
      this.#wake();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #nextTurn(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiters.add(done);
    });
  }
}

function isOurs({ connection }: Bridge): boolean {
  return connection.kind === 'weft';
}

function interfaceStatus(info: PortInfo): InterfaceStatus {
  if (!info.present) {
    return faultyStatus(info.name, `could not open network device ${info.name} (${info.error ?? 'No such device'})`);
  }
  const { name, ifindex, mac, mtu, adminUp, linkUp, speedMbps, error } = info;
  // The number is the configuration's, which told it to the datapath.
  return { name, ofport: null, ifindex, mac, mtu, adminUp, linkUp, speedMbps, error: error ?? null };
}
