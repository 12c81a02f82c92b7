/**
 * The driver of one switch: a connection that is kept up, and the programs' runner behind it.
 *
 * Work that takes several round trips (a full comparison after connecting or after an error, a change of the
 * configuration) is done one at a time by `#work`. Packet-ins and timeouts are answered at once, in between.
 */
import { randomInt } from 'node:crypto';
import {
  keepConnected,
  Meter,
  OpenFlowEncodeError,
  RequestError,
  type Client,
  type Connection,
  type FlowRemoved,
  type MessageInput,
  type ObserverStats,
  type PacketIn,
  type PortStatus,
} from 'node-openflow';
import type { Bridge, PortNumber } from '../domain/index.js';
import type { LacpStatus } from '../protocols/index.js';
import {
  bridgeProgram,
  cookiesOf,
  fdbRows,
  flushMacs,
  OWN_COOKIES,
  type BondCommand,
  type BondStatus,
  type BridgeState,
  type Match,
  type Program,
} from '../programs/index.js';
import {
  countCommands,
  isMeterOf,
  isProgramGroup,
  metersWithin,
  planSize,
  PROGRAM_METERS,
  switchTables,
  type MeterRange,
  type Phase,
  type PlanSize,
  type SwitchTables,
} from '../reconcile/index.js';
import { Alarm } from './alarm.js';
import type {
  DriverOptions,
  FdbCriteria,
  FdbEntry,
  FlowDump,
  FlowOwner,
  FlowSelection,
  GroupDump,
  MeterDump,
  RefusedMessage,
  SentCounters,
  SwitchDriver,
  SwitchEvent,
  SwitchPort,
  SwitchStatus,
} from './driver.js';
import { ForeignSwitchError } from './driver.js';
import { flowDumps, groupDumps, meterDumps, ownerOf } from './dumps.js';
import { changeAsUser, streamFlowStats } from './management.js';
import { Observers, type ObservationListener, type ObserverStatus } from './observers.js';
import { resolvePorts, samePorts } from './ports.js';
import { ProgramRunner, type Consequence } from './runner.js';
import { StateFile } from './state-file.js';
import {
  flowOf,
  flowRequest,
  groupOf,
  messageOf,
  meterOf,
  packetOutOf,
  portOf,
  preamble,
  sendCommand,
} from './wire.js';

/** First table of the programs on our own datapath (ARCHITECTURE.md, "NORMAL is a program"). */
const OWN_FIRST_TABLE = 64;
const PACKET_IN_BYTES = 64;
const RETRY_MS = { first: 500, most: 30_000 } as const;
const REQUEST_TIMEOUT_MS = 30_000;
/** Packet-ins of one switch are worked on so long in one go before others (REST, other switches) have their turn. */
const PACKET_IN_SLICE_MS = 10;

type Work = 'compare' | 'configure';

