/** A cursor over memory with room for one message of the greatest size. Lengths are written back once they are known. */

import { OpenFlowEncodeError } from './errors.js';

/** The 16-bit length of the header allows no more (OF 1.3.5 §7.1). */
export const MAX_MESSAGE_BYTES = 0xffff;

/**
 * Messages are written one after another into chunks of this size, and each is handed out as a view: half the cost of
 * copying it into memory of its own. A chunk lives as long as any message in it, as with Node's own pool of buffers.
 */
const CHUNK_BYTES = 4 * (MAX_MESSAGE_BYTES + 1);

/** Takes bytes: from where to where in which memory. */
export interface ByteSink {
  append(memory: ArrayBufferLike, start: number, end: number): void;
}

export class Writer {
  pos = 0;
  bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  view = viewOf(this.bytes);
  /** Where the message starts, and where it must end. */
  #start = 0;
  #limit = MAX_MESSAGE_BYTES;
  /** The match field whose values' places are wanted (see {@link placesOf}). */
  sought: string | undefined;
  #places: number[] = [];

  u8(v: number): void {
    if ((v & 0xff) !== v) throw outOfRange(v, 8);
    this.view.setUint8(this.advance(1), v);
  }

  u16(v: number): void {
    if ((v & 0xffff) !== v) throw outOfRange(v, 16);
    this.view.setUint16(this.advance(2), v);
  }

  u32(v: number): void {
    if (v >>> 0 !== v) throw outOfRange(v, 32);
    this.view.setUint32(this.advance(4), v);
  }

  u64(v: bigint): void {
    if (typeof v !== 'bigint' || BigInt.asUintN(64, v) !== v) throw outOfRange(v, 64);
    this.view.setBigUint64(this.advance(8), v);
  }

  copy(v: Uint8Array): void {
    if (!(v instanceof Uint8Array)) throw new OpenFlowEncodeError('expected a Uint8Array');
    this.bytes.set(v, this.advance(v.length));
  }

  zeros(n: number): void {
    const p = this.advance(n);
    // Padding is short: the call of a built-in would cost more than the loop.
    if (n > 32) this.bytes.fill(0, p, p + n);
    else for (let i = p; i < p + n; i++) this.bytes[i] = 0;
  }

  /** Reserves `n` bytes and returns where they start. */
  advance(n: number): number {
    const p = this.pos;
    if (p + n > this.#limit) throw new OpenFlowEncodeError(`longer than ${MAX_MESSAGE_BYTES} bytes`);
    this.pos = p + n;
    return p;
  }

  /** Bytes written since {@link begin}. */
  get length(): number {
    return this.pos - this.#start;
  }

  /** Where in the message `write` writes values of that match field, in bytes from {@link begin}. */
  placesOf(field: string, write: () => void): readonly number[] {
    this.sought = field;
    this.#places = [];
    try {
      write();
    } finally {
      this.sought = undefined;
    }
    return this.#places;
  }

  /** A value of the sought field follows. */
  found(): void {
    this.#places.push(this.length);
  }

  /** Starts a message. What was written and not taken is forgotten. */
  begin(): void {
    this.pos = this.#start;
  }

  /** What has been written since {@link begin}; the bytes are the caller's from now on. */
  take(): Buffer {
    const taken = this.bytes.subarray(this.#start, this.pos);
    this.#end();
    return taken;
  }

  /** As {@link take}, for whoever has no need of an object for the bytes: making one costs as much as to write a small message. */
  takeTo(sink: ByteSink): void {
    sink.append(this.bytes.buffer, this.#start, this.pos);
    this.#end();
  }

  #end(): void {
    if (this.pos + MAX_MESSAGE_BYTES > CHUNK_BYTES) {
      this.bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      this.view = viewOf(this.bytes);
      this.pos = 0;
    }
    this.#start = this.pos;
    this.#limit = this.pos + MAX_MESSAGE_BYTES;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The error for a value that does not fit. */
export function outOfRange(v: unknown, bits: number): OpenFlowEncodeError {
  return new OpenFlowEncodeError(`${describe(v)} is not an unsigned ${bits}-bit integer`);
}

/** A value in an error message, cut short. */
export function describe(v: unknown): string {
  const text = typeof v === 'string' ? JSON.stringify(v) : typeof v === 'bigint' ? `${v}n` : String(v);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
