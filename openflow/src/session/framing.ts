/**
 * Cuts the byte stream of an OpenFlow connection into messages (OF 1.3.5 §7.1: every message opens with
 * version, type, length, xid, and `length` counts the header). It looks at nothing but the length: what is
 * inside is the codec's business.
 *
 * A length that cannot be a message (below 8, or above the cap) leaves no way to find the next message, so
 * the framer stops for good and says why; its owner ends that connection.
 */

/** Bytes of `ofp_header`. */
export const HEADER_BYTES = 8;

/** The largest length the 16-bit field can say. */
export const MAX_MESSAGE_BYTES = 0xffff;

/** Why a stream can no longer be cut into messages. */
export class FramingError extends Error {
  override readonly name = 'FramingError';

  constructor(
    readonly code: 'length-below-header' | 'length-above-cap',
    /** What the length field said. */
    readonly length: number,
    /** The header of the message at fault, as read. */
    readonly header: Uint8Array,
    limit: number,
  ) {
    super(
      code === 'length-below-header'
        ? `message length ${length} is less than the ${HEADER_BYTES} bytes of its header`
        : `message length ${length} is more than the ${limit} bytes allowed`,
    );
  }
}

/** Reads the 16-bit length of the header that starts at `offset`. */
function lengthAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
}

/**
 * Push chunks as they arrive, take messages with {@link next}.
 *
 * A message that lies whole in one chunk is returned as a view of it (no copy); only one that spans chunks is
 * put together. At most one message's worth of bytes beyond the chunks pushed is held.
 */
export class Framer {
  readonly #maxMessageBytes: number;
  /** Chunks not yet consumed; the first is consumed up to `#offset`. */
  #chunks: Uint8Array[] = [];
  #offset = 0;
  #bufferedBytes = 0;
  #error: FramingError | undefined;

  constructor(options: { maxMessageBytes?: number } = {}) {
    this.#maxMessageBytes = options.maxMessageBytes ?? MAX_MESSAGE_BYTES;
  }

  /** Bytes pushed and not yet returned as messages. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Set once the stream is beyond repair. */
  get error(): FramingError | undefined {
    return this.#error;
  }

  /** Adds bytes read. The framer keeps a view of them: the caller must not reuse the buffer. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#error !== undefined) return;
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
  }

  /** The header of the message that is still to come whole, once its 8 bytes are there. */
  peekHeader(): Uint8Array | undefined {
    if (this.#error !== undefined || this.#bufferedBytes < HEADER_BYTES) return undefined;
    if ((this.#chunks[0]?.length ?? 0) - this.#offset < HEADER_BYTES) this.#gather(HEADER_BYTES);
    return this.#chunks[0]?.subarray(this.#offset, this.#offset + HEADER_BYTES);
  }

  /** The next whole message, or undefined when more bytes are needed or the stream is broken (see {@link error}). */
  next(): Uint8Array | undefined {
    if (this.#error !== undefined || this.#bufferedBytes < HEADER_BYTES) return undefined;
    let first = this.#chunks[0];
    if (first === undefined) return undefined;
    if (first.length - this.#offset < HEADER_BYTES) {
      this.#gather(HEADER_BYTES);
      first = this.#chunks[0];
      if (first === undefined) return undefined;
    }
    const length = lengthAt(first, this.#offset);
    if (length < HEADER_BYTES || length > this.#maxMessageBytes) {
      const header = new Uint8Array(first.subarray(this.#offset, this.#offset + HEADER_BYTES));
      const code = length < HEADER_BYTES ? 'length-below-header' : 'length-above-cap';
      this.#error = new FramingError(code, length, header, this.#maxMessageBytes);
      this.#chunks = [];
      this.#bufferedBytes = 0;
      return undefined;
    }
    if (this.#bufferedBytes < length) return undefined;
    if (first.length - this.#offset < length) {
      this.#gather(length);
      first = this.#chunks[0];
      if (first === undefined) return undefined;
    }
    const message = first.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    this.#bufferedBytes -= length;
    if (this.#offset === first.length) {
      this.#chunks.shift();
      this.#offset = 0;
    }
    return message;
  }

  /** Makes the first chunk hold at least `size` bytes from the read position, copying only what it must. */
  #gather(size: number): void {
    const joined = new Uint8Array(size);
    let filled = 0;
    let used = 0;
    let rest: Uint8Array | undefined;
    for (const chunk of this.#chunks) {
      const from = used === 0 ? this.#offset : 0;
      const take = Math.min(chunk.length - from, size - filled);
      joined.set(chunk.subarray(from, from + take), filled);
      filled += take;
      used += 1;
      if (from + take < chunk.length) rest = chunk.subarray(from + take);
      if (filled === size) break;
    }
    const head = rest === undefined ? [joined] : [joined, rest];
    this.#chunks = head.concat(this.#chunks.slice(used));
    this.#offset = 0;
  }
}