export class OpenFlowDriver implements SwitchDriver {
  readonly bridge: string;
  readonly target: string;
  readonly #options: DriverOptions;
  readonly #isForeign: boolean;
  readonly #runner: ProgramRunner;
  readonly #stateFile: StateFile;
  /** Rings when a program wants to be called. */
  readonly #alarm = new Alarm(() => this.#react(() => this.#runner.timer(now())));
  readonly #listeners = new Set<(event: SwitchEvent) => void>();
  readonly #ports = new Map<PortNumber, SwitchPort>();
  readonly #observers = new Observers();
  readonly #sent: SentCounters = {
    flowAdds: 0,
    flowModifies: 0,
    flowDeletes: 0,
    groupAdds: 0,
    groupModifies: 0,
    groupDeletes: 0,
    barriers: 0,
    reconciles: 0,
  };
  /** Messages by type that went over connections which are closed. */
  #sentEarlier: ReadonlyMap<string, number> = new Map();
  readonly #planned: PlanSize = planSize([]);
  readonly #received = { packetIns: 0, flowsRemoved: 0, errors: 0 };
  /** Of those who wait in {@link synced}. */
  readonly #endWaits = new Set<() => void>();
  #desired: Bridge;
  #resolved: { readonly from: Bridge; readonly to: Bridge } | undefined;
  #client: Client | undefined;
  #connection: Connection | undefined;
  #due: Work | undefined;
  #isWorking = false;
  #isStopped = false;
  #retryMs: number = RETRY_MS.first;
  #retryTimer: NodeJS.Timeout | undefined;
  #lastError: string | null = null;
  #inSync = false;
  #isCheckDue = false;
  /** Nothing is known yet of the observers that the switch at the other end has. */
  #isNew = false;
  #isRewindDue = false;
  /** When the packet-ins of this turn of the event loop began. */
  #sliceStartMs: number | undefined;

  constructor(options: DriverOptions) {
    const { bridge, rundir } = options;
    this.#options = options;
    this.bridge = bridge.name;
    this.#desired = bridge;
    this.#isForeign = bridge.connection.kind === 'openflow';
    this.target =
      bridge.connection.kind === 'openflow'
        ? bridge.connection.target
        : `unix:${rundir}/${bridge.name}.program`;
    const settings: Record<string, number> = { hashSeed: randomInt(2 ** 32) };
    if (options.learnRatePerS !== undefined) settings['learnRatePerS'] = options.learnRatePerS;
    if (options.learnBurst !== undefined) settings['learnBurst'] = options.learnBurst;
    const programs = [...(options.programs ?? []), bridgeProgram as Program];
    this.#runner = new ProgramRunner(bridge, {
      programs,
      settings,
      nowMs: now(),
      firstTable: this.#firstTable,
    });
    const source = { key: () => this.#runner.snapshotKey, programs: () => this.#runner.snapshot(now()) };
    const failed = (message: string) => options.log.warn({ bridge: bridge.name }, message);
    this.#stateFile = new StateFile(`${rundir}/${bridge.name}.state`, source, failed);
    const saved = this.#stateFile.load();
    if (saved) this.#react(() => this.#runner.restore(saved.programs, saved.elapsedMs, now()));
  }

  start(): void {
    if (this.#client !== undefined || this.#isStopped) return;
    // Our own datapath is restarted at once when it ends; somebody else's may be away for long.
    const reconnect = { minBackoffMs: 100, maxBackoffMs: this.#isForeign ? 8000 : 500 };
    const { tls } = this.#options;
    this.#client = keepConnected(this.target, { reconnect, ...(tls === undefined ? {} : { tls }) });
    this.#client.on('connection', (connection) => this.#connected(connection));
    this.#client.on('disconnected', (reason) => this.#disconnected(reason));
  }

  configure(bridge: Bridge): void {
    this.#desired = bridge;
    // What failed may be just what has been put right: no need to sit out the pause.
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#schedule('configure');
  }

  preview(bridge: Bridge): PlanSize {
    return this.#runner.preview(this.#resolve(bridge));
  }

  synced(timeoutMs: number): Promise<void> {
    if (this.#inSync) return Promise.resolve();
    const stopped = () => new Error(`${this.bridge} is not driven any more`);
    if (this.#isStopped) return Promise.reject(stopped());
    return new Promise((resolve, reject) => {
      const settle = (error?: Error) => {
        clearTimeout(timer);
        unsubscribe();
        this.#endWaits.delete(end);
        if (error) reject(error);
        else resolve();
      };
      const end = () => settle(stopped());
      const timer = setTimeout(() => {
        const why =
          this.#lastError ?? (this.#connection ? 'still at work' : `not connected to ${this.target}`);
        settle(new Error(`${this.bridge} is not in sync after ${timeoutMs} ms: ${why}`));
      }, timeoutMs);
      const unsubscribe = this.subscribe((event) => {
        if (event.kind === 'in-sync' && this.#inSync) settle();
      });
      this.#endWaits.add(end);
    });
  }

  status(): SwitchStatus {
    const { want } = this.#runner;
    const { macs } = this.#bridgeState;
    return {
      connected: this.#connection !== undefined,
      inSync: this.#inSync,
      target: this.target,
      datapathId: this.#connection?.datapathId ?? null,
      flowsWanted: want.flows.size + 2 * macs.size,
      groupsWanted: want.groups.size,
      macs: macs.size,
      lastError: this.#lastError,
      sent: { ...this.#sent },
      messagesSent: Object.fromEntries(this.#messagesSent()),
      planned: { ...this.#planned },
      received: { ...this.#received },
      learning: learningOf(macs.counters),
      refused: { ...macs.counters.refused },
    };
  }

  fdb(): FdbEntry[] {
    const at = now();
    return fdbRows(this.#runner.bridge, this.#bridgeState).map(({ learnedAtMs, ...row }) => ({
      ...row,
      ageS: learnedAtMs === null ? null : Math.floor((at - learnedAtMs) / 1000),
    }));
  }

  flushFdb(criteria: FdbCriteria = {}): number {
    const { count, ...reaction } = flushMacs(this.#bridgeState, criteria, now());
    this.#carryOut(this.#runner.consequence(bridgeProgram, reaction));
    return count;
  }

  bonds(): BondStatus[] {
    return this.#bridgeState.bonds.bondStatus(now());
  }

  lacp(): LacpStatus[] {
    return this.#bridgeState.bonds.lacpStatus();
  }

  commandBond(command: BondCommand): void {
    this.#bridgeState.bonds.command(command, now());
    this.#react(() => this.#runner.timer(now()));
  }

  clearFdbCounters(): void {
    const { counters } = this.#bridgeState.macs;
    for (const name of LEARNING) counters[name] = 0;
  }

  async dumpFlows(selection: FlowSelection = {}): Promise<FlowDump[]> {
    const { entries } = await this.#requireConnection().multipart(
      { ...flowRequest(), ...selection },
      { timeoutMs: REQUEST_TIMEOUT_MS },
    );
    return flowDumps(entries, this.#runner);
  }

  async *streamFlows(selection: FlowSelection = {}): AsyncGenerator<FlowDump[]> {
    this.#requireConnection();
    const request = { ...flowRequest(), ...selection };
    for await (const entries of streamFlowStats(this.#userTarget, request, this.#options.tls))
      yield flowDumps(entries, this.#runner);
  }

  async dumpGroups(): Promise<GroupDump[]> {
    const { entries } = await this.#requireConnection().multipart(
      { type: 'GROUP_DESC' },
      { timeoutMs: REQUEST_TIMEOUT_MS },
    );
    return groupDumps(entries, this.#runner);
  }

  owner(flow: Pick<FlowDump, 'tableId' | 'priority' | 'match' | 'cookie'>): FlowOwner | null {
    return ownerOf(flow, this.#runner);
  }

  table(tableId: number): { program: string; name: string } | null {
    for (const program of this.#runner.pipeline.programs) {
      const name = this.#runner.pipeline.tableName(program, tableId);
      if (name !== undefined) return { program: program.name, name };
    }
    return null;
  }

  async dumpMeters(): Promise<MeterDump[]> {
    const { entries } = await this.#requireConnection().multipart(
      { type: 'METER_CONFIG', meterId: Meter.ALL },
      { timeoutMs: REQUEST_TIMEOUT_MS },
    );
    return meterDumps(entries, this.#runner);
  }

  async changeAsUser(messages: readonly MessageInput[]): Promise<readonly RefusedMessage[]> {
    if (this.#isForeign) throw new ForeignSwitchError(`${this.bridge} lies on a switch that is not Weft's`);
    return changeAsUser(this.#userTarget, messages);
  }

  /** Where users' own connections go; on a foreign switch there is no other door than ours. */
  get #userTarget(): string {
    return this.#isForeign ? this.target : `unix:${this.#options.rundir}/${this.bridge}.mgmt`;
  }

  observers(): ObserverStatus[] {
    return this.#observers.status(this.#desired);
  }

  observations(listener: ObservationListener): () => void {
    return this.#observers.listen(listener);
  }

  watchFlows(isWatched: boolean): void {
    if (this.#observers.watch(isWatched)) this.#schedule('configure');
  }

  async flushObservers(): Promise<void> {
    const connection = this.#connection;
    if (connection !== undefined) await this.#observers.flush(connection, this.#desired);
  }

  observerStats(): Promise<readonly ObserverStats[]> {
    return this.#observers.stats(this.#requireConnection());
  }

  ports(): SwitchPort[] {
    return [...this.#ports.values()];
  }

  subscribe(listener: (event: SwitchEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    for (const end of [...this.#endWaits]) end();
    clearTimeout(this.#retryTimer);
    this.#alarm.set(Infinity, now());
    this.#stateFile.flush();
    const connection = this.#connection;
    this.#client?.close();
    this.#connection = undefined;
    this.#inSync = false;
    if (connection === undefined || connection.closeReason !== undefined) return Promise.resolve();
    return new Promise((resolve) => connection.once('close', () => resolve()));
  }

  #messagesSent(): Map<string, number> {
    const total = new Map(this.#sentEarlier);
    for (const [type, count] of this.#connection?.sent ?? []) total.set(type, (total.get(type) ?? 0) + count);
    return total;
  }

  get #firstTable(): number {
    return this.#isForeign ? 0 : OWN_FIRST_TABLE;
  }

  /** {@link resolvePorts} and the observers that there can be; for the same bridge with the same ports the same object. */
  #resolve(desired: Bridge): Bridge {
    const bridge = this.#observers.bridge(desired);
    const resolved = resolvePorts(bridge, this.#ports, this.#isForeign);
    if (this.#resolved?.from !== bridge || !samePorts(this.#resolved.to, resolved))
      this.#resolved = { from: bridge, to: resolved };
    return this.#resolved.to;
  }

  get #bridgeState(): BridgeState {
    return this.#runner.state(bridgeProgram) as BridgeState;
  }

  #requireConnection(): Connection {
    if (this.#connection === undefined) throw new Error(`${this.bridge} is not connected to ${this.target}`);
    return this.#connection;
  }

  #connected(connection: Connection): void {
    this.#connection = connection;
    this.#retryMs = RETRY_MS.first;
    this.#isNew = true;
    connection.on('packetIn', (message) => this.#packetIn(message));
    connection.on('flowRemoved', (message) => this.#flowRemoved(message));
    connection.on('portStatus', (message) => this.#portStatus(message));
    connection.on('refused', ({ errorType, code }) => {
      this.#received.errors++;
      this.#failed(`the switch refused a message: ${errorType} ${code}`);
    });
    connection.on('malformed', (reason) =>
      this.#options.log.warn({ bridge: this.bridge }, `malformed: ${reason}`),
    );
    connection.on('close', () => {
      if (this.#connection === connection) {
        this.#sentEarlier = this.#messagesSent();
        this.#connection = undefined;
      }
      this.#inSync = false;
    });
    this.#options.log.info(
      { bridge: this.bridge, dpid: connection.datapathId },
      `connected to ${this.target}`,
    );
    this.#tell({ kind: 'connected', datapathId: connection.datapathId });
    for (const message of preamble(PACKET_IN_BYTES)) connection.send(message);
    this.#schedule('compare');
  }

  #disconnected(because: string): void {
    this.#inSync = false;
    if (because !== this.#lastError)
      this.#options.log.warn({ bridge: this.bridge }, `disconnected: ${because}`);
    this.#lastError = because;
    this.#tell({ kind: 'disconnected', because });
  }

  /** A comparison covers a change of configuration; not the other way round. */
  #schedule(work: Work): void {
    this.#inSync = false;
    if (this.#due !== 'compare') this.#due = work;
    if (this.#isWorking || this.#retryTimer !== undefined || this.#isStopped) return;
    this.#isWorking = true;
    // Changes that come within one turn of the event loop are one piece of work.
    setImmediate(() => void this.#work());
  }

  async #work(): Promise<void> {
    try {
      while (this.#connection !== undefined && this.#due !== undefined) {
        const connection = this.#connection;
        const work = this.#due;
        this.#due = undefined;
        try {
          const phases = await (work === 'compare'
            ? this.#compare(connection)
            : this.#reconfigure(connection));
          if (this.#connection !== connection) continue;
          this.#retryMs = RETRY_MS.first;
          if (this.#due === undefined) this.#announceSync(phases);
        } catch (error) {
          if (this.#connection !== connection) continue;
          this.#failed(error instanceof Error ? error.message : String(error));
          break;
        }
      }
    } finally {
      this.#isWorking = false;
    }
    if (this.#due !== undefined && this.#connection !== undefined && this.#retryTimer === undefined) {
      this.#schedule(this.#due);
    }
  }

  #announceSync(phases: readonly Phase[]): void {
    this.#inSync = true;
    this.#lastError = null;
    const size = planSize(phases);
    for (const key of Object.keys(size) as (keyof PlanSize)[]) this.#planned[key] += size[key];
    this.#options.log.info({ bridge: this.bridge, ...size }, 'in sync');
    this.#tell({ kind: 'in-sync', ...size });
  }

  /** Something went wrong: what the switch holds is no longer known. Looks again after a pause. */
  #failed(message: string): void {
    this.#inSync = false;
    this.#due = 'compare';
    if (message !== this.#lastError) this.#options.log.error({ bridge: this.bridge }, message);
    this.#lastError = message;
    this.#tell({ kind: 'error', message });
    if (this.#retryTimer !== undefined || this.#isStopped) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#schedule('compare');
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.most);
  }

  /** Reads what the switch holds, and sends what it lacks and what it should not have. */
  async #compare(connection: Connection): Promise<Phase[]> {
    this.#sent.reconciles++;
    const timeout = { timeoutMs: REQUEST_TIMEOUT_MS };
    const descriptions = await connection.multipart({ type: 'PORT_DESC' }, timeout);
    this.#ports.clear();
    for (const port of descriptions.entries.map(portOf)) this.#ports.set(port.ofport, port);
    if (this.#isNew) await this.#observers.connected(connection, this.#isForeign);
    this.#isNew = false;
    const desired = this.#desired;
    await this.#observers.prepare(connection, desired);
    const bridge = this.#resolve(desired);
    const firstTable = this.#firstTable;
    const meters = this.#isForeign ? await metersOf(connection) : PROGRAM_METERS;
    this.#runner.layOut(bridge, { firstTable, tableCount: connection.features?.nTables ?? 254 }, meters);
    const have = await this.#read(connection);
    const flows = [...have.flows.values()].map(({ flow }) => flow);
    this.#runner.setLinks(this.#ports);
    // What it wants of flows, the comparison has.
    this.#carryOut({ ...this.#runner.adopt(bridge, flows, now()), commands: [], isStale: false });
    const first = this.#runner.planConfigured(have);
    for (const phase of first) await this.#send(connection, phase);
    // In one go, as what is learned from here on must not be undone by it.
    const rest = this.#runner.planRest(have);
    await Promise.all(rest.map((phase) => this.#send(connection, phase)));
    await this.#observers.tidy(connection, desired);
    return [...first, ...rest];
  }

  async #read(connection: Connection): Promise<SwitchTables> {
    const timeout = { timeoutMs: REQUEST_TIMEOUT_MS };
    const [flows, groups] = await Promise.all([
      connection.multipart(flowRequest(OWN_COOKIES), timeout),
      connection.multipart({ type: 'GROUP_DESC' }, timeout),
    ]);
    const meters = this.#runner.wantsMeters
      ? await connection.multipart({ type: 'METER_CONFIG', meterId: 0xffffffff }, timeout)
      : null;
    return switchTables(
      flows.entries.map(flowOf),
      groups.entries.filter(({ groupId }) => isProgramGroup(groupId)).map(groupOf),
      (meters?.entries ?? [])
        .filter(({ meterId }) => isMeterOf(this.#runner.meterRange, meterId))
        .map(meterOf),
    );
  }

  async #reconfigure(connection: Connection): Promise<Phase[]> {
    const desired = this.#desired;
    await this.#observers.prepare(connection, desired);
    const bridge = this.#resolve(desired);
    const done: Phase[] = [];
    for (const { phases, consequence } of this.#runner.reconfigure(bridge, now())) {
      this.#carryOut(consequence);
      for (const phase of phases) await this.#send(connection, phase);
      done.push(...phases);
    }
    await this.#observers.tidy(connection, desired);
    return done;
  }

  /** Sends a phase and a barrier. @throws Error when the switch refuses any of it. */
  async #send(connection: Connection, phase: Phase): Promise<void> {
    const messages = phase.map(messageOf);
    countCommands(this.#sent, phase);
    this.#sent.barriers++;
    const errors = await connection.commit(messages, { timeoutMs: REQUEST_TIMEOUT_MS });
    const [first] = errors;
    if (first === undefined) return;
    this.#received.errors += errors.length;
    const { errorType, code } = first.error;
    const refused = phase[first.index];
    throw new Error(
      `the switch refused ${errors.length} of ${phase.length} messages, first ${refused?.op ?? '?'}: ${errorType} ${code}`,
    );
  }

  #packetIn({ tableId, match, data }: PacketIn): void {
    this.#received.packetIns++;
    // A switch that reads slowly is not sent more; what is not learned now comes again with the next frame.
    if (this.#connection?.isWritable !== true) return;
    const inPort = match.in_port;
    if (typeof inPort !== 'number') return;
    const nowMs = now();
    this.#react(() => this.#runner.packetIn(tableId, { inPort, match: match as Match, data }, nowMs));
    this.#yieldAfterSlice(this.#connection, nowMs);
  }

  /**
   * Node reads a socket on and on while there is something in it. A switch that says more than is worked off in time
   * is held back by TCP instead, and drops packet-ins at its end, fairly among its ports.
   */
  #yieldAfterSlice(connection: Connection, nowMs: number): void {
    if (this.#sliceStartMs === undefined) {
      this.#sliceStartMs = nowMs;
      setImmediate(() => {
        this.#sliceStartMs = undefined;
        connection.resume();
      });
    } else if (nowMs - this.#sliceStartMs > PACKET_IN_SLICE_MS) connection.pause();
  }

  #flowRemoved({ cookie, tableId, match, reason }: FlowRemoved): void {
    this.#received.flowsRemoved++;
    this.#react(() =>
      this.#runner.flowRemoved({ cookie, tableId }, { match: match as Match, reason }, now()),
    );
  }

  /** A thousand ports may come at once: what the configuration makes of them is looked at when they are there. */
  #checkPorts(): void {
    if (this.#isCheckDue) return;
    this.#isCheckDue = true;
    setImmediate(() => {
      this.#isCheckDue = false;
      const resolved = this.#resolve(this.#desired);
      if (!samePorts(resolved, this.#runner.bridge)) this.#schedule('configure');
    });
  }

  #portStatus({ reason, desc }: PortStatus): void {
    const port = portOf(desc);
    const changes = { ADD: 'added', DELETE: 'removed', MODIFY: 'modified' } as const;
    const change = typeof reason === 'string' ? changes[reason] : 'modified';
    if (change === 'removed') this.#ports.delete(port.ofport);
    else this.#ports.set(port.ofport, port);
    this.#tell({ kind: 'port', change, port });
    const event = { port: port.ofport, name: port.name, change, isLinkUp: port.isLinkUp && port.isAdminUp };
    this.#react(() => this.#runner.portStatus(event, now()));
    this.#checkPorts();
  }

  /** A program that fails on an event must not take the controller down with it. */
  #react(handle: () => Consequence | void): void {
    try {
      const consequence = handle();
      if (consequence) this.#carryOut(consequence);
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  #carryOut({ commands, notices, packetOuts, isStale, counts }: Consequence): void {
    const connection = this.#connection;
    if (connection !== undefined && connection.closeReason === undefined) {
      countCommands(this.#sent, commands);
      try {
        for (const command of commands) sendCommand(connection, command);
        for (const packetOut of packetOuts) connection.send(packetOutOf(packetOut));
      } catch (error) {
        if (!(error instanceof OpenFlowEncodeError)) throw error;
        this.#failed(error.message);
      }
    }
    for (const notice of notices) this.#tell(notice as SwitchEvent);
    for (const { program, kind } of counts) void this.#countRules(program, kind);
    if (isStale) this.#schedule('configure');
    this.#rewind();
  }

  /** Looks when programs want to be called next, and whether there is something to save: once for all that comes in one turn. */
  #rewind(): void {
    if (this.#isRewindDue) return;
    this.#isRewindDue = true;
    setImmediate(() => {
      this.#isRewindDue = false;
      if (this.#isStopped) return;
      const nowMs = now();
      this.#alarm.set(this.#runner.wakeAtMs(nowMs), nowMs);
      this.#stateFile.touch();
    });
  }

  /** Reads the counters of a program's rules, for the program. */
  async #countRules(program: Program, kind: string): Promise<void> {
    const cookies = cookiesOf(program, kind);
    const connection = this.#connection;
    if (connection === undefined || cookies === undefined) return;
    try {
      const { entries } = await connection.multipart(flowRequest(cookies), { timeoutMs: REQUEST_TIMEOUT_MS });
      const counted = entries.map((stats) => {
        return { flow: flowOf(stats), packets: stats.packetCount, bytes: stats.byteCount };
      });
      if (this.#connection === connection) this.#react(() => this.#runner.counted(program, counted, now()));
    } catch (error) {
      // Of no consequence: they are asked for again.
      this.#options.log.debug({ bridge: this.bridge, err: error }, 'rules could not be counted');
    }
  }

  #tell(event: SwitchEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

const LEARNING = ['learned', 'moved', 'aged', 'evicted', 'flushed'] as const;

function learningOf(counters: SwitchStatus['learning']): SwitchStatus['learning'] {
  const { learned, moved, aged, evicted, flushed } = counters;
  return { learned, moved, aged, evicted, flushed };
}

/** The meter ids that a switch has for us; none where it answers with an error. */
async function metersOf(connection: Connection): Promise<MeterRange> {
  try {
    const { maxMeter } = await connection.multipart(
      { type: 'METER_FEATURES' },
      { timeoutMs: REQUEST_TIMEOUT_MS },
    );
    return metersWithin(maxMeter);
  } catch (error) {
    if (error instanceof RequestError && error.kind === 'refused') return metersWithin(0);
    throw error;
  }
}

/** Milliseconds of a clock that never steps back. */
function now(): number {
  return performance.now();
}
