/** `cur_cfg` follows `next_cfg` once every switch forwards so: then `ovs-vsctl`, which waits for it, returns. */
import type { Configuration, Reading } from '../config/index.js';
import type { Orchestrator } from './orchestrator.js';

const ATTEMPT_MS = 60_000;
const PAUSE_MS = 1_000;

export class CurrentReporter {
  #reading: Reading | null = null;
  /** The `next_cfg` that was reported last: clients that wait make it another one. */
  #reported: number | null = null;
  #isReporting = false;
  #isStopped = false;
  #endPause: () => void = () => undefined;

  constructor(
    private readonly orchestrator: Pick<Orchestrator, 'settled' | 'hurry'>,
    private readonly configuration: Pick<Configuration, 'flushStatus' | 'setCurrent'>,
  ) {}

  /** A configuration that the orchestrator has just been given. */
  follow(reading: Reading): void {
    this.#reading = reading;
    if (reading.nextCfg !== this.#reported) this.orchestrator.hurry();
    if (!this.#isReporting) void this.#report();
  }

  stop(): void {
    this.#isStopped = true;
    this.#endPause();
  }

  async #report(): Promise<void> {
    this.#isReporting = true;
    while (this.#reading && !this.#isStopped) {
      const reading = this.#reading;
      try {
        await this.orchestrator.settled(ATTEMPT_MS);
        // Whoever waits finds port numbers and errors.
        await this.configuration.flushStatus();
        await this.configuration.setCurrent(reading.nextCfg);
        this.#reported = reading.nextCfg;
        if (this.#reading === reading) this.#reading = null;
      } catch {
        // A switch is away; it is waited for.
        await this.#pause();
      }
    }
    this.#isReporting = false;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
