/**
 * Bonds as flows.
 *
 * Outwards: a fast-failover group per member that carries traffic leads to it and, while its link is down, to the next
 * that carries traffic. An active-backup bond uses the group of its active member. A balanced bond hashes the frame
 * (`multipath`) into the metadata; in the table `bond` a rule for each of 256 hashes, whose counters are the loads,
 * leads to a member's group.
 *
 * Inwards: what a member may not take is dropped in `eth_src`, behind `observe`, each with its reason (Open vSwitch: bond
 * admissibility, which comes after mirrors and sampling too).
 */
import { LOCAL_PORT } from '../../../domain/index.js';
import { SLOW_PROTOCOLS_ADDRESS, SLOW_PROTOCOLS_ETHERTYPE } from '../../../protocols/index.js';
import type { Action, Flow, Group, Meter } from '../../flow.js';
import type { LogicalPortId } from '../mac-table.js';
import { loadOut, matchHash, matchOut, matchReflected, MULTICAST_BIT, storeHash } from '../metadata.js';
import { UNTAGGED, type PortView } from '../ports.js';
import type { Aggregations } from './aggregations.js';
import { BOND_HASHES, type Bond } from './bond.js';

/** OFPP_CONTROLLER. */
const CONTROLLER = 0xfffffffd;
/** Longer than a LACPDU in its frame. */
const SLOW_FRAME_BYTES = 128;
/** LACPDUs and markers that a port may cause the controller to read, a second and at once. */
const SLOW_FRAMES_PER_S = 10;
const SLOW_FRAMES_BURST = 20;

/** Fields that `multipath` hashes: on our own datapath (ARCHITECTURE.md, "Bonds"), and what others have for it. */
const HASH_FIELDS = {
  slb: { own: 0x5701, other: 0 },
  tcp: { own: 0x5702, other: 1 },
} as const;
const MODULO = 0;

const groupName = (bond: string, member: string, cut: Cut | null): string =>
  `${bond} by ${member}${cut === null ? '' : `, ${cut.bytes} bytes`}`;

/** Copies that are cut to so many bytes; `as`: what stands for the port in the table `bond`. */
export interface Cut {
  readonly bytes: number;
  readonly as: LogicalPortId;
}

/** OFPP_MAX and OFPP_LOCAL of OpenFlow 1.0, whose port numbers `NX_OUTPUT_TRUNC` has. */
const MAX_PORT_16 = 0xff00;
const LOCAL_16 = 0xfffe;

/** A port that 16 bits cannot name gets whole copies. */
function outputTo(port: number, cut: Cut | null): Action {
  const short = port === LOCAL_PORT ? LOCAL_16 : port;
  if (cut === null || (short > MAX_PORT_16 && short !== LOCAL_16)) return { type: 'OUTPUT', port };
  return { type: 'NX_OUTPUT_TRUNC', port: short, maxLength: cut.bytes };
}

/** How a frame, as it is on the wire, leaves by a port; the last thing that is done with it. */
export function leaveBy(view: PortView, bonds: Aggregations, cut: Cut | null = null): Action[] {
  const bond = view.isBond ? bonds.bond(view.port.name) : null;
  if (bond === null) return view.isBond ? [] : [outputTo(view.ofport, cut)];
  switch (bond.working) {
    case 'none':
      return [];
    case 'backup': {
      const [first] = bond.enabledFrom(bond.active);
      return first ? [{ type: 'GROUP', group: groupName(view.port.name, first.name, cut) }] : [];
    }
    case 'slb':
    case 'tcp':
      return [loadOut(cut?.as ?? view.id), { type: 'RESUBMIT', table: 'bond' }];
  }
}

/** Hashes the frame for the bond that it is to leave by, before its tag is taken off. */
export function hashFor(view: PortView, bonds: Aggregations, isOwnSwitch: boolean): Action[] {
  const bond = view.isBond ? bonds.bond(view.port.name) : null;
  if (bond === null || (bond.working !== 'slb' && bond.working !== 'tcp')) return [];
  const fields = HASH_FIELDS[bond.working][isOwnSwitch ? 'own' : 'other'];
  // The wire has 16 bits for what the configuration has 32.
  const { hashBasis } = bond.config.settings;
  const basis = (hashBasis ^ (hashBasis >>> 16)) & 0xffff;
  return [{ type: 'NX_MULTIPATH', fields, basis, algorithm: MODULO, maxLink: BOND_HASHES - 1, ...storeHash }];
}

export function bondOutFlows(
  views: readonly PortView[],
  bonds: Aggregations,
): { flows: Flow[]; groups: Group[] } {
  const flows: Flow[] = [];
  const groups: Group[] = [];
  for (const view of views) {
    if (!view.isBond) continue;
    const { name } = view.port;
    flows.push({
      table: 'egress',
      priority: 400,
      match: { metadata: matchReflected(view.id) },
      instructions: [],
      kind: 'bond-reflected',
      detail: view.id,
      reason: `${name}: what came in by a member does not leave by another`,
    });
    if (view.port.bond?.mode !== 'active-backup') {
      flows.push({
        table: 'bond',
        priority: 50,
        match: { metadata: matchOut(view.id) },
        instructions: [],
        kind: 'bond-hash',
        detail: view.id,
        reason: `${name}: no member is enabled`,
      });
    }
    const bond = bonds.bond(name);
    if (bond === null) continue;
    groups.push(...failoverGroups(name, bond, null));
    if (bond.working === 'slb' || bond.working === 'tcp') flows.push(...hashFlows(view, bond, null));
  }
  return { flows, groups };
}

