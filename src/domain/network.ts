/**
 * The desired state of every bridge, in the words and with the meaning of Open vSwitch's configuration
 * (ovs-vswitchd.conf.db(5)), validated: what stands here can be made into flows without further questions.
 */
import type { Exports } from './exports.js';
import type { Dpid, PortNumber, Vid } from './identifiers.js';
import type { MacAddress } from './mac-address.js';
import type { VlanSet } from './vlan-set.js';

export interface Network {
  readonly bridges: readonly Bridge[];
}

/** How the controller reaches the switch of a bridge. */
export type Connection =
  /** On our own datapath, over `<rundir>/<bridge>.program`. */
  | { readonly kind: 'weft' }
  /** On any OpenFlow 1.3 switch. `target` in Open vSwitch's words: `tcp:HOST:PORT`, `unix:PATH`, `ssl:…`. */
  | { readonly kind: 'openflow'; readonly target: string };

export interface Bridge {
  readonly name: string;
  readonly uuid: string;
  readonly datapathId: Dpid;
  readonly failMode: 'standalone' | 'secure';
  /** Users' OpenFlow controllers, as targets. */
  readonly controllers: readonly string[];
  readonly connection: Connection;
  /** Most MAC addresses learned (`other_config:mac-table-size`). */
  readonly macTableSize: number;
  /** Seconds after which a silent address is forgotten (`other_config:mac-aging-time`). */
  readonly macAgeingTimeS: number;
  /** Pass frames to the reserved group addresses on (`other_config:forward-bpdu`). */
  readonly forwardBpdu: boolean;
  /** VLANs without learning (`flood_vlans`). */
  readonly floodVlans: VlanSet;
  /** `other_config` as it stands, for programs that have settings of their own there. */
  readonly otherConfig: Readonly<Record<string, string>>;
  readonly ports: readonly LogicalPort[];
  readonly staticMacs: readonly StaticMac[];
  readonly mirrors: readonly Mirror[];
  /** Absent: nobody is told of the traffic. */
  readonly exports?: Exports;
  /** How full users' tables may get (`flow_tables`), those for which something is said. */
  readonly flowTables: readonly FlowTable[];
}

/** A limit of a table of users' flows (ovs-vswitchd.conf.db(5), "Flow_Table"). */
export interface FlowTable {
  readonly id: number;
  /** Most flows; null: as many as the switch can hold. */
  readonly flowLimit: number | null;
  /** What becomes of a flow that is added to a full table: it is refused, or takes the place of one with a timeout. */
  readonly overflowPolicy: 'refuse' | 'evict';
}

/**
 * Copies of frames (ovs-vswitchd.conf.db(5), "Mirror"). A frame is selected once, whether on its way in, on its way out,
 * or both; ports are named.
 */
export interface Mirror {
  readonly name: string;
  readonly uuid: string;
  readonly selectAll: boolean;
  readonly sourcePorts: readonly string[];
  readonly destinationPorts: readonly string[];
  /** Only frames of these VLANs; null: of all. */
  readonly vlans: VlanSet | null;
  /** A port that from then on carries nothing else (SPAN), or a VLAN (RSPAN). */
  readonly output:
    { readonly kind: 'port'; readonly port: string } | { readonly kind: 'vlan'; readonly vlan: Vid };
  /** Most bytes of a copy as it leaves; null: all of it. */
  readonly snaplen: number | null;
}

/** An address pinned to a port: never learned elsewhere, never aged. */
export interface StaticMac {
  readonly vlan: Vid;
  readonly mac: MacAddress;
  /** Name of the logical port. */
  readonly port: string;
}

export type VlanMode = 'access' | 'trunk' | 'native-tagged' | 'native-untagged' | 'dot1q-tunnel';

/** `never` leaves out the header of a frame whose VID is zero, as Open vSwitch does by default. */
export type PriorityTags = 'never' | 'if-nonzero' | 'always';

/** `patch`: one end of a cable between two ports of our own datapath. */
export type InterfaceType = 'system' | 'internal' | 'patch';

export type BondMode = 'active-backup' | 'balance-slb' | 'balance-tcp';

/** How the interfaces of a bond share the traffic (ovs-vswitchd.conf.db(5), "Bonding Configuration"). */
export interface BondSettings {
  readonly mode: BondMode;
  /** Name of the interface that is active whenever it can be (`other_config:bond-primary`, active-backup). */
  readonly primary: string | null;
  /** For so long a link must have been up, or down, to be believed; not with LACP. */
  readonly updelayMs: number;
  readonly downdelayMs: number;
  /** 0: hashes are never moved for the sake of load. */
  readonly rebalanceIntervalMs: number;
  readonly hashBasis: number;
  /** Take broadcasts and multicasts from every member, not the active one alone. */
  readonly allMembersActive: boolean;
}

/** LACP on a port (ovs-vswitchd.conf.db(5), "lacp", "other_config:lacp-…"). */
export interface LacpSettings {
  /** `passive` answers, `active` speaks first. */
  readonly mode: 'active' | 'passive';
  /** Null: the bridge's own address. */
  readonly systemId: MacAddress | null;
  readonly systemPriority: number;
  /** `fast`: the partner is to send every second, and is given up after three; `slow`: 30 and 90. */
  readonly time: 'fast' | 'slow';
  /** Without a partner, be an active-backup bond. */
  readonly fallbackAb: boolean;
}

/** What LACP says of an interface where its own numbers are not to be used. */
export interface LacpPortSettings {
  readonly portId: number | null;
  readonly portPriority: number | null;
  readonly aggregationKey: number | null;
}

/** A row of Open vSwitch's Port table: one interface, or several that form a bond. */
export interface LogicalPort {
  readonly name: string;
  readonly uuid: string;
  readonly interfaces: readonly Interface[];
  readonly vlanMode: VlanMode;
  /** The access, native or service VLAN; null on trunks. 0 is a VLAN too: that of untagged frames on trunks. */
  readonly tag: Vid | null;
  /** VLANs carried by trunk and native modes; null: all. */
  readonly trunks: VlanSet | null;
  /** Customer VLANs that a dot1q-tunnel takes; null: all. */
  readonly cvlans: VlanSet | null;
  /** TPID of the service tag that a dot1q-tunnel puts on. */
  readonly qinqEthertype: 0x8100 | 0x88a8;
  readonly priorityTags: PriorityTags;
  /** No traffic between two protected ports. */
  readonly protected: boolean;
  /** Meaningful for ports of several interfaces. */
  readonly bond?: BondSettings;
  /** Absent: LACP is off. */
  readonly lacp?: LacpSettings;
}

export interface Interface {
  readonly name: string;
  readonly uuid: string;
  readonly type: InterfaceType;
  /** Of a patch port: the name of the other end. */
  readonly peer?: string;
  /** OpenFlow number, null while the switch has none for it; the driver of a foreign switch finds it by name. */
  readonly ofport: PortNumber | null;
  readonly mac: MacAddress | null;
  readonly lacp?: LacpPortSettings;
}
