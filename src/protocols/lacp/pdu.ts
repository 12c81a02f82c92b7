/**
 * Slow protocol frames (IEEE 802.1AX-2014 §6.4.2, §6.5.3, 802.3 annex 57A):
 *
 * ```
 *  0        6        12     14        15      16           36           56             72
 * +--------+--------+------+---------+-------+------------+------------+--------------+-----------
 * | 01:80: | source | 8809 | subtype | vers. | actor  1,20| partner 2,20| collector 3,16| 0,0, zeros …
 * +--------+--------+------+---------+-------+------------+------------+--------------+-----------
 * ```
 */
import { macAddress, type MacAddress } from '../../domain/index.js';
import { bits, constant, layout, mac, reserved, u16, u32, u8, type Layout } from '../layout.js';
import type { LacpParty, LacpState } from './status.js';

/** Slow_Protocols_Multicast. */
export const SLOW_PROTOCOLS_ADDRESS = macAddress('01:80:c2:00:00:02');
export const SLOW_PROTOCOLS_ETHERTYPE = 0x8809;

const ethernet = {
  destination: mac,
  source: mac,
  _ethertype: constant(u16, SLOW_PROTOCOLS_ETHERTYPE),
};

/** Flags of a party's state, from the lowest bit up (§6.4.2.3, h). */
export const LACP_STATE_BITS = [
  'activity',
  'timeout',
  'aggregation',
  'synchronized',
  'collecting',
  'distributing',
  'defaulted',
  'expired',
] as const;

const State = bits(...LACP_STATE_BITS);

/** A state as the octet that LACPDUs and IEEE8023-LAG-MIB have. */
export function lacpStateByte(state: LacpState): number {
  const byte = new Uint8Array(1);
  State.write(byte, 0, state);
  return byte[0] ?? 0;
}

/** Information about one side (§6.4.2.3, d to k). */
const Party = layout({
  systemPriority: u16,
  systemId: mac,
  key: u16,
  portPriority: u16,
  portId: u16,
  state: State,
  _reserved: reserved(3),
});

/** A LACPDU within its frame. A later version is read as version 1, whose fields it has (§6.4.2.3, b). */
export const LacpFrame = layout({
  ...ethernet,
  _subtype: constant(u8, 1),
  version: u8,
  _actorType: constant(u8, 1),
  _actorLength: constant(u8, 20),
  actor: Party,
  _partnerType: constant(u8, 2),
  _partnerLength: constant(u8, 20),
  partner: Party,
  _collectorType: constant(u8, 3),
  _collectorLength: constant(u8, 16),
  /** Tens of microseconds. */
  collectorMaxDelay: u16,
  _reserved: reserved(12),
  _terminator: reserved(52),
});

const marker = (type: 1 | 2) =>
  layout({
    ...ethernet,
    _subtype: constant(u8, 2),
    version: u8,
    _type: constant(u8, type),
    _length: constant(u8, 16),
    requesterPort: u16,
    requesterSystem: mac,
    transactionId: u32,
    _pad: reserved(2),
    _terminator: reserved(92),
  });

/** Marker PDU and its answer (§6.5.3): all that was sent before has come by when the answer is there. */
const MarkerRequest = marker(1);
const MarkerResponse = marker(2);

type MarkerFrame = typeof MarkerRequest extends Layout<infer T> ? T : never;

export type SlowFrame =
  | { readonly kind: 'lacp'; readonly actor: LacpParty; readonly partner: LacpParty }
  | { readonly kind: 'marker'; readonly frame: MarkerFrame }
  /** Well-formed, and none of our business: answers to markers, other subtypes (OAM, OSSP). */
  | { readonly kind: 'other' }
  | { readonly kind: 'bad' };

const SUBTYPE_OFFSET = 14;

/** What is in a frame sent to the slow protocols' address. Never throws. */
export function readSlowFrame(bytes: Uint8Array): SlowFrame {
  switch (bytes[SUBTYPE_OFFSET]) {
    case 1: {
      const frame = LacpFrame.decode(bytes);
      if (frame === undefined || frame.version === 0) return { kind: 'bad' };
      return { kind: 'lacp', actor: frame.actor, partner: frame.partner };
    }
    case 2: {
      const frame = MarkerRequest.decode(bytes);
      if (frame !== undefined) return { kind: 'marker', frame };
      return { kind: MarkerResponse.decode(bytes) === undefined ? 'bad' : 'other' };
    }
    case undefined:
      return { kind: 'bad' };
    default:
      return { kind: 'other' };
  }
}

/** A LACPDU as a frame. */
export function lacpFrame(source: MacAddress, actor: LacpParty, partner: LacpParty): Uint8Array {
  const destination = SLOW_PROTOCOLS_ADDRESS;
  return LacpFrame.encode({ destination, source, version: 1, actor, partner, collectorMaxDelay: 0 });
}

/** The answer to a marker (§6.5.4.2.1): the same, as a response. */
export function markerResponse(source: MacAddress, request: MarkerFrame): Uint8Array {
  return MarkerResponse.encode({ ...request, destination: SLOW_PROTOCOLS_ADDRESS, source, version: 1 });
}
