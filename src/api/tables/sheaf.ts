/** Texts brought into order. */

const FIRST_BYTES = 1 << 18;
const MOST_TEXTS = 2 ** 26;
/** Bytes given out in one piece, about. */
const PIECE_BYTES = 1 << 16;

/**
 * Takes texts as they come and gives them back in the order of their keys; those with equal keys in the order they came.
 * They are kept as bytes: ten thousand flows as objects take longer to collect as garbage than to write.
 */
export class Sheaf {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  readonly #keys: number[] = [];
  /** Where each begins; the last: where the next will. */
  readonly #starts: number[] = [0];

  get count(): number {
    return this.#keys.length;
  }

  /** @param key an integer of up to 26 bits, and a sign */
  add(key: number, text: string): void {
    const start = this.#starts[this.#keys.length] ?? 0;
    // UTF-8 takes at most three bytes for each unit of UTF-16.
    const most = start + text.length * 3;
    if (most > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(most, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    this.#keys.push(key);
    this.#starts.push(start + this.#bytes.write(text, start));
  }

  /** All of them, `between` after each but the last. */
  *pieces(between: string): Generator<Buffer> {
    const comma = Buffer.from(between);
    const order = this.#order();
    let piece = Buffer.allocUnsafe(PIECE_BYTES);
    let used = 0;
    for (const [place, index] of order.entries()) {
      const start = this.#starts[index] ?? 0;
      const end = this.#starts[index + 1] ?? 0;
      if (used > 0 && used + end - start + comma.length > piece.length) {
        yield piece.subarray(0, used);
        piece = Buffer.allocUnsafe(Math.max(PIECE_BYTES, end - start + comma.length));
        used = 0;
      } else if (end - start + comma.length > piece.length) {
        piece = Buffer.allocUnsafe(end - start + comma.length);
      }
      used += this.#bytes.copy(piece, used, start, end);
      if (place < order.length - 1) used += comma.copy(piece, used);
    }
    if (used > 0) yield piece.subarray(0, used);
  }

  /** The indices, by key. They are sorted as numbers, key above index: without a function that compares, in C++. */
  #order(): Float64Array {
    return Float64Array.from(this.#keys, (key, index) => key * MOST_TEXTS + index)
      .sort()
      .map((both) => both - Math.floor(both / MOST_TEXTS) * MOST_TEXTS);
  }
}
