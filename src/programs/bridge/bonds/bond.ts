/**
 * One bond: which members carry traffic, which of them is active, and which member each hash leaves by
 * (ovs-vswitchd.conf.db(5), "Bonding Configuration"). Pure: takes the time and what is known of the links.
 *
 * The switch fails over by itself (groups that watch their ports, flows.ts); what is decided here is what it holds ready
 * for that, and what holds afterwards.
 */
import type { BondMode, BondSettings, MacAddress } from '../../../domain/index.js';
import { BondError, type BondCommand, type BondStatus } from './status.js';

/** Hashes of a balanced bond, as in Open vSwitch. */
export const BOND_HASHES = 256;
/** No hash is moved for a smaller difference of load between two members, in bytes per interval. */
const MIN_OVERLOAD = 100_000;
/** Frames that tell others where stations are now go out when the switch has taken the change. */
const LEARNING_DELAY_MS = 100;
/** The load is counted so often in every rebalance interval, for `bond/show`. */
const COUNTS_PER_INTERVAL = 4;
const MIN_COUNT_INTERVAL_MS = 1_000;

export interface BondMemberConfig {
  readonly name: string;
  readonly ofport: number;
  readonly mac: MacAddress | null;
}

export interface BondConfig {
  readonly name: string;
  readonly settings: BondSettings;
  readonly lacpFallbackAb: boolean;
  /** In the order of preference. */
  readonly members: readonly BondMemberConfig[];
}

/** What LACP says; `off` where it has no say. */
export interface LacpView {
  readonly status: 'off' | 'configured' | 'negotiated';
  mayEnable(member: string): boolean;
}

/** How the bond works at present: `backup` by its active member alone, `none`: not at all. */
export type Working = 'backup' | 'slb' | 'tcp' | 'none';

interface Member {
  isLinkUp: boolean;
  isEnabled: boolean;
  /** When a pending change of `isEnabled` takes effect. */
  changeAtMs: number;
  /** What the administrator wants until the link changes. */
  override: boolean | null;
}

export interface BondSnapshot {
  readonly enabled: readonly string[];
  readonly active: string | null;
  /** Member of each hash, by its place in `names`; -1: none. */
  readonly names: readonly string[];
  readonly hashes: readonly number[];
}

export class Bond {
  #config: BondConfig;
  #lacp: LacpView = { status: 'off', mayEnable: () => true };
  readonly #members = new Map<string, Member>();
  #active: string | null = null;
  readonly #hashes: (string | null)[] = Array.from({ length: BOND_HASHES }, () => null);
  /** Bytes that each hash sent, older ones counting half with each interval. */
  readonly #loads = new Float64Array(BOND_HASHES);
  /** Counters of the switch when they were last read. */
  readonly #counters = new Map<number, bigint>();
  #rebalanceAtMs = Infinity;
  #countAtMs = Infinity;
  #learnAtMs = Infinity;
  /** Another number for every state that asks for other flows. */
  #revision = 0;

  constructor(config: BondConfig, nowMs: number) {
    this.#config = config;
    this.configure(config, nowMs);
  }

  get config(): BondConfig {
    return this.#config;
  }

  get active(): string | null {
    return this.#active;
  }

  get revision(): number {
    return this.#revision;
  }

