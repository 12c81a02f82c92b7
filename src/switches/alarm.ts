/** One timer that is set anew and anew, for machines that say when they want to be called. */

/** What setTimeout can wait. */
const MAX_WAIT_MS = 0x7fff_ffff;

export class Alarm {
  #timer: NodeJS.Timeout | undefined;
  #atMs = Infinity;

  constructor(private readonly ring: () => void) {}

  /** Rings at `atMs` instead of whenever it was set for; Infinity: never. */
  set(atMs: number, nowMs: number): void {
    if (atMs === this.#atMs && this.#timer !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#atMs = atMs;
    if (atMs === Infinity) return;
    // Rounded up: a timer that rings a fraction too early would ring again and again until it is time.
    const waitMs = Math.min(MAX_WAIT_MS, Math.max(0, Math.ceil(atMs - nowMs)));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#atMs = Infinity;
      this.ring();
    }, waitMs);
  }
}
