/**
 * Flooding and egress. VLANs with equal membership share one ALL group; a frame never returns to the port it
 * came from, as OpenFlow leaves out the ingress port by itself (OF 1.3.5 §5.6.1, §5.12).
 */
import { VlanSet, type Vid } from '../../domain/index.js';
import type { Action, Flow, Group, Instruction, Match } from '../flow.js';
import type { Aggregations } from './bonds/aggregations.js';
import { floodTo, hashFor, leaveBy } from './bonds/flows.js';
import {
  floodCustomer,
  loadFlooded,
  MATCH_FROM_PROTECTED,
  matchOut,
  matchOutFromProtected,
  writeFloodCustomer,
} from './metadata.js';
import {
  limitsCustomers,
  matchVids,
  encodingActions,
  perView,
  UNTAGGED,
  type EgressRule,
  type PortView,
} from './ports.js';

/** VLANs that flood alike: the same ports, each with the same encoding. */
interface FloodClass {
  vids: VlanSet;
  readonly members: readonly { readonly view: PortView; readonly rules: readonly EgressRule[] }[];
}

/** What the flood rule of a class depends on besides the VLAN. */
interface Variant {
  readonly isFromProtected: boolean;
  readonly pcp: 'any' | 'zero' | 'nonzero';
}

/** @param isMarked whether copies for a bond are marked as flooded ones */
export function floodFlows(
  views: readonly PortView[],
  isMarked: (view: PortView) => boolean = () => false,
): { flows: Flow[]; groups: Group[] } {
  const flows: Flow[] = [];
  const groups = new Map<string, Group>();
  for (const floodClass of floodClasses(views)) {
    const marked = floodClass.members.map(({ view }) => view.isBond && isMarked(view));
    const made = classFlows(floodClass, marked);
    flows.push(...made.flows);
    // VLANs apart by something else may have the same group.
    for (const group of made.groups) if (!groups.has(group.name)) groups.set(group.name, group);
  }
  return { flows, groups: [...groups.values()] };
}

interface ClassFlows {
  readonly members: readonly PortView[];
  readonly marked: readonly boolean[];
  readonly flows: readonly Flow[];
  readonly groups: readonly Group[];
}

/** Of what was made for a VLAN class, the latest, by the class's first member and its VLANs. */
const known = new WeakMap<PortView, Map<string, ClassFlows>>();
/** A port that is first in more classes than there are VLANs has had its VLANs changed often. */
const MOST_KNOWN = 4096;

/** A class whose members are those of before has the same rules and groups, as objects: a change of one costs one. */
function classFlows(floodClass: FloodClass, marked: readonly boolean[]): ClassFlows {
  const members = floodClass.members.map(({ view }) => view);
  const [first] = members;
  if (first === undefined) return { members, marked, flows: [], groups: [] };
  let classes = known.get(first);
  if (classes === undefined || classes.size > MOST_KNOWN)
    known.set(first, (classes = new Map<string, ClassFlows>()));
  const before = classes.get(floodClass.vids.key);
  const isSame =
    before?.members.length === members.length &&
    members.every((view, i) => view === before.members[i] && marked[i] === before.marked[i]);
  if (isSame) return before;
  const made = { members, marked, ...makeClassFlows(floodClass, marked) };
  classes.set(floodClass.vids.key, made);
  return made;
}

function makeClassFlows(
  floodClass: FloodClass,
  marked: readonly boolean[],
): { flows: Flow[]; groups: Group[] } {
  const flows: Flow[] = [];
  const groups: Group[] = [];
  for (const variant of variantsOf(floodClass)) {
    const ports = floodClass.members
      .map((member, i) => ({ ...member, isMarked: marked[i] === true }))
      .filter(({ view }) => !(variant.isFromProtected && view.port.protected));
    const limited = ports.filter(({ view }) => limitsCustomers(view)).map(({ view }) => view);
    const buckets = ports.flatMap(({ view, rules, isMarked }) => {
      if (limited.includes(view)) return [];
      const rule = rules.find((it) => variant.pcp === 'any' || it.pcp === 'any' || it.pcp === variant.pcp);
      if (rule === undefined) return [];
      // A bucket cannot hash; a bond's copy goes the way of frames for stations behind it.
      if (view.isBond) return [{ actions: [...(isMarked ? [loadFlooded] : []), ...floodTo(view)] }];
      return [
        { actions: [...encodingActions(rule.encoding), { type: 'OUTPUT', port: view.ofport } as const] },
      ];
    });
    const actions: Action[] = [];
    if (buckets.length > 0) {
      const name = `flood ${JSON.stringify(buckets, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`;
      const reason = `flood to ${ports.map(({ view }) => view.port.name).join(', ')}`;
      groups.push({ name, type: 'ALL', buckets, reason });
      actions.push({ type: 'GROUP', group: name });
    }
    flows.push(...floodRules(floodClass, variant, actions, limited));
  }
  return { flows, groups };
}

