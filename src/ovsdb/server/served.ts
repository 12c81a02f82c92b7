/** What the server needs of a database that it serves. */
import type { Json } from '../atom.js';
import type { Change, Database, Row } from '../database.js';
import type { ExecuteOptions } from '../execute.js';
import type { DatabaseSchema } from '../schema.js';
import type { Answer } from '../store.js';

export interface Served {
  readonly database: Database;
  /** What `database` has already, and subscribers have not heard of yet: it is on its way to the disk. Oldest first. */
  readonly pending: readonly (readonly Change[])[];
  transact(
    operations: readonly Json[],
    options: Omit<ExecuteOptions, 'newUuid'>,
    signal: AbortSignal,
  ): Promise<Answer>;
  /** Absent: it keeps its schema. @throws OvsdbError why it cannot be converted */
  convert?(schema: DatabaseSchema): Promise<void>;
  subscribe(listener: (changes: readonly Change[]) => void): () => void;
}

/** The rows of a table as subscribers know them: without what is still pending. */
export function* settledRows(served: Served, table: string): Generator<Row> {
  const before = new Map<string, Row | null>();
  for (const changes of served.pending) {
    for (const change of changes) {
      if (change.table === table && !before.has(change.uuid)) before.set(change.uuid, change.old);
    }
  }
  for (const [uuid, row] of served.database.rows(table)) if (!before.has(uuid)) yield row;
  for (const row of before.values()) if (row) yield row;
}

/** Joins changes of consecutive transactions: for each row its first `old` and its last `new`. */
export class Coalesced {
  readonly #changes = new Map<string, Change>();

  add(changes: readonly Change[]): void {
    for (const change of changes) {
      const key = `${change.table} ${change.uuid}`;
      const earlier = this.#changes.get(key);
      this.#changes.set(key, earlier ? { ...change, old: earlier.old } : change);
    }
  }

  /** What is to be told, and forgotten here. */
  take(): Change[] {
    const changes = [...this.#changes.values()].filter((change) => change.old !== change.new);
    this.#changes.clear();
    return changes;
  }

  get isEmpty(): boolean {
    return this.#changes.size === 0;
  }
}
