/**
 * The machines of one aggregation port (IEEE 802.1AX-2014 §6.4.12 to §6.4.17): receive, periodic transmission, mux with
 * independent control of collector and distributor, transmit, and churn detection. Which aggregator a port belongs to
 * is decided above it (entity.ts), where all ports are known.
 */
import { macAddress } from '../../domain/index.js';
import type { LacpCounters, LacpMux, LacpParty, LacpReceive, LacpState } from './status.js';

/** §6.4.4, in milliseconds. */
const FAST_PERIODIC_MS = 1_000;
const SLOW_PERIODIC_MS = 30_000;
const SHORT_TIMEOUT_MS = 3 * FAST_PERIODIC_MS;
const LONG_TIMEOUT_MS = 3 * SLOW_PERIODIC_MS;
const CHURN_DETECTION_MS = 60_000;
const AGGREGATE_WAIT_MS = 2_000;
/** No more than so many LACPDUs in any FAST_PERIODIC_MS (§6.4.16). */
const MAX_PDUS = 3;

/** What the actor says of itself, its state apart. */
export type LacpIdentity = Omit<LacpParty, 'state'>;

export interface LacpPortConfig {
  readonly identity: LacpIdentity;
  readonly isActive: boolean;
  readonly time: 'fast' | 'slow';
  readonly isAggregatable: boolean;
  /** Without a partner, act as if there were one that agrees (`lacp-fallback-ab`). */
  readonly worksAlone: boolean;
}

type Selected = 'UNSELECTED' | 'SELECTED' | 'STANDBY';
type Churn = 'none' | 'monitor' | 'churn';

/** What survives a restart of the controller. */
export interface LacpPortSnapshot {
  readonly identity: LacpIdentity;
  readonly receive: LacpReceive;
  readonly mux: LacpMux;
  readonly partner: LacpParty;
  readonly counters: LacpCounters;
}

const NO_STATE: LacpState = {
  activity: false,
  timeout: false,
  aggregation: false,
  synchronized: false,
  collecting: false,
  distributing: false,
  defaulted: false,
  expired: false,
};

/** The partner while none has spoken: Partner_Admin. */
const NO_PARTNER: LacpParty = {
  systemPriority: 0,
  systemId: macAddress('00:00:00:00:00:00'),
  key: 0,
  portPriority: 0,
  portId: 0,
  state: NO_STATE,
};

export function sameIdentity(a: LacpIdentity, b: LacpIdentity): boolean {
  return (
    a.portId === b.portId &&
    a.portPriority === b.portPriority &&
    a.systemId === b.systemId &&
    a.systemPriority === b.systemPriority &&
    a.key === b.key
  );
}

export class LacpPort {
  selected: Selected = 'UNSELECTED';
  /** Number of the aggregator, while selected. */
  aggregator: number | null = null;
  /** All ports that wait for the aggregator are ready (§6.4.15): set from above. */
  isReady = false;

