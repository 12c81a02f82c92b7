/**
 * The bridge program: what `NORMAL` does. VLANs, learning and flooding as ordinary flows in ordinary tables.
 */
import { macAddressAt, type Bridge, type MacAddress } from '../../domain/index.js';
import { fieldNumber } from '../canonical.js';
import type { Flow, FlowSet, Match } from '../flow.js';
import {
  defineProgram,
  NO_REACTION,
  type FlowChange,
  type Notice,
  type PacketOut,
  type ProgramContext,
  type Reaction,
} from '../program.js';
import { Aggregations, type AggregationsSnapshot } from './bonds/aggregations.js';
import { bondOutFlows, fearsReflection, refusalFlows, slowProtocolFlows } from './bonds/flows.js';
import { announcements } from './bonds/announcements.js';
import { customerFlows, egressFlows, floodFlows } from './flood.js';
import {
  addressFlows,
  destinationFlow,
  isGratuitousArp,
  learnedPatterns,
  ownAddresses,
  reflectionFlows,
  sourceFlow,
  staticEntries,
} from './learning.js';
import {
  LEARN_BURST,
  LEARN_RATE_PER_S,
  MacTable,
  type LogicalPortId,
  type MacInput,
  type MacOutput,
  type MacTableConfig,
} from './mac-table.js';
import { hashOf } from './metadata.js';
import { isDestination, mirrorVlans, mirrorInFlows, mirrorOutFlows } from './mirrors.js';
import { allPortViews, mergeViews, portViews, type PortView } from './ports.js';
import { reservedFlows } from './reserved.js';
import { sampleActions, samplingFlows } from './sampling.js';
import { BRIDGE_TABLES } from './tables.js';
import { ingressFlows, vlanInFlows } from './vlan-in.js';

export interface BridgeState {
  readonly macs: MacTable;
  readonly bonds: Aggregations;
  /** Bonds for which learned addresses have rules against reflection. */
  reflecting: readonly LogicalPortId[];
  /** Ageing time that the installed source rules have. */
  ageingTimeS: number;
  /** By OpenFlow port number; made anew with each configuration. */
  byOfport: ReadonlyMap<number, PortView>;
  names: ReadonlyMap<LogicalPortId, string>;
}

export interface FdbRow {
  readonly vlan: number;
  readonly mac: MacAddress;
  readonly port: string;
  readonly kind: 'learned' | 'static' | 'own';
  readonly learnedAtMs: number | null;
}

