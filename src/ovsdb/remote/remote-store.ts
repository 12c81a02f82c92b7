/**
 * A database that others serve (an ovsdb-server, or a cluster of them): a copy of it here, kept current, and transactions
 * over there. While no server is to be had, the copy stands as it was. A shell.
 */
import { isObject } from '../atom.js';
import type { Json } from '../atom.js';
import { Database } from '../database.js';
import type { Change } from '../database.js';
import { OvsdbError } from '../errors.js';
import type { ErrorTag } from '../errors.js';
import { execute } from '../execute.js';
import { schemaFromJson, schemaToJson } from '../schema.js';
import { ConflictError } from '../store.js';
import type { Answer, DatabaseStore, Listener, TransactOptions } from '../store.js';
import { ConnectionLost, RefusedError } from './client.js';
import type { OvsdbClient, TlsFiles } from './client.js';
import { DatabaseConnection } from './connection.js';
import type { Log } from './connection.js';
import { changesOf, changesTo, guardsOf } from './replica.js';

export interface RemoteStoreOptions {
  readonly targets: readonly string[];
  readonly database: string;
  readonly tls: TlsFiles;
  readonly newUuid: () => string;
  readonly log: Log;
}

/** As ovs-vswitchd has it: of the switches on one database, only one at a time drives it. */
const LOCK = 'ovs_open_vswitch';
const MONITOR = 'weft';
const ZERO_TXN = '00000000-0000-0000-0000-000000000000';
/** So long a transaction waits for a server, and a server may take. */
const PATIENCE_MS = 10_000;

export class RemoteStore implements DatabaseStore {
  readonly executesAtOnce = false;
  /** Others have the file. */
  readonly size = null;
  readonly newUuid: () => string;
  readonly #connection: DatabaseConnection;
  readonly #listeners = new Set<Listener>();
  #wakers: (() => void)[] = [];
  #database: Database | null = null;
  #client: OvsdbClient | null = null;
  #lastTxn = ZERO_TXN;
  #isClosed = false;

  private constructor(private readonly options: RemoteStoreOptions) {
    this.newUuid = options.newUuid;
    const { targets, database, tls, log } = options;
    this.#connection = new DatabaseConnection({
      ...{ targets, database, tls, log, lock: LOCK },
      ready: (client) => this.#begin(client),
      lost: () => {
        this.#client = null;
        log.warn({}, 'the database is out of reach; what is configured stays');
      },
      notified: (method, params) => this.#notified(method, params),
    });
  }

  /** Resolves when there is a copy: with the first server that has the database, however long that takes. */
  static async open(options: RemoteStoreOptions): Promise<RemoteStore> {
    const store = new RemoteStore(options);
    store.#connection.start();
    while (!store.#client) await store.#nextTurn();
    return store;
  }

  get database(): Database {
    if (!this.#database) throw new TypeError('the database has not been read yet');
    return this.#database;
  }

  async transact(operations: readonly Json[], options: TransactOptions = {}): Promise<Answer> {
    let changes: Change[] = [];
    let guards: Json[] = [];
    if (options.isGuarded) {
      // What the caller went by is what is here now.
      const outcome = execute(this.database, operations, { newUuid: this.newUuid });
      if (!outcome.changes) return { results: outcome.results, error: outcome.error, changes: [] };
      if (outcome.changes.length === 0) return { results: outcome.results, error: null, changes: [] };
      changes = outcome.changes;
      guards = guardsOf(this.database, changes);
    }
    const before = [{ op: 'assert', lock: LOCK }, ...guards];
    try {
      const client = await this.#connected();
      const params = [this.options.database, ...before, ...operations];
      const reply = await Promise.race([client.request('transact', params), timeOut(PATIENCE_MS)]);
      return answerOf(reply, before.length, changes);
    } catch (error) {
      const refused = error instanceof RefusedError ? errorOf(error.error) : null;
      const why = refused ?? new OvsdbError('I/O error', (error as Error).message);
      return { results: [why.toJSON()], error: why, changes: [] };
    }
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#connection.close();
    this.#wake();
    return Promise.resolve();
  }

  /** Reads what the server has, as far as it is not here already. */
  async #begin(client: OvsdbClient): Promise<void> {
    const name = this.options.database;
    const ask = (method: string, ...params: Json[]) =>
      Promise.race([client.request(method, params), timeOut(PATIENCE_MS)]);
    const schema = schemaFromJson(await ask('get_schema', name));
    const isSame =
      this.#database !== null &&
      JSON.stringify(schemaToJson(this.#database.schema)) === JSON.stringify(schemaToJson(schema));
    if (!isSame && this.#database !== null)
      throw new Error('its schema is not the one that weftd has started with: weftd has to be started anew');
    const database = this.#database ?? new Database(schema);
    const tables = [...schema.tables].map(([table, { columns }]) => [
      table,
      [{ columns: [...columns.keys()] }],
    ]);
    const wanted = Object.fromEntries(tables) as Json;
    let isWhole = true;
    let updates: Json;
    try {
      const reply = await ask('monitor_cond_since', name, MONITOR, wanted, this.#lastTxn);
      const [isFound, lastTxn, rows] = Array.isArray(reply) ? (reply as readonly Json[]) : [];
      isWhole = isFound !== true;
      updates = rows ?? {};
      this.#lastTxn = typeof lastTxn === 'string' ? lastTxn : ZERO_TXN;
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      updates = await ask('monitor_cond', name, MONITOR, wanted);
    }
    const isFirst = this.#database === null;
    this.#database = database;
    this.#client = client;
    this.#apply(
      isWhole ? changesTo(database, updates, this.newUuid) : changesOf(database, updates, this.newUuid),
    );
    if (!isFirst) this.options.log.info({}, 'the database is in reach again');
    this.#wake();
  }

  #notified(method: string, params: readonly Json[]): void {
    const [id, second = null, third = null] = params;
    if (id !== MONITOR || !this.#database) return;
    if (method === 'update3' && typeof second === 'string') this.#lastTxn = second;
    this.#apply(changesOf(this.#database, method === 'update3' ? third : second, this.newUuid));
  }

  #apply(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.database.apply(changes);
    for (const listener of this.#listeners) listener(changes, '');
  }

  /** @throws Error where there is no server in time */
  async #connected(): Promise<OvsdbClient> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      if (this.#client) return this.#client;
      const leftMs = endMs - performance.now();
      if (this.#isClosed || leftMs <= 0) throw new ConnectionLost('no server of the database is in reach');
      await this.#nextTurn(leftMs);
    }
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  #nextTurn(timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(resolve, timeoutMs);
      this.#wakers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function answerOf(reply: Json, guardCount: number, changes: readonly Change[]): Answer {
  const all = Array.isArray(reply) ? (reply as readonly Json[]) : [];
  const results = all.slice(guardCount);
  const index = all.findIndex((each) => isObject(each) && each['error'] !== undefined);
  const error = index < 0 ? null : errorOf(all[index] ?? null);
  if (!error) return { results, error: null, changes };
  const isConflict = index > 0 && index < guardCount;
  return { results, error: isConflict ? new ConflictError('somebody else was faster') : error, changes: [] };
}

function errorOf(json: Json): OvsdbError {
  const { error, details } = isObject(json) ? json : { error: json, details: null };
  const text = (value: Json | undefined) =>
    typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return new OvsdbError(text(error) as ErrorTag, details === undefined ? '' : text(details));
}

function timeOut(ms: number): Promise<never> {
  return new Promise((_, reject) =>
    setTimeout(() => reject(new Error('the server does not answer')), ms).unref(),
  );
}
