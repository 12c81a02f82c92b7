/**
 * Mirrors (ovs-vswitchd.conf.db(5), "Mirror"): SPAN, where a port gets copies, and RSPAN, where a VLAN does.
 *
 * A copy is a bucket of an ALL group, so that the frame itself goes on as it is. The bucket names the mirror in the
 * metadata and hands its clone to the table `mirror`, which writes it as the output wants it. A mirror copies a frame once:
 *
 * - what is selected on its way in is copied in `observe`: as it came, in the VLAN that it was found to be in;
 * - what is selected on its way out only is copied where it goes out: in `egress` by one port, in `flood` by several, by
 *   rules that stand above those without copies and do the same besides.
 *
 * Those rules come and go by themselves; what they stand above is never touched.
 */
import { VlanSet, type Bridge, type Mirror } from '../../domain/index.js';
import type { Action, Bucket, Flow, FlowSet, Group, Instruction, Match, MatchField } from '../flow.js';
import type { Ways } from './flood.js';
import { cutBondFlows, hashFor, leaveBy, type Cut } from './bonds/flows.js';
import type { LogicalPortId } from './mac-table.js';
import { alsoIn, cutPort, loadOut, matchIn, matchOut, matchOutOf, mirrorPort } from './metadata.js';
import {
  allPortViews,
  encodingActions,
  limitsCustomers,
  matchVids,
  portViews,
  PRESENT,
  type Encoding,
  type PortView,
} from './ports.js';
import { RESERVED_DESTINATIONS } from './reserved.js';

/** Above the rules without copies (100 to 400, by hundreds); those for a port that a frame came in by above these. */
const COPY = 20;
const COPY_BY_SOURCE = 40;

/** A mirror that can work, with its number in the metadata. */
export interface ActiveMirror {
  readonly mirror: Mirror;
  readonly index: number;
  /** Null: of an RSPAN. */
  readonly output: PortView | null;
  /** VLANs of the frames that are copied; never the one that copies go into. */
  readonly vlans: VlanSet;
  readonly sources: ReadonlySet<LogicalPortId>;
  readonly destinations: ReadonlySet<LogicalPortId>;
}

const known = new WeakMap<Bridge, readonly ActiveMirror[]>();

/** Those that have somewhere to copy to and something to copy, by name. */
export function activeMirrors(bridge: Bridge): readonly ActiveMirror[] {
  let list = known.get(bridge);
  if (list === undefined) known.set(bridge, (list = findMirrors(bridge)));
  return list;
}

function findMirrors(bridge: Bridge): ActiveMirror[] {
  const ids = new Map(portViews(bridge).map((view) => [view.port.name, view.id]));
  const idsOf = (names: readonly string[]) => new Set(names.flatMap((name) => ids.get(name) ?? []));
  const byName = [...bridge.mirrors].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return byName.flatMap((mirror, index): ActiveMirror[] => {
    const { output: to } = mirror;
    const output = to.kind === 'port' ? allPortViews(bridge).find(({ port }) => port.name === to.port) : null;
    if (output === undefined) return [];
    const selected = mirror.vlans ?? VlanSet.all;
    const sources = mirror.selectAll ? new Set(ids.values()) : idsOf(mirror.sourcePorts);
    // What comes in by any port is selected then; nothing goes out that did not come in.
    const destinations = mirror.selectAll ? new Set<LogicalPortId>() : idsOf(mirror.destinationPorts);
    if (sources.size === 0 && destinations.size === 0) return [];
    const vlans = to.kind === 'vlan' ? selected.without(to.vlan) : selected;
    return [{ mirror, index, output, vlans, sources, destinations }];
  });
}

/** VLANs that copies go into: nothing is learned there. */
export function mirrorVlans(bridge: Bridge): VlanSet {
  return VlanSet.of(bridge.mirrors.flatMap(({ output }) => (output.kind === 'vlan' ? [output.vlan] : [])));
}

/** Whether copies of what goes out by the port are made there, and not again of what was flooded to it. */
export function isDestination(bridge: Bridge): (view: PortView) => boolean {
  const mirrors = activeMirrors(bridge);
  return ({ id }) => mirrors.some(({ destinations }) => destinations.has(id));
}

/**
 * The rules of `ingress` and `observe`: what comes in by an output port is dropped; copies of what comes in elsewhere.
 * @param before what is done with every frame in `observe` besides
 */
