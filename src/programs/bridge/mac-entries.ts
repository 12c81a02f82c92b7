/**
 * The entries of a MAC table: by VLAN and address, by port in the order in which they were learned, and ports by how many they
 * hold. Adding, finding and removing one is O(1), whatever the size, and so is finding which to evict.
 *
 * Thousands of addresses may come to be known in a second, and stay. So entries are numbers in columns, at a place each, and
 * are linked by these: there are no objects that the garbage collector would have to copy and to walk through time and again.
 */
import { macAddressOf, macNumbers, type MacAddress, type Vid } from '../../domain/index.js';
import type { LogicalPortId, MacEntry } from './mac-table.js';

/** A place among the entries. */
type Place = number;
const NONE: Place = -1;
const FIRST_PLACES = 1024;

/** A port that has entries, in its place among the ports that have as many. */
interface Holder {
  readonly port: LogicalPortId;
  size: number;
  oldest: Place;
  newest: Place;
  before: Holder | undefined;
  after: Holder | undefined;
}

/** What is kept of each place. As many places as there are chains, a power of two. */
class Columns {
  /** The first 16 bits of the address and the other 32. */
  readonly high: Uint16Array;
  readonly low: Uint32Array;
  readonly vlan: Uint16Array;
  readonly port: Uint32Array;
  readonly learnedAtMs: Float64Array;
  /** Among the entries of the same port. */
  readonly older: Int32Array;
  readonly newer: Int32Array;
  /** The next of the same chain; of a place that was given back, the one that was before. */
  readonly next: Int32Array;
  /** The first of each chain, which is of entries with the same hash. */
  readonly chains: Int32Array;

  constructor(readonly places: number) {
    this.high = new Uint16Array(places);
    this.low = new Uint32Array(places);
    this.vlan = new Uint16Array(places);
    this.port = new Uint32Array(places);
    this.learnedAtMs = new Float64Array(places);
    this.older = new Int32Array(places);
    this.newer = new Int32Array(places);
    this.next = new Int32Array(places);
    this.chains = new Int32Array(places).fill(NONE);
  }
}

export class MacEntries {
  #columns = new Columns(FIRST_PLACES);
  /** Places from here on were never taken. */
  #end = 0;
  /** The place that was given back last. */
  #free: Place = NONE;
  readonly #holders = new Map<LogicalPortId, Holder>();
  /** The first of the ports that hold so many entries. */
  readonly #bySize: (Holder | undefined)[] = [];
  #largestSize = 0;
  #size = 0;

  /** @param seed makes it unknown to senders of frames which addresses have the same hash */
  constructor(private readonly seed: number) {}

  get size(): number {
    return this.#size;
  }

  get(vlan: Vid, mac: MacAddress): MacEntry | undefined {
    const place = this.#find(vlan, mac);
    return place === NONE ? undefined : this.#entry(place);
  }