export const bridgeProgram = defineProgram<BridgeState>({
  name: 'bridge',
  id: 1,
  tables: BRIDGE_TABLES,
  kinds: [
    'port',
    'reserved-address',
    'vlan-in',
    'no-learn',
    'learned-source',
    'learned-destination',
    'own-address',
    'static',
    'flood',
    'egress',
    'protected',
    'customer',
    'lacp',
    'bond-inactive',
    'bond-hash',
    'bond-reflected',
    'mirror',
    'sample',
  ],

  init(context, nowMs) {
    const bonds = new Aggregations();
    bonds.configure(context.bridge, context.links, nowMs);
    bonds.run(nowMs);
    return {
      bonds,
      reflecting: reflectingBonds(context.bridge, bonds),
      macs: new MacTable(macTableConfig(context), context.settings['hashSeed']),
      ageingTimeS: context.bridge.macAgeingTimeS,
      ...indexPorts(context.bridge),
    };
  },

  flows({ bridge }, { bonds }) {
    return combine(inboundFlows(bridge, bonds), outboundFlows(bridge, portViews(bridge), bonds));
  },

  /**
   * A port that changes its VLAN changes sides in two places: where its frames are classified, and where others'
   * frames reach it. First the ways out grow to those of both configurations, then the classification changes,
   * and then (`flows`) the ways out shrink: at no point does a frame lack a way that it has before and after.
   */
  transition(from, to, { bonds }) {
    if (keepsPorts(portViews(from.bridge), portViews(to.bridge))) return [];
    const views = mergeViews(portViews(from.bridge), portViews(to.bridge));
    const both = outboundFlows(to.bridge, views, bonds);
    return [combine(inboundFlows(from.bridge, bonds), both), combine(inboundFlows(to.bridge, bonds), both)];
  },

  *dynamicFlows(_context, state) {
    for (const entry of state.macs.entries()) {
      yield destinationFlow(entry);
      yield sourceFlow(entry, state.ageingTimeS);
      yield* reflectionFlows(state.reflecting, entry);
    }
  },

  /** An entry is taken over when both of its rules stand and agree on the port. */
  recover(_context, state, installed, nowMs) {
    const destinations = new Map<string, LogicalPortId>();
    for (const flow of installed) {
      const vlan = flow.kind === 'learned-destination' ? vlanOf(flow.match) : undefined;
      const mac = flow.match['eth_dst'];
      if (vlan !== undefined && typeof mac === 'string') destinations.set(`${vlan} ${mac}`, flow.detail);
    }
    for (const flow of installed) {
      const vlan = flow.kind === 'learned-source' ? vlanOf(flow.match) : undefined;
      const mac = flow.match['eth_src'];
      if (vlan === undefined || typeof mac !== 'string' || destinations.get(`${vlan} ${mac}`) !== flow.detail)
        continue;
      state.macs.step({ kind: 'adopt', vlan, mac: mac as MacAddress, port: flow.detail }, nowMs);
    }
  },

  explain(kind, match) {
    const mac = match['eth_src'] ?? match['eth_dst'];
    const isLearned = kind.startsWith('learned') && typeof mac === 'string';
    return isLearned ? `learned: ${mac} in VLAN ${vlanOf(match) ?? '?'}` : undefined;
  },

  wakeAtMs(_context, state, nowMs) {
    return state.bonds.wakeAtMs(nowMs);
  },

  snapshotKey(_context, state) {
    return state.bonds.snapshotKey;
  },

  snapshot(_context, state) {
    return state.bonds.snapshot();
  },

  restore(context, state, snapshot, elapsedMs, nowMs) {
    state.bonds.restore(snapshot as AggregationsSnapshot, elapsedMs, nowMs);
    state.reflecting = reflectingBonds(context.bridge, state.bonds);
  },

  on: {
    configured(context, state, nowMs) {
      Object.assign(state, indexPorts(context.bridge));
      state.bonds.configure(context.bridge, context.links, nowMs);
      const settled = settleBonds(context, state, nowMs);
      const reaction = step(state, { kind: 'configure', config: macTableConfig(context) }, nowMs);
      if (state.ageingTimeS === context.bridge.macAgeingTimeS) return joined(settled, reaction);
      state.ageingTimeS = context.bridge.macAgeingTimeS;
      const changes: FlowChange[] = [];
      for (const entry of state.macs.entries()) {
        changes.push({ op: 'put', flow: sourceFlow(entry, state.ageingTimeS) });
      }
      return joined(settled, joined(reaction, { changes, notices: [] }));
    },

    packetIn(context, state, event, nowMs) {
      if (event.table === 'ingress') {
        state.bonds.receive(event.inPort, event.data, nowMs);
        return settleBonds(context, state, nowMs);
      }
      const view = state.byOfport.get(event.inPort);
      const { data } = event;
      // Destination, source, TPID, TCI: `vlan_in` has seen to it that there is a tag.
      if (event.table !== 'eth_src' || view === undefined || data.length < 16) return NO_REACTION;
      const tpid = ((data[12] ?? 0) << 8) | (data[13] ?? 0);
      if (tpid !== 0x8100 && tpid !== 0x88a8) return NO_REACTION;
      const vlan = (((data[14] ?? 0) << 8) | (data[15] ?? 0)) & 0xfff;
      const mac = macAddressAt(data, 6);
      // Known elsewhere: only a gratuitous ARP proves that the station is behind the bond now.
      const isReflected =
        state.reflecting.includes(view.id) && (state.macs.get(vlan, mac)?.port ?? view.id) !== view.id;
      if (isReflected && !isGratuitousArp(data)) return NO_REACTION;
      return step(state, { kind: 'packetIn', port: view.id, vlan, mac }, nowMs);
    },

    flowRemoved(_context, state, event, nowMs) {
      const vlan = vlanOf(event.match);
      const mac = event.match['eth_src'];
      const isAged = event.kind === 'learned-source' && event.reason === 'IDLE_TIMEOUT';
      if (!isAged || vlan === undefined || typeof mac !== 'string') return NO_REACTION;
      return step(state, { kind: 'aged', port: event.detail, vlan, mac: mac as MacAddress }, nowMs);
    },

    portStatus(context, state, event, nowMs) {
      const view = state.byOfport.get(event.port);
      const isUp = event.change !== 'removed' && event.isLinkUp;
      state.bonds.setLink(event.port, isUp, nowMs);
      const settled = settleBonds(context, state, nowMs);
      if (view === undefined || isUp) return settled;
      // What was learned on a bond is there as long as any member is.
      const bond = view.isBond ? state.bonds.bond(view.port.name) : null;
      if (bond !== null && bond.enabledFrom(null).length > 0) return settled;
      // As Open vSwitch: what was learned on a port whose link is lost may turn up anywhere.
      return joined(settled, step(state, { kind: 'flush', port: view.id }, nowMs));
    },

    timer(context, state, nowMs) {
      return settleBonds(context, state, nowMs);
    },

    counted(context, state, rules, nowMs) {
      for (const { detail, match, bytes } of rules) {
        const hash = hashOf(match);
        const name = state.names.get(detail);
        if (hash !== undefined && name !== undefined) state.bonds.count(name, hash, bytes);
      }
      return settleBonds(context, state, nowMs);
    },
  },
});