export function mirrorInFlows(bridge: Bridge, before: readonly Action[]): FlowSet {
  const mirrors = activeMirrors(bridge);
  const groups = new Groups();
  const flows: Flow[] = outputPorts(bridge).flatMap(refuse);
  const everywhere = mirrors.filter(({ mirror }) => mirror.selectAll);
  const observe = (from: PortView | null, chosen: readonly ActiveMirror[], priority: number) => {
    for (const { vids, mirrors: some } of split(VlanSet.all, chosen)) {
      for (const block of vids.maskedVids())
        flows.push({
          table: 'observe',
          priority,
          match: { ...(from ? { metadata: matchIn(from.id) } : {}), vlan_vid: matchVids(block) },
          instructions: [
            { type: 'APPLY_ACTIONS', actions: [...before, groups.copyTo(some)] },
            { type: 'GOTO_TABLE', table: 'eth_src' },
          ],
          kind: 'mirror',
          detail: from?.id ?? 0,
          reason: `what comes in ${from ? `by ${from.port.name}` : 'anywhere'} is copied: ${namesOf(some)}`,
        });
    }
  };
  observe(null, everywhere, 100);
  for (const view of portViews(bridge)) {
    const own = mirrors.filter(({ sources }) => sources.has(view.id));
    if (own.some((each) => !everywhere.includes(each))) observe(view, own, 200);
  }
  return { flows, groups: groups.list };
}

/**
 * The rules of `mirror`, and those of `flood` and `egress` that copy.
 * @param base the rules of `flood` and `egress` without copies
 */
export function mirrorOutFlows(bridge: Bridge, base: readonly Flow[], ways: Ways): FlowSet {
  const mirrors = activeMirrors(bridge);
  const groups = new Groups();
  const flows = mirrors.flatMap((each) =>
    each.output === null
      ? spreadFlows(bridge, each, ways, groups)
      : writeFlows(bridge, each, each.output, ways, groups),
  );
  const outwards = mirrors.filter(({ destinations }) => destinations.size > 0);
  if (outwards.length > 0) {
    const views = portViews(bridge);
    for (const flow of base) {
      if (flow.instructions.length === 0) continue;
      if (flow.table === 'egress' && flow.kind === 'egress')
        flows.push(...copyingEgress(flow, outwards, views, groups));
      if (flow.table === 'flood') flows.push(...copyingFlood(flow, outwards, views, groups));
    }
  }
  return { flows, groups: groups.list };
}

/** Groups by their contents: mirrors that copy together share one. */
class Groups {
  readonly #byName = new Map<string, Group>();

