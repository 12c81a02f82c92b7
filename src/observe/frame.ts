/**
 * Frames and matches: a frame with just the headers that a match of exact values describes, and the exact match that
 * describes a frame's headers. What the one makes the other reads.
 */
import { decodeAs, encodeAs, ipv4, ipv6, mac } from 'node-openflow';
import type { Match } from 'node-openflow';

/** A match that describes no frame; the message names the field. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const TYPE = {
  IP: 0x0800,
  ARP: 0x0806,
  RARP: 0x8035,
  VLAN: 0x8100,
  SERVICE_VLAN: 0x88a8,
  IPV6: 0x86dd,
  MPLS: 0x8847,
  MPLS_MULTICAST: 0x8848,
} as const;
/** For local experiments (IEEE 802): what a frame carries of which nothing is said. */
const EXPERIMENTAL = 0x88b5;
const PROTO = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;
/** IPv6 extension header: fragment (RFC 8200 §4.5). */
const FRAGMENT_HEADER = 44;
/** Without FCS (IEEE 802.3 §3.2.8). */
const MIN_LENGTH = 60;
const PRESENT = 0x1000;

/** What a frame has no place for: OpenFlow's own fields. */
const PIPELINE = /^(in_port|in_phy_port|metadata|tunnel_id|x{0,2}reg\d+|actset_output|packet_type)$/;

/** Reads a match's exact values, and remembers which. */
class Fields {
  readonly #left: Set<string>;

  constructor(readonly match: Match) {
    this.#left = new Set(Object.keys(match).filter((name) => !PIPELINE.test(name)));
  }

  has(name: string): boolean {
    return name in this.match;
  }

  number(name: string, otherwise = 0): number {
    const value = this.#value(name);
    if (value === undefined) return otherwise;
    if (typeof value !== 'number' && typeof value !== 'bigint') throw new FrameError(`${name}: not a number`);
    return Number(value);
  }

  text(name: string, otherwise: string): string {
    const value = this.#value(name);
    if (value === undefined) return otherwise;
    if (typeof value !== 'string') throw new FrameError(`${name}: not an address`);
    return value;
  }

  /** Value and mask of a field that is not matched bit by bit. */
  masked(name: string): { value: number; mask: number } | undefined {
    const given: unknown = this.match[name as keyof Match];
    this.#left.delete(name);
    if (given === undefined) return undefined;
    if (typeof given === 'number') return { value: given, mask: ~0 };
    const { value, mask } = given as { value: unknown; mask: unknown };
    return { value: Number(value), mask: Number(mask) };
  }

  /** @throws FrameError naming a field that the frame has no place for */
  refuseRest(): void {
    const [name] = this.#left;
    if (name !== undefined) throw new FrameError(`${name}: such a frame has none`);
  }

  #value(name: string): unknown {
    const value: unknown = this.match[name as keyof Match];
    this.#left.delete(name);
    if (typeof value === 'object' && value !== null) {
      throw new FrameError(`${name}: a frame has one value, not a mask`);
    }
    return value;
  }
}

const u16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value)];

/**
 * The frame that a match of exact values describes. What it leaves open is zero, or what is usual (TTL 64).
 * @param length bytes of the frame; at least what its headers and Ethernet's minimum need
 * @throws FrameError naming the field that is at fault
 */
export function frameOf(match: Match, length = 0): Uint8Array {
  const fields = new Fields(match);
  const frame = [
    ...encodeAs(mac, fields.text('eth_dst', '00:00:00:00:00:00')),
    ...encodeAs(mac, fields.text('eth_src', '00:00:00:00:00:00')),
    ...tagOf(fields),
  ];
  const type = fields.number('eth_type', EXPERIMENTAL);
  frame.push(...u16(type));
  const room = Math.max(0, Math.max(length, MIN_LENGTH) - frame.length);
  frame.push(...payloadOf(type, fields, room));
  fields.refuseRest();
  while (frame.length < Math.max(length, MIN_LENGTH)) frame.push(0);
  return Uint8Array.from(frame);
}

function tagOf(fields: Fields): number[] {
  const tci = fields.masked('nxm_vlan_tci');
  if (tci !== undefined)
    return (tci.value & PRESENT) === 0 ? [] : [...u16(TYPE.VLAN), ...u16(tci.value & 0xefff)];
  const hasTag = (fields.number('vlan_vid') & PRESENT) !== 0 || fields.has('vlan_pcp');
  const vid = fields.number('vlan_vid') & 0xfff;
  return hasTag ? [...u16(TYPE.VLAN), ...u16((fields.number('vlan_pcp') << 13) | vid)] : [];
}

