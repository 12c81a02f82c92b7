/** Matches: `in_port=1,tcp,dl_vlan=10,nw_dst=10.0.0.0/8,tp_dst=80` (ovs-fields(7)). */

import { VlanVid } from '../messages/constants.js';
import { orderMatch } from '../oxm/check.js';
import type { Match } from '../oxm/match.js';
import {
  fromEntry,
  hex,
  onesOf,
  readBits,
  toEntry,
  writeEntry,
  type Bits,
  type PortNames,
} from './field-values.js';
import { ETH, FIELDS, IP, PROTOCOLS, fieldNamed, fieldOf, type FieldText } from './fields.js';
import { OfctlSyntaxError, badValue, integer, splitWords, valueOf, type Word } from './syntax.js';

const EXACT_VID = 0x1fffn;
const PRESENT = BigInt(VlanVid.PRESENT);

/** Words whose field depends on the protocol matched: which, for each one it makes sense with. */
const BY_PROTOCOL: ReadonlyMap<
  string,
  (ethType: number | undefined, ipProto: number | undefined) => string | undefined
> = new Map([
  ['nw_src', (eth) => (isArp(eth) ? 'arp_spa' : eth === ETH.IP ? 'ipv4_src' : undefined)],
  ['nw_dst', (eth) => (isArp(eth) ? 'arp_tpa' : eth === ETH.IP ? 'ipv4_dst' : undefined)],
  ['nw_proto', (eth) => (isArp(eth) ? 'arp_op' : isIp(eth) ? 'ip_proto' : undefined)],
  ['tp_src', (eth, proto) => (isIp(eth) ? transport(proto, 'src') : undefined)],
  ['tp_dst', (eth, proto) => (isIp(eth) ? transport(proto, 'dst') : undefined)],
  ['icmp_type', (eth, proto) => icmp(eth, proto, 'type')],
  ['icmp_code', (eth, proto) => icmp(eth, proto, 'code')],
]);

function isArp(ethType: number | undefined): boolean {
  return ethType === ETH.ARP || ethType === ETH.RARP;
}

function isIp(ethType: number | undefined): boolean {
  return ethType === ETH.IP || ethType === ETH.IPV6;
}

function transport(ipProto: number | undefined, side: 'src' | 'dst'): string | undefined {
  switch (ipProto) {
    case IP.TCP:
      return `tcp_${side}`;
    case IP.UDP:
      return `udp_${side}`;
    case IP.SCTP:
      return `sctp_${side}`;
    default:
      return undefined;
  }
}

function icmp(
  ethType: number | undefined,
  ipProto: number | undefined,
  part: 'type' | 'code',
): string | undefined {
  if (ethType === ETH.IP && ipProto === IP.ICMP) return `icmpv4_${part}`;
  return ethType === ETH.IPV6 && ipProto === IP.ICMP6 ? `icmpv6_${part}` : undefined;
}

/** Reads a match by itself. @throws OfctlSyntaxError */
export function parseMatch(text: string, names?: PortNames): Match {
  return matchOf(splitWords(text), names);
}

/**
 * The match that `words` make. Fields may come in any order; a field given twice counts as given last, as in Open
 * vSwitch. A field whose protocol is not matched is an error here, where Open vSwitch drops it with a log line.
 */
