/** The latest transactions of a database, for clients that come back and say what they saw last (`monitor_cond_since`). */
import { ZERO_UUID } from '../atom.js';
import type { Change } from '../database.js';
import { Coalesced } from './served.js';

const MAX_TRANSACTIONS = 1000;
const MAX_CHANGES = 50_000;

export class History {
  readonly #entries: { readonly id: string; readonly changes: readonly Change[] }[] = [];
  #changeCount = 0;
  /** The transaction before the oldest entry: its state is the last that can be gone on from. */
  #base: string;

  /** @param id stands for the state at the start */
  constructor(id: string) {
    this.#base = id;
  }

  /** The id of the latest transaction. */
  get latest(): string {
    return this.#entries.at(-1)?.id ?? this.#base;
  }

  add(id: string, changes: readonly Change[]): void {
    this.#entries.push({ id, changes });
    this.#changeCount += changes.length;
    while (this.#entries.length > MAX_TRANSACTIONS || this.#changeCount > MAX_CHANGES) {
      const oldest = this.#entries.shift();
      if (!oldest) break;
      this.#base = oldest.id;
      this.#changeCount -= oldest.changes.length;
    }
  }

  /** All that changed after the transaction; null where it is not known (any more). */
  since(id: string): Change[] | null {
    if (id === ZERO_UUID) return null;
    const index = this.#entries.findIndex((entry) => entry.id === id);
    if (index < 0 && id !== this.#base) return null;
    const sum = new Coalesced();
    for (const { changes } of this.#entries.slice(index + 1)) sum.add(changes);
    return sum.take();
  }
}