function payloadOf(type: number, fields: Fields, room: number): number[] {
  switch (type) {
    case TYPE.ARP:
    case TYPE.RARP:
      return arp(fields);
    case TYPE.IP:
      return ipv4Packet(fields, room);
    case TYPE.IPV6:
      return ipv6Packet(fields, room);
    case TYPE.MPLS:
    case TYPE.MPLS_MULTICAST: {
      const bottom = fields.number('mpls_bos', 1);
      const word = (fields.number('mpls_label') << 12) | (fields.number('mpls_tc') << 9) | (bottom << 8);
      return u32(word | ttlOf(fields, 'mpls_ttl'));
    }
    default:
      return [];
  }
}

function ttlOf(fields: Fields, name: string): number {
  return fields.number(name, 64);
}

function arp(fields: Fields): number[] {
  const zero = '00:00:00:00:00:00';
  return [
    ...[...u16(1), ...u16(TYPE.IP), 6, 4, ...u16(fields.number('arp_op', 1))],
    ...encodeAs(mac, fields.text('arp_sha', zero)),
    ...encodeAs(ipv4, fields.text('arp_spa', '0.0.0.0')),
    ...encodeAs(mac, fields.text('arp_tha', zero)),
    ...encodeAs(ipv4, fields.text('arp_tpa', '0.0.0.0')),
  ];
}

/** ToS or traffic class: DSCP and ECN. */
function tosOf(fields: Fields): number {
  const tos = fields.number('nxm_ip_tos');
  return (fields.has('ip_dscp') ? fields.number('ip_dscp') << 2 : tos & 0xfc) | fields.number('ip_ecn');
}

/** Flags and offset: of the first fragment, of a later one, or of none. */
function fragmentOf(fields: Fields): number {
  const frag = fields.masked('ip_frag');
  const bits = (frag?.value ?? 0) & (frag?.mask ?? 0);
  const [any, later] = [1, 2];
  // Offsets count 8 bytes. In IPv4's words the flag "more fragments" is 0x2000.
  return (bits & later) !== 0 ? 0x2001 : (bits & any) !== 0 ? 0x2000 : 0;
}

function ipv4Packet(fields: Fields, room: number): number[] {
  const proto = fields.number('ip_proto');
  const fragment = fragmentOf(fields);
  const addresses = [
    ...encodeAs(ipv4, fields.text('ipv4_src', '0.0.0.0')),
    ...encodeAs(ipv4, fields.text('ipv4_dst', '0.0.0.0')),
  ];
  const inner = (fragment & 0x1fff) === 0 ? transport(proto, fields, Math.max(0, room - 20)) : [];
  const total = Math.max(room, 20 + inner.length);
  const header = [
    0x45,
    tosOf(fields),
    ...u16(total),
    0,
    0,
    ...u16(fragment),
    ttlOf(fields, 'ip_ttl'),
    proto,
    0,
    0,
  ];
  header.push(...addresses);
  header.splice(10, 2, ...u16(checksum(header)));
  const pseudo = [...addresses, 0, proto, ...u16(total - 20)];
  const body = padded(inner, total - 20);
  return [...header, ...(fragment === 0 ? summed(proto, body, pseudo) : body)];
}

function ipv6Packet(fields: Fields, room: number): number[] {
  const proto = fields.number('ip_proto');
  const fragment = fragmentOf(fields);
  const addresses = [
    ...encodeAs(ipv6, fields.text('ipv6_src', '::')),
    ...encodeAs(ipv6, fields.text('ipv6_dst', '::')),
  ];
  const extension = fragment === 0 ? [] : [proto, 0, ...u16(((fragment & 0x1fff) << 3) | 1), ...u32(0)];
  const space = Math.max(0, room - 40 - extension.length);
  const inner = (fragment & 0x1fff) === 0 ? transport(proto, fields, space) : [];
  const body = padded(inner, Math.max(space, inner.length));
  const word = 0x6000_0000 + tosOf(fields) * 0x10_0000 + fields.number('ipv6_flabel');
  const pseudo = [...addresses, ...u32(body.length), 0, 0, 0, proto];
  return [
    ...[...u32(word), ...u16(extension.length + body.length)],
    ...[fragment === 0 ? proto : FRAGMENT_HEADER, ttlOf(fields, 'ip_ttl'), ...addresses],
    ...extension,
    ...(fragment === 0 ? summed(proto, body, pseudo) : body),
  ];
}