export function matchOf(words: readonly Word[], names?: PortNames): Match {
  const fields = new Map<string, Bits>();
  const unknown: Record<string, unknown> = {};
  const later: Word[] = [];

  // Which protocol is matched decides what other words mean, so it is read first.
  let ethType: number | undefined;
  let ipProto: number | undefined;
  for (const word of words) {
    const protocol = word.value === undefined ? PROTOCOLS.get(word.key) : undefined;
    if (protocol !== undefined) {
      ethType = protocol.ethType;
      ipProto = protocol.ipProto ?? ipProto;
    } else if (word.key === 'dl_type' || word.key === 'eth_type') {
      ethType = Number(integer(valueOf(word), 16, word.valueAt, word.key));
    } else if (word.key === 'ip_proto' || word.key === 'nw_proto') {
      ipProto = Number(integer(valueOf(word), 8, word.valueAt, word.key));
      later.push(word);
    } else {
      later.push(word);
    }
  }
  if (ethType !== undefined) fields.set('eth_type', { value: BigInt(ethType), mask: 0xffffn });
  if (isIp(ethType) && ipProto !== undefined) fields.set('ip_proto', { value: BigInt(ipProto), mask: 0xffn });

  for (const word of later) {
    if (isVlanWord(word.key)) {
      readVlan(word, fields);
      continue;
    }
    if (word.key.startsWith('unknown_')) {
      const [value, mask] = valueOf(word).split('/');
      unknown[word.key] = mask === undefined ? value : { value, mask };
      continue;
    }
    if (word.key === 'nw_tos') {
      const tos = integer(valueOf(word), 8, word.valueAt, word.key);
      demand(fieldOf('ip_dscp'), word, ethType, ipProto);
      fields.set('ip_dscp', { value: tos >> 2n, mask: 0x3fn });
      continue;
    }
    const field = fieldFor(word, ethType, ipProto);
    demand(field, word, ethType, ipProto);
    const bits = readBits(field, valueOf(word), word.valueAt, names);
    if (bits.mask === 0n) fields.delete(field.oxm);
    else fields.set(field.oxm, bits);
  }
  // A priority exists only in a tag (OF 1.3.5 Table 11: VLAN_PCP needs VLAN_VID other than NONE).
  if (fields.has('vlan_pcp') && !fields.has('vlan_vid'))
    fields.set('vlan_vid', { value: PRESENT, mask: PRESENT });
  return build(fields, unknown);
}

function fieldFor(word: Word, ethType: number | undefined, ipProto: number | undefined): FieldText {
  const resolve = BY_PROTOCOL.get(word.key);
  if (resolve !== undefined) {
    const field = fieldOf(resolve(ethType, ipProto) ?? '');
    if (field !== undefined) return field;
    throw new OfctlSyntaxError(
      `${word.key} needs a protocol that has it to be matched too`,
      word.key,
      word.at,
    );
  }
  const field = fieldNamed(word.key);
  if (field !== undefined) return field;
  if (word.value === undefined) throw new OfctlSyntaxError('unknown word', word.key, word.at);
  throw new OfctlSyntaxError('unknown field', word.key, word.at);
}

function demand(
  field: FieldText | undefined,
  word: Word,
  ethType: number | undefined,
  ipProto: number | undefined,
): asserts field is FieldText {
  const needs = field?.needs;
  if (needs === undefined) return;
  const isMet =
    ethType !== undefined &&
    needs.ethTypes.includes(ethType) &&
    (needs.ipProto === undefined || needs.ipProto === ipProto);
  if (!isMet)
    throw new OfctlSyntaxError(
      `${word.key} needs a protocol that has it to be matched too`,
      word.key,
      word.at,
    );
}

/** Prerequisites go before what needs them (OF 1.3.5 §7.2.3.6). */
function build(fields: ReadonlyMap<string, Bits>, unknown: Readonly<Record<string, unknown>>): Match {
  const match: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const bits = fields.get(field.oxm);
    if (bits !== undefined) match[field.oxm] = toEntry(field, bits);
  }
  return orderMatch({ ...match, ...unknown } as Match);
}

// ---- VLAN ---------------------------------------------------------------------------------------------------

function isVlanWord(key: string): boolean {
  return (
    key === 'dl_vlan' ||
    key === 'vlan_vid' ||
    key === 'dl_vlan_pcp' ||
    key === 'vlan_pcp' ||
    key === 'vlan_tci'
  );
}

function readVlan(word: Word, fields: Map<string, Bits>): void {
  const text = valueOf(word);
  switch (word.key) {
    case 'dl_vlan': {
      const vid = integer(text, 16, word.valueAt, word.key);
      // 0xffff is OpenFlow 1.0's word for "no tag" (ovs-fields(7)).
      if (vid !== 0xffffn && vid > 0xfffn) throw badValue(word, 'is not a VLAN id');
      fields.set('vlan_vid', { value: vid === 0xffffn ? 0n : vid | PRESENT, mask: EXACT_VID });
      return;
    }
    case 'dl_vlan_pcp':
    case 'vlan_pcp':
      fields.set('vlan_pcp', { value: integer(text, 3, word.valueAt, word.key), mask: 7n });
      return;
    case 'vlan_vid': {
      const field = fieldOf('vlan_vid');
      if (field === undefined) return;
      const bits = readBits(field, text, word.valueAt);
      if (bits.mask !== 0n) fields.set('vlan_vid', bits);
      return;
    }
    default:
      readTci(word, text, fields);
  }
}

