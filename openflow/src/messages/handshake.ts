/** Hello, echo, features and configuration (OF 1.3.5 §7.5.1, §7.5.2, §7.3.1, §7.3.2), barrier (§7.3.8). */

import { list, union, type InputOf, type StaticOf } from '../codec/collections.js';
import { withDefault, type Codec } from '../codec/codec.js';
import { constant, enumeration, flags, pad, selfLength, u16, u32, u64, u8 } from '../codec/numbers.js';
import { tagged } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { VERSION } from './constants.js';
import { message } from './header.js';

const VersionBitmap = tagged(
  'VERSIONBITMAP',
  { _type: constant(16, 1), _length: selfLength(), bitmaps: list(u32) },
  { clause: '7.5.1', doc: 'Bit n of word 0 set: version n (0x04 is OF 1.3) can be spoken.', align: 8 },
);
const UnknownHelloElement = tagged(
  'unknown',
  { code: u16, _length: selfLength(), raw: bytes() },
  { clause: '7.5.1', doc: 'An element that is not defined.', align: 8 },
);

type HelloElementCodec = typeof VersionBitmap | typeof UnknownHelloElement;
export type HelloElement = StaticOf<readonly HelloElementCodec[]>;
export type HelloElementInput = InputOf<readonly HelloElementCodec[]>;

/** An element of HELLO. */
export const HelloElement: Codec<HelloElement, HelloElementInput> = union('hello_element', {
  peek: (r) => r.peek(2, 0),
  cases: [[1, VersionBitmap]],
  otherwise: UnknownHelloElement,
});

/** The only message of any version: that is what it is for. */
export const Hello = tagged(
  'HELLO',
  {
    version: withDefault(u8, VERSION),
    _type: constant(8, 0),
    _length: selfLength(),
    xid: withDefault(u32, 0),
    elements: withDefault(list(HelloElement), []),
  },
  { clause: '7.5.1', doc: 'First message of each side: `version` is the highest it speaks.' },
);

const echo = { data: withDefault(bytes(), new Uint8Array(0)) };
export const [, EchoRequest] = message(
  'ECHO_REQUEST',
  2,
  '7.5.2',
  'Asks for an ECHO_REPLY with the same data.',
  echo,
);
export const [, EchoReply] = message('ECHO_REPLY', 3, '7.5.3', 'Answers ECHO_REQUEST.', echo);

export const [, FeaturesRequest] = message(
  'FEATURES_REQUEST',
  5,
  '7.3.1',
  'Asks what the switch is and can do.',
  {},
);

const Capabilities = flags('Capabilities', 32, {
  FLOW_STATS: 1,
  TABLE_STATS: 2,
  PORT_STATS: 4,
  GROUP_STATS: 8,
  IP_REASM: 32,
  QUEUE_STATS: 64,
  PORT_BLOCKED: 256,
});

export const [, FeaturesReply] = message('FEATURES_REPLY', 6, '7.3.1', 'What the switch is and can do.', {
  datapathId: u64,
  nBuffers: withDefault(u32, 0),
  nTables: u8,
  auxiliaryId: withDefault(u8, 0),
  _pad: pad(2),
  capabilities: withDefault(Capabilities, []),
  reserved: withDefault(u32, 0),
});

const FragmentHandling = enumeration('FragmentHandling', 16, { FRAG_NORMAL: 0, FRAG_DROP: 1, FRAG_REASM: 2 });
const configuration = {
  flags: withDefault(FragmentHandling, 'FRAG_NORMAL'),
  missSendLength: withDefault(u16, 128),
};

export const [, GetConfigRequest] = message(
  'GET_CONFIG_REQUEST',
  7,
  '7.3.2',
  'Asks for the configuration.',
  {},
);
export const [, GetConfigReply] = message(
  'GET_CONFIG_REPLY',
  8,
  '7.3.2',
  'The configuration.',
  configuration,
);
export const [, SetConfig] = message(
  'SET_CONFIG',
  9,
  '7.3.2',
  'Fragment handling, and how many bytes of a packet a table miss sends.',
  configuration,
);

export const [, BarrierRequest] = message(
  'BARRIER_REQUEST',
  20,
  '7.3.8',
  'Asks to be told when all before is done.',
  {},
);
export const [, BarrierReply] = message('BARRIER_REPLY', 21, '7.3.8', 'All before is done.', {});
