import { VlanSet } from './vlan-set.js';
import type { Bridge, Interface, LogicalPort } from './network.js';

/** Values of ovs-vswitchd.conf.db(5) and the ranges it forces settings into. */
export const MAC_TABLE_SIZE = { default: 8192, min: 10, max: 1_000_000 } as const;
export const MAC_AGEING_TIME_S = { default: 300, min: 15, max: 3600 } as const;

/** A bridge with every setting at its default. */
export function newBridge(given: Pick<Bridge, 'name' | 'datapathId'> & Partial<Bridge>): Bridge {
  return {
    uuid: '00000000-0000-0000-0000-000000000000',
    failMode: 'standalone',
    controllers: [],
    connection: { kind: 'weft' },
    macTableSize: MAC_TABLE_SIZE.default,
    macAgeingTimeS: MAC_AGEING_TIME_S.default,
    forwardBpdu: false,
    floodVlans: VlanSet.none,
    otherConfig: {},
    ports: [],
    staticMacs: [],
    mirrors: [],
    flowTables: [],
    ...given,
  };
}

/** An interface with every setting at its default. */
export function newInterface(given: Pick<Interface, 'name'> & Partial<Interface>): Interface {
  return { uuid: '00000000-0000-0000-0000-000000000000', type: 'system', ofport: null, mac: null, ...given };
}

/**
 * A port of one interface of its own name, with every setting at its default. The mode follows the rule of
 * `vlan_mode`: a port with a tag is an access port, one without is a trunk.
 */
export function newPort(
  given: Pick<LogicalPort, 'name'> & Partial<LogicalPort> & { ofport?: number; mac?: Interface['mac'] },
): LogicalPort {
  const { ofport = null, mac = null, ...rest } = given;
  return {
    uuid: '00000000-0000-0000-0000-000000000000',
    interfaces: [newInterface({ name: given.name, ofport, mac })],
    vlanMode: given.tag === undefined || given.tag === null ? 'trunk' : 'access',
    tag: null,
    trunks: null,
    cvlans: null,
    qinqEthertype: 0x88a8,
    priorityTags: 'never',
    protected: false,
    ...rest,
  };
}
