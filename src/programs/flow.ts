/**
 * Flows as programs write them (tables, groups and meters by name) and as the switch gets them (by number). The
 * values have node-openflow's shapes, so that nothing is converted between here and the wire.
 */

export type FieldValue = number | bigint | string;
export type MatchField = FieldValue | { readonly value: FieldValue; readonly mask: FieldValue };

/** OXM field names (`in_port`, `vlan_vid` with OFPVID_PRESENT, `eth_dst`, …) to a value or a masked value. */
export type Match = Readonly<Record<string, MatchField>>;

/** Actions that look the same by name and by number; any action of node-openflow may stand here. */
export type PlainAction =
  | { readonly type: 'OUTPUT'; readonly port: number; readonly maxLength?: number }
  | { readonly type: 'PUSH_VLAN'; readonly ethertype: number }
  | { readonly type: 'POP_VLAN' }
  | { readonly type: 'SET_FIELD'; readonly field: Readonly<Record<string, FieldValue>> }
  | { readonly type: 'SET_QUEUE'; readonly queueId: number }
  | { readonly type: 'DEC_NW_TTL' }
  | RegisterMove
  | RegisterLoad
  | Multipath
  | Sample
  | CutOutput;

/** Copies `bits` bits of one field into another (Nicira's NXAST_REG_MOVE; `moveField` writes it). */
export interface RegisterMove {
  readonly type: 'NX_REG_MOVE';
  readonly bits: number;
  readonly sourceOffset: number;
  readonly destinationOffset: number;
  readonly source: string;
  readonly destination: string;
}

/** Puts a value into bits of a field (Nicira's NXAST_REG_LOAD). `offsetBits`: `offset << 6 | (bits - 1)`. */
export interface RegisterLoad {
  readonly type: 'NX_REG_LOAD';
  readonly offsetBits: number;
  readonly destination: 'metadata';
  readonly value: bigint;
}

/** Hashes fields into a number from 0 to `maxLink`, and puts that into bits of a field (Nicira's NXAST_MULTIPATH). */
export interface Multipath {
  readonly type: 'NX_MULTIPATH';
  readonly fields: number;
  readonly basis: number;
  readonly algorithm: number;
  readonly maxLink: number;
  readonly argument: number;
  readonly offsetBits: number;
  readonly destination: 'metadata';
}

/**
 * Hands the packet to the observer `collectorSetId`, with a probability of `probability` / 65535 (Nicira's NXAST_SAMPLE). The
 * packet itself goes on as it is.
 */
export interface Sample {
  readonly type: 'NX_SAMPLE';
  readonly probability: number;
  readonly collectorSetId: number;
  readonly obsDomainId: number;
  readonly obsPointId: number;
}

/** Sends at most `maxLength` bytes of the packet (Nicira's NXAST_OUTPUT_TRUNC); `port` has 16 bits. */
export interface CutOutput {
  readonly type: 'NX_OUTPUT_TRUNC';
  readonly port: number;
  readonly maxLength: number;
}

/** Copies the whole of a field of `bits` bits into another one. */
export function moveField(source: string, destination: string, bits: number): RegisterMove {
  return { type: 'NX_REG_MOVE', bits, sourceOffset: 0, destinationOffset: 0, source, destination };
}

/**
 * `GROUP` names a group of the same program. `RESUBMIT` walks the frame as it is now through the tables from `table`
 * on (a later one, or `NEXT_PROGRAM`), and then goes on with the list: what a bucket needs to hand its copy of the frame
 * on, since a bucket cannot go to a table. It is Nicira's action, so it needs our datapath or Open vSwitch.
 */
export type Action =
  | PlainAction
  | { readonly type: 'GROUP'; readonly group: string }
  | { readonly type: 'RESUBMIT'; readonly table: string };
export type ResolvedAction =
  | PlainAction
  | { readonly type: 'GROUP'; readonly groupId: number }
  | { readonly type: 'NX_RESUBMIT_TABLE'; readonly inPort: number; readonly table: number };

interface ActionList<A> {
  readonly type: 'APPLY_ACTIONS' | 'WRITE_ACTIONS';
  readonly actions: readonly A[];
}
export interface WriteMetadata {
  readonly type: 'WRITE_METADATA';
  readonly metadata: bigint;
  readonly metadataMask: bigint;
}