/** A TCI is cut into what OpenFlow 1.3 has: VID with presence bit, and priority. */
function readTci(word: Word, text: string, fields: Map<string, Bits>): void {
  const slash = text.indexOf('/');
  const value = integer(slash < 0 ? text : text.slice(0, slash), 16, word.valueAt, word.key);
  const mask = slash < 0 ? 0xffffn : integer(text.slice(slash + 1), 16, word.valueAt + slash + 1, word.key);
  fields.delete('vlan_vid');
  fields.delete('vlan_pcp');
  fields.delete('nxm_vlan_tci');
  const pcpMask = mask >> 13n;
  if (value === 0n && mask === 0xffffn) {
    fields.set('vlan_vid', { value: 0n, mask: EXACT_VID });
  } else if (pcpMask !== 0n && (pcpMask !== 7n || (value & mask & PRESENT) === 0n)) {
    // Part of a priority, or a priority without a tag: only Nicira's field can say that.
    fields.set('nxm_vlan_tci', { value: value & mask, mask });
  } else {
    if ((mask & EXACT_VID) !== 0n)
      fields.set('vlan_vid', { value: value & mask & EXACT_VID, mask: mask & EXACT_VID });
    if (pcpMask === 7n) fields.set('vlan_pcp', { value: value >> 13n, mask: 7n });
  }
}

function writeVlan(vid: Bits | undefined, pcp: Bits | undefined): string[] {
  const value = (vid?.value ?? 0n) | ((pcp?.value ?? 0n) << 13n);
  const mask = (vid?.mask ?? 0n) | (pcp === undefined ? 0n : 0xe000n);
  if (mask === 0n) return [];
  const vidMask = mask & 0xfffn;
  const isTagged = (value & mask & PRESENT) !== 0n;
  if (isTagged && (vidMask === 0xfffn || (vidMask === 0n && pcp !== undefined))) {
    return [
      ...(vidMask === 0n ? [] : [`dl_vlan=${value & 0xfffn}`]),
      ...(pcp === undefined ? [] : [`dl_vlan_pcp=${pcp.value}`]),
    ];
  }
  return [`vlan_tci=${writeTci({ value, mask })}`];
}

function writeTci({ value, mask }: Bits): string {
  return mask === 0xffffn ? hex(value, 4) : `${hex(value, 4)}/${hex(mask, 4)}`;
}

// ---- printing -----------------------------------------------------------------------------------------------

/** Names that Open vSwitch prints in matches where they differ from the fields' own. */
const PRINTED: Readonly<Record<string, string>> = {
  eth_src: 'dl_src',
  eth_dst: 'dl_dst',
  eth_type: 'dl_type',
  ipv4_src: 'nw_src',
  ipv4_dst: 'nw_dst',
  ip_frag: 'nw_frag',
  tcp_src: 'tp_src',
  tcp_dst: 'tp_dst',
  udp_src: 'tp_src',
  udp_dst: 'tp_dst',
  sctp_src: 'tp_src',
  sctp_dst: 'tp_dst',
  icmpv4_type: 'icmp_type',
  icmpv4_code: 'icmp_code',
  icmpv6_type: 'icmp_type',
  icmpv6_code: 'icmp_code',
};

/** A field as it is printed: its place (the protocol's word stands before the registers), and what precedes its value. */
interface Printed {
  readonly field: FieldText;
  readonly rank: number;
  readonly label: string;
}
const BY_NAME = new Map<string, Printed>();
for (const [rank, field] of FIELDS.entries()) {
  const printed = { field, rank, label: `${PRINTED[field.oxm] ?? field.name}=` };
  for (const name of [field.twin, field.oxm]) if (fieldOf(name) === field) BY_NAME.set(name, printed);
}
const rankOf = (oxm: string): number => FIELDS.findIndex((field) => field.oxm === oxm);
const PROTOCOL_RANK = rankOf('reg0') - 0.5;
const VLAN_RANK = rankOf('vlan_vid');

/** Words in the order of their ranks. There are few, and most come in order. */
class Words {
  readonly #ranks: number[] = [];
  readonly #words: string[] = [];