/** Whether ports only come and go: then nothing that stays changes sides. */
function keepsPorts(from: readonly PortView[], to: readonly PortView[]): boolean {
  const describe = ({ members, carried, egress, port }: PortView): string =>
    JSON.stringify([
      members,
      carried.key,
      egress.map((rule) => [rule.vids.key, rule.pcp, rule.encoding]),
      [port.vlanMode, port.tag, port.cvlans?.key, port.qinqEthertype, port.protected],
    ]);
  const before = new Map(from.map((view) => [view.id, view]));
  return to.every((view) => {
    const old = before.get(view.id);
    return old === undefined || old.port === view.port || describe(old) === describe(view);
  });
}

const isOwn = (bridge: Bridge): boolean => bridge.connection.kind === 'weft';

function inboundFlows(bridge: Bridge, bonds: Aggregations): FlowSet {
  const views = portViews(bridge);
  const slow = slowProtocolFlows(allPortViews(bridge), isOwn(bridge));
  const mirrored = mirrorInFlows(bridge, sampleActions(bridge));
  const flows = [
    ...slow.flows,
    ...refusalFlows(views, bonds),
    ...ingressFlows(views),
    ...vlanInFlows(views),
    ...samplingFlows(bridge),
    ...mirrored.flows,
    ...addressFlows(bridge, views, reflectingBonds(bridge, bonds)),
    ...(bridge.forwardBpdu ? [] : reservedFlows()),
  ];
  return { flows, groups: mirrored.groups ?? [], meters: slow.meters };
}

function outboundFlows(bridge: Bridge, views: readonly PortView[], bonds: Aggregations): FlowSet {
  const ways = { bonds, isOwnSwitch: isOwn(bridge) };
  const flood = floodFlows(views, isDestination(bridge));
  const ids = new Set(views.map(({ id }) => id));
  const outputs = allPortViews(bridge).filter(({ id }) => !ids.has(id));
  const out = bondOutFlows([...views, ...outputs], bonds);
  const plain = [...flood.flows, ...out.flows, ...egressFlows(views, ways), ...customerFlows(views, ways)];
  const mirrored = mirrorOutFlows(bridge, plain, ways);
  return {
    groups: [...flood.groups, ...out.groups, ...(mirrored.groups ?? [])],
    flows: [...plain, ...mirrored.flows],
  };
}