function transport(proto: number, fields: Fields, room: number): number[] {
  const ports = (name: string) => [
    ...u16(fields.number(`${name}_src`)),
    ...u16(fields.number(`${name}_dst`)),
  ];
  switch (proto) {
    case PROTO.TCP: {
      const flags = fields.masked('tcp_flags');
      // Five words of header; the flags' lowest nine bits stand beside.
      const word = 0x5000 | ((flags?.value ?? 0x02) & 0xfff);
      return [...ports('tcp'), ...u32(0), ...u32(0), ...u16(word), ...u16(0xffff), ...u32(0)];
    }
    case PROTO.UDP:
      return [...ports('udp'), ...u16(Math.max(8, room)), 0, 0];
    case PROTO.SCTP:
      return [...ports('sctp'), ...u32(0), ...u32(0)];
    case PROTO.ICMP:
      return [fields.number('icmpv4_type'), fields.number('icmpv4_code'), 0, 0, ...u32(0)];
    case PROTO.ICMPV6:
      return icmpv6(fields);
    default:
      return [];
  }
}

/** Neighbour discovery (RFC 4861 §4.3, §4.4) with its target and link-layer address, or a bare header. */
function icmpv6(fields: Fields): number[] {
  const type = fields.number('icmpv6_type');
  const header = [type, fields.number('icmpv6_code'), 0, 0, ...u32(0)];
  if (type !== 135 && type !== 136) return header;
  header.push(...encodeAs(ipv6, fields.text('ipv6_nd_target', '::')));
  const name = type === 135 ? 'ipv6_nd_sll' : 'ipv6_nd_tll';
  if (fields.has(name)) header.push(type === 135 ? 1 : 2, 1, ...encodeAs(mac, fields.text(name, '')));
  return header;
}

function padded(bytes: number[], length: number): number[] {
  return [...bytes, ...new Array<number>(Math.max(0, length - bytes.length)).fill(0)];
}

/** Where the checksum stands, by protocol. SCTP's is another sum, which nobody on the way looks at. */
const CHECKSUM_AT = new Map<number, number>([
  [PROTO.TCP, 16],
  [PROTO.UDP, 6],
  [PROTO.ICMP, 2],
  [PROTO.ICMPV6, 2],
]);

function summed(proto: number, body: number[], pseudo: readonly number[]): number[] {
  const at = CHECKSUM_AT.get(proto);
  if (at === undefined) return body;
  const sum = checksum(proto === PROTO.ICMP ? body : [...pseudo, ...body]);
  // UDP's zero means "none" (RFC 768).
  body.splice(at, 2, ...u16(sum === 0 && proto === PROTO.UDP ? 0xffff : sum));
  return body;
}

/** RFC 1071 */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Reads big-endian numbers; beyond the end there is nothing. */
class Cursor {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  has(count: number): boolean {
    return this.at + count <= this.bytes.length;
  }

