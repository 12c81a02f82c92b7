/** Queues and their configuration (OF 1.3.5 §7.2.2, §7.3.6). */

import { list, union, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import { constant, pad, selfLength, u16, u32 } from '../codec/numbers.js';
import { struct, tagged, type Fields } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { message } from './header.js';

function property<const T extends string, const F extends Fields>(
  type: T,
  code: number,
  fields: F,
  doc: string,
) {
  const all = { _type: constant(16, code), _length: selfLength(), _pad: pad(4), ...fields };
  return [code, tagged(type, all, { clause: '7.2.2', doc })] as const;
}

const rate = { rate: u16, _pad2: pad(6) };
const cases = [
  property('MIN_RATE', 1, rate, 'Guaranteed rate in tenths of a percent; above 1000: none.'),
  property('MAX_RATE', 2, rate, 'Greatest rate in tenths of a percent; above 1000: none.'),
  property(
    'EXPERIMENTER',
    0xffff,
    { experimenter: u32, _pad2: pad(4), data: bytes() },
    'An experimenter’s property.',
  ),
] as const;

const UnknownQueueProperty = tagged(
  'unknown',
  { code: u16, _length: selfLength(), raw: bytes() },
  { clause: '7.2.2', doc: 'A property that is not defined.' },
);

type QueuePropertyCodec = (typeof cases)[number][1] | typeof UnknownQueueProperty;
export type QueueProperty = StaticOf<readonly QueuePropertyCodec[]>;
export type QueuePropertyInput = InputOf<readonly QueuePropertyCodec[]>;

/** A property of a queue. */
export const QueueProperty: Codec<QueueProperty, QueuePropertyInput> = union('queue_property', {
  peek: (r) => r.peek(2, 0),
  cases,
  otherwise: UnknownQueueProperty,
});

/** `struct ofp_packet_queue`. */
export const PacketQueue = struct(
  'ofp_packet_queue',
  {
    queueId: u32,
    port: u32,
    _length: selfLength(),
    _pad: pad(6),
    properties: withDefault(list(QueueProperty), []),
  },
  { clause: '7.2.2', doc: 'A queue of a port.' },
);

export const [, QueueGetConfigRequest] = message(
  'QUEUE_GET_CONFIG_REQUEST',
  22,
  '7.3.6',
  'Asks for the queues of a port, or of all (`Port.ANY`).',
  { port: u32, _pad: pad(4) },
);
export const [, QueueGetConfigReply] = message(
  'QUEUE_GET_CONFIG_REPLY',
  23,
  '7.3.6',
  'The queues of a port.',
  {
    port: u32,
    _pad: pad(4),
    queues: withDefault(list(PacketQueue), []),
  },
);
