import type { Vid } from './identifiers.js';

/** `vid` values v with `(v & mask) === value`: what one masked flow match covers. `mask` is 12 bits wide. */
export interface MaskedVid {
  readonly value: Vid;
  readonly mask: number;
}

const VIDS = 4096;
const singles: VlanSet[] = [];

/**
 * An immutable set of VLAN ids. Sets are compared by `key`, and break into few masked matches: a trunk of
 * 4000 VLANs needs a dozen flow rules, not 4000.
 */
export class VlanSet implements Iterable<Vid> {
  static readonly none = new VlanSet(new Uint32Array(VIDS / 32));
  static readonly all = new VlanSet(new Uint32Array(VIDS / 32).fill(0xffffffff));

  readonly #bits: Uint32Array;
  #key: string | undefined;
  #size: number | undefined;
  #ranges: readonly (readonly [Vid, Vid])[] | undefined;
  #blocks: readonly MaskedVid[] | undefined;

  private constructor(bits: Uint32Array) {
    this.#bits = bits;
  }

  static of(vids: Iterable<Vid>): VlanSet {
    // What most ports have: sets that need not be worked out again.
    if (Array.isArray(vids) && vids.length === 0) return VlanSet.none;
    const bits = new Uint32Array(VIDS / 32);
    for (const vid of vids) {
      if (!Number.isInteger(vid) || vid < 0 || vid >= VIDS) throw new RangeError(`${vid} is not a VLAN id`);
      bits[vid >>> 5] = (bits[vid >>> 5] ?? 0) | (1 << (vid & 31));
    }
    return new VlanSet(bits);
  }

  /** The set of one id; the same object each time, so that what it works out is worked out once. */
  static single(vid: Vid): VlanSet {
    return (singles[vid] ??= VlanSet.of([vid]));
  }

  has(vid: Vid): boolean {
    return (((this.#bits[vid >>> 5] ?? 0) >>> (vid & 31)) & 1) === 1;
  }

  union(other: VlanSet): VlanSet {
    return new VlanSet(this.#bits.map((word, i) => word | (other.#bits[i] ?? 0)));
  }

  intersection(other: VlanSet): VlanSet {
    return new VlanSet(this.#bits.map((word, i) => word & (other.#bits[i] ?? 0)));
  }

  difference(other: VlanSet): VlanSet {
    return new VlanSet(this.#bits.map((word, i) => word & ~(other.#bits[i] ?? 0)));
  }

  with(vid: Vid): VlanSet {
    return this.has(vid) ? this : this.union(VlanSet.single(vid));
  }

  without(vid: Vid): VlanSet {
    return this.has(vid) ? this.difference(VlanSet.single(vid)) : this;
  }

  get size(): number {
    if (this.#size === undefined) {
      let size = 0;
      for (let word of this.#bits) for (; word !== 0; word &= word - 1) size++;
      this.#size = size;
    }
    return this.#size;
  }

  get isEmpty(): boolean {
    return this.#size === 0 || this.#bits.every((word) => word === 0);
  }

  /** Text equal for equal sets. */
  get key(): string {
    return (this.#key ??= this.toString());
  }

  *[Symbol.iterator](): Iterator<Vid> {
    for (const [from, to] of this.ranges()) for (let vid = from; vid <= to; vid++) yield vid;
  }

  /** Runs of consecutive ids, both ends included. */
  ranges(): readonly (readonly [Vid, Vid])[] {
    return (this.#ranges ??= this.#findRanges());
  }

  /** Words without a bit, or full of them, are passed at one stroke: most sets hold one id, or all. */
  #findRanges(): [Vid, Vid][] {
    const ranges: [Vid, Vid][] = [];
    let from = -1;
    for (const [i, word] of this.#bits.entries()) {
      if (from < 0 ? word === 0 : word === 0xffffffff) continue;
      for (let vid = i * 32; vid < i * 32 + 32; vid++) {
        if (from < 0 && this.has(vid)) from = vid;
        else if (from >= 0 && !this.has(vid)) {
          ranges.push([from, vid - 1]);
          from = -1;
        }
      }
    }
    if (from >= 0) ranges.push([from, VIDS - 1]);
    return ranges;
  }

  /** The set as disjoint aligned blocks, the fewest such: one flow match each. */
  maskedVids(): readonly MaskedVid[] {
    return (this.#blocks ??= this.ranges().flatMap(([from, to]) => blocksOf(from, to)));
  }

  /** For people: `1-10,20`. */
  toString(): string {
    return this.ranges()
      .map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
      .join(',');
  }
}

/** The aligned blocks of a run: of each id the largest block that begins there and does not go beyond the end. */
function blocksOf(from: Vid, to: Vid): MaskedVid[] {
  const blocks: MaskedVid[] = [];
  for (let start = from; start <= to;) {
    let size = 1;
    while (start % (size * 2) === 0 && start + size * 2 - 1 <= to) size *= 2;
    blocks.push({ value: start, mask: 0xfff & ~(size - 1) });
    start += size;
  }
  return blocks;
}