/** `GOTO_TABLE` and `METER` name a table or a meter; the table `NEXT_PROGRAM` is the next program's first one. */
export type Instruction =
  | ActionList<Action>
  | WriteMetadata
  | { readonly type: 'CLEAR_ACTIONS' }
  | { readonly type: 'METER'; readonly meter: string }
  | { readonly type: 'GOTO_TABLE'; readonly table: string };
export type ResolvedInstruction =
  | ActionList<ResolvedAction>
  | WriteMetadata
  | { readonly type: 'CLEAR_ACTIONS' }
  | { readonly type: 'METER'; readonly meterId: number }
  | { readonly type: 'GOTO_TABLE'; readonly tableId: number };

/** Where the last table of a program leads when others follow it in the pipeline. */
export const NEXT_PROGRAM = '(next program)';

/** A flow rule of a program. */
export interface Flow {
  readonly table: string;
  readonly priority: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
  /** One of the program's rule kinds; with `detail` it makes the cookie. */
  readonly kind: string;
  /** 32 bits the program finds useful in the cookie; 0 when left out. */
  readonly detail?: number;
  readonly idleTimeoutS?: number;
  readonly hardTimeoutS?: number;
  /** Ask for FLOW_REMOVED. */
  readonly notifyRemoved?: boolean;
  /** Why the rule is there, for people who read a dump. */
  readonly reason: string;
}

/**
 * Flows that come by the thousand and are the same but for the value of one match field, as those of learned addresses are.
 * What one of them has been worked out to serves for all: make a pattern once, and keep it.
 */
export interface FlowPattern {
  /** Any of them. */
  readonly flow: Flow;
  /** The field, which `flow` matches without a mask. */
  readonly varies: string;
}

/** The flow of a pattern with that value. */
export function flowLike<F extends { readonly match: Match }>(
  { flow, varies }: { readonly flow: F; readonly varies: string },
  value: FieldValue,
): F {
  return { ...flow, match: { ...flow.match, [varies]: value } };
}

export interface Bucket {
  readonly weight?: number;
  readonly watchPort?: number;
  readonly actions: readonly Action[];
}
export interface ResolvedBucket {
  readonly weight?: number;
  readonly watchPort?: number;
  readonly actions: readonly ResolvedAction[];
}

export type GroupType = 'ALL' | 'SELECT' | 'INDIRECT' | 'FF';

export interface Group {
  /** Name within the program. */
  readonly name: string;
  readonly type: GroupType;
  readonly buckets: readonly Bucket[];
  /**
   * Whether the group is the same one when its buckets change. A group that is not (the default) is never
   * modified: other buckets are another group, and the flows move over to it one by one, each atomically.
   */
  readonly isModifiable?: boolean;
  readonly reason: string;
}

export interface MeterBand {
  readonly type: 'DROP' | 'DSCP_REMARK';
  readonly rate: number;
  readonly burstSize?: number;
  readonly precLevel?: number;
}
export interface Meter {
  readonly name: string;
  readonly flags: readonly ('KBPS' | 'PKTPS' | 'BURST' | 'STATS')[];
  readonly bands: readonly MeterBand[];
  readonly reason: string;
}

/** Everything a program wants on a bridge. */
export interface FlowSet {
  readonly flows: readonly Flow[];
  readonly groups?: readonly Group[];
  readonly meters?: readonly Meter[];
}

/** A flow as the switch gets it. `reason` and `owner` do not travel. */
export interface ResolvedFlow {
  readonly tableId: number;
  readonly priority: number;
  readonly match: Match;
  readonly instructions: readonly ResolvedInstruction[];
  readonly cookie: bigint;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly flags: readonly (string | number)[];
}

/** A {@link FlowPattern} as the switch gets it; the same object as long as the tables are where they are. */
export interface ResolvedPattern {
  readonly flow: ResolvedFlow;
  readonly varies: string;
}

export interface ResolvedGroup {
  readonly groupId: number;
  readonly type: GroupType;
  readonly buckets: readonly ResolvedBucket[];
}

export interface ResolvedMeter {
  readonly meterId: number;
  readonly flags: readonly (string | number)[];
  readonly bands: readonly MeterBand[];
}
