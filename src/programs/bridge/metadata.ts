/**
 * What the metadata register holds within the bridge program:
 *
 * ```
 *  63   58  57   56  49   48   47           24 23            0
 * +-------+-----+------+------+---------------+---------------+
 * | spare | fl. | hash | prot |  logical in   |  logical out  |
 * +-------+-----+------+------+---------------+---------------+
 * ```
 *
 * Rules speak of *logical* ports, so that a bond (several OpenFlow ports, one logical port) needs one rule where
 * a plain port needs one. `prot` is set on frames that came in by a protected port. `hash` chooses the member of a
 * balanced bond that a frame leaves by; it is set on the way out only. `fl.` is set on copies that `flood` hands to
 * `egress`: mirrors have had theirs of these.
 */
import { LOCAL_PORT, type LogicalPort } from '../../domain/index.js';
import { fieldNumber } from '../canonical.js';
import type { Match, MatchField, RegisterLoad, WriteMetadata } from '../flow.js';
import { hashText } from '../hash.js';
import type { LogicalPortId } from './mac-table.js';

const OUT_MASK = 0xff_ffffn;
const IN_SHIFT = 24n;
const IN_MASK = OUT_MASK << IN_SHIFT;
const PROTECTED = 1n << 48n;
const ALL = 0xffff_ffff_ffff_ffffn;
const OUT_BITS = 24;
const HASH_SHIFT = 49;
const HASH_BITS = 8;
const HASH_MASK = 0xffn << BigInt(HASH_SHIFT);
const FLOODED = 1n << 57n;

/** Matches group addresses, broadcast included (the I/G bit, IEEE 802 §8.2.2). */
export const MULTICAST_BIT = { value: '01:00:00:00:00:00', mask: '01:00:00:00:00:00' } as const;

/** Stands for frames that a controller put into the bridge (packet-out with in_port CONTROLLER). */
export const CONTROLLER_PORT_ID: LogicalPortId = 0xff_fffd;
const LOCAL_PORT_ID: LogicalPortId = 0xff_fffe;
/** Largest OpenFlow port number that is its logical port's number too. Above it: bonds and large numbers. */
const MAX_PLAIN = 0x7f_ffff;
const HASHED = 0x80_0000;
const HASHED_MASK = 0x3f_ffff;
/** `FLOOD_CUSTOMER + vid`, in place of an out port: flooded to the dot1q-tunnels of that service VLAN. */
const FLOOD_CUSTOMER = 0xf0_0000;
const MIRROR = 0xf1_0000;
const CUT = 0xc0_0000;

export function writeIn(port: LogicalPortId, isProtected: boolean): WriteMetadata {
  // The whole register: a user's table may have left something in it before NORMAL.
  const metadata = (BigInt(port) << IN_SHIFT) | (isProtected ? PROTECTED : 0n);
  return { type: 'WRITE_METADATA', metadata, metadataMask: ALL };
}

export function writeOut(port: LogicalPortId): WriteMetadata {
  return { type: 'WRITE_METADATA', metadata: BigInt(port), metadataMask: OUT_MASK };
}

export function writeFloodCustomer(vid: number): WriteMetadata {
  return writeOut(FLOOD_CUSTOMER + vid);
}

export function matchIn(port: LogicalPortId): MatchField {
  return { value: BigInt(port) << IN_SHIFT, mask: IN_MASK };
}

export function matchOut(port: LogicalPortId): MatchField {
  return { value: BigInt(port), mask: OUT_MASK };
}

/** In place of an out port: copies made by the mirror of that number. */
export function mirrorPort(index: number): LogicalPortId {
  return MIRROR + index;
}

/** In the table `bond`, in place of an out port: copies of that mirror, cut, for a bond that has this place among the bridge's. */
export function cutPort(mirror: number, bond: number): LogicalPortId {
  return CUT + ((mirror << 12) | bond);
}

/** Matches frames for a port that came in by another one, or by any; not those that `flood` handed on. */
export function matchOutOf(port: LogicalPortId, from: LogicalPortId | null): MatchField {
  const isFrom = from === null ? { value: 0n, mask: 0n } : { value: BigInt(from) << IN_SHIFT, mask: IN_MASK };
  return { value: BigInt(port) | isFrom.value, mask: OUT_MASK | FLOODED | isFrom.mask };
}

