import type { TableDeclaration } from '../program.js';

/** Bytes of a frame that learning looks at, with room to spare: OpenFlow's customary 64. */
const PACKET_IN_BYTES = 64;

/**
 * The tables of the bridge program, in order. From `vlan_in` to `flood` and `egress` every frame has an outer
 * tag, VID 0 being the VLAN of untagged frames on trunks. `customer` and `bond` stand last as few bridges use them.
 */
export const BRIDGE_TABLES: readonly TableDeclaration[] = [
  {
    name: 'ingress',
    does: 'LACP to the controller; OpenFlow port → logical port',
    match: { in_port: 'exact', eth_dst: 'exact', eth_type: 'exact', vlan_vid: 'exact' },
    miss: { kind: 'drop', reason: 'not a port of this bridge' },
    next: ['vlan_in'],
  },
  {
    name: 'vlan_in',
    does: 'finds the VLAN: pushes or rewrites the tag as the port’s mode says, drops what it does not take',
    match: { metadata: 'maskable', vlan_vid: 'maskable' },
    miss: { kind: 'drop', reason: 'the port does not take this VLAN' },
    next: ['observe'],
  },
  {
    name: 'observe',
    does: 'sampling, accounting and mirrors, before anything is decided',
    match: { metadata: 'maskable', vlan_vid: 'maskable' },
    miss: { kind: 'next', table: 'eth_src', reason: 'nothing to observe' },
    next: ['eth_src', 'mirror'],
  },
  {
    name: 'eth_src',
    does:
      'drops reserved group addresses and what a bond’s member may not take; is the source known on this port? If not, ' +
      'the controller learns it; the frame goes on either way',
    match: {
      in_port: 'exact',
      metadata: 'maskable',
      vlan_vid: 'maskable',
      eth_src: 'maskable',
      eth_dst: 'maskable',
      eth_type: 'exact',
    },
    miss: {
      kind: 'next',
      table: 'eth_dst',
      toController: PACKET_IN_BYTES,
      reason: 'unknown source: to be learned',
    },
    isDynamic: true,
    next: ['eth_dst', 'flood'],
  },
  {
    name: 'eth_dst',
    does: 'known destination → its logical port; else flooded',
    match: { vlan_vid: 'maskable', eth_dst: 'exact' },
    miss: { kind: 'next', table: 'flood', reason: 'unknown destination: flooded' },
    isDynamic: true,
    next: ['egress'],
  },
  {
    name: 'flood',
    does: 'to every port of the VLAN, by its ALL group',
    match: { metadata: 'maskable', vlan_vid: 'maskable', vlan_pcp: 'exact' },
    miss: { kind: 'drop', reason: 'no port carries this VLAN' },
    next: ['customer', 'mirror'],
  },
  {
    name: 'egress',
    does: 'writes the tag as the port wants it, and outputs; drops VLANs that the port does not carry',
    match: { metadata: 'maskable', vlan_vid: 'maskable', vlan_pcp: 'exact' },
    miss: { kind: 'drop', reason: 'the destination’s port does not carry this VLAN' },
    next: ['customer', 'mirror', 'bond'],
  },
  {
    name: 'customer',
    does: 'dot1q-tunnels with a list of customer VLANs: the tag behind the service tag decides',
    match: { metadata: 'maskable', vlan_vid: 'maskable' },
    miss: { kind: 'drop', reason: 'the tunnel does not take this customer VLAN' },
    next: ['bond'],
  },
  {
    name: 'mirror',
    does: 'copies made by mirrors: writes the tag as the output port wants it, and outputs',
    match: { metadata: 'maskable', vlan_vid: 'maskable', eth_dst: 'maskable' },
    miss: { kind: 'drop', reason: 'the mirror is gone' },
    next: ['bond'],
  },
  {
    name: 'bond',
    does: 'balanced bonds: the frame’s hash decides which member it leaves by',
    match: { metadata: 'maskable' },
    miss: { kind: 'drop', reason: 'the bond is gone' },
    next: [],
  },
];
