/** From what the programs want, by name, to what the switch should hold, by number. */
import {
  canonicalGroup,
  flowKey,
  hashText,
  Pipeline,
  ProgramError,
  resolveActions,
  type Action,
  type Flow,
  type FlowSet,
  type Group,
  type Numbers,
  type Program,
  type ResolvedAction,
  type ResolvedBucket,
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
  /** What it was compiled from, for the next time. */
  readonly source?: Source;
  /** Where it was compiled from what was wanted before: the keys of all flows that may be others than then. */
  readonly changedKeys?: ReadonlySet<string>;
}

interface Source {
  readonly layout: string;
  readonly sets: readonly ProgramFlows[];
}

interface Resolved {
  readonly program: Program;
  readonly layout: string;
  readonly key: string;
  readonly entry: FlowEntry;
  /** The groups and meters that it names, and the numbers that they had. */
  readonly names: readonly { readonly kind: keyof Numbers; readonly name: string; readonly id: number }[];
}

/** What rules were resolved to. A rule that is the same object again is the same to the switch, if its groups are. */
const known = new WeakMap<Flow, Resolved>();

function resolved(pipeline: Pipeline, program: Program, flow: Flow, numbers: Numbers): Resolved {
  const before = known.get(flow);
  const holds =
    before?.program === program &&
    before.layout === pipeline.layout &&
    before.names.every(({ kind, name, id }) => numbers[kind](name) === id);
  if (holds) return before;
  const names: Resolved['names'][number][] = [];
  const noting = (kind: keyof Numbers) => (name: string) => {
    const id = numbers[kind](name);
    names.push({ kind, name, id });
    return id;
  };
  const whole = pipeline.resolve(program, flow, { group: noting('group'), meter: noting('meter') });
  const now = { program, layout: pipeline.layout, key: flowKey(whole), entry: flowEntry(whole), names };
  known.set(flow, now);
  return now;
}

/** The rules of a program that are not those of before, by identity, and those of before that are not any more. */
interface Difference {
  readonly come: readonly Flow[];
  readonly gone: readonly Resolved[];
}

/**
 * What each program wants differently from what was compiled before; null where that is of no use. A rule that names
 * groups or meters is always among both, as these may have other numbers now.
 */
function differences(
  before: Source | undefined,
  pipeline: Pipeline,
  wanted: readonly ProgramFlows[],
): ReadonlyMap<Program, Difference> | null {
  if (before?.layout !== pipeline.layout || before.sets.length !== wanted.length) return null;
  const result = new Map<Program, Difference>();
  for (const [i, { program, set }] of wanted.entries()) {
    const old = before.sets[i];
    if (old?.program !== program) return null;
    const rest = new Set(old.set.flows);
    const come: Flow[] = [];
    const gone: Resolved[] = [];
    for (const flow of set.flows) {
      const stays = rest.has(flow) && known.get(flow)?.names.length === 0;
      if (!stays || !rest.delete(flow)) come.push(flow);
    }
    for (const flow of rest) {
      const resolved = known.get(flow);
      // Used in another pipeline meanwhile.
      if (resolved?.program !== program || resolved.layout !== before.layout) return null;
      gone.push(resolved);
    }
    result.set(program, { come, gone });
  }
  return result;
}

/**
 * Numbers everything, checks it, and adds the miss rules of the tables.
 * @param installed groups on the switch, whose numbers are kept.
 * @param before what is wanted until now: rules that are the same objects as then are not looked at again
 * @throws ProgramError when a rule breaks its table's declaration, or two rules are the same to the switch.
 */
export function compile(
  pipeline: Pipeline,
  wanted: readonly ProgramFlows[],
  installed: Iterable<ResolvedGroup>,
  meterRange: MeterRange = PROGRAM_METERS,
  before?: Want,
): Want {
  const changes = before ? differences(before.source, pipeline, wanted) : null;
  const flows = new Map<string, FlowEntry>(changes ? before?.flows : []);
  const reasons = new Map<string, string>(changes ? before?.reasons : []);
  const changedKeys = new Set<string>();
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
    if (changes) changedKeys.add(key);
  };
  for (const { gone } of changes?.values() ?? []) {
    for (const { key } of gone) {
      flows.delete(key);
      reasons.delete(key);
      changedKeys.add(key);
    }
  }

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
    const groupIds = numberGroups(
      program,
      set.groups ?? [],
      numbers,
      pipeline.layout,
      tableOf,
      (group, from) => {
        if (!groups.has(group.groupId)) groups.set(group.groupId, group);
        groupReasons.set(group.groupId, { program: program.name, reason: from.reason });
      },
    );
    const names = {
      group: (name: string) => must(groupIds.get(name), `${program.name}: no group ${name}`),
      meter: (name: string) => must(meterIds.get(name), `${program.name}: no meter ${name}`),
    };
    if (!changes)
      for (const { flow, reason } of pipeline.missFlows(program))
        put(program, flowKey(flow), flowEntry(flow), reason);
    for (const flow of changes?.get(program)?.come ?? set.flows) {
      const { key, entry } = resolved(pipeline, program, flow, names);
      put(program, key, entry, flow.reason);
    }
  }
  const source = { layout: pipeline.layout, sets: wanted };
  return {
    ...{ flows, groups, meters, reasons, groupReasons, source },
    ...(changes ? { changedKeys } : {}),
  };
}

function must<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new ProgramError(otherwise);
  return value;
}

interface KnownBuckets {
  readonly program: Program;
  readonly layout: string;
  readonly buckets: readonly ResolvedBucket[];
  readonly content: string;
}

/** Of groups that lead to no other group. */
const knownBuckets = new WeakMap<Group, KnownBuckets>();

function resolvedBuckets(
  program: Program,
  layout: string,
  group: Group,
  resolve: (actions: readonly Action[]) => ResolvedAction[],
): KnownBuckets {
  const before = knownBuckets.get(group);
  if (before?.program === program && before.layout === layout) return before;
  const buckets = group.buckets.map(({ actions, ...rest }) => ({ ...rest, actions: resolve(actions) }));
  const now = { program, layout, buckets, content: canonicalGroup(group.type, buckets) };
  const leadsOn = group.buckets.some(({ actions }) => actions.some(({ type }) => type === 'GROUP'));
  if (!leadsOn) knownBuckets.set(group, now);
  return now;
}

/** Numbers the groups of a program, those that others lead to first; `add` gets them in that order. */
function numberGroups(
  program: Program,
  groups: readonly Group[],
  numbers: GroupNumbers,
  layout: string,
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
    const { buckets, content } = resolvedBuckets(program, layout, group, (actions) =>
      resolveActions(actions, { group: resolve, meter: () => 0 }, tableOf),
    );
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
