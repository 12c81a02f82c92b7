/** What waits to leave a session, with high and low water (see {@link Outbox.isCongested}). */

export class Outbox {
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #transportBytes = 0;
  #isCongested = false;

  constructor(private readonly marks: { highWaterBytes: number; lowWaterBytes: number }) {}

  /** Bytes that wait here, and in the transport as far as it has told. */
  get bytes(): number {
    return this.#queuedBytes + this.#transportBytes;
  }

  /** True from above the high-water mark until at or below the low one. */
  get isCongested(): boolean {
    return this.#isCongested;
  }

  push(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.bytes > this.marks.highWaterBytes) this.#isCongested = true;
  }

  /** Everything in order; counts as the transport's from now on. */
  take(): Uint8Array[] {
    const queue = this.#queue;
    this.#transportBytes += this.#queuedBytes;
    this.#queuedBytes = 0;
    this.#queue = [];
    return queue;
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
