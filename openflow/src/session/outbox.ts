/** What waits to leave a session, with high and low water (see {@link Outbox.isCongested}). */

import type { ByteSink } from '../codec/writer.js';

/**
 * Messages that the encoder has written one right behind the other leave in one piece, without having been copied.
 */
export class Outbox implements ByteSink {
  #pieces: Uint8Array[] = [];
  /** The piece that is still growing: from where to where in which memory. */
  #memory: ArrayBufferLike | undefined;
  #start = 0;
  #end = 0;
  #queuedBytes = 0;
  #transportBytes = 0;
  #isCongested = false;

  constructor(private readonly marks: { highWaterBytes: number; lowWaterBytes: number }) {}

  /** Bytes that wait here. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Bytes that wait here, and in the transport as far as it has told. */
  get bytes(): number {
    return this.#queuedBytes + this.#transportBytes;
  }

  /** True from above the high-water mark until at or below the low one. */
  get isCongested(): boolean {
    return this.#isCongested;
  }

  push({ buffer, byteOffset, length }: Uint8Array): void {
    this.append(buffer, byteOffset, byteOffset + length);
  }

  append(memory: ArrayBufferLike, start: number, end: number): void {
    if (memory !== this.#memory || start !== this.#end) {
      this.#finishPiece();
      this.#memory = memory;
      this.#start = start;
    }
    this.#end = end;
    this.#queuedBytes += end - start;
    if (this.bytes > this.marks.highWaterBytes) this.#isCongested = true;
  }

  /** Everything in order; counts as the transport's from now on. */
  take(): Uint8Array[] {
    this.#finishPiece();
    const pieces = this.#pieces;
    this.#transportBytes += this.#queuedBytes;
    this.#queuedBytes = 0;
    this.#pieces = [];
    return pieces;
  }

  #finishPiece(): void {
    if (this.#memory === undefined) return;
    this.#pieces.push(Buffer.from(this.#memory as ArrayBuffer, this.#start, this.#end - this.#start));
    this.#memory = undefined;
  }

  /** How much the transport still holds. Returns true when congestion ends by it. */
  transportHolds(bytes: number): boolean {
    this.#transportBytes = bytes;
    if (this.bytes > this.marks.highWaterBytes) this.#isCongested = true;
    if (!this.#isCongested || this.bytes > this.marks.lowWaterBytes) return false;
    this.#isCongested = false;
    return true;
  }
}