function floodRules(
  floodClass: FloodClass,
  variant: Variant,
  actions: Action[],
  limited: PortView[],
): Flow[] {
  const blocks = floodClass.vids.maskedVids();
  // A class with a tunnel that looks at customer tags has a single VLAN: the tunnel's.
  const vid = blocks[0]?.value ?? 0;
  const instructions: Instruction[] =
    limited.length > 0
      ? [
          { type: 'APPLY_ACTIONS', actions: [...actions, { type: 'POP_VLAN' }] },
          writeFloodCustomer(vid),
          { type: 'GOTO_TABLE', table: 'customer' },
        ]
      : actions.length > 0
        ? [{ type: 'APPLY_ACTIONS', actions }]
        : [];
  const names = floodClass.members.map(({ view }) => view.port.name);
  return blocks.map((block) => {
    const match: Match = {
      ...(variant.isFromProtected ? { metadata: MATCH_FROM_PROTECTED } : {}),
      vlan_vid: matchVids(block),
      ...(variant.pcp === 'zero' ? { vlan_pcp: 0 } : {}),
    };
    return {
      table: 'flood',
      priority: 100 + (variant.isFromProtected ? 200 : 0) + (variant.pcp === 'zero' ? 100 : 0),
      match,
      instructions,
      kind: 'flood',
      reason: `unknown destination: all of VLAN ${floodClass.vids.key} (${names.length} ports)${
        variant.isFromProtected ? ', without the protected ones' : ''
      }`,
    };
  });
}

function variantsOf({ members }: FloodClass): Variant[] {
  const protection = members.filter(({ view }) => view.port.protected).length > 0 ? [false, true] : [false];
  const splits = members.some(({ rules }) => rules.some((it) => it.pcp !== 'any'));
  const pcps = splits ? (['zero', 'nonzero'] as const) : (['any'] as const);
  return protection.flatMap((isFromProtected) => pcps.map((pcp) => ({ isFromProtected, pcp })));
}

/** Splits the 4096 VLANs into classes: refine by every distinct VLAN set that some egress rule has. */
function floodClasses(views: readonly PortView[]): FloodClass[] {
  const sets = new Map<string, VlanSet>();
  for (const { egress } of views) for (const { vids } of egress) sets.set(vids.key, vids);
  const classOf = new Uint32Array(4096);
  let classes = 1;
  for (const set of sets.values()) {
    if (set.size === 4096) continue;
    const split = new Map<number, number>();
    for (const vid of set) {
      const old = classOf[vid] ?? 0;
      let fresh = split.get(old);
      if (fresh === undefined) split.set(old, (fresh = classes++));
      classOf[vid] = fresh;
    }
  }
  const vidsOf = new Map<number, Vid[]>();
  for (let vid = 0; vid < 4096; vid++) {
    const vids = vidsOf.get(classOf[vid] ?? 0);
    if (vids) vids.push(vid);
    else vidsOf.set(classOf[vid] ?? 0, [vid]);
  }
  // Most ports are access ports: an index by VLAN spares looking at each of them for each class.
  const single = new Map<Vid, PortView[]>();
  const wide: PortView[] = [];
  for (const view of views) {
    const [only] = view.carried.size === 1 ? view.carried : [];
    if (only === undefined) wide.push(view);
    else single.set(only, [...(single.get(only) ?? []), view]);
  }
  return [...vidsOf.values()].flatMap((vids) => {
    const vid = vids[0] ?? 0;
    const members = [...wide, ...(single.get(vid) ?? [])]
      .sort((a, b) => a.id - b.id)
      .map((view) => ({ view, rules: view.egress.filter((rule) => rule.vids.has(vid)) }))
      .filter(({ rules }) => rules.length > 0);
    return members.length > 0 ? [{ vids: VlanSet.of(vids), members }] : [];
  });
}

/** How frames leave by bonds. */
export interface Ways {
  readonly bonds: Aggregations;
  /** Our own datapath, which has more to hash by. */
  readonly isOwnSwitch: boolean;
}

export function egressFlows(views: readonly PortView[], { bonds, isOwnSwitch }: Ways): Flow[] {
  const areProtected = views.filter(({ port }) => port.protected).length > 1;
  return views.flatMap((view) => {
    const flows = view.isBond
      ? egressRules(view, hashFor(view, bonds, isOwnSwitch), leaveBy(view, bonds))
      : plainEgressRules(view);
    return areProtected && view.port.protected ? [...flows, refuseFromProtected(view)] : flows;
  });
}

