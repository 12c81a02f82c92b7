/**
 * The configuration as the rest of weftd sees it: the network that the database asks for, told anew after every change
 * that is on disk; intents; and state written back.
 */
import { ConflictError } from '../ovsdb/store.js';
import type { Answer, DatabaseStore, TransactOptions } from '../ovsdb/store.js';
import { execute, invert, joined } from '../ovsdb/index.js';
import type { Change, Database, Json, OvsdbError } from '../ovsdb/index.js';
import { OVS_VERSION } from '../domain/version.js';
import { numberOf } from './fields.js';
import { readNetwork } from './network.js';
import type { Fault, Reading } from './network.js';
import { assignOfports, ofportChanges } from './ofports.js';
import { faultyStatus, statusOperations } from './status.js';
import type { BridgeStatus, InterfaceStatus } from './status.js';

/** Tables whose rows say what the network should be. */
const CONFIGURATION = new Set([
  ...['Open_vSwitch', 'Bridge', 'Port', 'Interface', 'Controller', 'QoS', 'Queue'],
  ...['Flow_Table', 'Mirror', 'sFlow', 'NetFlow', 'IPFIX', 'Flow_Sample_Collector_Set'],
]);

/** So often an intent is tried that others get ahead of. */
const MOST_TRIES = 10;

export interface ConfigurationLog {
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

export interface ConfigurationOptions {
  readonly log: ConfigurationLog;
  /** State is gathered for so long before it is written. */
  readonly statusDelayMs?: number;
}

/** A transaction worked out but not done; it can be done as long as the database is what it was. */
export interface Prepared {
  readonly operations: readonly Json[];
  /** With the port numbers that new interfaces get. */
  readonly changes: readonly Change[];
  /** The network afterwards. */
  readonly reading: Reading;
  /** Of the database that it was worked out for. */
  readonly generation: number;
}

export class Configuration {
  readonly #listeners = new Set<(reading: Reading) => void>();
  #reading: Reading;
  #reported = '';
  #refreshing: Promise<void> | null = null;
  #stale = false;
  readonly #interfaceStatus = new Map<string, InterfaceStatus>();
  readonly #bridgeStatus = new Map<string, BridgeStatus>();
  #statusTimer: NodeJS.Timeout | null = null;
  #writing: Promise<unknown> = Promise.resolve();
  #diskError: OvsdbError | null = null;
  /** Port numbers of interfaces that do not work at present, by uuid. */
  readonly #reserved = new Map<string, number>();
  /** What the network is as long as the database has this generation. */
  #ahead: { readonly generation: number; readonly reading: Reading } | null = null;

  private constructor(
    readonly store: DatabaseStore,
    private readonly options: ConfigurationOptions,
  ) {
    this.#reading = readNetwork(store.database);
  }

