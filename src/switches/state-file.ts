/**
 * What programs know that the switch does not remember (the state of LACP, which member of a bond is active), kept in
 * the run directory so that a controller that is started anew goes on where the last one was. It outlives the process,
 * not the boot, as its times are the machine's since boot.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const VERSION = 1;
/** Changes within so long are written together. */
const DELAY_MS = 50;

export interface SavedState {
  readonly programs: Readonly<Record<string, unknown>>;
  readonly elapsedMs: number;
}

export class StateFile {
  #timer: NodeJS.Timeout | undefined;
  #writtenKey: string | undefined;

  /** @param source what is to be written, and a text that is another one whenever that is */
  constructor(
    private readonly path: string,
    private readonly source: { key(): string; programs(): Readonly<Record<string, unknown>> },
    private readonly failed: (message: string) => void,
  ) {}

  /** What an earlier run has left; undefined: nothing that can be used. */
  load(): SavedState | undefined {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch {
      return undefined;
    }
    try {
      const { version, savedAtMs, programs } = JSON.parse(text) as Record<string, unknown>;
      const elapsedMs = sinceBootMs() - Number(savedAtMs);
      const isUsable =
        version === VERSION && elapsedMs >= 0 && typeof programs === 'object' && programs !== null;
      return isUsable ? { programs: programs as Record<string, unknown>, elapsedMs } : undefined;
    } catch {
      this.failed(`${this.path} is damaged and left aside`);
      return undefined;
    }
  }

  /** Something may have changed: it is written a little later. */
  touch(): void {
    if (this.#timer !== undefined || this.source.key() === this.#writtenKey) return;
    this.#timer = setTimeout(() => this.flush(), DELAY_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const key = this.source.key();
    if (key === this.#writtenKey) return;
    const programs = this.source.programs();
    try {
      if (Object.keys(programs).length === 0) rmSync(this.path, { force: true });
      else {
        // Whole or not at all; a few hundred bytes in memory, for which nobody needs to wait.
        const text = JSON.stringify({ version: VERSION, savedAtMs: sinceBootMs(), programs });
        writeFileSync(`${this.path}.new`, text, { mode: 0o600 });
        renameSync(`${this.path}.new`, this.path);
      }
      this.#writtenKey = key;
    } catch (error) {
      this.#writtenKey = key;
      this.failed(`${this.path} cannot be written: ${(error as Error).message}`);
    }
  }
}

/** Milliseconds of the machine's monotonic clock, which processes have in common. */
function sinceBootMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
