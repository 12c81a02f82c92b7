import type { Flow, MatchField } from '../flow.js';

/**
 * Destinations that a bridge does not pass on unless `forward-bpdu` is set: those of IEEE 802.1Q table 8-1
 * and the others that ovs-vswitchd.conf.db(5) lists under `other_config:forward-bpdu`.
 */
export const RESERVED_DESTINATIONS: readonly { readonly match: MatchField; readonly what: string }[] = [
  {
    match: { value: '01:80:c2:00:00:00', mask: 'ff:ff:ff:ff:ff:f0' },
    what: 'link-local group address (STP, pause, LACP, LLDP, …)',
  },
  { match: '00:e0:2b:00:00:00', what: 'Extreme Discovery Protocol' },
  { match: '00:e0:2b:00:00:04', what: 'Ethernet Automatic Protection Switching' },
  { match: '00:e0:2b:00:00:06', what: 'Ethernet Automatic Protection Switching' },
  { match: '01:00:0c:00:00:00', what: 'Cisco Inter-Switch Link' },
  { match: { value: '01:00:0c:cc:cc:c0', mask: 'ff:ff:ff:ff:ff:f0' }, what: 'Cisco CDP, VTP, PVST+ or CFM' },
  { match: '01:00:0c:cd:cd:cd', what: 'Cisco STP Uplink Fast' },
];

/** Behind `observe`, as in Open vSwitch: mirrors copy such frames, and they are sampled, before they are dropped. */
export function reservedFlows(): Flow[] {
  return RESERVED_DESTINATIONS.map(({ match, what }) => ({
    table: 'eth_src',
    priority: 400,
    match: { eth_dst: match },
    instructions: [],
    kind: 'reserved-address',
    reason: `${what}: never bridged, as forward-bpdu is off`,
  }));
}
