/**
 * One text for each meaning: a match or an instruction list reads the same however the switch or a program
 * spelt it (field order, masks of all ones, bits outside the mask, fields that do not matter).
 */
import type { FieldValue, Match, MatchField, ResolvedBucket, ResolvedInstruction } from './flow.js';

/** Width in bits of the fields whose full masks must be recognised. */
const WIDTHS: Readonly<Record<string, number>> = {
  in_port: 32,
  in_phy_port: 32,
  metadata: 64,
  eth_dst: 48,
  eth_src: 48,
  eth_type: 16,
  vlan_vid: 13,
  vlan_pcp: 3,
  ip_dscp: 6,
  ip_ecn: 2,
  ip_proto: 8,
  ipv4_src: 32,
  ipv4_dst: 32,
  tcp_src: 16,
  tcp_dst: 16,
  udp_src: 16,
  udp_dst: 16,
  arp_spa: 32,
  arp_tpa: 32,
  arp_sha: 48,
  arp_tha: 48,
  ipv6_src: 128,
  ipv6_dst: 128,
  ipv6_flabel: 20,
  tunnel_id: 64,
};

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;

/** A value as a number, or undefined where it has no simple one (IPv6 text). */
export function fieldNumber(value: FieldValue): bigint | undefined {
  if (typeof value !== 'string') return BigInt(value);
  if (MAC.test(value)) return BigInt(`0x${value.replaceAll(':', '')}`);
  if (IPV4.test(value)) return value.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return undefined;
}

function canonicalField(name: string, field: MatchField): string | undefined {
  if (typeof field !== 'object') {
    return typeof field === 'string' ? field.toLowerCase() : String(field);
  }
  const mask = fieldNumber(field.mask);
  const value = fieldNumber(field.value);
  if (mask === undefined || value === undefined) return `${field.value}/${field.mask}`;
  if (mask === 0n) return undefined;
  const width = WIDTHS[name];
  if (width !== undefined && mask === (1n << BigInt(width)) - 1n) return canonicalField(name, field.value);
  return `${(value & mask).toString(16)}/${mask.toString(16)}`;
}

export function canonicalMatch(match: Match): string {
  const parts: string[] = [];
  for (const name in match) {
    const field = match[name];
    const text = field === undefined ? undefined : canonicalField(name, field);
    if (text !== undefined) parts.push(`${name}=${text}`);
  }
  return parts.length > 1 ? parts.sort().join(',') : (parts[0] ?? '');
}

/** The switch's identity of a flow: OFPFC_*_STRICT compares exactly this (OF 1.3.5 §6.4). */
export function flowKey(flow: { tableId: number; priority: number; match: Match }): string {
  return `${flow.tableId}/${flow.priority}/${canonicalMatch(flow.match)}`;
}

/** OFPP_CONTROLLER: the only output for which `maxLength` means anything. */
const CONTROLLER = 0xfffffffd;

/** JSON of a value with its keys in order. Written out at once: it is what takes most of the time of a comparison. */
function canonicalText(value: unknown): string {
  if (typeof value === 'bigint') return `"0x${value.toString(16)}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalText).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const record = value as Record<string, unknown>;
  const skipped = record['type'] === 'OUTPUT' && record['port'] !== CONTROLLER ? 'maxLength' : undefined;
  let text = '';
  for (const key of Object.keys(record).sort()) {
    if (key === skipped || record[key] === undefined) continue;
    text += `${text === '' ? '' : ','}"${key}":${canonicalText(record[key])}`;
  }
  return `{${text}}`;
}

/** Order of execution (OF 1.3.5 §5.9), in which a switch may list them differently from what it was sent. */
const INSTRUCTION_ORDER = [
  'METER',
  'APPLY_ACTIONS',
  'CLEAR_ACTIONS',
  'WRITE_ACTIONS',
  'WRITE_METADATA',
  'GOTO_TABLE',
];

export function canonicalInstructions(instructions: readonly ResolvedInstruction[]): string {
  const meaningful = instructions.filter((it) => it.type !== 'APPLY_ACTIONS' || it.actions.length > 0);
  const order = (it: ResolvedInstruction): number => INSTRUCTION_ORDER.indexOf(it.type);
  return canonicalText(meaningful.sort((a, b) => order(a) - order(b)));
}

/** `type` and buckets of a group. Defaults that a switch fills in (weight, no watch) are left out. */
export function canonicalGroup(type: string | number, buckets: readonly ResolvedBucket[]): string {
  const ANY = 0xffffffff;
  return canonicalText([
    type,
    buckets.map(({ weight, watchPort, actions }) => [
      type === 'SELECT' ? (weight ?? 1) : 0,
      type === 'FF' ? (watchPort ?? ANY) : ANY,
      actions,
    ]),
  ]);
}
