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
  type ProgramContext,
  type Reaction,
} from '../program.js';
import { customerFlows, egressFlows, floodFlows } from './flood.js';
import { addressFlows, destinationFlow, ownAddresses, sourceFlow, staticEntries } from './learning.js';
import {
  LEARN_BURST,
  LEARN_RATE_PER_S,
  MacTable,
  type LogicalPortId,
  type MacInput,
  type MacOutput,
  type MacTableConfig,
} from './mac-table.js';
import { mergeViews, portViews, type PortView } from './ports.js';
import { BRIDGE_TABLES } from './tables.js';
import { ingressFlows, vlanInFlows } from './vlan-in.js';

export interface BridgeState {
  readonly macs: MacTable;
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
  ],

  init(context) {
    return {
      macs: new MacTable(macTableConfig(context)),
      ageingTimeS: context.bridge.macAgeingTimeS,
      ...indexPorts(context.bridge),
    };
  },

  flows({ bridge }) {
    return combine(inboundFlows(bridge), outboundFlows(portViews(bridge)));
  },

  /**
   * A port that changes its VLAN changes sides in two places: where its frames are classified, and where others'
   * frames reach it. First the ways out grow to those of both configurations, then the classification changes,
   * and then (`flows`) the ways out shrink: at no point does a frame lack a way that it has before and after.
   */
  transition(from, to) {
    if (keepsPorts(portViews(from.bridge), portViews(to.bridge))) return [];
    const both = outboundFlows(mergeViews(portViews(from.bridge), portViews(to.bridge)));
    return [combine(inboundFlows(from.bridge), both), combine(inboundFlows(to.bridge), both)];
  },

  *dynamicFlows(_context, state) {
    for (const entry of state.macs.entries()) {
      yield destinationFlow(entry);
      yield sourceFlow(entry, state.ageingTimeS);
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

  on: {
    configured(context, state, nowMs) {
      Object.assign(state, indexPorts(context.bridge));
      const reaction = step(state, { kind: 'configure', config: macTableConfig(context) }, nowMs);
      if (state.ageingTimeS === context.bridge.macAgeingTimeS) return reaction;
      state.ageingTimeS = context.bridge.macAgeingTimeS;
      const changes: FlowChange[] = [...reaction.changes];
      for (const entry of state.macs.entries()) {
        changes.push({ op: 'put', flow: sourceFlow(entry, state.ageingTimeS) });
      }
      return { changes, notices: reaction.notices };
    },

    packetIn(_context, state, event, nowMs) {
      const view = state.byOfport.get(event.inPort);
      const { data } = event;
      // Destination, source, TPID, TCI: `vlan_in` has seen to it that there is a tag.
      if (event.table !== 'eth_src' || view === undefined || data.length < 16) return NO_REACTION;
      const tpid = ((data[12] ?? 0) << 8) | (data[13] ?? 0);
      if (tpid !== 0x8100 && tpid !== 0x88a8) return NO_REACTION;
      const vlan = (((data[14] ?? 0) << 8) | (data[15] ?? 0)) & 0xfff;
      return step(state, { kind: 'packetIn', port: view.id, vlan, mac: macAddressAt(data, 6) }, nowMs);
    },

    flowRemoved(_context, state, event, nowMs) {
      const vlan = vlanOf(event.match);
      const mac = event.match['eth_src'];
      const isAged = event.kind === 'learned-source' && event.reason === 'IDLE_TIMEOUT';
      if (!isAged || vlan === undefined || typeof mac !== 'string') return NO_REACTION;
      return step(state, { kind: 'aged', port: event.detail, vlan, mac: mac as MacAddress }, nowMs);
    },

    portStatus(_context, state, event, nowMs) {
      const view = state.byOfport.get(event.port);
      // As Open vSwitch: what was learned on a port whose link is lost may turn up anywhere.
      if (view === undefined || (event.change !== 'removed' && event.isLinkUp)) return NO_REACTION;
      return step(state, { kind: 'flush', port: view.id }, nowMs);
    },
  },
});

/** Whether ports only come and go: then nothing that stays changes sides. */
function keepsPorts(from: readonly PortView[], to: readonly PortView[]): boolean {
  const describe = ({ ofport, carried, egress, port }: PortView): string =>
    JSON.stringify([
      ofport,
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

function inboundFlows(bridge: Bridge): Flow[] {
  const views = portViews(bridge);
  return [...ingressFlows(views, bridge.forwardBpdu), ...vlanInFlows(views), ...addressFlows(bridge, views)];
}

function outboundFlows(views: readonly PortView[]): FlowSet {
  const { flows, groups } = floodFlows(views);
  return { groups, flows: [...flows, ...egressFlows(views), ...customerFlows(views)] };
}

function combine(inbound: readonly Flow[], outbound: FlowSet): FlowSet {
  return { ...outbound, flows: [...inbound, ...outbound.flows] };
}

/** Feeds the MAC table and turns what it answers into flows. */
function step(state: BridgeState, input: MacInput, nowMs: number): Reaction {
  const outputs = state.macs.step(input, nowMs);
  if (outputs.length === 0) return NO_REACTION;
  const changes: FlowChange[] = [];
  const notices: Notice[] = [];
  for (const output of outputs) {
    changes.push(...changesOf(output, state.ageingTimeS));
    const notice = noticeOf(output, state.names);
    if (notice) notices.push(notice);
  }
  return { changes, notices };
}

function changesOf(output: MacOutput, ageingTimeS: number): FlowChange[] {
  const { entry } = output;
  if (output.kind === 'forgotten') {
    const source = remove(sourceFlow(entry, ageingTimeS));
    const destination = remove(destinationFlow(entry));
    // The switch has taken an aged source rule away itself.
    return output.because === 'aged' ? [destination] : [source, destination];
  }
  // The destination first: as soon as the source counts as known, no packet-in would repair a lost one.
  const changes: FlowChange[] = [
    { op: 'put', flow: destinationFlow(entry) },
    { op: 'put', flow: sourceFlow(entry, ageingTimeS) },
  ];
  if (output.movedFrom !== undefined) {
    changes.push(remove(sourceFlow({ ...entry, port: output.movedFrom }, ageingTimeS)));
  }
  return changes;
}

function remove({ table, priority, match }: Flow): FlowChange {
  return { op: 'delete', flow: { table, priority, match } };
}

function noticeOf(output: MacOutput, names: ReadonlyMap<LogicalPortId, string>): Notice | undefined {
  const { vlan, mac, port } = output.entry;
  const where = { vlan, mac, port: names.get(port) ?? `${port}` };
  if (output.kind === 'forgotten') {
    return { kind: output.because === 'unconfigured' ? 'flushed' : output.because, ...where };
  }
  if (output.refreshed) return undefined;
  if (output.movedFrom === undefined) return { kind: 'learned', ...where };
  return { kind: 'moved', ...where, from: names.get(output.movedFrom) ?? `${output.movedFrom}` };
}

function vlanOf(match: Match): number | undefined {
  const field = match['vlan_vid'];
  const value = field === undefined || typeof field === 'object' ? undefined : fieldNumber(field);
  return value === undefined ? undefined : Number(value & 0xfffn);
}

function indexPorts(bridge: Bridge): Pick<BridgeState, 'byOfport' | 'names'> {
  const views = portViews(bridge);
  return {
    byOfport: new Map(views.map((view) => [view.ofport, view])),
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
    floodVlans: bridge.floodVlans,
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
