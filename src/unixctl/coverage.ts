/**
 * How often things happen: totals sampled every five seconds, shown as averages over the last five seconds, minute and
 * hour (`coverage/show`). Pure; whoever owns it calls {@link Coverage.sample}.
 */
export const SAMPLE_PERIOD_S = 5;
const SAMPLES_A_MINUTE = 60 / SAMPLE_PERIOD_S;
const SAMPLES_AN_HOUR = 3600 / SAMPLE_PERIOD_S;

export type Totals = Readonly<Record<string, number>>;

export class Coverage {
  /** Of the last hour, oldest first. */
  readonly #samples: Totals[] = [];

  constructor(private readonly totals: () => Totals) {}

  /** To be called every {@link SAMPLE_PERIOD_S} seconds. */
  sample(): void {
    this.#samples.push(this.totals());
    if (this.#samples.length > SAMPLES_AN_HOUR + 1) this.#samples.shift();
  }

  total(name: string): number | undefined {
    return this.totals()[name];
  }

  show(): string {
    const now = this.totals();
    const names = Object.keys(now).sort();
    const rows = names.filter((name) => (now[name] ?? 0) > 0).map((name) => this.#row(name, now[name] ?? 0));
    const never = names.length - rows.length;
    const header = 'Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=00000000:\n';
    return `${header}${rows.join('')}${never} events never hit\n`;
  }

  #row(name: string, total: number): string {
    const perSecond = (samples: number) => this.#since(name, samples) / (samples * SAMPLE_PERIOD_S);
    const rates =
      `${perSecond(1).toFixed(1).padStart(5)}/sec ` +
      `${perSecond(SAMPLES_A_MINUTE).toFixed(3).padStart(9)}/sec ` +
      `${perSecond(SAMPLES_AN_HOUR).toFixed(4).padStart(13)}/sec`;
    return `${name.padEnd(24)} ${rates}   total: ${total}\n`;
  }

  /** How much a total grew from so many samples ago to the latest one. */
  #since(name: string, samples: number): number {
    const latest = this.#samples.at(-1)?.[name] ?? 0;
    const before = this.#samples.at(-1 - samples)?.[name] ?? 0;
    return latest - before;
  }
}
