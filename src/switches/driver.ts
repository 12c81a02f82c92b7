/**
 * What the rest of the controller sees of a switch. One driver per bridge: it keeps one OpenFlow connection,
 * makes the switch hold what the bridge's programs want, and answers questions about it.
 */
import type { MessageInput, MultipartRequestBodyInput, ObserverStats, TlsOptions } from 'node-openflow';
import type { Bridge, MacAddress, PortNumber, Vid } from '../domain/index.js';
import type { PlanSize } from '../reconcile/index.js';
import type { ObservationListener, ObserverStatus } from './observers.js';
import type { LacpStatus } from '../protocols/index.js';
import type {
  BondCommand,
  BondStatus,
  Match,
  Program,
  ResolvedAction,
  ResolvedInstruction,
} from '../programs/index.js';

export interface SwitchDriver {
  readonly bridge: string;
  /** Starts connecting, and keeps reconnecting with backoff until `stop`. */
  start(): void;
  /** Takes new desired state. Returns at once; `status().inSync` and `synced()` tell when the switch has it. */
  configure(bridge: Bridge): void;
  /** What going over to this configuration would take, apart from learned addresses that it makes wrong. */
  preview(bridge: Bridge): PlanSize;
  /** Resolves once the switch holds the latest configuration (a barrier was answered). Rejects after `timeoutMs`, and when the driver is stopped. */
  synced(timeoutMs: number): Promise<void>;
  status(): SwitchStatus;
  /** The MAC table, static and own entries included. */
  fdb(): FdbEntry[];
  /** Forgets learned entries that fit every given criterion; returns how many. */
  flushFdb(criteria?: FdbCriteria): number;
  /** The bridge's bonds as they are at this moment, by name. */
  bonds(): BondStatus[];
  /** The ports that have LACP on, by name. */
  lacp(): LacpStatus[];
  /** @throws BondError that says what cannot be done, in words for the administrator. */
  commandBond(command: BondCommand): void;
  /** Sets the totals of {@link SwitchStatus.learning} to zero. */
  clearFdbCounters(): void;
  /** The flows on the switch, users' too. @throws Error while not connected or when the switch does not answer. */
  dumpFlows(selection?: FlowSelection): Promise<FlowDump[]>;
  /**
   * The same part by part, as the switch sends them, on a connection of its own: who reads slowly holds back the dump
   * and nothing else. @throws Error when the switch does not answer
   */
  streamFlows(selection?: FlowSelection): AsyncGenerator<FlowDump[]>;
  dumpGroups(): Promise<GroupDump[]>;
  /** Which program a flow is of, and why it is there; null: a user's or another controller's. */
  owner(flow: Pick<FlowDump, 'tableId' | 'priority' | 'match' | 'cookie'>): FlowOwner | null;
  /** Whose table it is and what the program calls it; null: nobody's. */
  table(tableId: number): { readonly program: string; readonly name: string } | null;
  dumpMeters(): Promise<MeterDump[]>;
  /**
   * Changes what belongs to users: all messages or none. The datapath refuses what would touch the program's tables,
   * groups and meters. @throws Error where there is no connection, ForeignSwitchError on a switch of somebody else
   */
  changeAsUser(messages: readonly MessageInput[]): Promise<readonly RefusedMessage[]>;
  /** What samples and accounts for collectors and for the live view, and whether the switch does it. */
  observers(): ObserverStatus[];
  /** Calls `listener` with what observers have seen until the returned function is called. */
  observations(listener: ObservationListener): () => void;
  /** Has every flow accounted for the live view, or no longer. */
  watchFlows(isWatched: boolean): void;
  /** Has all open flows reported; resolves when the listeners have had them. At once while not connected. */
  flushObservers(): Promise<void>;
  /** Counters of the switch's observers. @throws Error while not connected */
  observerStats(): Promise<readonly ObserverStats[]>;
  /** The switch's ports as it described them last. */
  ports(): SwitchPort[];
  /** Calls `listener` for every event until the returned function is called. */
  subscribe(listener: (event: SwitchEvent) => void): () => void;
  /** Closes the connection and stops. The flows stay, so that the switch keeps forwarding. */
  stop(): Promise<void>;
}

export interface SwitchStatus {
  readonly connected: boolean;
  /** Connected, and the last plan was acknowledged by a barrier without an error. */
  readonly inSync: boolean;
  readonly target: string;
  readonly datapathId: string | null;
  readonly flowsWanted: number;
  readonly groupsWanted: number;
  readonly macs: number;
  readonly lastError: string | null;
  readonly sent: SentCounters;
  /** Messages sent by OpenFlow's own names of types (`FLOW_MOD`), over all connections of the driver so far. */
  readonly messagesSent: Readonly<Record<string, number>>;
  /** What changes of configuration and comparisons have taken so far: of `sent`, what was not for learned addresses alone. */
  readonly planned: Readonly<PlanSize>;
  readonly received: { readonly packetIns: number; readonly flowsRemoved: number; readonly errors: number };
  /** What became of MAC addresses, in total. */
  readonly learning: {
    readonly learned: number;
    readonly moved: number;
    readonly aged: number;
    readonly evicted: number;
    readonly flushed: number;
  };
  /** Sources the MAC table did not learn, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface SentCounters {
  flowAdds: number;
  flowModifies: number;
  flowDeletes: number;
  groupAdds: number;
  groupModifies: number;
  groupDeletes: number;
  barriers: number;
  /** Full comparisons with what the switch holds. */
  reconciles: number;
}

