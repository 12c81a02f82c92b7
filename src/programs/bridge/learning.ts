/** Learning: the flows of learned, static and own addresses. */
import { VlanSet, type Bridge, type MacAddress, type MaskedVid } from '../../domain/index.js';
import type { Flow, FlowPattern, Instruction, MatchField } from '../flow.js';
import { macKey, type LogicalPortId, type MacEntry } from './mac-table.js';
import { CONTROLLER_PORT_ID, matchIn, MULTICAST_BIT, writeOut } from './metadata.js';
import { mirrorVlans } from './mirrors.js';
import { matchVids, PRESENT, type PortView } from './ports.js';

/** What all learned addresses of a port have in common. Made once: they come by the thousand. */
interface Common {
  readonly metadata: MatchField;
  readonly out: readonly Instruction[];
  /** By VLAN and ageing time. */
  readonly patterns: Map<number, LearnedPatterns>;
}

/** What the rules of a port's learned addresses in one VLAN have in common. */
export interface LearnedPatterns {
  readonly source: FlowPattern;
  readonly destination: FlowPattern;
}
/** Of more ports, VLANs and ageing times, all are forgotten. */
const MOST_PATTERNS = 4096;
let patternsMade = 0;

const TO_ETH_DST: readonly Instruction[] = [{ type: 'GOTO_TABLE', table: 'eth_dst' }];
const NO_FLOWS: readonly Flow[] = [];
const commons = new Map<LogicalPortId, Common>();

function commonOf(port: LogicalPortId): Common {
  let common = commons.get(port);
  if (common === undefined) {
    const out: Instruction[] = [writeOut(port), { type: 'GOTO_TABLE', table: 'egress' }];
    commons.set(
      port,
      (common = { metadata: matchIn(port), out, patterns: new Map<number, LearnedPatterns>() }),
    );
  }
  return common;
}

/** Of the entry's port and VLAN. */
export function learnedPatterns(entry: MacEntry, ageingTimeS: number): LearnedPatterns {
  const { patterns } = commonOf(entry.port);
  const key = ageingTimeS * 0x1000 + entry.vlan;
  let known = patterns.get(key);
  if (known === undefined) {
    if (++patternsMade > MOST_PATTERNS) {
      for (const common of commons.values()) common.patterns.clear();
      patternsMade = 1;
    }
    known = {
      source: { flow: sourceFlow(entry, ageingTimeS), varies: 'eth_src' },
      destination: { flow: destinationFlow(entry), varies: 'eth_dst' },
    };
    patterns.set(key, known);
  }
  return known;
}

/** Says that the address is known on this port. Idle for the ageing time, it goes, and the switch tells. */
export function sourceFlow(entry: MacEntry, ageingTimeS: number): Flow {
  const common = commonOf(entry.port);
  return {
    table: 'eth_src',
    priority: 200,
    match: { metadata: common.metadata, vlan_vid: PRESENT | entry.vlan, eth_src: entry.mac },
    instructions: TO_ETH_DST,
    kind: 'learned-source',
    detail: entry.port,
    idleTimeoutS: ageingTimeS,
    notifyRemoved: true,
    reason: `learned: ${entry.mac} in VLAN ${entry.vlan}`,
  };
}

/** Says where the address is. Goes with the source rule. */
export function destinationFlow(entry: MacEntry): Flow {
  const common = commonOf(entry.port);
  return {
    table: 'eth_dst',
    priority: 200,
    match: { vlan_vid: PRESENT | entry.vlan, eth_dst: entry.mac },
    instructions: common.out,
    kind: 'learned-destination',
    detail: entry.port,
    reason: `learned: ${entry.mac} in VLAN ${entry.vlan}`,
  };
}

/** OFPP_CONTROLLER. */
const CONTROLLER = 0xfffffffd;
const ETHERTYPE_ARP = 0x0806;
/** An ARP message behind Ethernet header and tag. */
const ARP_FRAME_BYTES = 46;

/**
 * What a bond that spreads frames by their source sent out and got back, as the network does not know of the bond: a
 * station that is known elsewhere. Dropped, or it would be learned on the bond. A gratuitous ARP says that the
 * station has moved there in truth: the controller looks at ARP.
 */
export function reflectionFlows(bonds: readonly LogicalPortId[], entry: MacEntry): readonly Flow[] {
  // Hardly ever is there such a bond, and addresses come by the thousand.
  if (bonds.length === 0) return NO_FLOWS;
  return bonds.flatMap((bond) => (bond === entry.port ? [] : reflection(bond, entry.vlan, entry.mac)));
}

function reflection(bond: LogicalPortId, vlan: number | null, mac: MacAddress): Flow[] {
  const match = {
    metadata: matchIn(bond),
    eth_src: mac,
    ...(vlan === null ? {} : { vlan_vid: PRESENT | vlan }),
  };
  const reason = `${mac} is known elsewhere: sent back by the network to a bond that it does not know of`;
  return [
    {
      table: 'eth_src',
      priority: 350,
      match,
      instructions: [],
      kind: 'bond-reflected',
      detail: bond,
      reason,
    },
    {
      table: 'eth_src',
      priority: 360,
      match: { ...match, eth_type: ETHERTYPE_ARP, eth_dst: 'ff:ff:ff:ff:ff:ff' },
      instructions: [
        {
          type: 'APPLY_ACTIONS',
          actions: [{ type: 'OUTPUT', port: CONTROLLER, maxLength: ARP_FRAME_BYTES }],
        },
      ],
      kind: 'bond-reflected',
      detail: bond,
      reason: `${reason}, unless it is a gratuitous ARP`,
    },
  ];
}

