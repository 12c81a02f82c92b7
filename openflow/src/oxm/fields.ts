/**
 * Every match field: the 40 of OF 1.3.5 §7.2.3.7 and the ones Open vSwitch adds (NXM and experimenter OXM).
 *
 * One line per field gives its wire id, encoding, width, whether it may be masked, and what must be matched before it.
 */

import type { Codec } from '../codec/codec.js';
import { u128, u16, u32, u64, u8 } from '../codec/numbers.js';
import { ipv4, ipv6, mac } from '../codec/text.js';
import { OpenFlowEncodeError } from '../codec/errors.js';

/** A field that must be matched exactly, to one of `values`; without values, to anything but "none". */
export interface Prerequisite {
  readonly field: string;
  readonly values?: readonly number[];
}

/** A match field. */
export interface OxmField<T = unknown> {
  readonly name: string;
  /** `oxm_class`: 0x8000 for the standard's, 0 and 1 for Nicira's, 0xffff for experimenters'. */
  readonly oxmClass: number;
  readonly field: number;
  /** Experimenter id, in class 0xffff. */
  readonly experimenter: number | undefined;
  readonly codec: Codec<T>;
  /** The OXM header without mask: class, field, payload length (§7.2.3.2). */
  readonly header: number;
  /** Bytes of a value on the wire. */
  readonly bytes: number;
  /** Bits that have a meaning; the others must be zero. */
  readonly bits: number;
  readonly maskable: boolean;
  /** The specification lets SET_FIELD write it (§5.12: all but IN_PORT, IN_PHY_PORT, METADATA). */
  readonly settable: boolean;
  readonly prerequisites: readonly Prerequisite[];
}

export const OXM_CLASS_BASIC = 0x8000;
export const OXM_CLASS_REGISTERS = 0x8001;
export const OXM_CLASS_EXPERIMENTER = 0xffff;
export const NICIRA = 0x0000_2320;
export const ONF = 0x4f4e_4600;
/** Weft’s own: "WEFT". */
export const WEFT = 0x5745_4654;

const u24: Codec<number> = {
  schema: { kind: 'uint', bits: 32 },
  fixedSize: 3,
  read: (r) => (r.u8() << 16) | r.u16(),
  write: (w, v) => {
    if (v >>> 0 !== v || v > 0xff_ffff)
      throw new OpenFlowEncodeError(`${v} is not an unsigned 24-bit integer`);
    w.u8(v >>> 16);
    w.u16(v & 0xffff);
  },
  fromJson: (json) => json as number,
};

type Wire<T> = Omit<OxmField<T>, 'name'>;

interface Extra {
  readonly bits?: number;
  readonly mask?: true;
  readonly readonly?: true;
  readonly needs?: readonly Prerequisite[];
}

function define<T>(
  oxmClass: number,
  field: number,
  codec: Codec<T>,
  extra: Extra = {},
  experimenter?: number,
): Wire<T> {
  const bytes = codec.fixedSize ?? 0;
  const payload = bytes + (experimenter === undefined ? 0 : 4);
  return {
    oxmClass,
    field,
    experimenter,
    codec,
    header: ((oxmClass << 16) | (field << 9) | payload) >>> 0,
    bytes,
    bits: extra.bits ?? bytes * 8,
    maskable: extra.mask ?? false,
    settable: extra.readonly !== true,
    prerequisites: extra.needs ?? [],
  };
}

const oxm = <T>(field: number, codec: Codec<T>, extra?: Extra): Wire<T> =>
  define(OXM_CLASS_BASIC, field, codec, extra);
const nxm0 = <T>(field: number, codec: Codec<T>, extra?: Extra): Wire<T> => define(0, field, codec, extra);
const nxm1 = <T>(field: number, codec: Codec<T>, extra?: Extra): Wire<T> => define(1, field, codec, extra);
const mask = { mask: true } as const;

const ethType = (...values: number[]): Prerequisite => ({ field: 'eth_type', values });
const ipProto = (...values: number[]): Prerequisite => ({ field: 'ip_proto', values });
const ip = [ethType(0x0800, 0x86dd)];
const v4 = [ethType(0x0800)];
const v6 = [ethType(0x86dd)];
const arp = [ethType(0x0806)];
const mpls = [ethType(0x8847, 0x8848)];
const tcp = [ipProto(6)];
const udp = [ipProto(17)];
const sctp = [ipProto(132)];
const icmpv4 = [ipProto(1)];
const icmpv6 = [ipProto(58)];