  add(rank: number, word: string): void {
    let at = this.#ranks.length;
    while (at > 0 && (this.#ranks[at - 1] ?? 0) > rank) at -= 1;
    if (at === this.#ranks.length) {
      this.#ranks.push(rank);
      this.#words.push(word);
    } else {
      this.#ranks.splice(at, 0, rank);
      this.#words.splice(at, 0, word);
    }
  }

  addField({ printed: { field, rank, label }, entry }: Omit<Exact, 'value'>, names?: PortNames): void {
    this.add(rank, label + writeEntry(field, entry, names));
  }

  toString(): string {
    return this.#words.join(',');
  }
}

/** Writes a match as Open vSwitch does; '' for the one that matches everything. */
export function formatMatch(match: Match, names?: PortNames): string {
  const words = new Words();
  let ethType: Exact | undefined;
  let ipProto: Exact | undefined;
  let vid: Bits | undefined;
  let pcp: Bits | undefined;
  for (const name in match) {
    const entry: unknown = match[name as keyof Match];
    if (entry === undefined) continue;
    const printed = BY_NAME.get(name);
    if (printed === undefined) {
      words.add(Infinity, `${name}=${writeUnknown(entry)}`);
      continue;
    }
    const { field, rank, label } = printed;
    switch (field.oxm) {
      case 'eth_type':
        ethType = { printed, entry, value: exactNumber(field, entry) };
        break;
      case 'ip_proto':
        ipProto = { printed, entry, value: exactNumber(field, entry) };
        break;
      case 'vlan_vid':
        vid = fromEntry(field, entry);
        break;
      case 'vlan_pcp':
        pcp = fromEntry(field, entry);
        break;
      case 'ip_dscp':
        words.add(rank, `nw_tos=${fromEntry(field, entry).value << 2n}`);
        break;
      case 'nxm_vlan_tci':
        words.add(rank, `vlan_tci=${writeTci(fromEntry(field, entry))}`);
        break;
      default:
        words.add(rank, label + writeEntry(field, entry, names));
    }
  }
  const [protocol, covered] = protocolWord(ethType?.value, ipProto?.value);
  if (protocol !== undefined) words.add(PROTOCOL_RANK, protocol);
  if (ethType !== undefined && covered === 0) words.addField(ethType, names);
  if (ipProto !== undefined && covered < 2) words.addField(ipProto, names);
  if (vid !== undefined || pcp !== undefined)
    for (const word of writeVlan(vid, pcp)) words.add(VLAN_RANK, word);
  return words.toString();
}

/** A field that may be part of the protocol's word; its value where all bits of it are matched. */
interface Exact {
  readonly printed: Printed;
  readonly entry: unknown;
  readonly value: number | undefined;
}

function exactNumber(field: FieldText, entry: unknown): number | undefined {
  if (typeof entry === 'number') return entry;
  const { value, mask } = fromEntry(field, entry);
  return mask === onesOf(field.bits) ? Number(value) : undefined;
}

/** The word for the protocol matched, and whether it stands for none, the Ethernet type, or the IP protocol as well. */
function protocolWord(
  ethType: number | undefined,
  ipProto: number | undefined,
): [word: string | undefined, covered: 0 | 1 | 2] {
  if (ethType === undefined) return [undefined, 0];
  if (isIp(ethType) && ipProto !== undefined) {
    const both = PROTOCOL_WORDS.get(`${ethType}/${ipProto}`);
    if (both !== undefined) return [both, 2];
  }
  const word = PROTOCOL_WORDS.get(`${ethType}/`);
  return word === undefined ? [undefined, 0] : [word, 1];
}

/** The first word of each meaning is not always Open vSwitch's: `ipv4` and `ip6` are only read. */
const PROTOCOL_WORDS = new Map(
  [...PROTOCOLS].flatMap(([word, { ethType, ipProto }]) =>
    word === 'ipv4' || word === 'ip6' ? [] : [[`${ethType}/${ipProto ?? ''}`, word] as const],
  ),
);

function writeUnknown(entry: unknown): string {
  if (typeof entry === 'object' && entry !== null && 'value' in entry && 'mask' in entry) {
    return `${String(entry.value)}/${String(entry.mask)}`;
  }
  return String(entry);
}
