import type { Vid } from './identifiers.js';

/** `vid` values v with `(v & mask) === value`: what one masked flow match covers. `mask` is 12 bits wide. */
export interface MaskedVid {
  readonly value: Vid;
  readonly mask: number;
}

const VIDS = 4096;

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

  private constructor(bits: Uint32Array) {
    this.#bits = bits;
  }

  static of(vids: Iterable<Vid>): VlanSet {
    const bits = new Uint32Array(VIDS / 32);
    for (const vid of vids) {
      if (!Number.isInteger(vid) || vid < 0 || vid >= VIDS) throw new RangeError(`${vid} is not a VLAN id`);
      bits[vid >>> 5] = (bits[vid >>> 5] ?? 0) | (1 << (vid & 31));
    }
    return new VlanSet(bits);
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
    return this.has(vid) ? this : this.union(VlanSet.of([vid]));
  }

  without(vid: Vid): VlanSet {
    return this.has(vid) ? this.difference(VlanSet.of([vid])) : this;
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
    return this.#bits.every((word) => word === 0);
  }

  /** Text equal for equal sets. */
  get key(): string {
    return (this.#key ??= this.toString());
  }

  *[Symbol.iterator](): Iterator<Vid> {
    for (let vid = 0; vid < VIDS; vid++) if (this.has(vid)) yield vid;
  }

  /** Runs of consecutive ids, both ends included. */
  ranges(): [Vid, Vid][] {
    const ranges: [Vid, Vid][] = [];
    for (const vid of this) {
      const last = ranges.at(-1);
      if (last && last[1] === vid - 1) last[1] = vid;
      else ranges.push([vid, vid]);
    }
    return ranges;
  }

  /** The set as disjoint aligned blocks, the fewest such: one flow match each. */
  maskedVids(): MaskedVid[] {
    const blocks: MaskedVid[] = [];
    const split = (start: number, size: number): void => {
      const held = this.#count(start, size);
      if (held === size) blocks.push({ value: start, mask: 0xfff & ~(size - 1) });
      else if (held > 0) {
        split(start, size / 2);
        split(start + size / 2, size / 2);
      }
    };
    split(0, VIDS);
    return blocks;
  }

  #count(start: number, size: number): number {
    let held = 0;
    for (let vid = start; vid < start + size; vid++) if (this.has(vid)) held++;
    return held;
  }

  /** For people: `1-10,20`. */
  toString(): string {
    return this.ranges()
      .map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
      .join(',');
  }
}
