/**
 * Requests that wait for their answers, by xid (OF 1.3.5 §7.1), each with a deadline. The earliest deadline is
 * kept as a lower bound: removing a request does not raise it, so a session may be woken once for nothing, but
 * adding and removing cost O(1).
 */

export interface Waiting {
  deadlineMs: number;
}

export class PendingTable<Entry extends Waiting> {
  readonly #entries = new Map<number, Entry>();
  #earliestMs = Infinity;

  get size(): number {
    return this.#entries.size;
  }

  has(xid: number): boolean {
    return this.#entries.has(xid);
  }

  get(xid: number): Entry | undefined {
    return this.#entries.get(xid);
  }

  /** Adds a request, or replaces it (with a later deadline, say). */
  set(xid: number, entry: Entry): void {
    this.#entries.set(xid, entry);
    if (entry.deadlineMs < this.#earliestMs) this.#earliestMs = entry.deadlineMs;
  }

  delete(xid: number): void {
    this.#entries.delete(xid);
    if (this.#entries.size === 0) this.#earliestMs = Infinity;
  }

  /** No request is due before this; Infinity when none waits. */
  get earliestMs(): number {
    return this.#earliestMs;
  }

  /** Gives every request that much more time. */
  postpone(byMs: number): void {
    for (const entry of this.#entries.values()) entry.deadlineMs += byMs;
    this.#earliestMs += byMs;
  }

  /** Takes out all requests that are due. */
  takeDue(nowMs: number): [xid: number, entry: Entry][] {
    if (nowMs < this.#earliestMs) return [];
    const due: [number, Entry][] = [];
    this.#earliestMs = Infinity;
    for (const [xid, entry] of this.#entries) {
      if (entry.deadlineMs <= nowMs) due.push([xid, entry]);
      else if (entry.deadlineMs < this.#earliestMs) this.#earliestMs = entry.deadlineMs;
    }
    for (const [xid] of due) this.#entries.delete(xid);
    return due;
  }

  /** Takes out all requests, in the order they were made. */
  takeAll(): [xid: number, entry: Entry][] {
    const all = [...this.#entries];
    this.#entries.clear();
    this.#earliestMs = Infinity;
    return all;
  }
}