/** Whether the first bytes of a tagged frame are an ARP message about its sender itself. */
export function isGratuitousArp(data: Uint8Array): boolean {
  const word = (at: number): number => ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
  if (data.length < ARP_FRAME_BYTES || word(16) !== ETHERTYPE_ARP) return false;
  const operation = word(24);
  const isAboutSender = word(32) === word(42) && word(34) === word(44);
  return operation === 2 || (operation === 1 && isAboutSender);
}

/** Addresses of the bridge's own interfaces, and who has each in which VLANs; the first to claim one keeps it. */
export function ownAddresses(
  views: readonly PortView[],
): { mac: MacAddress; view: PortView; vlans: VlanSet }[] {
  const claimed = new Map<MacAddress, VlanSet>();
  return views.flatMap((view) =>
    view.port.interfaces.flatMap(({ type, mac }) => {
      if (type !== 'internal' || mac === null) return [];
      const before = claimed.get(mac) ?? VlanSet.none;
      claimed.set(mac, before.union(view.carried));
      const vlans = view.carried.difference(before);
      return vlans.isEmpty ? [] : [{ mac, view, vlans }];
    }),
  );
}

/** Static entries whose port has an OpenFlow number, by `macKey`; the last of two for one address counts. */
export function staticEntries(
  bridge: Bridge,
  views: readonly PortView[],
): Map<string, { vlan: number; mac: MacAddress; port: LogicalPortId; name: string }> {
  const ids = new Map(views.map((view) => [view.port.name, view.id]));
  const entries = new Map<string, { vlan: number; mac: MacAddress; port: LogicalPortId; name: string }>();
  for (const { vlan, mac, port } of bridge.staticMacs) {
    const id = ids.get(port);
    if (id !== undefined) entries.set(macKey(vlan, mac), { vlan, mac, port: id, name: port });
  }
  return entries;
}

/** @param reflecting bonds that may get back what they sent ({@link reflectionFlows}) */
export function addressFlows(
  bridge: Bridge,
  views: readonly PortView[],
  reflecting: readonly LogicalPortId[],
): Flow[] {
  const flows: Flow[] = [
    noLearn({ metadata: matchIn(CONTROLLER_PORT_ID) }, 'sent by a controller: nothing to learn'),
    noLearn({ eth_src: MULTICAST_BIT }, 'a multicast address is no source to learn (IEEE 802.1Q §8.7)'),
  ];
  for (const block of mirrorVlans(bridge).difference(bridge.floodVlans).maskedVids())
    flows.push(unlearned(block, 'a VLAN that a mirror copies into: no learning, always flooded'));
  for (const block of bridge.floodVlans.maskedVids())
    flows.push(unlearned(block, 'flood_vlans: no learning, always flooded'));
  const own = ownAddresses(views);
  for (const bond of reflecting) {
    const macs = new Set(own.map(({ mac }) => mac));
    for (const mac of macs) flows.push(...reflection(bond, null, mac));
    for (const { vlan, mac, port } of staticEntries(bridge, views).values())
      if (port !== bond && !macs.has(mac)) flows.push(...reflection(bond, vlan, mac));
  }
  for (const mac of new Set(own.map((it) => it.mac))) {
    flows.push(noLearn({ eth_src: mac }, `${mac} is an address of this bridge: not learned elsewhere`));
  }
  for (const { mac, view, vlans } of own) {
    for (const block of vlans.maskedVids()) {
      flows.push({
        table: 'eth_dst',
        priority: 250,
        match: { vlan_vid: matchVids(block), eth_dst: mac },
        instructions: [writeOut(view.id), { type: 'GOTO_TABLE', table: 'egress' }],
        kind: 'own-address',
        detail: view.id,
        reason: `${mac} is ${view.port.name} itself`,
      });
    }
  }
  for (const { vlan, mac, port, name } of staticEntries(bridge, views).values()) {
    flows.push(noLearn({ vlan_vid: PRESENT | vlan, eth_src: mac }, `static: ${mac} stays on ${name}`), {
      table: 'eth_dst',
      priority: 300,
      match: { vlan_vid: PRESENT | vlan, eth_dst: mac },
      instructions: [writeOut(port), { type: 'GOTO_TABLE', table: 'egress' }],
      kind: 'static',
      detail: port,
      reason: `static: ${mac} in VLAN ${vlan} is on ${name}`,
    });
  }
  return flows;
}

function unlearned(block: MaskedVid, reason: string): Flow {
  return {
    table: 'eth_src',
    priority: 400,
    match: { vlan_vid: matchVids(block) },
    instructions: [{ type: 'GOTO_TABLE', table: 'flood' }],
    kind: 'no-learn',
    reason,
  };
}

function noLearn(match: Flow['match'], reason: string): Flow {
  return {
    table: 'eth_src',
    priority: 300,
    match,
    instructions: [{ type: 'GOTO_TABLE', table: 'eth_dst' }],
    kind: 'no-learn',
    reason,
  };
}
