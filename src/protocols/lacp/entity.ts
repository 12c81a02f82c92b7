/**
 * LACP on one logical port (IEEE 802.1AX-2014 §6.4): the machines of its members (port.ts), and the selection logic that
 * tells their aggregators apart. Pure: takes the time, gives the frames to send; nothing here reads a clock.
 *
 * A bond uses one aggregator. Members whose partner is another system, or another aggregation of the same one, are
 * held in standby: to be looped between two switches by a wrong cable would be worse than a link less.
 */
import type { LacpSettings, MacAddress } from '../../domain/index.js';
import { lacpFrame, markerResponse, readSlowFrame } from './pdu.js';
import { LacpPort, type LacpIdentity, type LacpPortSnapshot } from './port.js';
import type { LacpMemberStatus, LacpStatus } from './status.js';

export interface LacpMember {
  /** Name of the interface. */
  readonly name: string;
  /** Sent from. */
  readonly mac: MacAddress;
  readonly portId: number;
  readonly portPriority: number;
  readonly key: number;
}

export interface LacpConfig {
  readonly port: string;
  readonly settings: LacpSettings;
  readonly systemId: MacAddress;
  readonly members: readonly LacpMember[];
}

/** A frame to send by a member. */
export interface LacpTransmission {
  readonly member: string;
  readonly frame: Uint8Array;
}

export interface LacpSnapshot {
  readonly active: number | null;
  readonly ports: Readonly<Record<string, LacpPortSnapshot & { readonly aggregator: number | null }>>;
}

export class LacpEntity {
  #config: LacpConfig;
  readonly #ports = new Map<string, LacpPort>();
  /** Number of the aggregator that every member brings with it; it may find itself in another's. */
  readonly #numbers = new Map<string, number>();
  /** The aggregator that the bond uses; null: nobody has a partner. */
  #active: number | null = null;
  #answers: LacpTransmission[] = [];

  constructor(config: LacpConfig) {
    this.#config = config;
    this.configure(config);
  }

  /** Members that stay keep their machines. */
  configure(config: LacpConfig): void {
    this.#config = config;
    for (const name of this.#ports.keys()) {
      if (config.members.some((it) => it.name === name)) continue;
      this.#ports.delete(name);
      this.#numbers.delete(name);
    }
    for (const member of config.members) {
      const portConfig = {
        identity: identityOf(config, member),
        isActive: config.settings.mode === 'active',
        time: config.settings.time,
        isAggregatable: config.members.length > 1,
        worksAlone: config.settings.fallbackAb,
      };
      const port = this.#ports.get(member.name);
      if (port) port.configure(portConfig);
      else {
        this.#ports.set(member.name, new LacpPort(portConfig));
        this.#numbers.set(member.name, this.#freeNumber());
      }
    }
  }

  setLink(member: string, isUp: boolean, nowMs: number): void {
    this.#ports.get(member)?.setLink(isUp, nowMs);
  }