  #config: LacpPortConfig;
  #isLinkUp = false;
  #receive: LacpReceive = 'disabled';
  #mux: LacpMux = 'DETACHED';
  #partner: LacpParty = NO_PARTNER;
  #isDefaulted = true;
  #needsToSend = false;
  #currentUntilMs = Infinity;
  #periodicAtMs = Infinity;
  #readyAtMs = Infinity;
  /** When the last LACPDUs went out, the oldest first. */
  #sentAtMs: number[] = [];
  #actorChurn: Churn = 'none';
  #partnerChurn: Churn = 'none';
  #actorChurnAtMs = Infinity;
  #partnerChurnAtMs = Infinity;
  readonly #counters = {
    sent: 0,
    received: 0,
    bad: 0,
    markers: 0,
    expired: 0,
    defaulted: 0,
    carrierChanges: 0,
  };

  constructor(config: LacpPortConfig) {
    this.#config = config;
  }

  get receive(): LacpReceive {
    return this.#receive;
  }

  get mux(): LacpMux {
    return this.#mux;
  }

  get partner(): LacpParty {
    return this.#partner;
  }

  get isLinkUp(): boolean {
    return this.#isLinkUp;
  }

  /** Has a partner that spoke, be it some time ago. */
  get hasPartner(): boolean {
    return !this.#isDefaulted && this.#receive !== 'disabled';
  }

  get counters(): LacpCounters {
    return { ...this.#counters };
  }

  get actorChurn(): boolean {
    return this.#actorChurn === 'churn';
  }

  get partnerChurn(): boolean {
    return this.#partnerChurn === 'churn';
  }

  /** Actor_Oper. */
  get actor(): LacpParty {
    const { identity, isActive, time, isAggregatable } = this.#config;
    return {
      ...identity,
      state: {
        activity: isActive,
        timeout: time === 'fast',
        aggregation: isAggregatable,
        synchronized: this.#mux === 'ATTACHED' || this.#mux === 'COLLECTING' || this.#mux === 'DISTRIBUTING',
        collecting: this.#mux === 'COLLECTING' || this.#mux === 'DISTRIBUTING',
        distributing: this.#mux === 'DISTRIBUTING',
        defaulted: this.#isDefaulted,
        expired: this.#receive === 'expired',
      },
    };
  }

  /** Ready_N (§6.4.15): has waited long enough for others to join. */
  isReadyAt(nowMs: number): boolean {
    return this.#mux === 'WAITING' && nowMs >= this.#readyAtMs;
  }

  /** The cable leads back to this very aggregation: nothing to send there (§6.4.14.1, i). */
  get isLooped(): boolean {
    const { systemId, key } = this.#config.identity;
    return this.hasPartner && this.#partner.systemId === systemId && this.#partner.key === key;
  }

  /** What tells link aggregation groups apart (§6.4.6); null: alone, in no group. */
  get groupKey(): string | null {
    if (this.#receive === 'disabled') return null;
    const { identity, isAggregatable } = this.#config;
    if (!isAggregatable || !this.#partner.state.aggregation || this.#isDefaulted) return null;
    const { systemPriority, systemId, key } = this.#partner;
    return [identity.systemPriority, identity.systemId, identity.key, systemPriority, systemId, key].join();
  }

  /** Another key, priority or identity makes the port a stranger to its aggregator (§6.4.14.1). */
  configure(config: LacpPortConfig): void {
    const old = this.#config;
    this.#config = config;
    const isSame =
      sameIdentity(old.identity, config.identity) && old.isAggregatable === config.isAggregatable;
    if (!isSame) this.selected = 'UNSELECTED';
    if (!isSame || old.isActive !== config.isActive || old.time !== config.time) this.#needsToSend = true;
    if (this.#isDefaulted) this.#recordDefault();
  }

  /** `port_enabled`. */
  setLink(isUp: boolean, nowMs: number): void {
    if (isUp === this.#isLinkUp) return;
    this.#isLinkUp = isUp;
    this.#counters.carrierChanges++;
    if (isUp) this.#expire(nowMs);
    else this.#disable();
  }

  countBad(): void {
    this.#counters.bad++;
  }

  countMarker(): void {
    this.#counters.markers++;
  }

  /** A LACPDU came: CURRENT (§6.4.12). */
  receivePdu(actor: LacpParty, partner: LacpParty, nowMs: number): void {
    if (!this.#isLinkUp) return;
    this.#counters.received++;
    // update_Selected: another partner, or one that has changed sides.
    if (!sameIdentity(actor, this.#partner) || actor.state.aggregation !== this.#partner.state.aggregation)
      this.selected = 'UNSELECTED';
    const own = this.actor;
    const agrees = sameIdentity(partner, own) && partner.state.aggregation === own.state.aggregation;
    // update_NTT: the partner has a wrong idea of us.
    const knowsState =
      partner.state.activity === own.state.activity &&
      partner.state.timeout === own.state.timeout &&
      partner.state.synchronized === own.state.synchronized;
    if (!agrees || !knowsState) this.#needsToSend = true;
    // recordPDU: in step if it means us (or is alone), and either side keeps the conversation up.
    const isMaintained = actor.state.activity || (own.state.activity && partner.state.activity);
    const isInStep = (agrees || !actor.state.aggregation) && actor.state.synchronized && isMaintained;
    this.#partner = { ...actor, state: { ...actor.state, synchronized: isInStep } };
    this.#isDefaulted = false;
    this.#receive = 'current';
    this.#currentUntilMs = nowMs + this.#timeoutMs;
  }

  /** Lets timers that have run out take effect. */
  expireTimers(nowMs: number): void {
    if (nowMs >= this.#currentUntilMs) {
      if (this.#receive === 'current') {
        this.#counters.expired++;
        this.#expire(nowMs);
      } else if (this.#receive === 'expired') this.#default();
    }
    if (nowMs >= this.#actorChurnAtMs) {
      this.#actorChurn = 'churn';
      this.#actorChurnAtMs = Infinity;
    }
    if (nowMs >= this.#partnerChurnAtMs) {
      this.#partnerChurn = 'churn';
      this.#partnerChurnAtMs = Infinity;
    }
  }

  /** The mux machine, as far as it goes (§6.4.15, figure 6-22). */
  runMux(nowMs: number): void {
    while (this.#stepMux(nowMs));
    this.#watchChurn(nowMs);
  }

  /** Whether a LACPDU is to be sent now; then it counts as sent. */
  takeTransmission(nowMs: number): boolean {
    this.#runPeriodic(nowMs);
    if (!this.#needsToSend || !this.#mayTransmit()) {
      // What a machine at rest would have sent is not sent later (§6.4.16).
      if (!this.#mayTransmit()) this.#needsToSend = false;
      return false;
    }
    this.#sentAtMs = this.#sentAtMs.filter((at) => at + FAST_PERIODIC_MS > nowMs);
    if (this.#sentAtMs.length >= MAX_PDUS) return false;
    this.#sentAtMs.push(nowMs);
    this.#needsToSend = false;
    this.#counters.sent++;
    return true;
  }

  /** When something happens by itself next; Infinity: never. */
  wakeAtMs(nowMs: number): number {
    const [oldest = 0] = this.#sentAtMs;
    // One that is ready waits for the others of its aggregator, and wakes nobody.
    const isWaiting = this.#mux === 'WAITING' && this.selected === 'SELECTED' && this.#readyAtMs > nowMs;
    const held = this.#needsToSend && this.#mayTransmit() ? oldest + FAST_PERIODIC_MS : Infinity;
    return Math.min(
      this.#currentUntilMs,
      this.#periodicAtMs,
      isWaiting ? this.#readyAtMs : Infinity,
      this.#actorChurnAtMs,
      this.#partnerChurnAtMs,
      held,
    );
  }

  snapshot(): LacpPortSnapshot {
    return {
      identity: this.#config.identity,
      receive: this.#receive,
      mux: this.#mux,
      partner: this.#partner,
      counters: this.counters,
    };
  }

  /**
   * Goes on where an earlier run of the controller was, `elapsedMs` ago. The first LACPDU says the same as its last; the
   * partner, which had nobody to hear it meanwhile, has a whole timeout to speak.
   * @returns whether it could: the partner has not missed our LACPDUs for so long that it has given us up
   */
  restore(snapshot: LacpPortSnapshot, elapsedMs: number, nowMs: number): boolean {
    const patienceMs = snapshot.partner.state.timeout ? SHORT_TIMEOUT_MS : LONG_TIMEOUT_MS;
    const isFresh = snapshot.receive === 'current' && elapsedMs < patienceMs;
    if (!isFresh || !sameIdentity(snapshot.identity, this.#config.identity)) return false;
    this.#isLinkUp = true;
    this.#receive = 'current';
    this.#isDefaulted = false;
    this.#partner = snapshot.partner;
    this.#currentUntilMs = nowMs + this.#timeoutMs;
    this.#mux = snapshot.mux === 'WAITING' ? 'DETACHED' : snapshot.mux;
    Object.assign(this.#counters, snapshot.counters);
    this.#needsToSend = true;
    return true;
  }

  /** How long the partner may be silent: as often as we have asked it to speak. */
  get #timeoutMs(): number {
    return this.#config.time === 'fast' ? SHORT_TIMEOUT_MS : LONG_TIMEOUT_MS;
  }

  /** PORT_DISABLED. The partner's address is kept: the link may come back to the same place. */
  #disable(): void {
    this.#receive = 'disabled';
    this.#setPartnerState({ synchronized: false });
    this.#currentUntilMs = Infinity;
    this.#periodicAtMs = Infinity;
    this.selected = 'UNSELECTED';
    this.#actorChurn = this.#partnerChurn = 'none';
    this.#actorChurnAtMs = this.#partnerChurnAtMs = Infinity;
  }

  /** EXPIRED: ask for quick answers, and wait a short while for one. */
  #expire(nowMs: number): void {
    this.#receive = 'expired';
    this.#setPartnerState({ synchronized: false, timeout: true });
    this.#currentUntilMs = nowMs + SHORT_TIMEOUT_MS;
  }

  /** DEFAULTED. */
  #default(): void {
    this.#receive = 'defaulted';
    this.#currentUntilMs = Infinity;
    if (!this.#isDefaulted) this.#counters.defaulted++;
    // update_Default_Selected
    if (!sameIdentity(this.#partner, NO_PARTNER) || this.#partner.state.aggregation)
      this.selected = 'UNSELECTED';
    this.#recordDefault();
  }

  #recordDefault(): void {
    this.#isDefaulted = true;
    const isInStep = this.#config.worksAlone && this.#receive === 'defaulted';
    this.#partner = {
      ...NO_PARTNER,
      state: {
        ...NO_STATE,
        synchronized: isInStep,
        collecting: isInStep,
        timeout: this.#receive === 'expired',
      },
    };
  }

  #setPartnerState(change: Partial<LacpState>): void {
    this.#partner = { ...this.#partner, state: { ...this.#partner.state, ...change } };
  }

  #stepMux(nowMs: number): boolean {
    const { synchronized, collecting } = this.#partner.state;
    const isSelected = this.selected === 'SELECTED';
    const next = ((): LacpMux => {
      switch (this.#mux) {
        case 'DETACHED':
          return this.selected === 'UNSELECTED' ? 'DETACHED' : 'WAITING';
        case 'WAITING':
          if (this.selected === 'UNSELECTED') return 'DETACHED';
          return isSelected && this.isReady ? 'ATTACHED' : 'WAITING';
        case 'ATTACHED':
          if (!isSelected) return 'DETACHED';
          return synchronized ? 'COLLECTING' : 'ATTACHED';
        case 'COLLECTING':
          if (!isSelected || !synchronized) return 'ATTACHED';
          return collecting ? 'DISTRIBUTING' : 'COLLECTING';
        case 'DISTRIBUTING':
          return isSelected && synchronized && collecting ? 'DISTRIBUTING' : 'COLLECTING';
      }
    })();
    if (next === this.#mux) return false;
    this.#mux = next;
    if (next === 'WAITING') {
      this.#readyAtMs = nowMs + AGGREGATE_WAIT_MS;
      this.isReady = false;
    } else this.#needsToSend = true;
    return true;
  }

  /** Churn (§6.4.17): in 60 s the sides did not come to agree. */
  #watchChurn(nowMs: number): void {
    if (this.#receive === 'disabled') return;
    if (this.actor.state.synchronized) {
      this.#actorChurn = 'none';
      this.#actorChurnAtMs = Infinity;
    } else if (this.#actorChurn === 'none') {
      this.#actorChurn = 'monitor';
      this.#actorChurnAtMs = nowMs + CHURN_DETECTION_MS;
    }
    if (this.#partner.state.synchronized) {
      this.#partnerChurn = 'none';
      this.#partnerChurnAtMs = Infinity;
    } else if (this.#partnerChurn === 'none') {
      this.#partnerChurn = 'monitor';
      this.#partnerChurnAtMs = nowMs + CHURN_DETECTION_MS;
    }
  }

  /** Not NO_PERIODIC (§6.4.13): of two passive ends, neither speaks. */
  #mayTransmit(): boolean {
    return this.#isLinkUp && (this.#config.isActive || this.#partner.state.activity);
  }

  #runPeriodic(nowMs: number): void {
    if (!this.#mayTransmit()) {
      this.#periodicAtMs = Infinity;
      return;
    }
    const periodMs = this.#partner.state.timeout ? FAST_PERIODIC_MS : SLOW_PERIODIC_MS;
    const isStarting = this.#periodicAtMs === Infinity;
    // A partner that now wants them often gets the first one at once.
    const isLate = nowMs >= this.#periodicAtMs || this.#periodicAtMs > nowMs + periodMs;
    if (!isStarting && !isLate) return;
    this.#needsToSend = true;
    this.#periodicAtMs = nowMs + periodMs;
  }
}