function refuseFromProtected(view: PortView): Flow {
  return {
    table: 'egress',
    priority: 300,
    match: { metadata: matchOutFromProtected(view.id) },
    instructions: [],
    kind: 'protected',
    detail: view.id,
    reason: `${view.port.name} is protected: nothing from another protected port`,
  };
}

/** Of a port that is no bond; bonds have no say in it. */
const plainEgressRules = perView((view) => egressRules(view, [], [{ type: 'OUTPUT', port: view.ofport }]));

function egressRules(view: PortView, hashing: readonly Action[], leaving: readonly Action[]): Flow[] {
  return view.egress.flatMap((rule) => egressRule(view, rule, hashing, leaving));
}

function egressRule(
  view: PortView,
  rule: EgressRule,
  hashing: readonly Action[],
  leaving: readonly Action[],
): Flow[] {
  const instructions: Instruction[] = limitsCustomers(view)
    ? [
        { type: 'APPLY_ACTIONS', actions: [{ type: 'POP_VLAN' }] },
        { type: 'GOTO_TABLE', table: 'customer' },
      ]
    : leaving.length === 0
      ? []
      : [{ type: 'APPLY_ACTIONS', actions: [...hashing, ...encodingActions(rule.encoding), ...leaving] }];
  return rule.vids.maskedVids().map((block) => ({
    table: 'egress',
    priority: rule.pcp === 'zero' ? 200 : 100,
    match: {
      metadata: matchOut(view.id),
      vlan_vid: matchVids(block),
      ...(rule.pcp === 'zero' ? { vlan_pcp: 0 } : {}),
    },
    instructions,
    kind: 'egress',
    detail: view.id,
    reason:
      instructions.length > 0
        ? `${view.port.name} (${view.port.vlanMode}) sends VLAN ${rule.vids.key} ${rule.encoding}`
        : `${view.port.name}: no member of the bond may be used`,
  }));
}

/**
 * The `customer` table: behind a removed service tag, decides by the customer's tag. Known destinations come with
 * their port in the metadata, flooded frames with the service VLAN.
 */
export function customerFlows(views: readonly PortView[], ways: Ways): Flow[] {
  const limited = views.filter(limitsCustomers);
  const byService = new Map<Vid, PortView[]>();
  for (const view of limited) {
    for (const tag of view.carried) byService.set(tag, [...(byService.get(tag) ?? []), view]);
  }
  return [
    ...limited.flatMap((view) => customerRules(matchOut(view.id), [view], 100, ways)),
    ...[...byService].flatMap(([tag, tunnels]) => {
      const open = tunnels.filter(({ port }) => !port.protected);
      return [
        ...customerRules(matchOut(floodCustomer(tag)), tunnels, 100, ways),
        ...(open.length < tunnels.length
          ? [
              ...customerRules(matchOutFromProtected(floodCustomer(tag)), open, 300, ways),
              refuseProtected(floodCustomer(tag)),
            ]
          : []),
      ];
    }),
  ];
}

function refuseProtected(out: number): Flow {
  return {
    table: 'customer',
    priority: 200,
    match: { metadata: matchOutFromProtected(out) },
    instructions: [],
    kind: 'protected',
    reason: 'between protected ports',
  };
}

function customerRules(
  metadata: Match[string],
  tunnels: readonly PortView[],
  priority: number,
  { bonds, isOwnSwitch }: Ways,
): Flow[] {
  const byMembers = new Map<string, { tunnels: PortView[]; vids: Vid[] }>();
  for (let vid = 0; vid < 4096; vid++) {
    const members = tunnels.filter(({ port }) => port.cvlans?.has(vid) === true);
    if (members.length === 0) continue;
    const key = members.map(({ id }) => id).join();
    const entry = byMembers.get(key);
    if (entry) entry.vids.push(vid);
    else byMembers.set(key, { tunnels: members, vids: [vid] });
  }
  return [...byMembers.values()].flatMap(({ tunnels: members, vids }) => {
    const set = VlanSet.of(vids);
    const actions = members.flatMap((view) => [
      ...hashFor(view, bonds, isOwnSwitch),
      ...leaveBy(view, bonds),
    ]);
    const names = members.map(({ port }) => port.name).join(', ');
    const rule = (vlanVid: Match[string]): Flow => ({
      table: 'customer',
      priority,
      match: { metadata: metadata ?? 0, vlan_vid: vlanVid },
      instructions: [{ type: 'APPLY_ACTIONS', actions }],
      kind: 'customer',
      reason: `customer VLANs ${set.key} may leave by ${names}`,
    });
    const flows = set.maskedVids().map((block) => rule(matchVids(block)));
    // A frame without a customer tag is in customer VLAN 0.
    return set.has(0) ? [...flows, rule(UNTAGGED)] : flows;
  });
}