  /** Takes a frame that came in by a member; malformed ones are counted. */
  receive(member: string, frame: Uint8Array, nowMs: number): void {
    const port = this.#ports.get(member);
    const mac = this.#config.members.find((it) => it.name === member)?.mac;
    if (port === undefined || mac === undefined) return;
    const slow = readSlowFrame(frame);
    if (slow.kind === 'bad') port.countBad();
    else if (slow.kind === 'lacp') port.receivePdu(slow.actor, slow.partner, nowMs);
    else if (slow.kind === 'marker') {
      port.countMarker();
      // The partner sends few; what somebody else sends in masses is not answered in masses.
      if (this.#answers.length < this.#ports.size)
        this.#answers.push({ member, frame: markerResponse(mac, slow.frame) });
    }
  }

  /** Lets the machines run, and gives what is to be sent. To be called after every input, and at `wakeAtMs`. */
  run(nowMs: number): LacpTransmission[] {
    const ports = [...this.#ports.values()];
    for (const port of ports) port.expireTimers(nowMs);
    // Who is to leave an aggregator does so before another takes it (§6.4.14.1).
    for (const port of ports) if (port.selected === 'UNSELECTED') port.runMux(nowMs);
    this.#select();
    for (const port of ports) {
      const waiting = ports.filter((it) => it.aggregator === port.aggregator && it.mux === 'WAITING');
      port.isReady = waiting.every((it) => it.isReadyAt(nowMs));
    }
    for (const port of ports) port.runMux(nowMs);
    const sent = this.#answers;
    this.#answers = [];
    for (const { name, mac } of this.#config.members) {
      const port = this.#ports.get(name);
      if (port?.takeTransmission(nowMs) !== true) continue;
      sent.push({ member: name, frame: lacpFrame(mac, port.actor, port.partner) });
    }
    return sent;
  }

  /** When `run` has something to do even if nothing comes; Infinity: never. */
  wakeAtMs(nowMs: number): number {
    return Math.min(Infinity, ...[...this.#ports.values()].map((port) => port.wakeAtMs(nowMs)));
  }

  /** A partner takes part. */
  get isNegotiated(): boolean {
    return [...this.#ports.values()].some(
      (port) => port.aggregator === this.#active && port.hasPartner && port.actor.state.synchronized,
    );
  }

  /** Whether frames may leave by the member (distributing), as far as LACP is concerned. */
  mayEnable(member: string): boolean {
    const port = this.#ports.get(member);
    if (port === undefined) return false;
    if (!this.isNegotiated) return this.#config.settings.fallbackAb && port.isLinkUp;
    return port.aggregator === this.#active && port.mux === 'DISTRIBUTING';
  }

  /** Whether frames that come in by the member are taken (collecting). */
  mayCollect(member: string): boolean {
    const port = this.#ports.get(member);
    if (port === undefined) return false;
    if (!this.isNegotiated) return this.mayEnable(member);
    return port.aggregator === this.#active && port.actor.state.collecting;
  }

  status(): LacpStatus {
    const { port, settings, systemId, members } = this.#config;
    return {
      port,
      mode: settings.mode,
      isNegotiated: this.isNegotiated,
      systemId,
      systemPriority: settings.systemPriority,
      aggregationKey: members[0]?.key ?? 0,
      time: settings.time,
      members: members.map(({ name }) => this.#memberStatus(name)),
    };
  }

  snapshot(): LacpSnapshot {
    const ports = [...this.#ports].map(([name, port]) => [
      name,
      { ...port.snapshot(), aggregator: port.aggregator },
    ]);
    return { active: this.#active, ports: Object.fromEntries(ports) as LacpSnapshot['ports'] };
  }

  /** Goes on from a snapshot taken `elapsedMs` ago by an earlier run of the controller. */
  restore(snapshot: LacpSnapshot, elapsedMs: number, nowMs: number): void {
    const numbers = new Set<number>();
    for (const [name, port] of this.#ports) {
      const saved = snapshot.ports[name];
      if (saved === undefined || !port.restore(saved, elapsedMs, nowMs)) continue;
      if (saved.aggregator === null) continue;
      port.aggregator = saved.aggregator;
      port.selected = saved.aggregator === snapshot.active ? 'SELECTED' : 'STANDBY';
      numbers.add(saved.aggregator);
    }
    if (snapshot.active !== null && numbers.has(snapshot.active)) this.#active = snapshot.active;
  }

  /**
   * Selection logic (§6.4.14): ports of one group share an aggregator, and the best aggregator is used. A port whose
   * partner has fallen silent stands by as long as its fellows are in touch. By the mux machine alone it would stop
   * collecting and stay in sync, and partners that go by our being in sync (Open vSwitch) would send to it for three
   * seconds more.
   */
  #select(): void {
    const ports = [...this.#ports];
    const members = (number: number): LacpPort[] =>
      ports.filter(([, it]) => it.aggregator === number).map(([, it]) => it);
    for (const [name, port] of ports) {
      if (port.selected !== 'UNSELECTED' || port.mux !== 'DETACHED') continue;
      port.aggregator = null;
      if (port.receive === 'disabled' || port.isLooped) continue;
      const { groupKey } = port;
      const own = this.#numbers.get(name) ?? 0;
      const fellow = ports.find(
        // One that is yet to be selected may belong elsewhere by now.
        ([, it]) => it.selected !== 'UNSELECTED' && groupKey !== null && it.groupKey === groupKey,
      );
      port.aggregator = fellow?.[1].aggregator ?? (members(own).length === 0 ? own : this.#freeNumber());
      port.selected = 'STANDBY';
    }
    this.#active = this.#best(members);
    for (const [, port] of ports) {
      if (port.selected === 'UNSELECTED') continue;
      const isUsed = port.aggregator === this.#active && port.receive !== 'expired';
      port.selected = this.#active === null || isUsed ? 'SELECTED' : 'STANDBY';
    }
  }

  /** The aggregator in use as long as its partner is there; else that with the most members in touch. */
  #best(members: (aggregator: number) => LacpPort[]): number | null {
    const inTouch = (number: number): number =>
      members(number).filter((port) => port.hasPartner && port.receive === 'current').length;
    if (this.#active !== null && inTouch(this.#active) > 0) return this.#active;
    const numbers = new Set([...this.#ports.values()].flatMap((port) => port.aggregator ?? []));
    const ranked = [...numbers]
      .filter((number) => inTouch(number) > 0)
      .sort((a, b) => inTouch(b) - inTouch(a) || compare(rankOf(members(a)), rankOf(members(b))) || a - b);
    return ranked[0] ?? null;
  }

  #freeNumber(): number {
    const taken = new Set([
      ...this.#numbers.values(),
      ...[...this.#ports.values()].flatMap((port) => port.aggregator ?? []),
    ]);
    let number = 1;
    while (taken.has(number)) number++;
    return number;
  }

  #memberStatus(name: string): LacpMemberStatus {
    // Members and ports are the same, from `configure` on.
    const port = this.#ports.get(name) as LacpPort;
    return {
      name,
      receive: port.receive,
      mux: port.mux,
      isAttached:
        port.aggregator !== null && port.aggregator === this.#active && port.actor.state.synchronized,
      mayEnable: this.mayEnable(name),
      aggregator: port.aggregator,
      isCurrent: port.receive === 'current',
      actorChurn: port.actorChurn,
      partnerChurn: port.partnerChurn,
      actor: port.actor,
      partner: port.partner,
      counters: port.counters,
    };
  }
}

function identityOf({ systemId, settings }: LacpConfig, member: LacpMember): LacpIdentity {
  const { key, portId, portPriority } = member;
  return { systemPriority: settings.systemPriority, systemId, key, portPriority, portId };
}

/** Partners in the order of their system identifiers (§6.3.2). */
function rankOf(ports: readonly LacpPort[]): string {
  const { systemPriority = 0xffff, systemId = '' } = ports.find((port) => port.hasPartner)?.partner ?? {};
  return `${systemPriority.toString(16).padStart(4, '0')} ${systemId}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
