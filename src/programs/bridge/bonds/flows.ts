/**
 * Bonds as flows.
 *
 * Outwards: a fast-failover group per member that carries traffic leads to it and, while its link is down, to the next
 * that carries traffic. An active-backup bond uses the group of its active member. A balanced bond hashes the frame
 * (`multipath`) into the metadata; in the table `bond` a rule for each of 256 hashes, whose counters are the loads,
 * leads to a member's group.
 *
 * Inwards: what a member may not take is dropped in `ingress`, each with its reason (Open vSwitch: bond admissibility).
 */
import { SLOW_PROTOCOLS_ADDRESS, SLOW_PROTOCOLS_ETHERTYPE } from '../../../protocols/index.js';
import type { Action, Flow, Group, Meter } from '../../flow.js';
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

const groupName = (bond: string, member: string): string => `${bond} by ${member}`;

/** How a frame, as it is on the wire, leaves by a port; the last thing that is done with it. */
export function leaveBy(view: PortView, bonds: Aggregations): Action[] {
  const bond = view.isBond ? bonds.bond(view.port.name) : null;
  if (bond === null) return view.isBond ? [] : [{ type: 'OUTPUT', port: view.ofport }];
  switch (bond.working) {
    case 'none':
      return [];
    case 'backup': {
      const [first] = bond.enabledFrom(bond.active);
      return first ? [{ type: 'GROUP', group: groupName(view.port.name, first.name) }] : [];
    }
    case 'slb':
    case 'tcp':
      return [loadOut(view.id), { type: 'RESUBMIT', table: 'bond' }];
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
    for (const { name: member } of bond.enabledFrom(null)) groups.push(failoverGroup(name, bond, member));
    if (bond.working === 'slb' || bond.working === 'tcp') flows.push(...hashFlows(view, bond));
  }
  return { flows, groups };
}

function failoverGroup(name: string, bond: Bond, member: string): Group {
  const order = bond.enabledFrom(member);
  return {
    name: groupName(name, member),
    type: 'FF',
    isModifiable: true,
    buckets: order.map(({ ofport }) => ({ watchPort: ofport, actions: [{ type: 'OUTPUT', port: ofport }] })),
    reason: `${name}: by ${order.map((it) => it.name).join(', else ')}`,
  };
}

function hashFlows(view: PortView, bond: Bond): Flow[] {
  const { name } = view.port;
  return Array.from({ length: BOND_HASHES }, (_, hash) => hash).flatMap((hash): Flow[] => {
    const member = bond.memberOf(hash);
    if (member === null || !bond.isEnabled(member)) return [];
    return [
      {
        table: 'bond',
        priority: 100,
        match: { metadata: matchHash(view.id, hash) },
        instructions: [
          { type: 'APPLY_ACTIONS', actions: [{ type: 'GROUP', group: groupName(name, member) }] },
        ],
        kind: 'bond-hash',
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
      table: 'ingress',
      priority: 250,
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
