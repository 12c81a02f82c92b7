/** Meter modification and bands (OF 1.3.5 §7.3.4.4). */

import { list, union, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import type { Fault } from '../codec/errors.js';
import { constant, enumeration, pad, selfLength, u16, u32, u8 } from '../codec/numbers.js';
import { tagged, type Fields } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { MeterFlags } from './constants.js';
import { message } from './header.js';

const fault: Fault = ['METER_MOD_FAILED', 'BAD_BAND'];

function band<const T extends string, const F extends Fields>(type: T, code: number, fields: F, doc: string) {
  const all = {
    _type: constant(16, code),
    _length: selfLength(),
    rate: withDefault(u32, 0),
    burstSize: withDefault(u32, 0),
    ...fields,
  };
  return [code, tagged(type, all, { clause: '7.3.4.4', doc, fault })] as const;
}

const cases = [
  band('DROP', 1, { _pad: pad(4) }, 'Drops packets above the rate.'),
  band(
    'DSCP_REMARK',
    2,
    { precLevel: withDefault(u8, 1), _pad: pad(3) },
    'Raises the drop precedence of packets above the rate.',
  ),
  band(
    'EXPERIMENTER',
    0xffff,
    { experimenter: u32, data: withDefault(bytes(), new Uint8Array(0)) },
    'An experimenter’s band.',
  ),
] as const;

const UnknownBand = tagged(
  'unknown',
  { code: u16, _length: selfLength(), raw: bytes() },
  { clause: '7.3.4.4', doc: 'A band of a type that is not defined.', fault },
);

type MeterBandCodec = (typeof cases)[number][1] | typeof UnknownBand;
export type MeterBand = StaticOf<readonly MeterBandCodec[]>;
export type MeterBandInput = InputOf<readonly MeterBandCodec[]>;

/** A band of a meter: what happens above `rate` (kbit/s, or packets/s with PKTPS). */
export const MeterBand: Codec<MeterBand, MeterBandInput> = union('meter_band', {
  peek: (r) => r.peek(2, 0),
  cases,
  otherwise: UnknownBand,
});
/** Bands up to the bound. */
export const MeterBands: Codec<readonly MeterBand[], readonly MeterBandInput[]> = list(MeterBand);

export const MeterModCommand = enumeration('MeterModCommand', 16, { ADD: 0, MODIFY: 1, DELETE: 2 });

export const [, MeterMod] = message('METER_MOD', 29, '7.3.4.4', 'Adds, changes or deletes a meter.', {
  command: MeterModCommand,
  flags: withDefault(MeterFlags, []),
  meterId: u32,
  bands: withDefault(MeterBands, []),
});