  /** Readies the database: its one root row, what this switch can do, a number for every interface. */
  static async open(store: DatabaseStore, options: ConfigurationOptions): Promise<Configuration> {
    const configuration = new Configuration(store, options);
    const facts = {
      ovs_version: OVS_VERSION,
      db_version: store.database.schema.version,
      iface_types: ['set', ['internal', 'patch', 'system', 'tap']],
      datapath_types: ['set', ['netdev', 'system']],
    };
    const isNew = store.database.rows('Open_vSwitch').size === 0;
    await configuration.transact([
      isNew
        ? { op: 'insert', table: 'Open_vSwitch', row: facts }
        : { op: 'update', table: 'Open_vSwitch', where: [], row: facts },
      { op: 'comment', comment: 'weftd: started' },
    ]);
    await configuration.#assign();
    configuration.#read();
    store.subscribe((changes) => configuration.#changed(changes));
    return configuration;
  }

  get database(): Database {
    return this.store.database;
  }

  /** The latest that is on disk and has every number assigned. */
  get reading(): Reading {
    return this.#reading;
  }

  /** Why the latest transaction could not be written, null if it could. */
  get diskError(): string | null {
    return this.#diskError?.message ?? null;
  }

  /** Hears of every new network, in order. */
  subscribe(listener: (reading: Reading) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Carries out an intent. Resolves when it is on disk and listeners have the network that includes it.
   * @param read looks at the database as the intent leaves it, before anybody else can change it
   * @throws IntentError from the intent itself, OvsdbError where the database refuses it
   */
  async apply<T = undefined>(
    intent: (database: Database) => Json[],
    comment: string,
    read?: (database: Database) => T,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      const operations = [...intent(this.database), { op: 'comment', comment }];
      const answering = this.transact(operations, { isGuarded: true });
      const seen = this.store.executesAtOnce ? attempt(() => read?.(this.database)) : null;
      const { error } = await answering;
      // Somebody has changed what it went by, over there: what they did is here by now, or soon.
      if (error instanceof ConflictError && tries < MOST_TRIES) continue;
      if (error) throw error;
      while (this.#refreshing) await this.#refreshing;
      return (seen ? seen() : read?.(this.database)) as T;
    }
  }

  /**
   * Does what {@link preview} has worked out, without working it out again if nobody was faster.
   * Resolves and throws as {@link apply}.
   */
  async carryOut(prepared: Prepared, comment: string): Promise<void> {
    // At servers of others anything may have changed that is not here yet.
    if (!this.store.commit || prepared.generation !== this.database.generation)
      return this.apply(() => [...prepared.operations], comment);
    const answering = this.#answered(this.store.commit(prepared.changes, comment));
    this.#ahead = { generation: this.database.generation, reading: prepared.reading };
    const { error } = await answering;
    if (error) throw error;
    while (this.#refreshing) await this.#refreshing;
  }

  /** What the operations would lead to, and why the database refuses them. Changes nothing. */
  preview(operations: readonly Json[]): Prepared & { readonly error: OvsdbError | null } {
    const done: (readonly Change[])[] = [];
    // Nobody sees the rows in between, as this is one turn of the event loop.
    const run = (changes: readonly Change[]) => {
      this.database.apply(changes);
      done.push(changes);
    };
    const { newUuid } = this.store;
    let error: OvsdbError | null;
    let reading: Reading;
    try {
      const outcome = execute(this.database, operations, { newUuid });
      error = outcome.error;
      if (outcome.changes) run(outcome.changes);
      const reserved = new Map(this.#reserved);
      if (!error) run(ofportChanges(this.database, reserved, newUuid));
      reading = readNetwork(this.database, reserved);
    } finally {
      for (const changes of done.toReversed()) this.database.apply(invert(changes));
    }
    const changes = done.reduce(joined, []);
    return { operations, changes, reading, generation: this.database.generation, error };
  }

  /** Keeps the columns of state; they are written together, a little later. */
  setStatus(interfaces: Iterable<InterfaceStatus>, bridges: Iterable<BridgeStatus> = []): void {
    for (const status of interfaces) this.#interfaceStatus.set(status.name, status);
    for (const status of bridges) this.#bridgeStatus.set(status.name, status);
    this.#statusTimer ??= setTimeout(() => void this.flushStatus(), this.options.statusDelayMs ?? 100);
  }

  async flushStatus(): Promise<void> {
    if (this.#statusTimer) clearTimeout(this.#statusTimer);
    this.#statusTimer = null;
    const interfaces = [...this.#interfaceStatus.values()];
    const bridges = [...this.#bridgeStatus.values()];
    this.#interfaceStatus.clear();
    this.#bridgeStatus.clear();
    const operations = statusOperations(this.database, interfaces, bridges, this.#reserved);
    if (operations.length > 0) await this.transact(operations);
  }

  /** Says that the switch forwards as the configuration numbered `nextCfg` wants (`ovs-vsctl` waits for it). */
  async setCurrent(nextCfg: number): Promise<void> {
    const [root] = this.database.rows('Open_vSwitch').values();
    if (!root || numberOf(root, 'cur_cfg') === nextCfg) return;
    await this.transact([{ op: 'update', table: 'Open_vSwitch', where: [], row: { cur_cfg: nextCfg } }]);
  }

  async close(): Promise<void> {
    await this.flushStatus();
    while (this.#refreshing) await this.#refreshing;
    await this.#writing;
    await this.store.close();
  }

  transact(operations: readonly Json[], options?: TransactOptions): Promise<Answer> {
    return this.#answered(this.store.transact(operations, options));
  }

  async #answered(answering: Promise<Answer>): Promise<Answer> {
    this.#writing = answering;
    const answer = await answering;
    this.#diskError = answer.error?.tag === 'I/O error' ? answer.error : null;
    if (this.#diskError) {
      this.options.log.error({ err: this.#diskError }, 'the database cannot be written');
      // What was read may include what has just been taken back.
      this.#read();
      for (const listener of this.#listeners) listener(this.#reading);
    }
    return answer;
  }

  #changed(changes: readonly Change[]): void {
    if (!changes.some(isConfiguration)) return;
    this.#stale = true;
    this.#refreshing ??= this.#refresh();
  }

  async #refresh(): Promise<void> {
    // Transactions that were written together are read together.
    await Promise.resolve();
    while (this.#stale) {
      this.#stale = false;
      await this.#assign();
      this.#read();
      this.setStatus(
        this.#reading.faults.filter(isFatal).map(({ name, message, isWaiting }) => {
          const status = faultyStatus(name, message);
          return isWaiting ? { ...status, ofport: null } : status;
        }),
      );
      for (const listener of this.#listeners) listener(this.#reading);
    }
    this.#refreshing = null;
  }

  async #assign(): Promise<void> {
    for (const uuid of this.#reserved.keys()) {
      if (!this.database.row('Interface', uuid)) this.#reserved.delete(uuid);
    }
    const operations = assignOfports(this.database, this.#reserved);
    if (operations.length === 0) return;
    const { error } = await this.transact(operations);
    if (error) this.options.log.error({ err: error }, 'port numbers could not be stored');
  }

  #read(): void {
    const ahead = this.#ahead?.generation === this.database.generation ? this.#ahead.reading : null;
    this.#ahead = null;
    this.#reading = ahead ?? readNetwork(this.database, this.#reserved);
    const report = JSON.stringify(this.#reading.faults);
    if (report === this.#reported) return;
    this.#reported = report;
    for (const { table, name, column, message } of this.#reading.faults) {
      this.options.log.warn({ table, name, column }, `${table} ${name}, ${column}: ${message}`);
    }
  }
}

/** Calls now; what comes of it, or what it throws, is for later. */
function attempt<T>(action: () => T): () => T {
  try {
    const value = action();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** Columns that Weft itself writes, apart from ephemeral ones. */
const OWN_COLUMNS = new Set(['Interface.error', 'Interface.ofport', 'Open_vSwitch.cur_cfg']);

/** The interface cannot be at all. */
function isFatal({ table, column }: Fault): boolean {
  return table === 'Interface' && ['type', 'name', 'options:peer'].includes(column);
}

export function isConfiguration({ table, old, new: row }: Change): boolean {
  if (!CONFIGURATION.has(table)) return false;
  if (!old || !row) return true;
  return Object.keys(row.fields).some((column) => {
    return (
      old.fields[column] !== row.fields[column] &&
      !STATE.has(column) &&
      !OWN_COLUMNS.has(`${table}.${column}`)
    );
  });
}

const STATE = new Set([
  ...['mac_in_use', 'ifindex', 'mtu', 'admin_state', 'link_state', 'link_speed', 'link_resets', 'duplex'],
  ...['status', 'statistics', 'datapath_id', 'is_connected', 'role'],
]);
