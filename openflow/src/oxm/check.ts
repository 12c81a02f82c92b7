/**
 * What a switch checks of a match beyond its encoding (OF 1.3.5 §7.2.3.5, §7.2.3.6): that fields are known, that values
 * and masks are sound, and that what a field needs is matched before it.
 */

import type { ErrorCodeName, ErrorTypeName } from '../codec/error-codes.js';
import { encodeAs } from '../openflow.js';
import { fieldByName, oxmFields, type OxmField, type Prerequisite } from './fields.js';
import type { Match } from './match.js';

/** Why a match is refused: the OFPT_ERROR to answer, and the field. */
export interface MatchFault {
  readonly errorType: ErrorTypeName;
  readonly code: ErrorCodeName;
  readonly field: string;
  readonly reason: string;
}

export interface CheckOptions {
  /** Also allow masks where Open vSwitch does and the specification does not (TCP, UDP and SCTP ports). */
  readonly openVSwitch?: boolean;
}

const openVSwitchMaskable = new Set([
  'tcp_src',
  'tcp_dst',
  'udp_src',
  'udp_dst',
  'sctp_src',
  'sctp_dst',
  'ipv6_nd_target',
  'ipv6_nd_sll',
  'ipv6_nd_tll',
]);

/** Checks a match as a flow mod's would be; undefined when it is sound. Encoding and duplicates are the decoder's business. */
export function checkMatch(match: Match, options: CheckOptions = {}): MatchFault | undefined {
  const seen = new Map<string, unknown>();
  for (const [name, given] of Object.entries(match)) {
    const field = fieldByName(name);
    if (field === undefined) return fault(name, 'BAD_FIELD', 'is not a known field');
    const masked = isMasked(given);
    if (masked && !field.maskable && !(options.openVSwitch === true && openVSwitchMaskable.has(name))) {
      return fault(name, 'BAD_MASK', 'cannot be masked');
    }
    const sound = checkBits(field, given);
    if (sound !== undefined) return sound;
    const missing = field.prerequisites.find((needed) => !isMet(needed, seen));
    if (missing !== undefined) return fault(name, 'BAD_PREREQ', `needs ${describeNeed(missing)} before it`);
    seen.set(name, masked ? undefined : given);
  }
  return undefined;
}

/**
 * Checks the field of a SET_FIELD action against the flow's match (§5.12, §7.2.5): undefined when it is sound.
 * VLAN and MPLS fields may also be made available by push actions before it, which is the caller's to know.
 */
export function checkSetField(field: Match, match: Match): MatchFault | undefined {
  const [entry] = Object.entries(field);
  if (entry === undefined) return actionFault('', 'BAD_SET_TYPE', 'has no field');
  const [name, given] = entry;
  const known = fieldByName(name);
  if (known === undefined || !known.settable) return actionFault(name, 'BAD_SET_TYPE', 'cannot be set');
  if (isMasked(given)) return actionFault(name, 'BAD_SET_TYPE', 'cannot be set with a mask');
  if (checkBits(known, given) !== undefined)
    return actionFault(name, 'BAD_SET_ARGUMENT', 'has bits it has no room for');
  const seen = new Map<string, unknown>(
    Object.entries(match).map(([k, v]) => [k, isMasked(v) ? undefined : v]),
  );
  const missing = known.prerequisites.find((needed) => !isMet(needed, seen));
  return missing === undefined
    ? undefined
    : actionFault(name, 'MATCH_INCONSISTENT', `needs the flow to match ${describeNeed(missing)}`);
}

/** The same match with prerequisites before what needs them: standard fields by number, then the others as they are. */
export function orderMatch(match: Match): Match {
  const rank = (name: string): number => {
    const field = fieldByName(name);
    return field?.oxmClass === oxmFields.in_port.oxmClass ? field.field : Infinity;
  };
  const entries = Object.entries(match);
  const known = entries.filter(([name]) => rank(name) !== Infinity).sort(([a], [b]) => rank(a) - rank(b));
  return Object.fromEntries([...known, ...entries.filter(([name]) => rank(name) === Infinity)]) as Match;
}

interface MaskedValue {
  readonly value: unknown;
  readonly mask: unknown;
}

function isMasked(given: unknown): given is MaskedValue {
  return typeof given === 'object' && given !== null;
}

/** OFPVID_PRESENT must be set for a VID, and 0 means "no tag"; the other fields only have a width. */
function checkBits(field: OxmField, given: unknown): MatchFault | undefined {
  const value = bitsOf(field, isMasked(given) ? given.value : given);
  if (value >> BigInt(field.bits) !== 0n)
    return fault(field.name, 'BAD_VALUE', `is wider than ${field.bits} bits`);
  if (field.name === 'vlan_vid' && !isMasked(given) && value !== 0n && value < 0x1000n) {
    return fault(field.name, 'BAD_VALUE', 'lacks OFPVID_PRESENT (0x1000)');
  }
  if (isMasked(given) && (value & ~bitsOf(field, given.mask)) !== 0n) {
    return fault(field.name, 'BAD_WILDCARDS', 'has bits set that its mask leaves out');
  }
  return undefined;
}

function bitsOf(field: OxmField, value: unknown): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return BigInt(value);
  return BigInt(`0x${encodeAs(field.codec, value).toString('hex')}`);
}

function isMet(needed: Prerequisite, seen: ReadonlyMap<string, unknown>): boolean {
  if (!seen.has(needed.field)) return false;
  const value = seen.get(needed.field);
  // Without values: present in the match, and for vlan_vid not "no tag" (§7.2.3.8, Table 12).
  if (needed.values === undefined) return needed.field !== 'vlan_vid' || value !== 0;
  return typeof value === 'number' && needed.values.includes(value);
}

function describeNeed({ field, values }: Prerequisite): string {
  return values === undefined ? field : `${field}=${values.map((v) => `0x${v.toString(16)}`).join(' or ')}`;
}

function fault(field: string, code: ErrorCodeName, reason: string): MatchFault {
  return { errorType: 'BAD_MATCH', code, field, reason: `${field} ${reason}` };
}

function actionFault(field: string, code: ErrorCodeName, reason: string): MatchFault {
  return { errorType: 'BAD_ACTION', code, field, reason: `${field} ${reason}` };
}
