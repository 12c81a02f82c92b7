/** A set of collectors that all get the same datagrams, and go on when settings change. A shell. */
import { collectorText } from '../config/index.js';
import type { Collector } from '../domain/index.js';
import { CollectorLink, type CollectorStatus } from './collector.js';

export class Channel {
  readonly #links = new Map<string, CollectorLink>();
  #rate = 0;

  constructor(
    private readonly onRecovered: () => void,
    private readonly log: (message: string) => void,
  ) {}

  configure(collectors: readonly Collector[], rate: number): void {
    const wanted = new Map(collectors.map((each) => [collectorText(each), each]));
    for (const [target, link] of this.#links) {
      if (wanted.has(target) && rate === this.#rate) continue;
      this.#links.delete(target);
      void link.close(LAST_WORDS_MS);
    }
    this.#rate = rate;
    for (const [target, collector] of wanted) {
      if (this.#links.has(target)) continue;
      // A new one has heard nothing of what was said before.
      this.onRecovered();
      const { onRecovered, log } = this;
      this.#links.set(target, new CollectorLink({ collector, rate, onRecovered, log }));
    }
  }

  send(datagrams: readonly Uint8Array[]): void {
    if (datagrams.length > 0) for (const link of this.#links.values()) link.send(datagrams);
  }

  status(): CollectorStatus[] {
    return [...this.#links.values()].map((link) => link.status());
  }

  async close(withinMs: number): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close(withinMs)));
    this.#links.clear();
  }
}

const LAST_WORDS_MS = 2_000;