/** What cut copies for a bond need besides. */
export function cutBondFlows(
  view: PortView,
  bonds: Aggregations,
  cut: Cut,
): { flows: Flow[]; groups: Group[] } {
  const bond = view.isBond ? bonds.bond(view.port.name) : null;
  if (bond === null) return { flows: [], groups: [] };
  const isHashed = bond.working === 'slb' || bond.working === 'tcp';
  return {
    flows: isHashed ? hashFlows(view, bond, cut) : [],
    groups: failoverGroups(view.port.name, bond, cut),
  };
}

function failoverGroups(name: string, bond: Bond, cut: Cut | null): Group[] {
  return bond.enabledFrom(null).map(({ name: member }) => {
    const order = bond.enabledFrom(member);
    return {
      name: groupName(name, member, cut),
      type: 'FF',
      isModifiable: true,
      buckets: order.map(({ ofport }) => ({ watchPort: ofport, actions: [outputTo(ofport, cut)] })),
      reason: `${name}: by ${order.map((it) => it.name).join(', else ')}`,
    };
  });
}

function hashFlows(view: PortView, bond: Bond, cut: Cut | null): Flow[] {
  const { name } = view.port;
  return Array.from({ length: BOND_HASHES }, (_, hash) => hash).flatMap((hash): Flow[] => {
    const member = bond.memberOf(hash);
    if (member === null || !bond.isEnabled(member)) return [];
    return [
      {
        table: 'bond',
        priority: 100,
        match: { metadata: matchHash(cut?.as ?? view.id, hash) },
        instructions: [
          { type: 'APPLY_ACTIONS', actions: [{ type: 'GROUP', group: groupName(name, member, cut) }] },
        ],
        // Copies are no load that another member could take.
        kind: cut === null ? 'bond-hash' : 'mirror',
        detail: view.id,
        reason: `${name}: hash ${hash} leaves by ${member}`,
      },
    ];
  });
}

/** Whether the bond must fear that the network sends its own frames back: it spreads them, and nobody knows of the bond. */
export function fearsReflection(view: PortView, bonds: Aggregations): boolean {
  return view.isBond && bonds.bond(view.port.name)?.working === 'slb' && bonds.lacp(view.port.name) === null;
}

/** What members do not take; frames they do take are admitted by the rules of all ports. */
export function refusalFlows(views: readonly PortView[], bonds: Aggregations): Flow[] {
  return views.flatMap((view) => view.members.flatMap((member) => refusals(view, member, bonds)));
}

function refusals(
  view: PortView,
  { name, ofport }: PortView['members'][number],
  bonds: Aggregations,
): Flow[] {
  const bond = view.isBond ? bonds.bond(view.port.name) : null;
  if (!view.isBond) return [];
  const bondName = view.port.name;
  const drop = (reason: string, multicastOnly = false): Flow[] => [
    {
      table: 'eth_src',
      priority: 390,
      match: { in_port: ofport, ...(multicastOnly ? { eth_dst: MULTICAST_BIT } : {}) },
      instructions: [],
      kind: 'bond-inactive',
      detail: view.id,
      reason: `${name} of ${bondName}: ${reason}`,
    },
  ];
  if (bond === null) return drop('the bond is not up yet');
  const lacp = bonds.lacp(bondName);
  if (lacp?.isNegotiated === true)
    return bond.isEnabled(name) || lacp.mayCollect(name) ? [] : drop('LACP has not agreed on this member');
  if (lacp !== null && !bond.config.lacpFallbackAb) return drop('LACP has not been negotiated');
  const isActive = bond.active === name;
  switch (bond.working) {
    case 'none':
    case 'tcp':
      return drop('balance-tcp needs LACP');
    case 'backup':
      return isActive ? [] : drop('not the active member');
    case 'slb': {
      const takesAll = isActive || bond.config.settings.allMembersActive;
      return takesAll ? [] : drop('multicasts and broadcasts are taken from the active member only', true);
    }
  }
}

/** LACPDUs and markers go to the controller, so many a second from each port. */
export function slowProtocolFlows(
  views: readonly PortView[],
  isOwnSwitch: boolean,
): { flows: Flow[]; meters: Meter[] } {
  const flows: Flow[] = [];
  const meters: Meter[] = [];
  for (const view of views) {
    if (view.port.lacp === undefined) continue;
    for (const { name, ofport } of view.members) {
      const meter = `lacp ${name}`;
      // Not every switch has meters; there the controller reads what comes.
      if (isOwnSwitch) {
        meters.push({
          name: meter,
          flags: ['PKTPS', 'BURST'],
          bands: [{ type: 'DROP', rate: SLOW_FRAMES_PER_S, burstSize: SLOW_FRAMES_BURST }],
          reason: `LACPDUs from ${name}`,
        });
      }
      flows.push({
        table: 'ingress',
        priority: 350,
        match: {
          in_port: ofport,
          eth_dst: SLOW_PROTOCOLS_ADDRESS,
          eth_type: SLOW_PROTOCOLS_ETHERTYPE,
          vlan_vid: UNTAGGED,
        },
        instructions: [
          ...(isOwnSwitch ? [{ type: 'METER', meter } as const] : []),
          {
            type: 'APPLY_ACTIONS',
            actions: [{ type: 'OUTPUT', port: CONTROLLER, maxLength: SLOW_FRAME_BYTES }],
          },
        ],
        kind: 'lacp',
        detail: view.id,
        reason: `LACP on ${name} of ${view.port.name}`,
      });
    }
  }
  return { flows, meters };
}

/** Frames for a bond within a flood group: its copy takes the same way as a frame for a station behind the bond. */
export function floodTo(view: PortView): Action[] {
  return [loadOut(view.id), { type: 'RESUBMIT', table: 'egress' }];
}
