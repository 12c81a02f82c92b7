/**
 * A connection to whichever server of a list serves the database now: of a cluster (ovsdb(7), "Clustered Database Service
 * Model"), the leader. It is kept up: where it is lost, or the server stops being the leader, the next one is tried. A shell.
 */
import { isObject } from '../atom.js';
import type { Json } from '../atom.js';
import { OvsdbClient, RefusedError, TargetError } from './client.js';
import type { TlsFiles } from './client.js';

export interface Log {
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  debug(context: object, message: string): void;
}

export interface ConnectionOptions {
  /** `tcp:HOST:PORT`, `ssl:HOST:PORT`, `unix:PATH`. */
  readonly targets: readonly string[];
  readonly database: string;
  /** Only one client may hold it; where it is not to be had, the connection waits for it. */
  readonly lock: string;
  readonly tls: TlsFiles;
  readonly log: Log;
  /** Brings a new connection into use. A failure means the next server. */
  readonly ready: (client: OvsdbClient, target: string) => Promise<void>;
  readonly lost: () => void;
  /** `update`, `update2`, `update3` and their like. */
  readonly notified: (method: string, params: readonly Json[]) => void;
}

/** Until a server has answered all that is asked at the start. */
const HANDSHAKE_MS = 5_000;
const PROBE_MS = 2_500;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2_000;
/** Id of our monitor of the servers' own database. */
const SERVER_MONITOR = 'weft-server';

export class DatabaseConnection {
  #client: OvsdbClient | null = null;
  #isClosed = false;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  /** What was last said about each server, to say it once. */
  readonly #said = new Map<string, string>();

  constructor(private readonly options: ConnectionOptions) {}

  start(): void {
    void this.#run();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#client?.close();
  }

  async #run(): Promise<void> {
    const { targets } = this.options;
    for (let i = 0; !this.#isClosed; i = (i + 1) % targets.length) {
      const target = targets[i] ?? '';
      try {
        await this.#use(target);
      } catch (error) {
        // Nothing that a server sends may end weftd.
        this.#say(target, (error as Error).message);
      }
      if (this.#isClosed) return;
      // All of them in a row, then a pause: an election takes a second or so.
      if (i === targets.length - 1) await this.#pause();
    }
  }

