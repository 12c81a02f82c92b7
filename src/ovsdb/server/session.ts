/**
 * One client's side of the protocol: bytes in, messages out. Requests are answered in the order in which they come,
 * except for transactions, which are answered when they are on disk. While the client does not take what it is sent,
 * its further requests wait and changes of what it monitors are joined, so that it costs no more than the database's
 * own size.
 */
import { ZERO_UUID, isUuid, shorten } from '../atom.js';
import type { Json } from '../atom.js';
import { OvsdbError } from '../errors.js';
import { schemaFromJson, schemaToJson } from '../schema.js';
import type { DatabaseSchema } from '../schema.js';
import type { Answer } from '../store.js';
import { FramingError, JsonFramer } from './framing.js';
import {
  MessageError,
  RequestError,
  encodeError,
  encodeNotification,
  encodeResult,
  encodeResultText,
  parseMessage,
} from './message.js';
import type { Call } from './message.js';
import { changedConditions, monitorFromJson } from './monitor-request.js';
import { changeUpdates, conditionUpdates, initialText } from './monitor.js';
import type { MonitorVersion, MonitoredTable, Updates } from './monitor.js';
import { Coalesced, settledRows } from './served.js';
import type { Database, OvsdbServer } from './server.js';

/** The shell's side of a connection. */
export interface Peer {
  /** For the log: `unix#3`, `tcp 192.0.2.1:4711`. */
  readonly name: string;
  /** More has been sent than the client has taken: it is to be given time, until {@link Session.drained}. */
  readonly isCongested: boolean;
  send(text: string): void;
  /** Ends the connection once everything sent has gone out. */
  end(): void;
}

export interface SessionLimits {
  readonly maxMessageBytes: number;
  readonly maxMessageDepth: number;
  /** Transactions that wait for something. */
  readonly maxOutstanding: number;
  readonly maxMonitors: number;
  readonly maxLocks: number;
}

interface Monitor {
  id: Json;
  readonly version: MonitorVersion;
  readonly database: Database;
  tables: ReadonlyMap<string, MonitoredTable>;
  /** Not told yet. */
  readonly pending: Coalesced;
}

/** An <id> of RFC 7047 §3.1. */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

export class Session {
  readonly #framer: JsonFramer;
  #inbox: string[] = [];
  /** By their id, as JSON. */
  readonly #monitors = new Map<string, Monitor>();
  /** Transactions that have not been answered, by the id of the request, as JSON. */
  readonly #outstanding = new Map<string, AbortController>();
  readonly #locks = new Set<string>();
  #isEnded = false;
  /** It copes with databases that change under its hands (`set_db_change_aware`). */
  #isChangeAware = false;

  constructor(
    private readonly server: OvsdbServer,
    private readonly peer: Peer,
    private readonly limits: SessionLimits,
  ) {
    this.#framer = new JsonFramer({ maxBytes: limits.maxMessageBytes, maxDepth: limits.maxMessageDepth });
  }

  /** Requests are waiting for the client to take answers: it is better not to read on. */
  get isBehind(): boolean {
    return this.#inbox.length > 0;
  }

  /** What the client has sent. */
  receive(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    let fault: string | null = null;
    try {
      this.#framer.push(chunk, (text) => this.#inbox.push(text));
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      fault = error.message;
    }
    // What came before the fault is in order.
    this.#work();
    if (fault !== null) this.#refuse(fault);
  }