  number(count: number): number {
    let value = 0;
    for (const byte of this.take(count)) value = value * 256 + byte;
    return value;
  }

  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

/** The exact match of a frame's headers, as far as they are there. Of several tags, the outermost. */
export function matchOfFrame(frame: Uint8Array): Match {
  const match: Record<string, unknown> = {};
  const cursor = new Cursor(frame);
  if (!cursor.has(14)) return match as Match;
  match['eth_dst'] = decodeAs(mac, cursor.take(6));
  match['eth_src'] = decodeAs(mac, cursor.take(6));
  let type = cursor.number(2);
  while ((type === TYPE.VLAN || type === TYPE.SERVICE_VLAN) && cursor.has(4)) {
    const tci = cursor.number(2);
    type = cursor.number(2);
    if ('vlan_vid' in match) continue;
    match['vlan_vid'] = (tci & 0xfff) | PRESENT;
    match['vlan_pcp'] = tci >> 13;
  }
  match['eth_type'] = type;
  if (type === TYPE.IP) readIpv4(cursor, match);
  else if (type === TYPE.IPV6) readIpv6(cursor, match);
  else if (type === TYPE.ARP || type === TYPE.RARP) readArp(cursor, match);
  else if ((type === TYPE.MPLS || type === TYPE.MPLS_MULTICAST) && cursor.has(4)) {
    const word = cursor.number(4);
    match['mpls_label'] = word >>> 12;
    match['mpls_tc'] = (word >>> 9) & 7;
    match['mpls_bos'] = (word >>> 8) & 1;
  }
  return match as Match;
}

function readArp(cursor: Cursor, match: Record<string, unknown>): void {
  if (!cursor.has(28)) return;
  cursor.take(6);
  match['arp_op'] = cursor.number(2);
  match['arp_sha'] = decodeAs(mac, cursor.take(6));
  match['arp_spa'] = decodeAs(ipv4, cursor.take(4));
  match['arp_tha'] = decodeAs(mac, cursor.take(6));
  match['arp_tpa'] = decodeAs(ipv4, cursor.take(4));
}

function readIpv4(cursor: Cursor, match: Record<string, unknown>): void {
  if (!cursor.has(20)) return;
  const start = cursor.at;
  const headerBytes = (cursor.number(1) & 0xf) * 4;
  const tos = cursor.number(1);
  cursor.take(4);
  const fragment = cursor.number(2);
  const ttl = cursor.number(1);
  const proto = cursor.number(1);
  cursor.take(2);
  match['ip_dscp'] = tos >> 2;
  match['ip_ecn'] = tos & 3;
  match['ip_proto'] = proto;
  match['ipv4_src'] = decodeAs(ipv4, cursor.take(4));
  match['ipv4_dst'] = decodeAs(ipv4, cursor.take(4));
  match['ip_ttl'] = ttl;
  if ((fragment & 0x3fff) !== 0) match['ip_frag'] = (fragment & 0x1fff) === 0 ? 1 : 3;
  cursor.at = start + Math.max(20, headerBytes);
  if ((fragment & 0x1fff) === 0) readTransport(proto, cursor, match);
}

function readIpv6(cursor: Cursor, match: Record<string, unknown>): void {
  if (!cursor.has(40)) return;
  const word = cursor.number(4);
  cursor.take(2);
  let proto = cursor.number(1);
  const ttl = cursor.number(1);
  const [src, dst] = [decodeAs(ipv6, cursor.take(16)), decodeAs(ipv6, cursor.take(16))];
  let isLater = false;
  // Extension headers (RFC 8200 §4): hop-by-hop, routing and destination options; fragment.
  while ([0, 43, 60, FRAGMENT_HEADER].includes(proto) && cursor.has(8)) {
    const isFragment = proto === FRAGMENT_HEADER;
    proto = cursor.number(1);
    const more = cursor.number(1);
    const offset = cursor.number(2);
    if (isFragment) {
      isLater = offset >> 3 !== 0;
      match['ip_frag'] = isLater ? 3 : 1;
    }
    cursor.take(4 + (isFragment ? 0 : more * 8));
    if (isLater) break;
  }
  match['ip_dscp'] = (word >>> 22) & 0x3f;
  match['ip_ecn'] = (word >>> 20) & 3;
  match['ip_proto'] = proto;
  match['ipv6_src'] = src;
  match['ipv6_dst'] = dst;
  match['ipv6_flabel'] = word & 0xfffff;
  match['ip_ttl'] = ttl;
  if (!isLater) readTransport(proto, cursor, match);
}

function readTransport(proto: number, cursor: Cursor, match: Record<string, unknown>): void {
  const name = new Map<number, string>([
    [PROTO.TCP, 'tcp'],
    [PROTO.UDP, 'udp'],
    [PROTO.SCTP, 'sctp'],
    [PROTO.ICMP, 'icmpv4'],
    [PROTO.ICMPV6, 'icmpv6'],
  ]).get(proto);
  if (name === undefined || !cursor.has(4)) return;
  if (name.startsWith('icmp')) {
    const type = cursor.number(1);
    match[`${name}_type`] = type;
    match[`${name}_code`] = cursor.number(1);
    if (proto === PROTO.ICMPV6 && (type === 135 || type === 136) && cursor.has(22)) {
      cursor.take(6);
      match['ipv6_nd_target'] = decodeAs(ipv6, cursor.take(16));
    }
    return;
  }
  match[`${name}_src`] = cursor.number(2);
  match[`${name}_dst`] = cursor.number(2);
  if (proto === PROTO.TCP && cursor.has(10)) {
    cursor.take(8);
    match['tcp_flags'] = cursor.number(2) & 0xfff;
  }
}
