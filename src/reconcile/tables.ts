/** What a switch holds of ours, or should hold. */
import {
  canonicalGroup,
  canonicalInstructions,
  flowKey,
  type ResolvedFlow,
  type ResolvedGroup,
  type ResolvedMeter,
} from '../programs/index.js';

/** A flow with the texts it is compared by. */
export interface FlowEntry {
  readonly flow: ResolvedFlow;
  /** What MODIFY_STRICT can change. */
  readonly instructions: string;
  /** What it cannot: cookie, timeouts, flags. */
  readonly fixed: string;
}

export interface SwitchTables {
  /** By `flowKey`. */
  readonly flows: ReadonlyMap<string, FlowEntry>;
  readonly groups: ReadonlyMap<number, ResolvedGroup>;
  readonly meters: ReadonlyMap<number, ResolvedMeter>;
}

export const EMPTY_TABLES: SwitchTables = { flows: new Map(), groups: new Map(), meters: new Map() };

export function flowEntry(flow: ResolvedFlow): FlowEntry {
  return {
    flow,
    instructions: canonicalInstructions(flow.instructions),
    fixed: `${flow.cookie} ${flow.idleTimeout} ${flow.hardTimeout} ${[...flow.flags].sort().join()}`,
  };
}

export function switchTables(
  flows: Iterable<ResolvedFlow>,
  groups: Iterable<ResolvedGroup> = [],
  meters: Iterable<ResolvedMeter> = [],
): SwitchTables {
  return {
    flows: new Map(Array.from(flows, (flow) => [flowKey(flow), flowEntry(flow)])),
    groups: new Map(Array.from(groups, (group) => [group.groupId, group])),
    meters: new Map(Array.from(meters, (meter) => [meter.meterId, meter])),
  };
}

const contents = new WeakMap<ResolvedGroup, string>();

/** The text that groups are compared by. */
export function contentOf(group: ResolvedGroup): string {
  let content = contents.get(group);
  if (content === undefined) contents.set(group, (content = canonicalGroup(group.type, group.buckets)));
  return content;
}

/** Spares working out the text of a group for which somebody has it. */
export function rememberContent(group: ResolvedGroup, content: string): void {
  contents.set(group, content);
}

/** Whether both mean the same to a switch. */
export function equalFlows(a: FlowEntry, b: FlowEntry): boolean {
  return a === b || (a.instructions === b.instructions && a.fixed === b.fixed);
}

export function equalGroups(a: ResolvedGroup, b: ResolvedGroup): boolean {
  return a === b || contentOf(a) === contentOf(b);
}

export function equalMeters(a: ResolvedMeter, b: ResolvedMeter): boolean {
  return JSON.stringify([[...a.flags].sort(), a.bands]) === JSON.stringify([[...b.flags].sort(), b.bands]);
}