  /** Resolves or rejects when this server is not to be used any more. */
  async #use(target: string): Promise<void> {
    const { log, tls, ready, lost } = this.options;
    const client = await withDeadline(OvsdbClient.connect(target, tls), (late) => late.close());
    this.#client = client;
    let isInUse = false;
    let probe: NodeJS.Timeout | undefined;
    try {
      const unusable = new Promise<never>((_, reject) => {
        this.#listen(client, (because) => reject(new Error(because)));
      });
      unusable.catch(() => undefined);
      const gone = Promise.race([client.lost, unusable]);
      const begun = (async () => {
        await this.#greet(client);
        await this.#holdLock(client, target, gone);
        await ready(client, target);
      })();
      // The lock may take its time; what else there is has its own deadlines.
      await Promise.race([begun, gone]);
      isInUse = true;
      this.#retryMs = FIRST_RETRY_MS;
      this.#said.clear();
      log.info({ target }, `the database is at ${target}`);
      probe = this.#probe(client);
      await gone;
    } finally {
      clearInterval(probe);
      client.close();
      this.#client = null;
      if (isInUse) lost();
    }
  }

  #listen(client: OvsdbClient, unusable: (because: string) => void): void {
    client.onNotification = (method, params) => {
      const [id, updates = null] = params;
      if (id === SERVER_MONITOR) {
        const because = unsuitable(updates, true);
        if (because !== null) unusable(because);
      } else if (method === 'monitor_canceled') unusable('the server has another schema now');
      else if (method === 'stolen') unusable('another client has taken the lock');
      else {
        try {
          this.options.notified(method, params);
        } catch (error) {
          unusable(`it tells what cannot be: ${(error as Error).message}`);
        }
      }
    };
  }

  /** @throws Error where this server does not serve the database at present */
  async #greet(client: OvsdbClient): Promise<void> {
    const { database } = this.options;
    const columns = ['name', 'model', 'connected', 'leader'];
    const wanted = [{ columns, where: [['name', '==', database]] }];
    try {
      const rows = await withDeadline(
        client.request('monitor_cond', ['_Server', SERVER_MONITOR, { Database: wanted }]),
      );
      const because = unsuitable(rows, false);
      if (because !== null) throw new Error(because);
      await withDeadline(client.request('set_db_change_aware', [true]));
    } catch (error) {
      // A server from before there were clusters (2.8) has no such database, and is its only one.
      if (!(error instanceof RefusedError)) throw error;
    }
  }

  async #holdLock(client: OvsdbClient, target: string, gone: Promise<never>): Promise<void> {
    const listen = client.onNotification;
    const held = new Promise<void>((resolve) => {
      client.onNotification = (method, params) => {
        if (method === 'locked') resolve();
        else listen(method, params);
      };
    });
    const reply = await withDeadline(client.request('lock', [this.options.lock]));
    if (!isObject(reply) || reply['locked'] !== true) {
      this.#say(target, `another switch holds the lock ${this.options.lock}; waiting for it`);
      await Promise.race([held, gone]);
    }
    client.onNotification = listen;
  }

  /** A server that has died without a word is found out. */
  #probe(client: OvsdbClient): NodeJS.Timeout {
    let isAnswered = true;
    return setInterval(() => {
      if (!isAnswered) return client.close();
      isAnswered = false;
      client.request('echo', []).then(
        () => (isAnswered = true),
        () => undefined,
      );
    }, PROBE_MS);
  }

  #pause(): Promise<void> {
    const ms = this.#retryMs;
    this.#retryMs = Math.min(ms * 2, LAST_RETRY_MS);
    return new Promise((resolve) => (this.#timer = setTimeout(resolve, ms)));
  }

  #say(target: string, message: string): void {
    if (this.#isClosed || this.#said.get(target) === message) return;
    this.#said.set(target, message);
    this.options.log.warn({ target }, `the database at ${target}: ${message}`);
  }
}

/** Why a server's row of the database says that it is not to be used; null: it is. */
function unsuitable(updates: Json, isChange: boolean): string | null {
  const rows = isObject(updates) && isObject(updates['Database']) ? Object.values(updates['Database']) : [];
  if (rows.length === 0) return isChange ? null : 'it does not serve the database';
  for (const update of rows) {
    if (!isObject(update)) continue;
    if ('delete' in update) return 'it does not serve the database any more';
    const row = update['initial'] ?? update['insert'] ?? update['modify'];
    if (!isObject(row)) continue;
    // Of what has changed, only that is told.
    if (row['connected'] === false) return 'it has lost its cluster';
    if (row['leader'] === false) return 'it is not the leader of its cluster';
  }
  return null;
}

/** @throws Error after {@link HANDSHAKE_MS}; what comes later is given to `late` */
function withDeadline<T>(promise: Promise<T>, late: (value: T) => void = () => undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new Error('no answer'));
    }, HANDSHAKE_MS);
    promise.then(
      (value) => {
        clearTimeout(timer);
        if (isLate) late(value);
        else resolve(value);
      },
      (error: Error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** `tcp:…,tcp:…` as a list; null where the text is a file's name. @throws TargetError where one of them is no target */
export function parseServers(text: string): string[] | null {
  if (!/^(?:tcp|ssl|unix):/.test(text)) return null;
  const targets = text.split(',');
  for (const target of targets) {
    if (!/^(?:(?:tcp|ssl):(?:\[[^\]]+\]|[^:[\],]+)(?::\d{1,5})?|unix:.+)$/.test(target))
      throw new TargetError(`${target} is no database server: tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH`);
  }
  return targets;
}
