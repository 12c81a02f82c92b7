/**
 * What ovs-ofctl calls the match fields (ovs-fields(7)), and how it writes their values. Keyed by the field names of
 * node-openflow's match, which are the specification's OXM names.
 */

import { fieldByName, type OxmFieldName } from '../oxm/fields.js';

/** How a value is written. */
export type Notation =
  'decimal' | 'hex' | 'mac' | 'ipv4' | 'ipv6' | 'port' | 'tcp-flags' | 'ct-state' | 'fragment';

export interface FieldText {
  /** Key in a match of node-openflow. */
  readonly oxm: OxmFieldName;
  readonly bits: number;
  readonly notation: Notation;
  /** Name in `set_field:…->NAME`, `NAME[0..3]` and, where nothing special holds, in matches. */
  readonly name: string;
  /** Other names that are understood. */
  readonly aliases: readonly string[];
  /** Name in `load`, `move` and `learn`, as Open vSwitch prints it. */
  readonly nxm: string;
  /** Field that Nicira actions name on the wire: Nicira's older id where there is one, as Open vSwitch does. */
  readonly twin: OxmFieldName;
  /** Hex digits that hex notation is padded to. */
  readonly digits?: number;
  /** What must be matched for the field to exist (OF 1.3.5 Table 11): Ethernet types, IP protocols, ICMPv6 types. */
  readonly needs?: {
    readonly ethTypes: readonly number[];
    readonly ipProto?: number;
    readonly icmpTypes?: readonly number[];
  };
}

export const ETH = {
  IP: 0x0800,
  ARP: 0x0806,
  RARP: 0x8035,
  IPV6: 0x86dd,
  MPLS: 0x8847,
  MPLSM: 0x8848,
  PBB: 0x88e7,
} as const;
export const IP = { ICMP: 1, TCP: 6, UDP: 17, ICMP6: 58, SCTP: 132 } as const;

const ip = { ethTypes: [ETH.IP, ETH.IPV6] };
const ip4 = { ethTypes: [ETH.IP] };
const ip6 = { ethTypes: [ETH.IPV6] };
const arp = { ethTypes: [ETH.ARP, ETH.RARP] };
const mpls = { ethTypes: [ETH.MPLS, ETH.MPLSM] };
const over = (ipProto: number): { ethTypes: number[]; ipProto: number } => ({ ...ip, ipProto });

function field(
  oxm: OxmFieldName,
  bits: number,
  notation: Notation,
  name: string,
  nxm: string,
  rest: { aliases?: string[]; needs?: NonNullable<FieldText['needs']>; digits?: number } = {},
): FieldText {
  return {
    oxm,
    bits,
    notation,
    name,
    nxm,
    twin: twinOf(oxm, nxm),
    aliases: rest.aliases ?? [],
    ...(rest.needs === undefined ? {} : { needs: rest.needs }),
    ...(rest.digits === undefined ? {} : { digits: rest.digits }),
  };
}

/** `NXM_OF_IP_SRC` is the library's `nxm_ip_src`; what only Nicira or only the standard has keeps its name. */
function twinOf(oxm: OxmFieldName, nxm: string): OxmFieldName {
  const name = nxm.toLowerCase().replace(/^nxm_(of|nx)_/, 'nxm_');
  return isFieldName(name) ? name : oxm;
}

function isFieldName(name: string): name is OxmFieldName {
  return fieldByName(name) !== undefined;
}