  configure(config: BondConfig, nowMs: number): void {
    const interval = config.settings.rebalanceIntervalMs;
    if (interval !== this.#config.settings.rebalanceIntervalMs || this.#members.size === 0) {
      this.#rebalanceAtMs = interval === 0 ? Infinity : nowMs + interval;
      this.#countAtMs = interval === 0 ? Infinity : nowMs + countInterval(interval);
    }
    if (JSON.stringify(config) !== JSON.stringify(this.#config)) this.#revision++;
    this.#config = config;
    const names = new Set(config.members.map(({ name }) => name));
    for (const name of this.#members.keys()) if (!names.has(name)) this.#members.delete(name);
    for (const name of names) {
      if (this.#members.has(name)) continue;
      this.#members.set(name, { isLinkUp: false, isEnabled: false, changeAtMs: Infinity, override: null });
    }
  }

  setLink(name: string, isUp: boolean): void {
    const member = this.#members.get(name);
    if (member === undefined || member.isLinkUp === isUp) return;
    member.isLinkUp = isUp;
    member.override = null;
  }

  /** Lets the bond react to its inputs and to time. Returns whether its flows are others now. */
  run(lacp: LacpView, nowMs: number): boolean {
    const before = this.#revision;
    if (lacp.status !== this.#lacp.status) this.#revision++;
    this.#lacp = lacp;
    for (const [name, member] of this.#members) this.#runMember(name, member, nowMs);
    this.#chooseActive(nowMs);
    this.#assignHashes();
    if (nowMs >= this.#rebalanceAtMs) {
      this.#rebalanceAtMs = nowMs + this.#config.settings.rebalanceIntervalMs;
      this.#rebalance();
    }
    return this.#revision !== before;
  }

  /** Whether stations behind this bridge are to be announced now; then it counts as done. */
  takeLearning(nowMs: number): boolean {
    if (nowMs < this.#learnAtMs) return false;
    this.#learnAtMs = Infinity;
    // A partner that knows of the bond finds them itself.
    return this.#active !== null && this.#lacp.status !== 'negotiated' && this.working !== 'none';
  }

  /** Whether the switch is to be asked for the loads now; then it counts as done. */
  takeCount(nowMs: number): boolean {
    if (nowMs < this.#countAtMs) return false;
    this.#countAtMs = nowMs + countInterval(this.#config.settings.rebalanceIntervalMs);
    return this.working === 'slb' || this.working === 'tcp';
  }

  /** Bytes that the switch has counted for a hash since its rule was made. */
  count(hash: number, bytes: bigint): void {
    const before = this.#counters.get(hash) ?? 0n;
    this.#counters.set(hash, bytes);
    // A rule that was made anew starts from nothing.
    const more = bytes >= before ? bytes - before : bytes;
    if (hash >= 0 && hash < BOND_HASHES) this.#loads[hash] = (this.#loads[hash] ?? 0) + Number(more);
  }

  wakeAtMs(): number {
    const changes = [...this.#members.values()].map(({ changeAtMs }) => changeAtMs);
    const isBalanced = this.working === 'slb' || this.working === 'tcp';
    const counting = isBalanced ? Math.min(this.#rebalanceAtMs, this.#countAtMs) : Infinity;
    return Math.min(counting, this.#learnAtMs, ...changes);
  }

  get working(): Working {
    const { settings, lacpFallbackAb } = this.#config;
    if (this.#lacp.status === 'configured') return lacpFallbackAb ? 'backup' : 'none';
    const byMode: Record<BondMode, Working> = {
      'active-backup': 'backup',
      'balance-slb': 'slb',
      // Needs a partner that spreads by connection too.
      'balance-tcp': this.#lacp.status === 'negotiated' ? 'tcp' : 'none',
    };
    return byMode[settings.mode];
  }

  isEnabled(name: string): boolean {
    return this.#members.get(name)?.isEnabled === true;
  }

  /** Members that carry traffic, `first` (if it is one) before the others, which follow in their order. */
  enabledFrom(first: string | null): BondMemberConfig[] {
    const { members } = this.#config;
    const start = Math.max(
      0,
      members.findIndex(({ name }) => name === first),
    );
    return [...members.slice(start), ...members.slice(0, start)].filter(({ name }) => this.isEnabled(name));
  }

  /** Member that frames of a hash leave by. */
  memberOf(hash: number): string | null {
    return this.#hashes[hash] ?? null;
  }

  /** @throws BondError when there is no such member, or it cannot be done in this mode. */
  command(command: BondCommand, nowMs: number): void {
    const { settings } = this.#config;
    const member = this.#members.get(command.member);
    if (member === undefined) throw new BondError('no such member');
    switch (command.kind) {
      case 'migrate':
        if (settings.mode === 'active-backup') throw new BondError('not an SLB or TCP bond');
        if (!member.isEnabled) throw new BondError('cannot migrate to disabled member');
        if (!Number.isInteger(command.hash) || command.hash < 0 || command.hash >= BOND_HASHES)
          throw new BondError('bad hash');
        this.#assign(command.hash, command.member);
        break;
      case 'set-active-member':
        if (!member.isEnabled) throw new BondError('cannot make disabled member active');
        this.#setActive(command.member, nowMs);
        break;
      case 'enable-member':
      case 'disable-member':
        member.override = command.kind === 'enable-member';
        member.changeAtMs = Infinity;
        this.#setEnabled(command.member, member, member.override, nowMs);
        break;
    }
  }

  status(nowMs: number): Pick<BondStatus, 'nextRebalanceMs' | 'members'> {
    const isBalanced = this.working === 'slb' || this.working === 'tcp';
    return {
      nextRebalanceMs:
        isBalanced && Number.isFinite(this.#rebalanceAtMs) ? Math.max(0, this.#rebalanceAtMs - nowMs) : null,
      members: this.#config.members.map(({ name, ofport, mac }) => {
        const { isEnabled = false, changeAtMs = Infinity } = this.#members.get(name) ?? {};
        const hashes = isBalanced
          ? this.#hashes.flatMap((member, hash) => {
              const bytes = Math.round(this.#loads[hash] ?? 0);
              return member === name && bytes > 0 ? [{ hash, bytes }] : [];
            })
          : [];
        return {
          name,
          ofport,
          mac,
          isEnabled,
          isActive: name === this.#active,
          mayEnable: this.#mayEnable(name),
          pendingMs: Number.isFinite(changeAtMs) ? Math.max(0, changeAtMs - nowMs) : null,
          hashes,
        };
      }),
    };
  }

  snapshot(): BondSnapshot {
    const names = this.#config.members.map(({ name }) => name);
    return {
      enabled: names.filter((name) => this.isEnabled(name)),
      active: this.#active,
      names,
      hashes: this.#hashes.map((name) => (name === null ? -1 : names.indexOf(name))),
    };
  }

  /** Goes on where an earlier run of the controller was; what links and LACP say afterwards counts more. */
  restore({ enabled, active, names, hashes }: BondSnapshot): void {
    for (const name of enabled) {
      const member = this.#members.get(name);
      if (member) Object.assign(member, { isLinkUp: true, isEnabled: true });
    }
    if (active !== null && this.isEnabled(active)) this.#active = active;
    for (let hash = 0; hash < BOND_HASHES; hash++) {
      const name = names[hashes[hash] ?? -1];
      if (name !== undefined && this.isEnabled(name)) this.#hashes[hash] = name;
    }
    this.#revision++;
  }

  #mayEnable(name: string): boolean {
    const member = this.#members.get(name);
    if (member === undefined) return false;
    return (
      member.override ?? (member.isLinkUp && (this.#lacp.status === 'off' || this.#lacp.mayEnable(name)))
    );
  }

  #runMember(name: string, member: Member, nowMs: number): void {
    const mayEnable = this.#mayEnable(name);
    if (mayEnable === member.isEnabled) {
      member.changeAtMs = Infinity;
      return;
    }
    const { updelayMs, downdelayMs } = this.#config.settings;
    const noneEnabled = ![...this.#members.values()].some((it) => it.isEnabled);
    // LACP has its own ways to wait; and the first link to come up is better than none.
    const isAtOnce = this.#lacp.status !== 'off' || (mayEnable && noneEnabled);
    const delay = isAtOnce ? 0 : mayEnable ? updelayMs : downdelayMs;
    if (member.changeAtMs === Infinity) member.changeAtMs = nowMs + delay;
    if (delay > 0 && nowMs < member.changeAtMs) return;
    this.#setEnabled(name, member, mayEnable, nowMs);
  }

  #setEnabled(name: string, member: Member, isEnabled: boolean, nowMs: number): void {
    member.changeAtMs = Infinity;
    if (member.isEnabled === isEnabled) return;
    member.isEnabled = isEnabled;
    this.#revision++;
    // Its hashes are others' now, whose switches must hear of it.
    if (!isEnabled && this.#hashes.includes(name)) this.#learnAtMs = nowMs + LEARNING_DELAY_MS;
  }

  #chooseActive(nowMs: number): void {
    const { primary, mode } = this.#config.settings;
    const isKept = this.#active !== null && this.isEnabled(this.#active);
    if (mode === 'active-backup' && primary !== null && this.isEnabled(primary))
      this.#setActive(primary, nowMs);
    // In the order in which the switch fails over by itself.
    else if (!isKept) this.#setActive(this.enabledFrom(this.#active)[0]?.name ?? null, nowMs);
  }

  #setActive(name: string | null, nowMs: number): void {
    if (name === this.#active) return;
    this.#active = name;
    this.#revision++;
    if (name !== null) this.#learnAtMs = nowMs + LEARNING_DELAY_MS;
  }

  /** Every hash has a member that is enabled; those that carry nothing are spread evenly. */
  #assignHashes(): void {
    const enabled = this.enabledFrom(null).map(({ name }) => name);
    if (enabled.length === 0) return;
    const held = new Map(enabled.map((name) => [name, 0]));
    const free: number[] = [];
    for (const [hash, name] of this.#hashes.entries()) {
      const count = name === null ? undefined : held.get(name);
      if (name === null || count === undefined) free.push(hash);
      else held.set(name, count + 1);
    }
    const fewest = (): string => enabled.reduce((a, b) => ((held.get(b) ?? 0) < (held.get(a) ?? 0) ? b : a));
    const give = (hash: number, name: string): void => {
      this.#assign(hash, name);
      held.set(name, (held.get(name) ?? 0) + 1);
    };
    for (const hash of free) give(hash, fewest());
    // A member that has just come gets its share of those that carry nothing; the others are the rebalancer's.
    const share = Math.floor(BOND_HASHES / enabled.length);
    for (const [hash, name] of this.#hashes.entries()) {
      if (name === null || (held.get(name) ?? 0) <= share + 1 || (this.#loads[hash] ?? 0) > 0) continue;
      const to = fewest();
      if ((held.get(to) ?? 0) >= share) break;
      held.set(name, (held.get(name) ?? 0) - 1);
      give(hash, to);
    }
  }

  #assign(hash: number, name: string): void {
    if (this.#hashes[hash] === name) return;
    this.#hashes[hash] = name;
    this.#revision++;
  }

  /** Moves hashes from the member with the most load to that with the least, while that evens them out. */
  #rebalance(): void {
    const loads = new Map(this.enabledFrom(null).map(({ name }) => [name, 0]));
    for (const [hash, name] of this.#hashes.entries()) {
      const load = name === null ? undefined : loads.get(name);
      if (name !== null && load !== undefined) loads.set(name, load + (this.#loads[hash] ?? 0));
    }
    const isBalanced = this.working === 'slb' || this.working === 'tcp';
    for (let moves = 0; isBalanced && loads.size > 1 && moves < BOND_HASHES; moves++) {
      const ranked = [...loads].sort((a, b) => b[1] - a[1]);
      const [[from, most] = ['', 0]] = ranked;
      const [to, least] = ranked.at(-1) ?? ['', 0];
      const overload = most - least;
      if (overload < MIN_OVERLOAD || overload < least / 32) break;
      // The heaviest that leaves its new member with less than the old one had; a lone heavy one stays where it is.
      const candidates = [...this.#hashes.entries()]
        .filter(([, name]) => name === from)
        .map(([hash]) => ({ hash, load: this.#loads[hash] ?? 0 }))
        .filter(({ load }) => load > 0 && load < overload * 0.9)
        .sort((a, b) => b.load - a.load);
      const best = candidates.find(({ load }) => load <= overload / 2) ?? candidates.at(-1);
      if (best === undefined) break;
      this.#assign(best.hash, to);
      loads.set(from, most - best.load);
      loads.set(to, least + best.load);
    }
    for (let hash = 0; hash < BOND_HASHES; hash++)
      this.#loads[hash] = Math.floor((this.#loads[hash] ?? 0) / 2);
  }
}

function countInterval(rebalanceIntervalMs: number): number {
  return Math.max(MIN_COUNT_INTERVAL_MS, rebalanceIntervalMs / COUNTS_PER_INTERVAL);
}
