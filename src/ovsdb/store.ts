/**
 * The database with its file: a transaction is executed in memory, is on disk before anybody hears of it, and is
 * taken back where the disk refuses it.
 */
import type { Json } from './atom.js';
import { converted, lacking } from './convert.js';
import { invert } from './database.js';
import type { Change, Database } from './database.js';
import { OvsdbError } from './errors.js';
import { execute } from './execute.js';
import type { ExecuteOptions } from './execute.js';
import type { Journal } from './journal.js';
import type { DatabaseSchema } from './schema.js';

/** Hears of a transaction once it is on disk. Listeners are called in the order of commits and must not throw. */
export type Listener = (changes: readonly Change[], comment: string) => void;

export interface Answer {
  /** As RFC 7047 §4.1.3 wants them. */
  readonly results: readonly Json[];
  readonly error: OvsdbError | null;
  readonly changes: readonly Change[];
}

export interface TransactOptions extends Omit<ExecuteOptions, 'newUuid'> {
  /** The operations follow from what the database held when they were made: if that has changed, they are not done. */
  readonly isGuarded?: boolean;
}

/** A database that the configuration may live in: our own with its file, or one that others serve. */
export interface DatabaseStore {
  readonly database: Database;
  readonly newUuid: () => string;
  /** Whether `database` has a transaction as soon as it is asked for, before it is answered. */
  readonly executesAtOnce: boolean;
  /** Bytes on disk; null: others have them. */
  readonly size: number | null;
  transact(operations: readonly Json[], options?: TransactOptions): Promise<Answer>;
  /** Does what has been worked out already, where nobody can have been faster. */
  commit?(changes: readonly Change[], comment: string): Promise<Answer>;
  subscribe(listener: Listener): () => void;
  close(): Promise<void>;
}

/** A guarded transaction was not done: what it went by has changed meanwhile. */
export class ConflictError extends OvsdbError {
  constructor(details: string) {
    super('timed out', details);
  }
}

export class Store implements DatabaseStore {
  /** So what a transaction goes by cannot change meanwhile. */
  readonly executesAtOnce = true;
  readonly #listeners = new Set<Listener>();
  /** Waits of `wait` operations, woken by each commit. */
  readonly #wakers = new Set<() => void>();
  /** Executed, and not yet known to be on disk; oldest first. */
  readonly #pending: (readonly Change[])[] = [];

  #latestCommit: Promise<OvsdbError | null> = Promise.resolve(null);

  /** @param needs tables and columns that a conversion may not take away: what the program itself goes by */
  constructor(
    readonly journal: Journal,
    readonly newUuid: () => string,
    private readonly needs: DatabaseSchema = journal.database.schema,
  ) {}

  get size(): number {
    return this.journal.size;
  }

  /** What has been executed; the latest of it may not be on disk yet. */
  get database(): Database {
    return this.journal.database;
  }

  /** What has been executed and listeners have not heard of yet, oldest first. */
  get pending(): readonly (readonly Change[])[] {
    return this.#pending;
  }

  /**
   * Runs the operations of one transaction, atomically. Resolves when it is on disk or has failed; a `wait` in it
   * may take as long as it says, or until `signal`.
   */
  async transact(
    operations: readonly Json[],
    { isGuarded: _, ...options }: TransactOptions = {},
    signal?: AbortSignal,
  ): Promise<Answer> {
    const startedMs = performance.now();
    for (;;) {
      const outcome = execute(this.database, operations, { newUuid: this.newUuid, ...options });
      const { results, error, changes, waitsForMs } = outcome;
      if (changes) {
        if (changes.length === 0) {
          // What was read must be on disk as well; if the disk refuses it, it was never there.
          if (this.#pending.length > 0 && (await this.#latestCommit)) continue;
          return { results, error, changes };
        }
        this.#latestCommit = this.#commit(changes, outcome.comment);
        const refused = await this.#latestCommit;
        if (!refused) return { results, error, changes };
        return { results: [...results, refused.toJSON()], error: refused, changes: [] };
      }
      if (waitsForMs === undefined || signal?.aborted) return { results, error, changes: [] };
      const leftMs = waitsForMs === null ? null : waitsForMs - (performance.now() - startedMs);
      if (leftMs !== null && leftMs <= 0) return { results, error, changes: [] };
      await this.#nextCommit(leftMs, signal);
    }
  }

  /** Commits changes that {@link execute} has worked out on the database as it is now. */
  async commit(changes: readonly Change[], comment: string): Promise<Answer> {
    this.#latestCommit = this.#commit(changes, comment);
    const error = await this.#latestCommit;
    return { results: error ? [error.toJSON()] : [], error, changes: error ? [] : changes };
  }

  /**
   * Goes over to another schema, with all that fits it. Resolves when it is on disk.
   * @throws OvsdbError why it cannot be; then nothing is changed
   */
  async convert(schema: DatabaseSchema): Promise<void> {
    const missing = lacking(schema, this.needs);
    if (missing !== null) throw new OvsdbError('not supported', `this server cannot do without ${missing}`);
    while (this.#pending.length > 0) await this.#latestCommit;
    await this.journal.convert(converted(this.database, schema, this.newUuid));
    for (const wake of [...this.#wakers]) wake();
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    return this.journal.close();
  }

  /** Null when the changes are on disk. */
  #commit(changes: readonly Change[], comment: string): Promise<OvsdbError | null> {
    this.database.apply(changes);
    this.#pending.push(changes);
    for (const wake of [...this.#wakers]) wake();
    return new Promise((resolve) => {
      this.journal.append(
        changes,
        comment,
        () => {
          this.#pending.splice(this.#pending.indexOf(changes), 1);
          resolve(null);
          for (const listener of this.#listeners) listener(changes, comment);
        },
        (error) => {
          this.#takeBack(changes);
          resolve(error);
        },
      );
    });
  }

  /** Reverts a transaction that could not be written, and all later ones, which are going to fail too. */
  #takeBack(changes: readonly Change[]): void {
    const index = this.#pending.indexOf(changes);
    if (index < 0) return;
    for (const later of this.#pending.splice(index).reverse()) this.database.apply(invert(later));
  }

  #nextCommit(timeoutMs: number | null, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wakers.delete(done);
        signal?.removeEventListener('abort', done);
        clearTimeout(timer);
        resolve();
      };
      const timer = timeoutMs === null ? undefined : setTimeout(done, timeoutMs);
      this.#wakers.add(done);
      signal?.addEventListener('abort', done);
    });
  }
}
