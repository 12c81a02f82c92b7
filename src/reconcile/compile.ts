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
  type Numbers,
  type Program,
  type ResolvedGroup,
  type ResolvedMeter,
} from '../programs/index.js';
import { GroupNumbers, PROGRAM_METERS, type MeterRange } from './numbers.js';
import { flowEntry, rememberContent, type FlowEntry, type SwitchTables } from './tables.js';

export interface ProgramFlows {
  readonly program: Program;
  readonly set: FlowSet;
}

/** `SwitchTables`, with the reason for each flow and group. */
export interface Want extends SwitchTables {
  readonly reasons: ReadonlyMap<string, string>;
  readonly groupReasons: ReadonlyMap<number, { readonly program: string; readonly reason: string }>;
}

interface Resolved {
  readonly program: Program;
  readonly layout: string;
  readonly key: string;
  readonly entry: FlowEntry;
}

/** What rules were resolved to that name neither groups nor meters, whose numbers are found anew each time. */
const known = new WeakMap<Flow, Resolved>();

function resolved(pipeline: Pipeline, program: Program, flow: Flow, names: Numbers): Resolved {
  const before = known.get(flow);
  if (before?.program === program && before.layout === pipeline.layout) return before;
  const whole = pipeline.resolve(program, flow, names);
  const now = { program, layout: pipeline.layout, key: flowKey(whole), entry: flowEntry(whole) };
  if (!usesNumbers(flow)) known.set(flow, now);
  return now;
}

/**
 * Numbers everything, checks it, and adds the miss rules of the tables.
 * @param installed groups on the switch, whose numbers are kept.
 * @throws ProgramError when a rule breaks its table's declaration, or two rules are the same to the switch.
 */
export function compile(
  pipeline: Pipeline,
  wanted: readonly ProgramFlows[],
  installed: Iterable<ResolvedGroup>,
  meterRange: MeterRange = PROGRAM_METERS,
): Want {
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
      const { key, entry } = resolved(pipeline, program, flow, names);
      put(program, key, entry, flow.reason);
    }
  }
  return { flows, groups, meters, reasons, groupReasons };
}

/** Whether a rule names groups or meters. */
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
    const content = canonicalGroup(group.type, buckets);
    const groupId =
      group.isModifiable === true ? numbers.forName(`${program.name}/${name}`) : numbers.forContent(content);
    ids.set(name, groupId);
    const resolved = { groupId, type: group.type, buckets };
    rememberContent(resolved, content);
    add(resolved, group);
    return groupId;
  };
  for (const name of [...byName.keys()].sort()) resolve(name);
  return ids;
}