  get list(): Group[] {
    return [...this.#byName.values()];
  }

  copyTo(mirrors: readonly ActiveMirror[]): Action {
    const buckets = mirrors.map(({ mirror: { output }, index }): Bucket => {
      const name: Action[] = [loadOut(mirrorPort(index)), { type: 'RESUBMIT', table: 'mirror' }];
      return { actions: output.kind === 'vlan' ? [setVid(output.vlan), ...name] : name };
    });
    return this.all(`mirror ${JSON.stringify(buckets, texts)}`, buckets, `copies: ${namesOf(mirrors)}`);
  }

  add(group: Group): void {
    this.#byName.set(group.name, group);
  }

  all(name: string, buckets: readonly Bucket[], reason: string): Action {
    if (!this.#byName.has(name)) this.#byName.set(name, { name, type: 'ALL', buckets, reason });
    return { type: 'GROUP', group: name };
  }
}

const texts = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
const namesOf = (mirrors: readonly ActiveMirror[]): string =>
  mirrors.map(({ mirror }) => mirror.name || 'unnamed').join(', ');
const setVid = (vid: number): Action => ({ type: 'SET_FIELD', field: { vlan_vid: PRESENT | vid } });

/** The VLANs by which mirrors copy them; those that none copies are left out. */
function split(
  vids: VlanSet,
  mirrors: readonly ActiveMirror[],
): { vids: VlanSet; mirrors: readonly ActiveMirror[] }[] {
  let classes: { vids: VlanSet; mirrors: readonly ActiveMirror[] }[] = [{ vids, mirrors: [] }];
  for (const mirror of mirrors) {
    classes = classes.flatMap((each) => [
      { vids: each.vids.intersection(mirror.vlans), mirrors: [...each.mirrors, mirror] },
      { ...each, vids: each.vids.difference(mirror.vlans) },
    ]);
    classes = classes.filter((each) => !each.vids.isEmpty);
  }
  return classes.filter((each) => each.mirrors.length > 0);
}

function outputPorts(bridge: Bridge): PortView[] {
  const ordinary = new Set(portViews(bridge));
  return allPortViews(bridge).filter((view) => !ordinary.has(view));
}

function refuse(view: PortView): Flow[] {
  return view.members.map(({ name, ofport }) => ({
    table: 'ingress',
    priority: 200,
    match: { in_port: ofport },
    instructions: [],
    kind: 'mirror',
    detail: view.id,
    reason: `${name} is the output of a mirror: nothing is taken from it`,
  }));
}

/** How copies look at the output port: as its mode has it, whichever VLANs it would carry otherwise. */
function encodings({ port }: PortView): { vids: VlanSet; encoding: Encoding }[] {
  if (port.vlanMode === 'access' || port.vlanMode === 'dot1q-tunnel')
    return [{ vids: VlanSet.all, encoding: 'untagged' }];
  const bare = port.vlanMode === 'native-untagged' ? VlanSet.of([0, port.tag ?? 0]) : VlanSet.single(0);
  return [
    { vids: bare, encoding: 'untagged' },
    { vids: VlanSet.all.difference(bare), encoding: 'tagged' },
  ];
}

/** How a mirror's copies leave by a port, and what they need for that if they are cut. */
function leaving(
  bridge: Bridge,
  { mirror, index }: ActiveMirror,
  view: PortView,
  { bonds }: Ways,
  groups: Groups,
): { actions: Action[]; flows: Flow[] } {
  if (mirror.snaplen === null) return { actions: leaveBy(view, bonds), flows: [] };
  const place = allPortViews(bridge)
    .filter(({ isBond }) => isBond)
    .indexOf(view);
  const cut: Cut = { bytes: mirror.snaplen, as: cutPort(index, place) };
  const needed = cutBondFlows(view, bonds, cut);
  for (const group of needed.groups) groups.add(group);
  return { actions: leaveBy(view, bonds, cut), flows: needed.flows };
}

function writeFlows(
  bridge: Bridge,
  active: ActiveMirror,
  output: PortView,
  ways: Ways,
  groups: Groups,
): Flow[] {
  const { mirror, index } = active;
  const way = leaving(bridge, active, output, ways, groups);
  const flows = encodings(output).flatMap(({ vids, encoding }) =>
    vids.maskedVids().map((block): Flow => {
      const actions = [
        ...hashFor(output, ways.bonds, ways.isOwnSwitch),
        ...encodingActions(encoding),
        ...way.actions,
      ];
      return {
        table: 'mirror',
        priority: encoding === 'untagged' ? 200 : 100,
        match: { metadata: matchOut(mirrorPort(index)), vlan_vid: matchVids(block) },
        instructions: way.actions.length > 0 ? [{ type: 'APPLY_ACTIONS', actions }] : [],
        kind: 'mirror',
        detail: index,
        reason: `copies of ${mirror.name} leave by ${output.port.name}, ${encoding}`,
      };
    }),
  );
  return [...flows, ...way.flows];
}

/** Of an RSPAN: to every port of its VLAN. */
function spreadFlows(bridge: Bridge, active: ActiveMirror, ways: Ways, groups: Groups): Flow[] {
  const { mirror, index } = active;
  const vlan = mirror.output.kind === 'vlan' ? mirror.output.vlan : 0;
  const ports = portViews(bridge).flatMap((view) => {
    const rule = view.egress.find(({ vids }) => vids.has(vlan));
    // A tunnel for some customers only would have to look into the copied frame.
    return rule === undefined || limitsCustomers(view) ? [] : [{ view, rule }];
  });
  const cuts: Flow[] = [];
  const buckets = ports.flatMap(({ view, rule }): Bucket[] => {
    const way = leaving(bridge, active, view, ways, groups);
    cuts.push(...way.flows);
    const hashing = hashFor(view, ways.bonds, ways.isOwnSwitch);
    return way.actions.length === 0
      ? []
      : [{ actions: [...hashing, ...encodingActions(rule.encoding), ...way.actions] }];
  });
  const names = ports.map(({ view }) => view.port.name).join(', ');
  const reason = `copies of ${mirror.name} go to VLAN ${vlan}: ${names}`;
  const actions =
    buckets.length > 0 ? [groups.all(`rspan ${JSON.stringify(buckets, texts)}`, buckets, reason)] : [];
  return [
    {
      table: 'mirror',
      priority: 100,
      match: { metadata: matchOut(mirrorPort(index)) },
      instructions: actions.length > 0 ? [{ type: 'APPLY_ACTIONS', actions }] : [],
      kind: 'mirror',
      detail: index,
      reason,
    },
    ...RESERVED_DESTINATIONS.map(({ match, what }): Flow => ({
      table: 'mirror',
      priority: 150,
      match: { metadata: matchOut(mirrorPort(index)), eth_dst: match },
      instructions: [],
      kind: 'reserved-address',
      reason: `${mirror.name}: no copy into a VLAN, where other switches would take it for theirs: ${what}`,
    })),
    ...cuts,
  ];
}

/** What the rule does, and copies besides. */
function copying(
  flow: Flow,
  match: Match,
  above: number,
  mirrors: readonly ActiveMirror[],
  groups: Groups,
  reason: string,
): Flow {
  const copy = mirrors.length > 0 ? [groups.copyTo(mirrors)] : [];
  const instructions = flow.instructions.map((it): Instruction =>
    it.type === 'APPLY_ACTIONS' ? { ...it, actions: [...copy, ...it.actions] } : it,
  );
  const { table, priority, detail } = flow;
  return {
    table,
    priority: priority + above,
    match,
    instructions,
    kind: 'mirror',
    ...(detail === undefined ? {} : { detail }),
    reason: mirrors.length > 0 ? `${reason}, copied: ${namesOf(mirrors)}` : `${reason}, copied already`,
  };
}

function copyingEgress(
  flow: Flow,
  mirrors: readonly ActiveMirror[],
  views: readonly PortView[],
  groups: Groups,
): Flow[] {
  const view = views.find(({ id }) => id === flow.detail);
  if (view === undefined) return [];
  const own = mirrors.filter(({ destinations }) => destinations.has(view.id));
  return split(vidsOf(flow.match['vlan_vid']), own).flatMap(({ vids, mirrors: some }) => {
    const exceptions = views.flatMap((from): [PortView, readonly ActiveMirror[]][] => {
      // A frame does not leave by the port that it came in by.
      const left = from === view ? [] : some.filter(({ sources }) => !sources.has(from.id));
      return left.length < some.length ? [[from, left]] : [];
    });
    return vids.maskedVids().flatMap((block) => {
      const at = (from: LogicalPortId | null): Match => ({
        ...flow.match,
        metadata: matchOutOf(view.id, from),
        vlan_vid: matchVids(block),
      });
      return [
        copying(flow, at(null), COPY, some, groups, flow.reason),
        ...exceptions.map(([from, left]) =>
          copying(flow, at(from.id), COPY_BY_SOURCE, left, groups, `${flow.reason}: from ${from.port.name}`),
        ),
      ];
    });
  });
}

function copyingFlood(
  flow: Flow,
  mirrors: readonly ActiveMirror[],
  views: readonly PortView[],
  groups: Groups,
): Flow[] {
  const all = vidsOf(flow.match['vlan_vid']);
  const [first = 0] = all;
  // All VLANs of a rule are flooded to the same ports; those that are protected take nothing from each other.
  const isFromProtected = flow.match['metadata'] !== undefined;
  const members = views.filter(
    ({ carried, port }) => carried.has(first) && !(isFromProtected && port.protected),
  );
  const reaches = ({ destinations }: ActiveMirror, from: PortView | null): boolean =>
    members.some((view) => view !== from && destinations.has(view.id));
  const own = mirrors.filter((mirror) => reaches(mirror, null));
  return split(all, own).flatMap(({ vids, mirrors: some }) => {
    const exceptions = views.flatMap((from): [PortView, readonly ActiveMirror[]][] => {
      const left = some.filter((each) => !each.sources.has(from.id) && reaches(each, from));
      return left.length < some.length ? [[from, left]] : [];
    });
    return vids.maskedVids().flatMap((block) => {
      const match: Match = { ...flow.match, vlan_vid: matchVids(block) };
      return [
        copying(flow, match, COPY, some, groups, flow.reason),
        ...exceptions.map(([from, left]) =>
          copying(
            flow,
            { ...match, metadata: alsoIn(match['metadata'], from.id) },
            COPY_BY_SOURCE,
            left,
            groups,
            `${flow.reason}: from ${from.port.name}`,
          ),
        ),
      ];
    });
  });
}

/** The VLANs of a match that {@link matchVids} made. */
function vidsOf(field: MatchField | undefined): VlanSet {
  if (field === undefined) return VlanSet.all;
  const value = Number(typeof field === 'object' ? field.value : field) & 0xfff;
  const mask = typeof field === 'object' ? Number(field.mask) & 0xfff : 0xfff;
  const vids = Array.from({ length: 4096 }, (_, vid) => vid);
  return VlanSet.of(vids.filter((vid) => (vid & mask) === value));
}
