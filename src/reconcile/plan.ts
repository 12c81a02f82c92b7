/**
 * The difference between what a switch holds and what it should hold, as phases of OpenFlow messages. A barrier
 * goes between two phases; within one, the order of messages is kept as well.
 *
 * 1. groups and meters are added or modified, those that others lead to first;
 * 2. flows are added or modified, downstream tables first, so that a rule never leads where nothing is yet;
 * 3. flows are deleted, upstream tables first, so that nothing leads to a rule that is gone;
 * 4. groups and meters that nothing leads to any more are deleted.
 *
 * Deleting before adding would open a gap in which frames are lost.
 */
import {
  flowKey,
  flowLike,
  type FieldValue,
  type ResolvedFlow,
  type ResolvedGroup,
  type ResolvedMeter,
  type ResolvedPattern,
} from '../programs/index.js';
import { equalFlows, equalGroups, equalMeters, flowEntry, type SwitchTables } from './tables.js';

export type Command =
  | { readonly op: 'flow-add'; readonly flow: ResolvedFlow }
  /** Adds the pattern's flow with that value of the field that varies. */
  | { readonly op: 'flow-add-like'; readonly pattern: ResolvedPattern; readonly value: FieldValue }
  /** Only the instructions change: MODIFY_STRICT keeps counters and the time since the flow was added. */
  | { readonly op: 'flow-modify'; readonly flow: ResolvedFlow }
  | {
      readonly op: 'flow-delete';
      readonly flow: Pick<ResolvedFlow, 'tableId' | 'priority' | 'match' | 'cookie'>;
    }
  | { readonly op: 'group-add' | 'group-modify'; readonly group: ResolvedGroup }
  | { readonly op: 'group-delete'; readonly groupId: number }
  | { readonly op: 'meter-add' | 'meter-modify'; readonly meter: ResolvedMeter }
  | { readonly op: 'meter-delete'; readonly meterId: number };

export type Phase = readonly Command[];

/**
 * The phases that lead from `have` to `want`; none when they are equal.
 * @param changedKeys flows outside of which both are known to be the same (`compile`)
 */
export function plan(have: SwitchTables, want: SwitchTables, changedKeys?: Iterable<string>): Phase[] {
  const puts: Command[] = [];
  for (const [id, meter] of want.meters) {
    const old = have.meters.get(id);
    if (old === undefined) puts.push({ op: 'meter-add', meter });
    else if (!equalMeters(old, meter)) puts.push({ op: 'meter-modify', meter });
  }
  for (const [id, group] of want.groups) {
    const old = have.groups.get(id);
    if (old === undefined) puts.push({ op: 'group-add', group });
    else if (!equalGroups(old, group)) puts.push({ op: 'group-modify', group });
  }

  const flowPuts: Command[] = [];
  for (const key of changedKeys ?? want.flows.keys()) {
    const entry = want.flows.get(key);
    const old = have.flows.get(key);
    if (entry === undefined) continue;
    if (old === undefined || old.fixed !== entry.fixed) flowPuts.push({ op: 'flow-add', flow: entry.flow });
    else if (!equalFlows(old, entry)) flowPuts.push({ op: 'flow-modify', flow: entry.flow });
  }
  flowPuts.sort((a, b) => tableOf(b) - tableOf(a));

  const flowDeletes: Command[] = [];
  for (const key of changedKeys ?? have.flows.keys()) {
    const old = have.flows.get(key);
    if (old !== undefined && !want.flows.has(key)) flowDeletes.push({ op: 'flow-delete', flow: old.flow });
  }
  flowDeletes.sort((a, b) => tableOf(a) - tableOf(b));

  const deletes: Command[] = [];
  // The reverse of the order of adding: a group that leads to another goes first.
  for (const id of [...have.groups.keys()].reverse()) {
    if (!want.groups.has(id)) deletes.push({ op: 'group-delete', groupId: id });
  }
  for (const id of have.meters.keys())
    if (!want.meters.has(id)) deletes.push({ op: 'meter-delete', meterId: id });

  return [puts, flowPuts, flowDeletes, deletes].filter((phase) => phase.length > 0);
}

function tableOf(command: Command): number {
  return 'flow' in command ? command.flow.tableId : 0;
}

export interface PlanSize {
  flowAdds: number;
  flowModifies: number;
  flowDeletes: number;
  groupAdds: number;
  groupModifies: number;
  groupDeletes: number;
}

/** Which number of {@link PlanSize} a command is in; meters are in none. */
const COUNTERS: Readonly<Partial<Record<Command['op'], keyof PlanSize>>> = {
  'flow-add': 'flowAdds',
  'flow-add-like': 'flowAdds',
  'flow-modify': 'flowModifies',
  'flow-delete': 'flowDeletes',
  'group-add': 'groupAdds',
  'group-modify': 'groupModifies',
  'group-delete': 'groupDeletes',
};

/** Adds the commands to what has been counted. */
export function countCommands(size: PlanSize, commands: readonly Command[]): void {
  for (const { op } of commands) {
    const counter = COUNTERS[op];
    if (counter !== undefined) size[counter]++;
  }
}

export function planSize(phases: readonly Phase[]): PlanSize {
  const size = {
    flowAdds: 0,
    flowModifies: 0,
    flowDeletes: 0,
    groupAdds: 0,
    groupModifies: 0,
    groupDeletes: 0,
  };
  for (const phase of phases) countCommands(size, phase);
  return size;
}

/** What a switch that held `have` holds after `commands`; how a plan is checked without a switch. */
export function applyCommands(have: SwitchTables, commands: Iterable<Command>): SwitchTables {
  const flows = new Map(have.flows);
  const groups = new Map(have.groups);
  const meters = new Map(have.meters);
  for (const command of commands) {
    switch (command.op) {
      case 'flow-add-like': {
        const flow = flowLike(command.pattern, command.value);
        flows.set(flowKey(flow), flowEntry(flow));
        break;
      }
      case 'flow-add':
      case 'flow-modify':
        flows.set(flowKey(command.flow), flowEntry(command.flow));
        break;
      case 'flow-delete':
        flows.delete(flowKey(command.flow));
        break;
      case 'group-add':
      case 'group-modify':
        groups.set(command.group.groupId, command.group);
        break;
      case 'group-delete':
        groups.delete(command.groupId);
        break;
      case 'meter-add':
      case 'meter-modify':
        meters.set(command.meter.meterId, command.meter);
        break;
      case 'meter-delete':
        meters.delete(command.meterId);
        break;
    }
  }
  return { flows, groups, meters };
}
