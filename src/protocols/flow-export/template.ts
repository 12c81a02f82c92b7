/**
 * Templates of NetFlow v9 (RFC 3954 §5.2) and IPFIX (RFC 7011 §3.4): each field declared once, with its number in both
 * registries, its size, and where its value comes from.
 */
import { sinceBoot, type FlowRecord } from './record.js';

export type Version = 'netflow9' | 'ipfix';

/** @param at Unix time in ms ↔ what the field holds; NetFlow v9 counts from boot */
type Value = (record: FlowRecord, bootMs: number) => number | bigint | Uint8Array;

interface TemplateField {
  readonly name: string;
  /** Type in RFC 3954 §8 or IANA's registry of IPFIX information elements; undefined: not in that protocol. */
  readonly netflow9?: number;
  readonly ipfix?: number;
  readonly bytes: number;
  readonly value: Value;
}

const field = (
  name: string,
  numbers: { readonly netflow9?: number; readonly ipfix?: number },
  bytes: number,
  value: Value,
): TemplateField => ({ name, ...numbers, bytes, value });
/** The registries agree on most numbers (RFC 5102 took over NetFlow's). */
const both = (name: string, number: number, bytes: number, value: Value) =>
  field(name, { netflow9: number, ipfix: number }, bytes, value);

/** What precedes the addresses, and what follows. */
const FIELDS: readonly TemplateField[] = [
  both('octetDeltaCount', 1, 8, (it) => it.octets),
  both('packetDeltaCount', 2, 8, (it) => it.packets),
  field('firstSwitched', { netflow9: 22 }, 4, (it, bootMs) => sinceBoot(it.firstMs, bootMs)),
  field('lastSwitched', { netflow9: 21 }, 4, (it, bootMs) => sinceBoot(it.lastMs, bootMs)),
  field('flowStartMilliseconds', { ipfix: 152 }, 8, (it) => BigInt(Math.round(it.firstMs))),
  field('flowEndMilliseconds', { ipfix: 153 }, 8, (it) => BigInt(Math.round(it.lastMs))),
  both('ingressInterface', 10, 4, (it) => it.inputIfIndex),
  both('egressInterface', 14, 4, (it) => it.outputIfIndex),
  both('sourceTransportPort', 7, 2, (it) => it.sourcePort),
  both('destinationTransportPort', 11, 2, (it) => it.destinationPort),
  both('vlanId', 58, 2, (it) => it.vlan),
  both('sourceMacAddress', 56, 6, (it) => it.sourceMac),
  both('destinationMacAddress', 80, 6, (it) => it.destinationMac),
  both('protocolIdentifier', 4, 1, (it) => it.protocol),
  both('ipClassOfService', 5, 1, (it) => it.tos),
  field('tcpFlags', { netflow9: 6 }, 1, (it) => it.tcpFlags & 0xff),
  field('tcpControlBits', { ipfix: 6 }, 2, (it) => it.tcpFlags),
  both('ipVersion', 60, 1, (it) => (it.source.length === 4 ? 4 : 6)),
  field('flowEndReason', { ipfix: 136 }, 1, (it) => it.endReason),
  field('observationPointId', { ipfix: 138 }, 4, (it) => it.pointId ?? 0),
];
const IPV4: readonly TemplateField[] = [
  both('sourceIPv4Address', 8, 4, (it) => it.source),
  both('destinationIPv4Address', 12, 4, (it) => it.destination),
];
const IPV6: readonly TemplateField[] = [
  both('sourceIPv6Address', 27, 16, (it) => it.source),
  both('destinationIPv6Address', 28, 16, (it) => it.destination),
];
/** ICMP's type and code have elements of their own in IPFIX; NetFlow puts them into the destination port. */
const ICMP4 = field('icmpTypeCodeIPv4', { ipfix: 32 }, 2, (it) =>
  it.protocol === 1 ? it.destinationPort : 0,
);
const ICMP6 = field('icmpTypeCodeIPv6', { ipfix: 139 }, 2, (it) =>
  it.protocol === 58 ? it.destinationPort : 0,
);

export interface Template {
  readonly id: number;
  readonly fields: readonly { readonly type: number; readonly bytes: number; readonly value: Value }[];
  /** Bytes of a record. */
  readonly size: number;
  readonly fits: (record: FlowRecord) => boolean;
}

function template(
  id: number,
  version: Version,
  fields: readonly TemplateField[],
  fits: Template['fits'],
): Template {
  const own = fields.flatMap((each) => {
    const type = each[version];
    return type === undefined ? [] : [{ type, bytes: each.bytes, value: each.value }];
  });
  return { id, fields: own, size: own.reduce((sum, { bytes }) => sum + bytes, 0), fits };
}

function templatesOf(version: Version): readonly Template[] {
  return [
    template(256, version, [...IPV4, ...FIELDS, ICMP4], ({ source }) => source.length === 4),
    template(257, version, [...IPV6, ...FIELDS, ICMP6], ({ source }) => source.length === 16),
  ];
}

/** Template ids begin at 256 (RFC 7011 §3.4.1). */
export const TEMPLATES: Readonly<Record<Version, readonly Template[]>> = {
  netflow9: templatesOf('netflow9'),
  ipfix: templatesOf('ipfix'),
};

/** Writes a record; `view` has {@link Template.size} bytes from `offset`. */
export function writeRecord(
  { fields }: Template,
  record: FlowRecord,
  bootMs: number,
  view: DataView,
  offset: number,
): void {
  let at = offset;
  for (const { bytes, value } of fields) {
    const given = value(record, bootMs);
    if (given instanceof Uint8Array) {
      for (let i = 0; i < bytes; i += 1) view.setUint8(at + i, given[i] ?? 0);
    } else if (typeof given === 'bigint') {
      view.setBigUint64(at, given);
    } else if (bytes === 4) {
      view.setUint32(at, given);
    } else if (bytes === 2) {
      view.setUint16(at, given);
    } else {
      view.setUint8(at, given);
    }
    at += bytes;
  }
}