export interface FdbEntry {
  readonly vlan: Vid;
  readonly mac: MacAddress;
  /** Name of the logical port. */
  readonly port: string;
  /** `own`: an address of one of the bridge's internal interfaces. */
  readonly kind: 'learned' | 'static' | 'own';
  /** Seconds since it was learned or moved, null unless learned. */
  readonly ageS: number | null;
}

/** Of a FLOW request (OF 1.3.5 §7.3.5.2): table, cookie, match, out_port, out_group. Left out: every flow. */
export type FlowSelection = Partial<Omit<Extract<MultipartRequestBodyInput, { type: 'FLOW' }>, 'type'>>;

/** What the switch says to one of several messages. */
export interface RefusedMessage {
  /** Index among the messages given. */
  readonly index: number;
  /** `FLOW_MOD_FAILED` and the like (OF 1.3.5 §7.4.4). */
  readonly errorType: string;
  readonly code: string;
}

/** Users' flows are changed on our own datapath only, which knows them from the program's. */
export class ForeignSwitchError extends Error {
  override readonly name = 'ForeignSwitchError';
}

export interface FdbCriteria {
  readonly port?: string;
  readonly vlan?: Vid;
  readonly mac?: MacAddress;
}

/** Which program installed a flow, and why. */
export interface FlowOwner {
  readonly program: string;
  /** Name of the table in the program. */
  readonly table: string;
  readonly kind: string;
  readonly reason: string;
}

export interface FlowDump {
  readonly tableId: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly match: Match;
  readonly instructions: readonly ResolvedInstruction[];
  readonly idleTimeoutS: number;
  readonly hardTimeoutS: number;
  readonly flags: readonly (string | number)[];
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly durationS: number;
  /** Null for flows of users and other controllers. */
  readonly owner: FlowOwner | null;
}

export interface GroupDump {
  readonly groupId: number;
  readonly type: string | number;
  readonly buckets: readonly {
    readonly weight: number;
    readonly watchPort: PortNumber;
    readonly watchGroup: number;
    readonly actions: readonly ResolvedAction[];
  }[];
  readonly owner: { readonly program: string; readonly reason: string } | null;
}

export interface MeterDump {
  readonly meterId: number;
  readonly flags: readonly (string | number)[];
  readonly bands: readonly object[];
  readonly owner: { readonly program: string; readonly reason: string } | null;
}

export interface SwitchPort {
  readonly name: string;
  readonly ofport: PortNumber;
  readonly mac: MacAddress;
  readonly isAdminUp: boolean;
  readonly isLinkUp: boolean;
}

export type SwitchEvent =
  | { readonly kind: 'connected'; readonly datapathId: string }
  | { readonly kind: 'disconnected'; readonly because: string }
  | {
      readonly kind: 'in-sync';
      readonly flowAdds: number;
      readonly flowModifies: number;
      readonly flowDeletes: number;
    }
  | { readonly kind: 'error'; readonly message: string }
  /** A bond or LACP is in another state: `bonds()` and `lacp()` have it. */
  | { readonly kind: 'bond'; readonly bond: string; readonly message: string }
  | { readonly kind: 'port'; readonly change: 'added' | 'modified' | 'removed'; readonly port: SwitchPort }
  | { readonly kind: 'learned'; readonly vlan: Vid; readonly mac: MacAddress; readonly port: string }
  | {
      readonly kind: 'moved' | 'aged' | 'evicted' | 'flushed';
      readonly vlan: Vid;
      readonly mac: MacAddress;
      readonly port: string;
      /** Where a moved address was before. */
      readonly from?: string;
    };

/** Structured log lines; pino's logger fits. */
export interface Log {
  debug(context: object, message: string): void;
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
}

export interface DriverOptions {
  readonly bridge: Bridge;
  /** Where `<bridge>.program` lies; only for bridges on our own datapath. */
  readonly rundir: string;
  readonly log: Log;
  /** New MAC addresses and moves that each port may cause, a second and at once. */
  readonly learnRatePerS?: number;
  readonly learnBurst?: number;
  /** For `ssl:` targets. */
  readonly tls?: TlsOptions;
  /** Programs before the bridge program, in this order. */
  readonly programs?: readonly Program[];
}