function combine(inbound: FlowSet, outbound: FlowSet): FlowSet {
  // A group that both use is one.
  const groups = new Map([...(inbound.groups ?? []), ...(outbound.groups ?? [])].map((it) => [it.name, it]));
  return {
    ...inbound,
    ...outbound,
    flows: [...inbound.flows, ...outbound.flows],
    groups: [...groups.values()],
  };
}

function reflectingBonds(bridge: Bridge, bonds: Aggregations): LogicalPortId[] {
  return portViews(bridge).flatMap((view) => (fearsReflection(view, bonds) ? [view.id] : []));
}

/** Lets bonds and LACP take up what has happened. */
function settleBonds({ bridge }: ProgramContext, state: BridgeState, nowMs: number): Reaction {
  const { frames, isStale, learning, wantsCounts, notices } = state.bonds.run(nowMs);
  const packetOuts: PacketOut[] = frames.map(({ ofport, frame }) => ({
    actions: [{ type: 'OUTPUT', port: ofport }],
    data: frame,
  }));
  for (const name of learning) packetOuts.push(...announcements(bridge, name, state.macs.entries()));
  return {
    changes: reflectionChanges(bridge, state),
    notices: notices.map((notice) => ({ kind: 'bond', ...notice })),
    packetOuts,
    isStale,
    ...(wantsCounts ? { countRules: 'bond-hash' } : {}),
  };
}

/** Rules against reflection for every learned address, where a bond has come to need them, or ceased to. */
function reflectionChanges(bridge: Bridge, state: BridgeState): FlowChange[] {
  const before = state.reflecting;
  const after = reflectingBonds(bridge, state.bonds);
  state.reflecting = after;
  const gone = before.filter((id) => !after.includes(id));
  const come = after.filter((id) => !before.includes(id));
  if (gone.length === 0 && come.length === 0) return [];
  return [...state.macs.entries()].flatMap((entry) => [
    ...reflectionFlows(gone, entry).map(remove),
    ...reflectionFlows(come, entry).map((flow): FlowChange => ({ op: 'put', flow })),
  ]);
}

function joined(a: Reaction, b: Reaction): Reaction {
  return {
    ...a,
    ...b,
    changes: [...a.changes, ...b.changes],
    notices: [...a.notices, ...b.notices],
    packetOuts: [...(a.packetOuts ?? []), ...(b.packetOuts ?? [])],
    isStale: a.isStale === true || b.isStale === true,
  };
}

/** Feeds the MAC table and turns what it answers into flows. */
function step(state: BridgeState, input: MacInput, nowMs: number): Reaction {
  const outputs = state.macs.step(input, nowMs);
  if (outputs.length === 0) return NO_REACTION;
  const changes: FlowChange[] = [];
  const notices: Notice[] = [];
  for (const output of outputs) {
    for (const change of changesOf(output, state)) changes.push(change);
    const notice = noticeOf(output, state.names);
    if (notice) notices.push(notice);
  }
  return { changes, notices };
}

function changesOf(output: MacOutput, { ageingTimeS, reflecting }: BridgeState): FlowChange[] {
  const { entry } = output;
  const reflections = reflectionFlows(reflecting, entry);
  if (output.kind === 'forgotten') {
    const source = remove(sourceFlow(entry, ageingTimeS));
    const destination = remove(destinationFlow(entry));
    // The switch has taken an aged source rule away itself.
    const gone = [destination, ...reflections.map(remove)];
    return output.because === 'aged' ? gone : [source, ...gone];
  }
  // The destination first: as soon as the source counts as known, no packet-in would repair a lost one.
  const { source, destination } = learnedPatterns(entry, ageingTimeS);
  const changes: FlowChange[] = [
    { op: 'put-like', pattern: destination, value: entry.mac },
    { op: 'put-like', pattern: source, value: entry.mac },
  ];
  for (const flow of reflections) changes.push({ op: 'put', flow });
  if (output.movedFrom !== undefined) {
    const moved = { ...entry, port: output.movedFrom };
    changes.push(remove(sourceFlow(moved, ageingTimeS)));
    // It is behind this bond now: nothing is a reflection there any more.
    changes.push(
      ...reflectionFlows(
        reflecting.filter((id) => id === entry.port),
        moved,
      ).map(remove),
    );
  }
  return changes;
}