  /** All of them. Entries may be removed meanwhile. */
  *all(): IterableIterator<MacEntry> {
    for (let place = 0; place < this.#end; place++) if (this.#isTaken(place)) yield this.#entry(place);
  }

  /** Those of a port, oldest first. The one given last may be removed meanwhile. */
  *of(port: LogicalPortId): IterableIterator<MacEntry> {
    let place = this.#holders.get(port)?.oldest ?? NONE;
    while (place !== NONE) {
      const newer = this.#columns.newer[place] as Place;
      yield this.#entry(place);
      place = newer;
    }
  }

  /** How many a port has. */
  sizeOf(port: LogicalPortId): number {
    return this.#holders.get(port)?.size ?? 0;
  }

  /** The oldest entry of a port that has as many as any. */
  oldestOfLargest(): MacEntry | undefined {
    const place = this.#bySize[this.#largestSize]?.oldest ?? NONE;
    return place === NONE ? undefined : this.#entry(place);
  }

  /** There is none of that VLAN and address yet. */
  add({ vlan, mac, port, learnedAtMs }: MacEntry): void {
    const place = this.#takePlace();
    const columns = this.#columns;
    const { high, low } = macNumbers(mac);
    columns.high[place] = high;
    columns.low[place] = low;
    columns.vlan[place] = vlan;
    columns.port[place] = port;
    columns.learnedAtMs[place] = learnedAtMs;
    this.#chain(place);

    const holder = this.#holderOf(port);
    columns.older[place] = holder.newest;
    columns.newer[place] = NONE;
    if (holder.newest === NONE) holder.oldest = place;
    else columns.newer[holder.newest] = place;
    holder.newest = place;
    this.#resize(holder, holder.size + 1);
    this.#size++;
  }

  remove({ vlan, mac }: Pick<MacEntry, 'vlan' | 'mac'>): void {
    const place = this.#find(vlan, mac);
    if (place === NONE) return;
    const columns = this.#columns;
    this.#unchain(place);

    const holder = this.#holderOf(columns.port[place] as LogicalPortId);
    const older = columns.older[place] as Place;
    const newer = columns.newer[place] as Place;
    if (older === NONE) holder.oldest = newer;
    else columns.newer[older] = newer;
    if (newer === NONE) holder.newest = older;
    else columns.older[newer] = older;
    this.#resize(holder, holder.size - 1);
    this.#size--;
    if (holder.size === 0) this.#holders.delete(holder.port);
    this.#givePlace(place);
  }

  #entry(place: Place): MacEntry {
    const { high, low, vlan, port, learnedAtMs } = this.#columns;
    return {
      vlan: vlan[place] as Vid,
      mac: macAddressOf(high[place] as number, low[place] as number),
      port: port[place] as LogicalPortId,
      learnedAtMs: learnedAtMs[place] as number,
    };
  }

  #find(vlan: Vid, mac: MacAddress): Place {
    const columns = this.#columns;
    const { high, low } = macNumbers(mac);
    let place = columns.chains[this.#hash(vlan, high, low)] as Place;
    while (
      place !== NONE &&
      (columns.low[place] !== low || columns.high[place] !== high || columns.vlan[place] !== vlan)
    )
      place = columns.next[place] as Place;
    return place;
  }

  /** Number of a chain. */
  #hash(vlan: Vid, high: number, low: number): number {
    let hash = Math.imul(this.seed ^ low, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ ((vlan << 16) | high), 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13) ^ this.seed, 0x27d4eb2f);
    return (hash ^ (hash >>> 16)) & (this.#columns.places - 1);
  }

  #chainOf(place: Place): number {
    const { high, low, vlan } = this.#columns;
    return this.#hash(vlan[place] as Vid, high[place] as number, low[place] as number);
  }

  #chain(place: Place): void {
    const { chains, next } = this.#columns;
    const chain = this.#chainOf(place);
    next[place] = chains[chain] as Place;
    chains[chain] = place;
  }

  #unchain(place: Place): void {
    const { chains, next } = this.#columns;
    const chain = this.#chainOf(place);
    let before = chains[chain] as Place;
    if (before === place) {
      chains[chain] = next[place] as Place;
      return;
    }
    while (next[before] !== place) before = next[before] as Place;
    next[before] = next[place] as Place;
  }

  #takePlace(): Place {
    const place = this.#free;
    if (place !== NONE) {
      this.#free = this.#columns.next[place] as Place;
      return place;
    }
    if (this.#end === this.#columns.places) this.#grow();
    return this.#end++;
  }

  #givePlace(place: Place): void {
    const { next, newer } = this.#columns;
    next[place] = this.#free;
    newer[place] = place;
    this.#free = place;
  }

  /** A place that was given back is its own newer one. */
  #isTaken(place: Place): boolean {
    return this.#columns.newer[place] !== place;
  }

  /** Twice as many places; all are taken. */
  #grow(): void {
    const before = this.#columns;
    this.#columns = new Columns(before.places * 2);
    for (const name of ['high', 'low', 'vlan', 'port', 'learnedAtMs', 'older', 'newer'] as const)
      this.#columns[name].set(before[name]);
    for (let place = 0; place < before.places; place++) this.#chain(place);
  }

  #holderOf(port: LogicalPortId): Holder {
    let holder = this.#holders.get(port);
    if (holder === undefined) {
      holder = { port, size: 0, oldest: NONE, newest: NONE, before: undefined, after: undefined };
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
