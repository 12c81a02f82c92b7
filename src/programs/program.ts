/**
 * How a program is written: tables declared as data, flows as a pure function of the bridge and the program's
 * state, and reactions to what the switch reports. `defineProgram` is all that a third party needs; table
 * numbers, cookies, group numbers, differences, ordering, barriers and recovery are the controller's work.
 */
import type { Bridge, MacAddress, PortNumber } from '../domain/index.js';
import type { Action, FieldValue, Flow, FlowPattern, FlowSet, Match, ResolvedInstruction } from './flow.js';

/** What happens to a packet that no other rule of the table matches. */
export type Miss =
  | { readonly kind: 'drop'; readonly reason: string }
  /** On to `table`; `toController`: send that many of its first bytes to the controller as well. */
  | {
      readonly kind: 'next';
      readonly table: string;
      readonly toController?: number;
      readonly reason: string;
    };

export interface TableDeclaration {
  readonly name: string;
  /** One sentence for dumps and diagrams. */
  readonly does: string;
  /** Fields its rules may match, and whether masked. A rule that matches anything else is a programming error. */
  readonly match: Readonly<Record<string, 'exact' | 'maskable'>>;
  readonly miss: Miss;
  /** Whether reactions put rules here: then the table is in use even while `flows` has none for it. */
  readonly isDynamic?: boolean;
  /** Tables its rules may lead to (later ones of this list of tables, or `NEXT_PROGRAM`). */
  readonly next: readonly string[];
}

/** What a program is given on each call. `bridge` has the switch's port numbers filled in. */
export interface ProgramContext {
  readonly bridge: Bridge;
  readonly settings: Readonly<Record<string, number>>;
  /** The switch's ports, as it described them last; absent before it was ever connected. */
  readonly links?: PortLinks;
}

/** A port of the switch. */
export interface PortLink {
  readonly mac: MacAddress;
  readonly isAdminUp: boolean;
  readonly isLinkUp: boolean;
}
export type PortLinks = ReadonlyMap<PortNumber, PortLink>;

export interface PacketInEvent {
  /** Table that sent it, undefined when it is none of this program's. */
  readonly table: string | undefined;
  readonly inPort: PortNumber;
  readonly match: Match;
  /** The first bytes of the frame as it was in that table. Valid during the call only. */
  readonly data: Uint8Array;
}

export interface FlowRemovedEvent {
  readonly kind: string;
  readonly detail: number;
  readonly match: Match;
  /** `IDLE_TIMEOUT`, `HARD_TIMEOUT`, `DELETE`, `GROUP_DELETE`, `METER_DELETE`, `EVICTION`; a number where it has no name. */
  readonly reason: string | number;
}

export interface PortStatusEvent {
  readonly port: PortNumber;
  readonly name: string;
  readonly change: 'added' | 'modified' | 'removed';
  readonly isLinkUp: boolean;
}

/** A flow of this program found on the switch when connecting. */
export interface InstalledFlow {
  readonly table: string | undefined;
  readonly kind: string;
  readonly detail: number;
  readonly match: Match;
  readonly instructions: readonly ResolvedInstruction[];
}

export type FlowChange =
  | { readonly op: 'put'; readonly flow: Flow }
  /** Puts the pattern's flow with that value of the field that varies. */
  | { readonly op: 'put-like'; readonly pattern: FlowPattern; readonly value: FieldValue }
  | { readonly op: 'delete'; readonly flow: Pick<Flow, 'table' | 'priority' | 'match'> };

