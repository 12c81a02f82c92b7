/** How late weftd's event loop is. Measuring wakes the process fifty times a second, so it is done only while somebody looks. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 20;
/** Whoever scrapes metrics does so more often. */
const LASTS_MS = 120_000;

/** Seconds, since somebody began to look. */
export interface Lag {
  readonly p50S: number;
  readonly p99S: number;
  readonly maxS: number;
}

export class LoopLag {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #end: NodeJS.Timeout | undefined;

  constructor(private readonly lastsMs = LASTS_MS) {}

  get isMeasuring(): boolean {
    return this.#end !== undefined;
  }

  /** Begins to measure, or goes on; all zero at first. */
  look(): Lag {
    if (!this.isMeasuring) {
      this.#delay.reset();
      this.#delay.enable();
    }
    clearTimeout(this.#end);
    this.#end = setTimeout(() => {
      this.#delay.disable();
      this.#end = undefined;
    }, this.lastsMs).unref();
    // What Node tells is the time between two of its looks.
    const late = (ns: number) => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1e3);
    return {
      p50S: late(this.#delay.percentile(50)),
      p99S: late(this.#delay.percentile(99)),
      maxS: late(this.#delay.max),
    };
  }
}
