/** Two LACP entities joined by links, on a virtual clock, with loss, delay and thus reordering. */
import { macAddress, type LacpSettings } from '../../domain/index.js';
import { LacpEntity, type LacpConfig } from './entity.js';

export interface Side {
  readonly settings?: Partial<LacpSettings>;
  /** Members in the order of the links; key 1 unless told. */
  readonly keys?: readonly number[];
  readonly systemId?: string;
}

export function lacpConfig(index: number, links: number, side: Side = {}): LacpConfig {
  const settings: LacpSettings = {
    mode: 'active',
    systemId: null,
    systemPriority: 65534,
    time: 'fast',
    fallbackAb: false,
    ...side.settings,
  };
  return {
    port: `bond${index}`,
    settings,
    systemId: macAddress(side.systemId ?? `02:00:00:00:00:0${index}`),
    members: Array.from({ length: links }, (_, i) => ({
      name: `eth${i}`,
      mac: macAddress(`02:00:00:00:0${index}:0${i}`),
      portId: i + 1,
      portPriority: 65535,
      key: side.keys?.[i] ?? 1,
    })),
  };
}

/** What becomes of a frame: milliseconds until it arrives, null if it never does. */
export type Fate = () => number | null;

export class Simulation {
  nowMs = 0;
  readonly sides: LacpEntity[];
  /** Links whose frames are swallowed in the direction from a side, as `side/link`. */
  readonly silent = new Set<string>();
  readonly sentAtMs: number[][] = [[], []];
  #flight: { atMs: number; to: number; member: string; frame: Uint8Array }[] = [];

  constructor(
    readonly configs: readonly LacpConfig[],
    private readonly fate: Fate = () => 0.1,
  ) {
    this.sides = configs.map((config) => new LacpEntity(config));
    for (const [index, config] of configs.entries())
      for (const { name } of config.members) this.sides[index]?.setLink(name, true, 0);
  }

  side(index: number): LacpEntity {
    const side = this.sides[index];
    if (!side) throw new Error(`no side ${index}`);
    return side;
  }

  /** A cable is pulled or put in: both ends see it. */
  setLink(link: number, isUp: boolean): void {
    for (const side of this.sides) side.setLink(`eth${link}`, isUp, this.nowMs);
    if (!isUp) this.#flight = this.#flight.filter(({ member }) => member !== `eth${link}`);
    this.#settle();
  }

  inject(to: number, member: string, frame: Uint8Array): void {
    this.side(to).receive(member, frame, this.nowMs);
    this.#settle();
  }

  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    this.#settle();
    for (;;) {
      const wakes = this.sides.map((side) => side.wakeAtMs(this.nowMs));
      const next = Math.min(...wakes, ...this.#flight.map(({ atMs }) => atMs));
      if (next > endMs) break;
      // A machine that wants to be woken in the past would spin for ever.
      this.nowMs = Math.max(this.nowMs, next);
      const arrived = this.#flight.filter(({ atMs }) => atMs <= this.nowMs);
      this.#flight = this.#flight.filter(({ atMs }) => atMs > this.nowMs);
      for (const { to, member, frame } of arrived) this.side(to).receive(member, frame, this.nowMs);
      this.#settle();
      for (const [i, wake] of wakes.entries())
        if (
          wake <= this.nowMs &&
          this.side(i).wakeAtMs(this.nowMs) <= this.nowMs &&
          wake === this.side(i).wakeAtMs(this.nowMs)
        )
          throw new Error(`side ${i} wants to be woken at ${wake} again and again (now ${this.nowMs})`);
    }
    this.nowMs = endMs;
  }

  /** Members by which a side would let traffic go. */
  enabled(index: number): string[] {
    const side = this.side(index);
    return this.#names(index).filter((name) => side.mayEnable(name));
  }

  collecting(index: number): string[] {
    const side = this.side(index);
    return this.#names(index).filter((name) => side.mayCollect(name));
  }

  #names(index: number): string[] {
    return (this.configs[index]?.members ?? []).map(({ name }) => name);
  }

  #settle(): void {
    for (const [index, side] of this.sides.entries()) {
      for (const { member, frame } of side.run(this.nowMs)) {
        this.sentAtMs[index]?.push(this.nowMs);
        const delay = this.fate();
        if (delay === null || this.silent.has(`${index}/${member}`)) continue;
        this.#flight.push({ atMs: this.nowMs + delay, to: 1 - index, member, frame });
      }
    }
  }
}