/** Something worth telling people, on the event stream. */
export interface Notice {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** A frame for the switch to run actions on, as if the controller had sent it in. */
export interface PacketOut {
  readonly actions: readonly Action[];
  readonly data: Uint8Array;
}

/** Counters of a rule that the program has asked for. */
export interface RuleCount {
  readonly kind: string;
  readonly detail: number;
  readonly match: Match;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface Reaction {
  readonly changes: readonly FlowChange[];
  readonly notices: readonly Notice[];
  readonly packetOuts?: readonly PacketOut[];
  /** `flows` has others now: the switch is to be brought there. */
  readonly isStale?: boolean;
  /** Kind of rules whose counters are wanted; they come to `on.counted`. */
  readonly countRules?: string;
}

export const NO_REACTION: Reaction = { changes: [], notices: [] };

export interface ProgramDefinition<State> {
  readonly name: string;
  /** 1 … 255, the program's number in cookies. Unique among the loaded programs; 1 … 15 are Weft's own. */
  readonly id: number;
  readonly tables: readonly TableDeclaration[];
  /**
   * Bits of the metadata register that its rules write or match. No other program may have them; 0 … 48 are the bridge
   * program's, and it forgets the others. None when left out.
   */
  readonly metadataBits?: bigint;
  /** Names of its kinds of rules; the order is part of the cookies, so append only. */
  readonly kinds: readonly string[];
  /** State for a bridge seen for the first time. */
  init(context: ProgramContext, nowMs: number): State;
  /** Everything that follows from the configuration (and from state that changes rarely). */
  flows(context: ProgramContext, state: State): FlowSet;
  /**
   * Flow sets to pass through, in order, between those of two configurations, where going straight from one to
   * the other would for a moment drop frames that both forward.
   */
  transition?(from: ProgramContext, to: ProgramContext, state: State): readonly FlowSet[];
  /** Flows that reactions have put in place so far, for comparison with the switch. */
  dynamicFlows?(context: ProgramContext, state: State): Iterable<Flow>;
  /** Takes over what an earlier run of the controller left on the switch. */
  recover?(context: ProgramContext, state: State, installed: readonly InstalledFlow[], nowMs: number): void;
  /** When `on.timer` is to be called, at the latest; Infinity: not at all. Asked after every call. */
  wakeAtMs?(context: ProgramContext, state: State, nowMs: number): number;
  /**
   * What is to survive a restart of the controller beside what the switch remembers: JSON, kept while the machine runs.
   * Undefined: nothing. Asked after every call, but only when `snapshotKey` has changed.
   */
  snapshot?(context: ProgramContext, state: State, nowMs: number): unknown;
  snapshotKey?(context: ProgramContext, state: State): string;
  /** Goes on from a snapshot that an earlier run took `elapsedMs` ago. Called right after `init`. */
  restore?(context: ProgramContext, state: State, snapshot: unknown, elapsedMs: number, nowMs: number): void;
  /** The reason for a dynamic flow, for dumps. */
  explain?(kind: string, match: Match): string | undefined;
  readonly on?: {
    /** The configuration or the switch's ports changed. `flows` is asked again in any case. */
    configured?(context: ProgramContext, state: State, nowMs: number): Reaction;
    packetIn?(context: ProgramContext, state: State, event: PacketInEvent, nowMs: number): Reaction;
    flowRemoved?(context: ProgramContext, state: State, event: FlowRemovedEvent, nowMs: number): Reaction;
    portStatus?(context: ProgramContext, state: State, event: PortStatusEvent, nowMs: number): Reaction;
    timer?(context: ProgramContext, state: State, nowMs: number): Reaction;
    counted?(context: ProgramContext, state: State, rules: readonly RuleCount[], nowMs: number): Reaction;
  };
}

/** A program running on one bridge. */
export interface ProgramInstance<State = unknown> {
  readonly program: Program<State>;
  readonly state: State;
  context: ProgramContext;
}

export type Program<State = unknown> = Readonly<ProgramDefinition<State>>;

/**
 * Checks and freezes a program.
 * @throws TypeError when the declaration contradicts itself: a duplicate or unknown table, a table that leads backwards.
 */
export function defineProgram<State>(definition: ProgramDefinition<State>): Program<State> {
  const { name, id, tables, kinds } = definition;
  if (!Number.isInteger(id) || id < 1 || id > 255)
    throw new TypeError(`${name}: program id ${id} is not 1 … 255`);
  if (kinds.length > 255 || new Set(kinds).size !== kinds.length)
    throw new TypeError(`${name}: rule kinds repeat`);
  const positions = new Map(tables.map((table, position) => [table.name, position]));
  if (positions.size !== tables.length) throw new TypeError(`${name}: two tables have the same name`);
  for (const [position, table] of tables.entries()) {
    const targets = table.miss.kind === 'next' ? [...table.next, table.miss.table] : table.next;
    for (const target of targets) {
      const to = target.startsWith('(') ? Infinity : positions.get(target);
      if (to === undefined)
        throw new TypeError(`${name}: table ${table.name} leads to unknown table ${target}`);
      if (to <= position) throw new TypeError(`${name}: table ${table.name} leads backwards to ${target}`);
    }
  }
  const program = Object.freeze({ ...definition });
  defined.add(program);
  return program;
}

/** What `defineProgram` has returned. */
const defined = new WeakSet<object>();

export function isProgram(value: unknown): value is Program {
  return typeof value === 'object' && value !== null && defined.has(value);
}