function remove({ table, priority, match }: Flow): FlowChange {
  return { op: 'delete', flow: { table, priority, match } };
}

function noticeOf(output: MacOutput, names: ReadonlyMap<LogicalPortId, string>): Notice | undefined {
  const { vlan, mac } = output.entry;
  const nameOf = (id: LogicalPortId): string => names.get(id) ?? `${id}`;
  const port = nameOf(output.entry.port);
  if (output.kind === 'forgotten') {
    return { kind: output.because === 'unconfigured' ? 'flushed' : output.because, vlan, mac, port };
  }
  if (output.refreshed) return undefined;
  if (output.movedFrom === undefined) return { kind: 'learned', vlan, mac, port };
  return { kind: 'moved', vlan, mac, port, from: nameOf(output.movedFrom) };
}

function vlanOf(match: Match): number | undefined {
  const field = match['vlan_vid'];
  const value = field === undefined || typeof field === 'object' ? undefined : fieldNumber(field);
  return value === undefined ? undefined : Number(value & 0xfffn);
}

function indexPorts(bridge: Bridge): Pick<BridgeState, 'byOfport' | 'names'> {
  const views = portViews(bridge);
  return {
    byOfport: new Map(views.flatMap((view) => view.members.map(({ ofport }) => [ofport, view]))),
    names: new Map(views.map((view) => [view.id, view.port.name])),
  };
}

function macTableConfig({ bridge, settings }: ProgramContext): MacTableConfig {
  const views = portViews(bridge);
  return {
    limit: bridge.macTableSize,
    ports: new Map(views.map((view) => [view.id, view.carried])),
    ownMacs: new Set(ownAddresses(views).map(({ mac }) => mac)),
    staticKeys: new Set(staticEntries(bridge, views).keys()),
    floodVlans: bridge.floodVlans.union(mirrorVlans(bridge)),
    learnRatePerS: settings['learnRatePerS'] ?? LEARN_RATE_PER_S,
    learnBurst: settings['learnBurst'] ?? LEARN_BURST,
  };
}

/** The MAC table for people: learned, static and own addresses. */
export function fdbRows(bridge: Bridge, state: BridgeState): FdbRow[] {
  const views = portViews(bridge);
  const rows: FdbRow[] = [];
  for (const { mac, view, vlans } of ownAddresses(views)) {
    // An own address holds in every VLAN its port carries; the port's own VLAN stands for them.
    const [first = 0] = vlans;
    const vlan = view.port.tag ?? first;
    rows.push({ vlan, mac, port: view.port.name, kind: 'own', learnedAtMs: null });
  }
  for (const { vlan, mac, name } of staticEntries(bridge, views).values()) {
    rows.push({ vlan, mac, port: name, kind: 'static', learnedAtMs: null });
  }
  for (const { vlan, mac, port, learnedAtMs } of state.macs.entries()) {
    rows.push({ vlan, mac, port: state.names.get(port) ?? `${port}`, kind: 'learned', learnedAtMs });
  }
  return rows;
}

/** Forgets learned entries. `port` by name. */
export function flushMacs(
  state: BridgeState,
  criteria: { port?: string; vlan?: number; mac?: MacAddress },
  nowMs: number,
): Reaction & { count: number } {
  const before = state.macs.size;
  const ids = [...state.names].filter(([, name]) => criteria.port === undefined || name === criteria.port);
  const rest = {
    ...(criteria.vlan === undefined ? {} : { vlan: criteria.vlan }),
    ...(criteria.mac === undefined ? {} : { mac: criteria.mac }),
  };
  const reactions = ids.map(([port]) => step(state, { kind: 'flush', port, ...rest }, nowMs));
  return {
    changes: reactions.flatMap((it) => it.changes),
    notices: reactions.flatMap((it) => it.notices),
    count: before - state.macs.size,
  };
}
