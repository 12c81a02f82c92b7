/**
 * The entries of a MAC table: by VLAN and address, by port in the order in which they were learned, and ports by how many they
 * hold. Adding, finding and removing one is O(1), whatever the size, and so is finding which to evict.
 *
 * Order and sizes are kept in linked lists: thousands of addresses may come to be known in a second, and a list costs each of
 * them a fraction of what another map would.
 */
import type { MacAddress, Vid } from '../../domain/index.js';
import type { LogicalPortId, MacEntry } from './mac-table.js';

/** An entry in its place among those of its port. */
interface Held {
  readonly entry: MacEntry;
  readonly holder: Holder;
  older: Held | undefined;
  newer: Held | undefined;
}

/** A port that has entries, in its place among the ports that have as many. */
interface Holder {
  readonly port: LogicalPortId;
  size: number;
  oldest: Held | undefined;
  newest: Held | undefined;
  before: Holder | undefined;
  after: Holder | undefined;
}

export class MacEntries {
  readonly #byVlan = new Map<Vid, Map<MacAddress, Held>>();
  readonly #holders = new Map<LogicalPortId, Holder>();
  /** The first of the ports that hold so many entries. */
  readonly #bySize: (Holder | undefined)[] = [];
  #largestSize = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(vlan: Vid, mac: MacAddress): MacEntry | undefined {
    return this.#byVlan.get(vlan)?.get(mac)?.entry;
  }

  /** All of them, by VLAN. Entries may be removed meanwhile. */
  *all(): IterableIterator<MacEntry> {
    for (const held of this.#byVlan.values()) for (const { entry } of held.values()) yield entry;
  }

  /** Those of a port, oldest first. The one given last may be removed meanwhile. */
  *of(port: LogicalPortId): IterableIterator<MacEntry> {
    let held = this.#holders.get(port)?.oldest;
    while (held !== undefined) {
      const { newer } = held;
      yield held.entry;
      held = newer;
    }
  }

  /** How many a port has. */
  sizeOf(port: LogicalPortId): number {
    return this.#holders.get(port)?.size ?? 0;
  }

  /** The oldest entry of a port that has as many as any. */
  oldestOfLargest(): MacEntry | undefined {
    return this.#bySize[this.#largestSize]?.oldest?.entry;
  }

  /** There is none of that VLAN and address yet. */
  add(entry: MacEntry): void {
    const holder = this.#holderOf(entry.port);
    const held: Held = { entry, holder, older: holder.newest, newer: undefined };
    if (holder.newest === undefined) holder.oldest = held;
    else holder.newest.newer = held;
    holder.newest = held;
    this.#resize(holder, holder.size + 1);
    this.#size++;
    let known = this.#byVlan.get(entry.vlan);
    if (known === undefined) this.#byVlan.set(entry.vlan, (known = new Map<MacAddress, Held>()));
    known.set(entry.mac, held);
  }

  remove({ vlan, mac }: Pick<MacEntry, 'vlan' | 'mac'>): void {
    const known = this.#byVlan.get(vlan);
    const held = known?.get(mac);
    if (known === undefined || held === undefined) return;
    known.delete(mac);
    if (known.size === 0) this.#byVlan.delete(vlan);
    const { holder, older, newer } = held;
    if (older === undefined) holder.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) holder.newest = older;
    else newer.older = older;
    this.#resize(holder, holder.size - 1);
    this.#size--;
    if (holder.size === 0) this.#holders.delete(holder.port);
  }

  #holderOf(port: LogicalPortId): Holder {
    let holder = this.#holders.get(port);
    if (holder === undefined) {
      const nothing = { oldest: undefined, newest: undefined, before: undefined, after: undefined };
      holder = { port, size: 0, ...nothing };
      this.#holders.set(port, holder);
    }
    return holder;
  }

  /** Moves a port among the ports that have as many entries; by one more or one less at a time. */
  #resize(holder: Holder, size: number): void {
    const { size: from, before, after } = holder;
    if (before !== undefined) before.after = after;
    else if (from > 0) this.#bySize[from] = after;
    if (after !== undefined) after.before = before;
    holder.size = size;
    holder.before = undefined;
    holder.after = size > 0 ? this.#bySize[size] : undefined;
    if (size > 0) {
      if (holder.after !== undefined) holder.after.before = holder;
      this.#bySize[size] = holder;
    }
    if (size > this.#largestSize) this.#largestSize = size;
    else if (from === this.#largestSize && this.#bySize[from] === undefined) this.#largestSize = size;
  }
}