const numbered = (count: number, make: (i: number) => FieldText): FieldText[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** In the order in which Open vSwitch prints a match. */
export const FIELDS: readonly FieldText[] = [
  field('pkt_mark', 32, 'hex', 'pkt_mark', 'NXM_NX_PKT_MARK'),
  field('recirc_id', 32, 'hex', 'recirc_id', 'NXM_NX_RECIRC_ID'),
  field('dp_hash', 32, 'hex', 'dp_hash', 'NXM_NX_DP_HASH'),
  field('conj_id', 32, 'decimal', 'conj_id', 'NXM_NX_CONJ_ID'),
  field('actset_output', 32, 'port', 'actset_output', 'ONFOXM_ET_ACTSET_OUTPUT'),
  field('ct_state', 32, 'ct-state', 'ct_state', 'NXM_NX_CT_STATE'),
  field('ct_zone', 16, 'decimal', 'ct_zone', 'NXM_NX_CT_ZONE'),
  field('ct_mark', 32, 'hex', 'ct_mark', 'NXM_NX_CT_MARK'),
  field('ct_label', 128, 'hex', 'ct_label', 'NXM_NX_CT_LABEL'),
  ...numbered(16, (i) => field(`reg${i}` as OxmFieldName, 32, 'hex', `reg${i}`, `NXM_NX_REG${i}`)),
  ...numbered(8, (i) => field(`xreg${i}` as OxmFieldName, 64, 'hex', `xreg${i}`, `OXM_OF_PKT_REG${i}`)),
  ...numbered(4, (i) => field(`xxreg${i}` as OxmFieldName, 128, 'hex', `xxreg${i}`, `NXM_NX_XXREG${i}`)),
  field('tunnel_id', 64, 'hex', 'tun_id', 'NXM_NX_TUN_ID'),
  field('tun_ipv4_src', 32, 'ipv4', 'tun_src', 'NXM_NX_TUN_IPV4_SRC'),
  field('tun_ipv4_dst', 32, 'ipv4', 'tun_dst', 'NXM_NX_TUN_IPV4_DST'),
  field('tun_gbp_id', 16, 'decimal', 'tun_gbp_id', 'NXM_NX_TUN_GBP_ID'),
  field('tun_gbp_flags', 8, 'hex', 'tun_gbp_flags', 'NXM_NX_TUN_GBP_FLAGS'),
  field('tun_flags', 16, 'hex', 'tun_flags', 'NXM_NX_TUN_FLAGS'),
  field('tun_ipv6_src', 128, 'ipv6', 'tun_ipv6_src', 'NXM_NX_TUN_IPV6_SRC'),
  field('tun_ipv6_dst', 128, 'ipv6', 'tun_ipv6_dst', 'NXM_NX_TUN_IPV6_DST'),
  field('metadata', 64, 'hex', 'metadata', 'OXM_OF_METADATA'),
  field('in_port', 32, 'port', 'in_port', 'NXM_OF_IN_PORT', { aliases: ['in_port_oxm'] }),
  field('in_phy_port', 32, 'port', 'in_phy_port', 'OXM_OF_IN_PHY_PORT'),
  field('vlan_vid', 13, 'decimal', 'vlan_vid', 'OXM_OF_VLAN_VID'),
  field('vlan_pcp', 3, 'decimal', 'vlan_pcp', 'OXM_OF_VLAN_PCP', { aliases: ['dl_vlan_pcp'] }),
  field('nxm_vlan_tci', 16, 'hex', 'vlan_tci', 'NXM_OF_VLAN_TCI', { digits: 4 }),
  field('eth_src', 48, 'mac', 'eth_src', 'NXM_OF_ETH_SRC', { aliases: ['dl_src'] }),
  field('eth_dst', 48, 'mac', 'eth_dst', 'NXM_OF_ETH_DST', { aliases: ['dl_dst'] }),
  field('eth_type', 16, 'hex', 'eth_type', 'NXM_OF_ETH_TYPE', { aliases: ['dl_type'], digits: 4 }),
  field('ipv6_src', 128, 'ipv6', 'ipv6_src', 'NXM_NX_IPV6_SRC', { needs: ip6 }),
  field('ipv6_dst', 128, 'ipv6', 'ipv6_dst', 'NXM_NX_IPV6_DST', { needs: ip6 }),
  field('ipv6_flabel', 20, 'hex', 'ipv6_label', 'NXM_NX_IPV6_LABEL', { needs: ip6, digits: 5 }),
  field('ipv6_exthdr', 9, 'hex', 'ipv6_exthdr', 'OXM_OF_IPV6_EXTHDR', { needs: ip6 }),
  field('ipv4_src', 32, 'ipv4', 'ip_src', 'NXM_OF_IP_SRC', { aliases: ['nw_src'], needs: ip4 }),
  field('ipv4_dst', 32, 'ipv4', 'ip_dst', 'NXM_OF_IP_DST', { aliases: ['nw_dst'], needs: ip4 }),
  field('arp_spa', 32, 'ipv4', 'arp_spa', 'NXM_OF_ARP_SPA', { needs: arp }),
  field('arp_tpa', 32, 'ipv4', 'arp_tpa', 'NXM_OF_ARP_TPA', { needs: arp }),
  field('arp_op', 16, 'decimal', 'arp_op', 'NXM_OF_ARP_OP', { needs: arp }),
  field('ip_proto', 8, 'decimal', 'nw_proto', 'NXM_OF_IP_PROTO', { needs: ip }),
  field('arp_sha', 48, 'mac', 'arp_sha', 'NXM_NX_ARP_SHA', { needs: arp }),
  field('arp_tha', 48, 'mac', 'arp_tha', 'NXM_NX_ARP_THA', { needs: arp }),
  field('ip_dscp', 6, 'decimal', 'ip_dscp', 'OXM_OF_IP_DSCP', { needs: ip }),
  field('nxm_ip_tos', 8, 'decimal', 'nw_tos', 'NXM_OF_IP_TOS', { needs: ip }),
  field('ip_ecn', 2, 'decimal', 'nw_ecn', 'NXM_NX_IP_ECN', { needs: ip }),
  field('ip_ttl', 8, 'decimal', 'nw_ttl', 'NXM_NX_IP_TTL', { needs: ip }),
  field('mpls_label', 20, 'decimal', 'mpls_label', 'OXM_OF_MPLS_LABEL', { needs: mpls }),
  field('mpls_tc', 3, 'decimal', 'mpls_tc', 'OXM_OF_MPLS_TC', { needs: mpls }),
  field('mpls_ttl', 8, 'decimal', 'mpls_ttl', 'NXM_NX_MPLS_TTL', { needs: mpls }),
  field('mpls_bos', 1, 'decimal', 'mpls_bos', 'OXM_OF_MPLS_BOS', { needs: mpls }),
  field('pbb_isid', 24, 'hex', 'pbb_isid', 'OXM_OF_PBB_ISID', { needs: { ethTypes: [ETH.PBB] } }),
  field('ip_frag', 2, 'fragment', 'ip_frag', 'NXM_NX_IP_FRAG', { aliases: ['nw_frag'], needs: ip }),
  field('tcp_src', 16, 'decimal', 'tcp_src', 'NXM_OF_TCP_SRC', { needs: over(IP.TCP) }),
  field('tcp_dst', 16, 'decimal', 'tcp_dst', 'NXM_OF_TCP_DST', { needs: over(IP.TCP) }),
  field('tcp_flags', 12, 'tcp-flags', 'tcp_flags', 'NXM_NX_TCP_FLAGS', { needs: over(IP.TCP) }),
  field('udp_src', 16, 'decimal', 'udp_src', 'NXM_OF_UDP_SRC', { needs: over(IP.UDP) }),
  field('udp_dst', 16, 'decimal', 'udp_dst', 'NXM_OF_UDP_DST', { needs: over(IP.UDP) }),
  field('sctp_src', 16, 'decimal', 'sctp_src', 'OXM_OF_SCTP_SRC', { needs: over(IP.SCTP) }),
  field('sctp_dst', 16, 'decimal', 'sctp_dst', 'OXM_OF_SCTP_DST', { needs: over(IP.SCTP) }),
  field('icmpv4_type', 8, 'decimal', 'icmp_type', 'NXM_OF_ICMP_TYPE', {
    needs: { ...ip4, ipProto: IP.ICMP },
  }),
  field('icmpv4_code', 8, 'decimal', 'icmp_code', 'NXM_OF_ICMP_CODE', {
    needs: { ...ip4, ipProto: IP.ICMP },
  }),
  field('icmpv6_type', 8, 'decimal', 'icmpv6_type', 'NXM_NX_ICMPV6_TYPE', {
    needs: { ...ip6, ipProto: IP.ICMP6 },
  }),
  field('icmpv6_code', 8, 'decimal', 'icmpv6_code', 'NXM_NX_ICMPV6_CODE', {
    needs: { ...ip6, ipProto: IP.ICMP6 },
  }),
  field('ipv6_nd_target', 128, 'ipv6', 'nd_target', 'NXM_NX_ND_TARGET', {
    needs: { ...ip6, ipProto: IP.ICMP6, icmpTypes: [135, 136] },
  }),
  field('ipv6_nd_sll', 48, 'mac', 'nd_sll', 'NXM_NX_ND_SLL', {
    needs: { ...ip6, ipProto: IP.ICMP6, icmpTypes: [135] },
  }),
  field('ipv6_nd_tll', 48, 'mac', 'nd_tll', 'NXM_NX_ND_TLL', {
    needs: { ...ip6, ipProto: IP.ICMP6, icmpTypes: [136] },
  }),
];

const BY_OXM = new Map<string, FieldText>(
  FIELDS.flatMap((each) => [[each.twin, each] as const, [each.oxm, each] as const]),
);
const BY_NAME = new Map(
  FIELDS.flatMap((each) =>
    [each.oxm, each.name, each.nxm, ...each.aliases].map((name) => [name.toLowerCase(), each]),
  ),
);

/** What is known of a field of node-openflow; Nicira's older ids of it count as the field itself. */
export function fieldOf(oxm: string): FieldText | undefined {
  return BY_OXM.get(oxm);
}

/** A field by any of its names, case ignored. */
export function fieldNamed(name: string): FieldText | undefined {
  return BY_NAME.get(name.toLowerCase());
}

/** Words that stand for Ethernet type and IP protocol. */
export const PROTOCOLS: ReadonlyMap<string, { readonly ethType: number; readonly ipProto?: number }> =
  new Map([
    ['ip', { ethType: ETH.IP }],
    ['ipv4', { ethType: ETH.IP }],
    ['icmp', { ethType: ETH.IP, ipProto: IP.ICMP }],
    ['tcp', { ethType: ETH.IP, ipProto: IP.TCP }],
    ['udp', { ethType: ETH.IP, ipProto: IP.UDP }],
    ['sctp', { ethType: ETH.IP, ipProto: IP.SCTP }],
    ['ipv6', { ethType: ETH.IPV6 }],
    ['ip6', { ethType: ETH.IPV6 }],
    ['icmp6', { ethType: ETH.IPV6, ipProto: IP.ICMP6 }],
    ['tcp6', { ethType: ETH.IPV6, ipProto: IP.TCP }],
    ['udp6', { ethType: ETH.IPV6, ipProto: IP.UDP }],
    ['sctp6', { ethType: ETH.IPV6, ipProto: IP.SCTP }],
    ['arp', { ethType: ETH.ARP }],
    ['rarp', { ethType: ETH.RARP }],
    ['mpls', { ethType: ETH.MPLS }],
    ['mplsm', { ethType: ETH.MPLSM }],
  ]);