  /** The client has taken what it was sent. */
  drained(): void {
    if (this.#isEnded) return;
    for (const monitor of this.#monitors.values()) this.#flush(monitor);
    this.#work();
  }

  /** The connection has ended. */
  ended(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#inbox = [];
    this.#monitors.clear();
    for (const controller of this.#outstanding.values()) controller.abort();
    this.server.leave(this);
  }

  /** Something changed in a database. */
  changed(database: Database, changes: Parameters<Coalesced['add']>[0]): void {
    for (const monitor of this.#monitors.values()) {
      if (monitor.database !== database) continue;
      if (monitor.pending.isEmpty && !this.peer.isCongested) {
        const updates = changeUpdates(monitor.tables, monitor.version, changes);
        if (updates) this.#tell(monitor, updates);
      } else monitor.pending.add(changes.filter(({ table }) => monitor.tables.has(table)));
    }
  }

  notify(method: string, params: readonly Json[]): void {
    if (!this.#isEnded) this.peer.send(encodeNotification(method, params));
  }

  #refuse(because: string): void {
    if (this.#isEnded) return;
    this.server.log.warn({ client: this.peer.name }, `${this.peer.name}: ${because}; connection ended`);
    this.ended();
    this.peer.end();
  }

  #work(): void {
    while (!this.#isEnded && !this.peer.isCongested) {
      const text = this.#inbox.shift();
      if (text === undefined) return;
      try {
        const message = parseMessage(text);
        if (message.kind === 'call') this.#handle(message);
      } catch (error) {
        if (!(error instanceof MessageError)) throw error;
        this.#refuse(error.message);
      }
    }
  }

  #handle(call: Call): void {
    // Notifications are never answered; `cancel` is the only one there is (RFC 7047 §4.1.4).
    if (call.method === 'cancel') this.#outstanding.get(JSON.stringify(call.params[0] ?? null))?.abort();
    if (call.id === null) return;
    try {
      const result = this.#answer(call);
      if (result !== undefined) this.peer.send(encodeResult(call.id, result));
    } catch (error) {
      if (error instanceof RequestError) this.peer.send(encodeError(call.id, error.toJSON()));
      else if (error instanceof Refusal) this.peer.send(encodeError(call.id, error.message));
      else throw error;
    }
  }

  /** Undefined: the answer comes later, or has been sent. @throws RequestError, Refusal */
  #answer(call: Call): Json | undefined {
    const { method, params } = call;
    switch (method) {
      case 'list_dbs':
        return [...this.server.databases.keys()];
      case 'get_schema':
        return schemaToJson(this.#database(call).served.database.schema);
      case 'transact':
        this.#transact(call);
        return undefined;
      case 'convert':
        void this.#convert(call.id, this.#database(call), convertedSchema(params));
        return undefined;
      case 'monitor':
        this.peer.send(encodeResultText(call.id, this.#monitor(call, 1)));
        return undefined;
      case 'monitor_cond':
        this.peer.send(encodeResultText(call.id, this.#monitor(call, 2)));
        return undefined;
      case 'monitor_cond_since':
        this.peer.send(encodeResultText(call.id, this.#monitor(call, 3)));
        return undefined;
      case 'monitor_cond_change':
        return this.#changeConditions(call);
      case 'monitor_cancel':
        if (!this.#monitors.delete(JSON.stringify(params[0] ?? null))) throw new Refusal('unknown monitor');
        return {};
      case 'lock':
      case 'steal':
        return this.#lock(call, method);
      case 'unlock':
        return this.#unlock(call);
      case 'echo':
        return params;
      case 'set_db_change_aware':
        if (params.length !== 1 || typeof params[0] !== 'boolean') {
          throw syntaxError('set_db_change_aware: true or false parameter expected', params);
        }
        this.#isChangeAware = params[0];
        return {};
      case 'get_server_id':
        return this.server.id;
    }
    throw new Refusal('unknown method');
  }

  #database({ method, params }: Call): Database {
    const [name] = params;
    if (typeof name !== 'string')
      throw syntaxError(`${method} request params must begin with <db-name>`, params);
    const database = this.server.databases.get(name);
    if (database) return database;
    const details = `${method} request specifies unknown database ${shorten(name).slice(1, -1)}`;
    throw new RequestError('unknown database', details, params);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Transactions (RFC 7047 §4.1.3, §4.1.4)

  #transact(call: Call): void {
    const { served } = this.#database(call);
    const key = JSON.stringify(call.id);
    if (this.#outstanding.has(key)) throw syntaxError(`a transaction with this id is under way`, call.id);
    if (this.#outstanding.size >= this.limits.maxOutstanding) {
      throw new RequestError(
        'resources exhausted',
        `${this.limits.maxOutstanding} transactions are under way`,
      );
    }
    const controller = new AbortController();
    this.#outstanding.set(key, controller);
    const holdsLock = (lock: string) => this.server.locks.owner(lock) === this;
    const operations = call.params.slice(1);
    served.transact(operations, { holdsLock }, controller.signal).then(
      (answer) => this.#transacted(call.id, key, answer, controller.signal.aborted),
      (error: unknown) => {
        this.#outstanding.delete(key);
        this.server.log.error({ err: error, client: this.peer.name }, 'a transaction failed in the server');
        if (!this.#isEnded) {
          this.peer.send(encodeError(call.id, new OvsdbError('ovsdb error', 'internal error').toJSON()));
        }
      },
    );
  }

  #transacted(id: Json, key: string, { results, error }: Answer, isCancelled: boolean): void {
    this.#outstanding.delete(key);
    if (this.#isEnded) return;
    // Whoever monitors hears of its own changes before it is told that they are made.
    for (const monitor of this.#monitors.values()) this.#flush(monitor);
    if (isCancelled && error?.tag === 'timed out') this.peer.send(encodeError(id, 'canceled'));
    else this.peer.send(encodeResult(id, results));
  }

  // -------------------------------------------------------------------------------------------------------------
  // Conversion (ovsdb-server(7) §4.1.20)

  async #convert(id: Json, database: Database, schema: DatabaseSchema): Promise<void> {
    try {
      await this.server.convert(database, schema, this);
      if (!this.#isEnded) this.peer.send(encodeResult(id, {}));
    } catch (error) {
      if (!(error instanceof OvsdbError)) throw error;
      if (!this.#isEnded) this.peer.send(encodeError(id, error.toJSON()));
    }
  }

  /** The database has another schema. @param bySelf this client asked for it, and waits for its answer */
  converted(database: Database, bySelf: boolean): void {
    for (const [key, monitor] of this.#monitors) {
      if (monitor.database !== database) continue;
      this.#monitors.delete(key);
      if (this.#isChangeAware) this.notify('monitor_canceled', [monitor.id]);
    }
    if (this.#isChangeAware || bySelf) return;
    this.ended();
    this.peer.end();
  }

  // -------------------------------------------------------------------------------------------------------------
  // Monitors

  /** The result, as JSON text. */
  #monitor(call: Call, version: MonitorVersion): string {
    const database = this.#database(call);
    const { served, history } = database;
    const [, id = null, requests, last] = call.params;
    if (call.params.length !== (version === 3 ? 4 : 3)) {
      throw syntaxError(`${call.method} takes ${version === 3 ? 4 : 3} parameters`, call.params);
    }
    if (version === 3 && (typeof last !== 'string' || !isUuid(last))) {
      throw syntaxError('last-txn-id must be UUID format.', last);
    }
    this.#refuseDuplicate(id);
    if (this.#monitors.size >= this.limits.maxMonitors) {
      throw new RequestError('resources exhausted', `there are ${this.limits.maxMonitors} monitors already`);
    }
    const tables = monitorFromJson(requests, served.database.schema, version);
    this.#monitors.set(JSON.stringify(id), { id, version, database, tables, pending: new Coalesced() });
    const rowsOf = (table: string) => settledRows(served, table);
    if (version !== 3) return initialText(tables, version, rowsOf);
    const missed = history.since(typeof last === 'string' ? last.toLowerCase() : ZERO_UUID);
    if (missed) return JSON.stringify([true, history.latest, changeUpdates(tables, version, missed) ?? {}]);
    return `[false,${JSON.stringify(history.latest)},${initialText(tables, version, rowsOf)}]`;
  }

  #changeConditions({ method, params }: Call): Json {
    const [before = null, now = null, requests] = params;
    if (params.length !== 3) throw syntaxError(`${method} takes 3 parameters`, params);
    const key = JSON.stringify(before);
    const monitor = this.#monitors.get(key);
    if (!monitor) throw syntaxError('unknown monitor session', before);
    if (monitor.version === 1) throw syntaxError('a monitor without conditions cannot change them', before);
    if (JSON.stringify(now) !== key) this.#refuseDuplicate(now);
    const { served } = monitor.database;
    const tables = changedConditions(requests, served.database.schema, monitor.tables);
    this.#flush(monitor);
    const updates = conditionUpdates(monitor.tables, tables, monitor.version, (table) =>
      settledRows(served, table),
    );
    monitor.tables = tables;
    monitor.id = now;
    this.#monitors.delete(key);
    this.#monitors.set(JSON.stringify(now), monitor);
    if (updates) this.#tell(monitor, updates);
    return {};
  }

  #refuseDuplicate(id: Json): void {
    if (this.#monitors.has(JSON.stringify(id))) throw syntaxError('duplicate monitor ID', id);
  }

  #flush(monitor: Monitor): void {
    if (monitor.pending.isEmpty) return;
    const updates = changeUpdates(monitor.tables, monitor.version, monitor.pending.take());
    if (updates) this.#tell(monitor, updates);
  }

  #tell({ id, version, database }: Monitor, updates: Updates): void {
    if (version === 1) this.notify('update', [id, updates]);
    else if (version === 2) this.notify('update2', [id, updates]);
    else this.notify('update3', [id, database.history.latest, updates]);
  }

  // -------------------------------------------------------------------------------------------------------------
  // Locks (RFC 7047 §4.1.8 to §4.1.10)

  #lock({ params }: Call, method: 'lock' | 'steal'): Json {
    const lock = lockName(method, params);
    const { locks } = this.server;
    if (locks.isQueued(lock, this)) throw syntaxError(`must issue "unlock" before new "${method}"`, params);
    if (this.#locks.size >= this.limits.maxLocks) {
      throw new RequestError('resources exhausted', `there are ${this.limits.maxLocks} locks already`);
    }
    this.#locks.add(lock);
    if (method === 'lock') return { locked: locks.lock(lock, this) };
    this.server.tellLocks(locks.steal(lock, this));
    return { locked: true };
  }

  #unlock({ params }: Call): Json {
    const lock = lockName('unlock', params);
    if (!this.#locks.delete(lock)) throw syntaxError('unlock: "unlock" without "lock" or "steal"', params);
    this.server.tellLocks(this.server.locks.unlock(lock, this));
    return {};
  }
}

/** @throws RequestError where it is no schema */
function convertedSchema(params: readonly Json[]): DatabaseSchema {
  const [, json = null] = params;
  if (params.length !== 2) throw syntaxError('convert takes 2 parameters', params);
  try {
    return schemaFromJson(json);
  } catch (error) {
    if (!(error instanceof OvsdbError)) throw error;
    throw new RequestError(error.tag, error.details);
  }
}

/** A request refused with nothing but a word, as Open vSwitch's server does for these. */
class Refusal extends Error {}

function syntaxError(details: string, syntax: Json | undefined): RequestError {
  return new RequestError('syntax error', details, syntax);
}

function lockName(method: string, params: readonly Json[]): string {
  const [name] = params;
  if (params.length === 1 && typeof name === 'string' && IDENTIFIER.test(name)) return name;
  throw syntaxError(`${method} request params must be <id>`, params);
}
