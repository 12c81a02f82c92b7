/** From what the programs want, by name, to what the switch should hold, by number. */
import {
  canonicalGroup,
  flowKey,
  hashText,
  Pipeline,
  ProgramError,
  resolveActions,
  type Flow,
  type FlowSet,
  type Group,
  type Program,
  type ResolvedGroup,
  type ResolvedMeter,
} from '../programs/index.js';
import { GroupNumbers, PROGRAM_METERS, type MeterRange } from './numbers.js';
import { flowEntry, type FlowEntry, type SwitchTables } from './tables.js';

export interface ProgramFlows {
  readonly program: Program;
  readonly set: FlowSet;
}

/** `SwitchTables`, with the reason for each flow and group. */
export interface Want extends SwitchTables {
  /** What rules were resolved to that name neither groups nor meters: good for as long as the pipeline is the same. */
  readonly resolved: { readonly pipeline: Pipeline | null; readonly flows: ReadonlyMap<Flow, Resolved> };
  readonly reasons: ReadonlyMap<string, string>;
  readonly groupReasons: ReadonlyMap<number, { readonly program: string; readonly reason: string }>;
}

interface Resolved {
  readonly key: string;
  readonly entry: FlowEntry;
}

/**
 * Numbers everything, checks it, and adds the miss rules of the tables.
 * @param installed groups on the switch, whose numbers are kept.
 * @param before what was wanted last; flows that are in it, as objects, need not be resolved and written out again.
 * @throws ProgramError when a rule breaks its table's declaration, or two rules are the same to the switch.
 */
export function compile(
  pipeline: Pipeline,
  wanted: readonly ProgramFlows[],
  installed: Iterable<ResolvedGroup>,
  meterRange: MeterRange = PROGRAM_METERS,
  before?: Want,
): Want {
  const known = before?.resolved.pipeline === pipeline ? before.resolved.flows : new Map<Flow, Resolved>();
  const resolvedFlows = new Map<Flow, Resolved>();
  const flows = new Map<string, FlowEntry>();
  const reasons = new Map<string, string>();
  const groups = new Map<number, ResolvedGroup>();
  const groupReasons = new Map<number, { program: string; reason: string }>();
  const meters = new Map<number, ResolvedMeter>();
  const numbers = new GroupNumbers(installed);

  const put = (program: Program, key: string, entry: FlowEntry, reason: string): void => {
    const other = flows.get(key);
    if (other !== undefined) {
      const rival = pipeline.owner(other.flow)?.program.name ?? '?';
      throw new ProgramError(
        `${rival} and ${program.name} want the same rule ${key}: "${reasons.get(key)}", "${reason}"`,
      );
    }
    flows.set(key, entry);
    reasons.set(key, reason);
  };

  for (const { program, set } of wanted) {
    const meterIds = new Map<string, number>();
    if (meters.size + (set.meters?.length ?? 0) > meterRange.count)
      throw new ProgramError(`${program.name} wants more meters than the switch has`);
    for (const { name, flags, bands } of [...(set.meters ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      let meterId = meterRange.first + (hashText(`${program.name}/${name}`) % meterRange.count);
      while (meters.has(meterId))
        meterId = meterRange.first + ((meterId + 1 - meterRange.first) % meterRange.count);
      meterIds.set(name, meterId);
      meters.set(meterId, { meterId, flags, bands });
    }
    const tableOf = (table: string): number => pipeline.entryOf(program, table);
    const groupIds = numberGroups(program, set.groups ?? [], numbers, tableOf, (group, from) => {
      if (!groups.has(group.groupId)) groups.set(group.groupId, group);
      groupReasons.set(group.groupId, { program: program.name, reason: from.reason });
    });
    const names = {
      group: (name: string) => must(groupIds.get(name), `${program.name}: no group ${name}`),
      meter: (name: string) => must(meterIds.get(name), `${program.name}: no meter ${name}`),
    };
    for (const { flow, reason } of pipeline.missFlows(program))
      put(program, flowKey(flow), flowEntry(flow), reason);
    for (const flow of set.flows) {
      let done = known.get(flow);
      if (done === undefined) {
        const resolved = pipeline.resolve(program, flow, names);
        done = { key: flowKey(resolved), entry: flowEntry(resolved) };
      }
      if (!usesNumbers(flow)) resolvedFlows.set(flow, done);
      put(program, done.key, done.entry, flow.reason);
    }
  }
  const resolved = { pipeline, flows: resolvedFlows };
  return { flows, groups, meters, reasons, groupReasons, resolved };
}

/** Whether a rule names groups or meters, whose numbers are found anew each time. */
function usesNumbers({ instructions }: Flow): boolean {
  return instructions.some(
    (it) => it.type === 'METER' || ('actions' in it && it.actions.some((action) => action.type === 'GROUP')),
  );
}

function must<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new ProgramError(otherwise);
  return value;
}

/** Numbers the groups of a program, those that others lead to first; `add` gets them in that order. */
function numberGroups(
  program: Program,
  groups: readonly Group[],
  numbers: GroupNumbers,
  tableOf: (table: string) => number,
  add: (resolved: ResolvedGroup, from: Group) => void,
): Map<string, number> {
  const byName = new Map(groups.map((group) => [group.name, group]));
  const ids = new Map<string, number>();
  const inProgress = new Set<string>();
  const resolve = (name: string): number => {
    const done = ids.get(name);
    if (done !== undefined) return done;
    const group = must(byName.get(name), `${program.name}: no group ${name}`);
    if (inProgress.has(name)) throw new ProgramError(`${program.name}: group ${name} leads back to itself`);
    inProgress.add(name);
    const buckets = group.buckets.map(({ actions, ...rest }) => ({
      ...rest,
      actions: resolveActions(actions, { group: resolve, meter: () => 0 }, tableOf),
    }));
    const groupId =
      group.isModifiable === true
        ? numbers.forName(`${program.name}/${name}`)
        : numbers.forContent(canonicalGroup(group.type, buckets));
    ids.set(name, groupId);
    add({ groupId, type: group.type, buckets }, group);
    return groupId;
  };
  for (const name of [...byName.keys()].sort()) resolve(name);
  return ids;
}