/** The same frames, as long as they came in by that port. */
export function alsoIn(field: MatchField | undefined, port: LogicalPortId): MatchField {
  const given = typeof field === 'object' ? field : undefined;
  const value = fieldNumber(given?.value ?? 0n) ?? 0n;
  const mask = fieldNumber(given?.mask ?? 0n) ?? 0n;
  return { value: value | (BigInt(port) << IN_SHIFT), mask: mask | IN_MASK };
}

/** Marks a copy as flooded. */
export const loadFlooded: RegisterLoad = {
  type: 'NX_REG_LOAD',
  offsetBits: offsetBits(57, 1),
  destination: 'metadata',
  value: 1n,
};

/** As {@link writeOut}, where an action is wanted. */
export function loadOut(port: LogicalPortId): RegisterLoad {
  return {
    type: 'NX_REG_LOAD',
    offsetBits: offsetBits(0, OUT_BITS),
    destination: 'metadata',
    value: BigInt(port),
  };
}

/** Where `multipath` stores the hash. */
export const storeHash = {
  argument: 0,
  offsetBits: offsetBits(HASH_SHIFT, HASH_BITS),
  destination: 'metadata',
} as const;

export function matchHash(port: LogicalPortId, hash: number): MatchField {
  return { value: BigInt(port) | (BigInt(hash) << BigInt(HASH_SHIFT)), mask: OUT_MASK | HASH_MASK };
}

/** The hash of a rule that {@link matchHash} made, as the switch gives its match back. */
export function hashOf(match: Match): number | undefined {
  const field = match['metadata'];
  if (typeof field !== 'object') return undefined;
  const value = fieldNumber(field.value);
  const mask = fieldNumber(field.mask);
  if (value === undefined || mask === undefined || (mask & HASH_MASK) !== HASH_MASK) return undefined;
  return Number((value & HASH_MASK) >> BigInt(HASH_SHIFT));
}

/** Came in by the port that it is to leave by. */
export function matchReflected(port: LogicalPortId): MatchField {
  return { value: BigInt(port) | (BigInt(port) << IN_SHIFT), mask: OUT_MASK | IN_MASK };
}

/** Nicira's way to name bits of a field. */
function offsetBits(offset: number, bits: number): number {
  return (offset << 6) | (bits - 1);
}

export function matchOutFromProtected(port: LogicalPortId): MatchField {
  return { value: BigInt(port) | PROTECTED, mask: OUT_MASK | PROTECTED };
}

export const MATCH_FROM_PROTECTED: MatchField = { value: PROTECTED, mask: PROTECTED };

export function floodCustomer(vid: number): LogicalPortId {
  return FLOOD_CUSTOMER + vid;
}

/**
 * Numbers logical ports: a plain port by its OpenFlow number, others by a hash of their name, so that the same
 * port has the same number after a restart. Ports without an OpenFlow port have none.
 */
export function numberPorts(ports: readonly LogicalPort[]): Map<LogicalPort, LogicalPortId> {
  const ids = new Map<LogicalPort, LogicalPortId>();
  const taken = new Set<LogicalPortId>();
  for (const port of [...ports].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const ofports = port.interfaces.flatMap((it) => it.ofport ?? []);
    const [ofport] = ofports;
    if (ofport === undefined) continue;
    let id = port.interfaces.length === 1 ? plainId(ofport) : undefined;
    if (id === undefined) {
      id = HASHED | (hashText(port.name) & HASHED_MASK);
      while (taken.has(id)) id = HASHED | ((id + 1) & HASHED_MASK);
    }
    // Two ports claiming one OpenFlow number: the first by name has it, the other waits.
    if (taken.has(id)) continue;
    taken.add(id);
    ids.set(port, id);
  }
  return ids;
}

function plainId(ofport: number): LogicalPortId | undefined {
  if (ofport === LOCAL_PORT) return LOCAL_PORT_ID;
  return ofport <= MAX_PLAIN ? ofport : undefined;
}
