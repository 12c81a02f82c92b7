/** What an LACP entity says about itself: a snapshot for `lacp/show`, `lacp/show-stats` and the database's columns. */
import type { MacAddress } from '../../domain/index.js';

/** Flags of an actor or partner state (IEEE 802.1AX-2014 §6.4.2.3), by the names that `lacp/show` prints. */
export interface LacpState {
  /** Active LACP: sends without being asked. */
  readonly activity: boolean;
  /** Short timeout: wants a PDU every second and waits three; else every 30 and waits 90. */
  readonly timeout: boolean;
  /** Can be aggregated with others. */
  readonly aggregation: boolean;
  readonly synchronized: boolean;
  readonly collecting: boolean;
  readonly distributing: boolean;
  /** Goes by what is configured about the partner, as none was heard. */
  readonly defaulted: boolean;
  readonly expired: boolean;
}

/** One side of a link, as its LACPDUs describe it. */
export interface LacpParty {
  readonly systemPriority: number;
  readonly systemId: MacAddress;
  readonly key: number;
  readonly portPriority: number;
  readonly portId: number;
  readonly state: LacpState;
}

/** States of the receive machine (§6.4.12), in `lacp/show`'s words. */
export type LacpReceive = 'current' | 'expired' | 'defaulted' | 'disabled';

export type LacpMux = 'DETACHED' | 'WAITING' | 'ATTACHED' | 'COLLECTING' | 'DISTRIBUTING';

export interface LacpCounters {
  readonly sent: number;
  readonly received: number;
  /** Malformed ones. */
  readonly bad: number;
  readonly markers: number;
  /** Times the partner fell silent, and times it stayed so. */
  readonly expired: number;
  readonly defaulted: number;
  readonly carrierChanges: number;
}

export interface LacpMemberStatus {
  /** Name of the interface. */
  readonly name: string;
  readonly receive: LacpReceive;
  readonly mux: LacpMux;
  /** In the aggregator that the bond uses, and in step with the partner. */
  readonly isAttached: boolean;
  /** Whether LACP would have the member carry traffic. */
  readonly mayEnable: boolean;
  /** Number of the aggregator it is selected for; null: none. */
  readonly aggregator: number | null;
  /** The partner has sent within the timeout (`Interface.lacp_current`). */
  readonly isCurrent: boolean;
  readonly actorChurn: boolean;
  readonly partnerChurn: boolean;
  readonly actor: LacpParty;
  readonly partner: LacpParty;
  readonly counters: LacpCounters;
}

/** Of one port of a bridge that has LACP on. */
export interface LacpStatus {
  /** Name of the port: `bond0`. */
  readonly port: string;
  readonly mode: 'active' | 'passive';
  /** A partner takes part on some member. */
  readonly isNegotiated: boolean;
  readonly systemId: MacAddress;
  readonly systemPriority: number;
  readonly aggregationKey: number;
  readonly time: 'fast' | 'slow';
  readonly members: readonly LacpMemberStatus[];
}