/** §7.2.3.7, in the order of their numbers. */
const standard = {
  in_port: oxm(0, u32, { readonly: true }),
  in_phy_port: oxm(1, u32, { readonly: true, needs: [{ field: 'in_port' }] }),
  metadata: oxm(2, u64, { mask: true, readonly: true }),
  eth_dst: oxm(3, mac, mask),
  eth_src: oxm(4, mac, mask),
  eth_type: oxm(5, u16),
  vlan_vid: oxm(6, u16, { bits: 13, mask: true }),
  vlan_pcp: oxm(7, u8, { bits: 3, needs: [{ field: 'vlan_vid' }] }),
  ip_dscp: oxm(8, u8, { bits: 6, needs: ip }),
  ip_ecn: oxm(9, u8, { bits: 2, needs: ip }),
  ip_proto: oxm(10, u8, { needs: ip }),
  ipv4_src: oxm(11, ipv4, { mask: true, needs: v4 }),
  ipv4_dst: oxm(12, ipv4, { mask: true, needs: v4 }),
  tcp_src: oxm(13, u16, { needs: tcp }),
  tcp_dst: oxm(14, u16, { needs: tcp }),
  udp_src: oxm(15, u16, { needs: udp }),
  udp_dst: oxm(16, u16, { needs: udp }),
  sctp_src: oxm(17, u16, { needs: sctp }),
  sctp_dst: oxm(18, u16, { needs: sctp }),
  icmpv4_type: oxm(19, u8, { needs: icmpv4 }),
  icmpv4_code: oxm(20, u8, { needs: icmpv4 }),
  arp_op: oxm(21, u16, { needs: arp }),
  arp_spa: oxm(22, ipv4, { mask: true, needs: arp }),
  arp_tpa: oxm(23, ipv4, { mask: true, needs: arp }),
  arp_sha: oxm(24, mac, { mask: true, needs: arp }),
  arp_tha: oxm(25, mac, { mask: true, needs: arp }),
  ipv6_src: oxm(26, ipv6, { mask: true, needs: v6 }),
  ipv6_dst: oxm(27, ipv6, { mask: true, needs: v6 }),
  ipv6_flabel: oxm(28, u32, { bits: 20, mask: true, needs: v6 }),
  icmpv6_type: oxm(29, u8, { needs: icmpv6 }),
  icmpv6_code: oxm(30, u8, { needs: icmpv6 }),
  ipv6_nd_target: oxm(31, ipv6, { needs: [{ field: 'icmpv6_type', values: [135, 136] }] }),
  ipv6_nd_sll: oxm(32, mac, { needs: [{ field: 'icmpv6_type', values: [135] }] }),
  ipv6_nd_tll: oxm(33, mac, { needs: [{ field: 'icmpv6_type', values: [136] }] }),
  mpls_label: oxm(34, u32, { bits: 20, needs: mpls }),
  mpls_tc: oxm(35, u8, { bits: 3, needs: mpls }),
  mpls_bos: oxm(36, u8, { bits: 1, needs: mpls }),
  pbb_isid: oxm(37, u24, { mask: true, needs: [ethType(0x88e7)] }),
  tunnel_id: oxm(38, u64, mask),
  ipv6_exthdr: oxm(39, u16, { bits: 9, mask: true, needs: v6 }),
} as const;

/** Open vSwitch's own, named as in its documentation without `NXM_NX_`. */
const extension = {
  reg0: nxm1(0, u32, mask),
  reg1: nxm1(1, u32, mask),
  reg2: nxm1(2, u32, mask),
  reg3: nxm1(3, u32, mask),
  reg4: nxm1(4, u32, mask),
  reg5: nxm1(5, u32, mask),
  reg6: nxm1(6, u32, mask),
  reg7: nxm1(7, u32, mask),
  reg8: nxm1(8, u32, mask),
  reg9: nxm1(9, u32, mask),
  reg10: nxm1(10, u32, mask),
  reg11: nxm1(11, u32, mask),
  reg12: nxm1(12, u32, mask),
  reg13: nxm1(13, u32, mask),
  reg14: nxm1(14, u32, mask),
  reg15: nxm1(15, u32, mask),
  xreg0: define(OXM_CLASS_REGISTERS, 0, u64, mask),
  xreg1: define(OXM_CLASS_REGISTERS, 1, u64, mask),
  xreg2: define(OXM_CLASS_REGISTERS, 2, u64, mask),
  xreg3: define(OXM_CLASS_REGISTERS, 3, u64, mask),
  xreg4: define(OXM_CLASS_REGISTERS, 4, u64, mask),
  xreg5: define(OXM_CLASS_REGISTERS, 5, u64, mask),
  xreg6: define(OXM_CLASS_REGISTERS, 6, u64, mask),
  xreg7: define(OXM_CLASS_REGISTERS, 7, u64, mask),
  xxreg0: nxm1(111, u128, mask),
  xxreg1: nxm1(112, u128, mask),
  xxreg2: nxm1(113, u128, mask),
  xxreg3: nxm1(114, u128, mask),
  ip_frag: nxm1(26, u8, { bits: 2, mask: true, needs: ip }),
  ip_ttl: nxm1(29, u8, { needs: ip }),
  mpls_ttl: nxm1(30, u8, { needs: mpls }),
  tun_ipv4_src: nxm1(31, ipv4, mask),
  tun_ipv4_dst: nxm1(32, ipv4, mask),
  pkt_mark: nxm1(33, u32, mask),
  dp_hash: nxm1(35, u32, mask),
  recirc_id: nxm1(36, u32),
  conj_id: nxm1(37, u32),
  tun_gbp_id: nxm1(38, u16, mask),
  tun_gbp_flags: nxm1(39, u8, mask),
  tun_flags: nxm1(104, u16, mask),
  ct_state: nxm1(105, u32, mask),
  ct_zone: nxm1(106, u16),
  ct_mark: nxm1(107, u32, mask),
  ct_label: nxm1(108, u128, mask),
  tun_ipv6_src: nxm1(109, ipv6, mask),
  tun_ipv6_dst: nxm1(110, ipv6, mask),
  tcp_flags: define(OXM_CLASS_EXPERIMENTER, 42, u16, { bits: 12, mask: true, needs: tcp }, ONF),
  actset_output: define(OXM_CLASS_EXPERIMENTER, 43, u32, { readonly: true }, ONF),
} as const;

