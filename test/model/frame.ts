/** Ethernet frames for tests: made from a description, taken apart into the fields OpenFlow matches. */
import { macAddress, macAddressAt, macAddressBytes, type MacAddress } from '../../src/domain/index.js';

export interface Tag {
  /** TPID, 0x8100 when left out. */
  readonly tpid?: number;
  readonly vid: number;
  readonly pcp?: number;
}

export interface FrameDescription {
  readonly dst: string;
  readonly src: string;
  /** Outermost first. */
  readonly tags?: readonly Tag[];
  readonly ethertype?: number;
  readonly payload?: Uint8Array;
}

const PLAIN_PAYLOAD = new Uint8Array(46).fill(0x5a);

export function isVlanTpid(ethertype: number): boolean {
  return ethertype === 0x8100 || ethertype === 0x88a8;
}

export function makeFrame({
  dst,
  src,
  tags = [],
  ethertype = 0x88b5,
  payload = PLAIN_PAYLOAD,
}: FrameDescription): Uint8Array {
  const header = tags.flatMap(({ tpid = 0x8100, vid, pcp = 0 }) => [tpid, (pcp << 13) | vid]);
  return Uint8Array.from([
    ...macAddressBytes(macAddress(dst)),
    ...macAddressBytes(macAddress(src)),
    ...[...header, ethertype].flatMap((word) => [word >> 8, word & 0xff]),
    ...payload,
  ]);
}

export interface ParsedFrame {
  readonly dst: MacAddress;
  readonly src: MacAddress;
  readonly tags: readonly Required<Tag>[];
  readonly ethertype: number;
}

/** The addresses, every tag, and the type of what is within. */
export function parseFrame(frame: Uint8Array): ParsedFrame {
  const word = (offset: number): number => ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0);
  const tags: Required<Tag>[] = [];
  let at = 12;
  for (; isVlanTpid(word(at)); at += 4) {
    tags.push({ tpid: word(at), vid: word(at + 2) & 0xfff, pcp: word(at + 2) >> 13 });
  }
  return { dst: macAddressAt(frame, 0), src: macAddressAt(frame, 6), tags, ethertype: word(at) };
}

/** Where the bytes of a field lie in the frame, for fields of whole bytes; undefined where the frame has no such field. */
export function fieldSpan(frame: Uint8Array, name: string): { offset: number; size: number } | undefined {
  if (name === 'eth_dst') return { offset: 0, size: 6 };
  if (name === 'eth_src') return { offset: 6, size: 6 };
  if (!fieldsOf(frame).has(name)) return undefined;
  const ip = isVlanTpid(((frame[12] ?? 0) << 8) | (frame[13] ?? 0)) ? 18 : 14;
  const l4 = ip + 4 * ((frame[ip] ?? 0) & 0xf);
  const spans: Readonly<Record<string, readonly [number, number]>> = {
    ip_proto: [ip + 9, 1],
    ipv4_src: [ip + 12, 4],
    ipv4_dst: [ip + 16, 4],
    tcp_src: [l4, 2],
    tcp_dst: [l4 + 2, 2],
    udp_src: [l4, 2],
    udp_dst: [l4 + 2, 2],
    arp_op: [ip + 6, 2],
    arp_sha: [ip + 8, 6],
    arp_spa: [ip + 14, 4],
    arp_tha: [ip + 18, 6],
    arp_tpa: [ip + 24, 4],
  };
  const [offset, size] = spans[name] ?? [];
  return offset === undefined || size === undefined ? undefined : { offset, size };
}

/**
 * The fields of OF 1.3.5 §7.2.3.7 that the frame has. `eth_type` is that behind the outermost tag, as "the
 * Ethernet type of the payload after VLAN tags" is understood by switches that look at one tag.
 */
export function fieldsOf(frame: Uint8Array): Map<string, bigint> {
  const word = (offset: number): number => ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0);
  const number = (offset: number, size: number): bigint => {
    let value = 0n;
    for (let i = 0; i < size; i++) value = (value << 8n) | BigInt(frame[offset + i] ?? 0);
    return value;
  };
  const fields = new Map<string, bigint>([
    ['eth_dst', number(0, 6)],
    ['eth_src', number(6, 6)],
    ['vlan_vid', 0n],
  ]);
  let at = 12;
  if (isVlanTpid(word(at))) {
    fields.set('vlan_vid', BigInt(0x1000 | (word(at + 2) & 0xfff)));
    fields.set('vlan_pcp', BigInt(word(at + 2) >> 13));
    at += 4;
  }
  const ethertype = word(at);
  fields.set('eth_type', BigInt(ethertype));
  const ip = at + 2;
  if (ethertype === 0x0800 && frame.length >= ip + 20) {
    const protocol = frame[ip + 9] ?? 0;
    fields.set('ip_proto', BigInt(protocol));
    fields.set('ip_dscp', BigInt((frame[ip + 1] ?? 0) >> 2));
    fields.set('ipv4_src', number(ip + 12, 4));
    fields.set('ipv4_dst', number(ip + 16, 4));
    const l4 = ip + 4 * ((frame[ip] ?? 0) & 0xf);
    const transport = ({ 6: 'tcp', 17: 'udp', 132: 'sctp' } as Record<number, string>)[protocol];
    if (transport !== undefined && frame.length >= l4 + 4) {
      fields.set(`${transport}_src`, BigInt(word(l4)));
      fields.set(`${transport}_dst`, BigInt(word(l4 + 2)));
    }
  }
  if (ethertype === 0x0806) {
    fields.set('arp_op', BigInt(word(ip + 6)));
    fields.set('arp_sha', number(ip + 8, 6));
    fields.set('arp_spa', number(ip + 14, 4));
    fields.set('arp_tha', number(ip + 18, 6));
    fields.set('arp_tpa', number(ip + 24, 4));
  }
  return fields;
}
