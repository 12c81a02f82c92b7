/**
 * Rates from counters: samples of a bridge's counters are kept for a window, and a rate is the difference between the
 * newest and the oldest of them. Pure but for {@link Sampler}, which has the timer.
 */
import type { FastPathInfo, PortCounters } from '../datapath/protocol.js';

export interface Sample {
  /** Milliseconds of a clock that never steps back. */
  readonly atMs: number;
  /** By port name. */
  readonly ports: ReadonlyMap<string, PortCounters>;
  /** Of the bridge, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** The bridge's cache of translations, and the fast path of all. */
  readonly fastPath: FastPathInfo;
}

/** The samples of one bridge. */
export class RateWindow {
  #samples: Sample[] = [];

  constructor(readonly windowMs: number) {}

  add(sample: Sample): void {
    const newest = this.#samples.at(-1);
    // Counters that went back belong to another life of the datapath.
    if (newest && hasRestarted(newest, sample)) this.#samples = [];
    this.#samples.push(sample);
    while (this.#samples.length > 2 && sample.atMs - (this.#samples[1]?.atMs ?? 0) >= this.windowMs)
      this.#samples.shift();
  }

  get newest(): Sample | undefined {
    return this.#samples.at(-1);
  }

  /** Seconds between the oldest and the newest sample; null while there is only one. */
  get spanS(): number | null {
    const [oldest] = this.#samples;
    const newest = this.newest;
    if (!oldest || !newest || newest.atMs <= oldest.atMs) return null;
    return (newest.atMs - oldest.atMs) / 1000;
  }

  /** How much a counter grew per second; null while that is unknown (one sample, or a port that is new). */
  rate(counter: (sample: Sample) => number | undefined): number | null {
    const span = this.spanS;
    const [oldest] = this.#samples;
    if (span === null || !oldest || !this.newest) return null;
    const [before, after] = [counter(oldest), counter(this.newest)];
    if (before === undefined || after === undefined || after < before) return null;
    return (after - before) / span;
  }
}

function hasRestarted(before: Sample, after: Sample): boolean {
  const fell = ([reason, packets]: [string, number]) => (after.drops[reason] ?? 0) < packets;
  return Object.entries(before.drops).some(fell);
}

export interface SamplerOptions {
  readonly bridges: () => readonly string[];
  /** Asks the datapath. @throws Error while it does not answer */
  readonly read: (bridge: string) => Promise<Omit<Sample, 'atMs'>>;
  readonly nowMs: () => number;
  /** Called after each round, whether or not every bridge answered. */
  readonly onRound?: () => void;
  /** Milliseconds between rounds while nobody asks. */
  readonly idleIntervalMs: () => number;
}

/** Rates are means over about so long. */
const WINDOW_MS = 5_000;
/** While somebody looks, samples are taken so often, and for so long after the last look. */
const BUSY = { intervalMs: 1_000, lastsMs: 15_000 } as const;

/** Takes the samples: now and then, more often while somebody looks. */
export class Sampler {
  readonly #windows = new Map<string, RateWindow>();
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #askedAtMs = -Infinity;
  #dueAtMs = Infinity;
  #stopped = false;

  constructor(private readonly options: SamplerOptions) {}

  start(): void {
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#round;
  }

  /**
   * The samples of a bridge, the newest at most a second old.
   * @throws Error the datapath's, while it does not answer
   */
  async window(bridge: string): Promise<RateWindow> {
    this.#askedAtMs = this.options.nowMs();
    this.#schedule();
    const known = this.#windows.get(bridge);
    if (known?.newest && this.options.nowMs() - known.newest.atMs < BUSY.intervalMs) return known;
    return this.#sample(bridge);
  }

  /** What the last round found; undefined where there is nothing yet. */
  known(bridge: string): RateWindow | undefined {
    return this.#windows.get(bridge);
  }

  async #sample(bridge: string): Promise<RateWindow> {
    const counters = await this.options.read(bridge);
    let window = this.#windows.get(bridge);
    if (!window) this.#windows.set(bridge, (window = new RateWindow(WINDOW_MS)));
    window.add({ ...counters, atMs: this.options.nowMs() });
    return window;
  }

  #schedule(): void {
    if (this.#stopped || this.#round) return;
    const nowMs = this.options.nowMs();
    const isBusy = nowMs - this.#askedAtMs < BUSY.lastsMs;
    const dueAtMs = nowMs + (isBusy ? BUSY.intervalMs : this.options.idleIntervalMs());
    // A round that is due sooner stays due.
    if (this.#timer && this.#dueAtMs <= dueAtMs) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#dueAtMs = dueAtMs;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#round = this.#takeAll().finally(() => {
        this.#round = null;
        this.#schedule();
      });
    }, dueAtMs - nowMs);
  }

  async #takeAll(): Promise<void> {
    const bridges = this.options.bridges();
    for (const name of this.#windows.keys()) if (!bridges.includes(name)) this.#windows.delete(name);
    for (const bridge of bridges) {
      // Without a datapath there is nothing to sample; what was known is no rate any more.
      await this.#sample(bridge).catch(() => this.#windows.delete(bridge));
    }
    this.options.onRound?.();
  }
}