/** Nicira's older ids of what the standard has too. They keep their own names, so that bytes survive a round trip. */
const twin = {
  nxm_in_port: nxm0(0, u16, { readonly: true }),
  nxm_eth_dst: nxm0(1, mac, mask),
  nxm_eth_src: nxm0(2, mac, mask),
  nxm_eth_type: nxm0(3, u16),
  nxm_vlan_tci: nxm0(4, u16, mask),
  nxm_ip_tos: nxm0(5, u8),
  nxm_ip_proto: nxm0(6, u8),
  nxm_ip_src: nxm0(7, ipv4, mask),
  nxm_ip_dst: nxm0(8, ipv4, mask),
  nxm_tcp_src: nxm0(9, u16, mask),
  nxm_tcp_dst: nxm0(10, u16, mask),
  nxm_udp_src: nxm0(11, u16, mask),
  nxm_udp_dst: nxm0(12, u16, mask),
  nxm_icmp_type: nxm0(13, u8),
  nxm_icmp_code: nxm0(14, u8),
  nxm_arp_op: nxm0(15, u16),
  nxm_arp_spa: nxm0(16, ipv4, mask),
  nxm_arp_tpa: nxm0(17, ipv4, mask),
  nxm_tun_id: nxm1(16, u64, mask),
  nxm_arp_sha: nxm1(17, mac, mask),
  nxm_arp_tha: nxm1(18, mac, mask),
  nxm_ipv6_src: nxm1(19, ipv6, mask),
  nxm_ipv6_dst: nxm1(20, ipv6, mask),
  nxm_icmpv6_type: nxm1(21, u8),
  nxm_icmpv6_code: nxm1(22, u8),
  nxm_nd_target: nxm1(23, ipv6, mask),
  nxm_nd_sll: nxm1(24, mac, mask),
  nxm_nd_tll: nxm1(25, mac, mask),
  nxm_ipv6_label: nxm1(27, u32, { bits: 20, mask: true }),
  nxm_ip_ecn: nxm1(28, u8, { bits: 2 }),
  nxm_tcp_flags: nxm1(34, u16, { bits: 12, mask: true }),
} as const;

const declared = { ...standard, ...extension, ...twin } as const;

/** Names of the 40 standard fields. */
export type StandardFieldName = keyof typeof standard;
/** Names of all fields the library knows. */
export type OxmFieldName = keyof typeof declared;
/** The value of a field: number, bigint, or address as a string. */
export type OxmValue<K extends OxmFieldName = OxmFieldName> =
  (typeof declared)[K] extends Wire<infer T> ? T : never;

/** All fields the library knows, by name. */
export const oxmFields: { readonly [K in OxmFieldName]: OxmField<OxmValue<K>> } = Object.fromEntries(
  Object.entries(declared).map(([name, wire]) => [name, { name, ...wire }]),
) as unknown as { readonly [K in OxmFieldName]: OxmField<OxmValue<K>> };

const byId = new Map<number, OxmField>();
const basic: (OxmField | undefined)[] = new Array<OxmField | undefined>(128).fill(undefined);
const byExperimenter = new Map<string, OxmField>();
const byName = new Map<string, OxmField>(Object.entries(oxmFields) as [string, OxmField][]);

for (const field of byName.values()) {
  if (field.experimenter !== undefined) byExperimenter.set(`${field.experimenter}:${field.field}`, field);
  else if (field.oxmClass === OXM_CLASS_BASIC) basic[field.field] = field;
  else byId.set((field.oxmClass << 7) | field.field, field);
}

/** The field of a 32-bit OXM header, if known. For class 0xffff give the experimenter id that follows it. */
export function fieldOfHeader(header: number, experimenter?: number): OxmField | undefined {
  if (header >>> 16 === OXM_CLASS_BASIC) return basic[(header >>> 9) & 0x7f];
  if (header >>> 16 === OXM_CLASS_EXPERIMENTER)
    return byExperimenter.get(`${experimenter}:${(header >>> 9) & 0x7f}`);
  return byId.get(header >>> 9);
}

/** The field of that name, if known. */
export function fieldByName(name: string): OxmField | undefined {
  return byName.get(name);
}

/** The OXM header of a field: class, field, has-mask bit and payload length (§7.2.3.2). */
export function headerOf(field: Omit<OxmField, 'codec'>, hasMask: boolean): number {
  return hasMask ? field.header + 0x100 + field.bytes : field.header;
}
