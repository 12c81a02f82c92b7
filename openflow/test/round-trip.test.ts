/** For every declared message: encode, decode and JSON are inverse, sizes agree, and cut messages are refused. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  Action,
  ControllerProperty,
  decode,
  decodeAs,
  encode,
  encodeAs,
  fromJson,
  HelloElement,
  Instruction,
  Message,
  MeterBand,
  MultipartReplyBody,
  MultipartRequestBody,
  OpenFlowDecodeError,
  OpenFlowEncodeError,
  PacketInProperty,
  QueueProperty,
  sizeOf,
  TableProperty,
  toJson,
  type MessageInput,
} from '../src/index.js';
import { messageCases } from '../src/messages/message.js';
import { arbitrary } from './helpers/arbitraries.js';

/** Bytes come back as views, so compare the JSON forms. */
const form = (value: unknown): unknown => toJson(value);

describe.each(messageCases.map(([, codec]) => [codec.tag, codec] as const))('%s', (_, codec) => {
  const messages = arbitrary(codec) as fc.Arbitrary<MessageInput>;

  test('round trip', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = encode(message);
        expect(form(decode(bytes))).toEqual(form(message));
        expect(encode(decode(bytes)).equals(bytes)).toBe(true);
        expect(sizeOf(message)).toBe(bytes.length);
        expect(bytes.readUInt16BE(2)).toBe(bytes.length);
        const json: unknown = JSON.parse(JSON.stringify(toJson(decode(bytes))));
        expect(encode(fromJson(json)).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('refused at every strict prefix', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const bytes = encode(message);
        for (let n = 0; n < bytes.length; n++) {
          expect(() => decode(bytes.subarray(0, n))).toThrow(OpenFlowDecodeError);
        }
      }),
      { numRuns: 5 },
    );
  });
});

const unions = {
  Action,
  ControllerProperty,
  HelloElement,
  Instruction,
  Message,
  MeterBand,
  MultipartReplyBody,
  MultipartRequestBody,
  PacketInProperty,
  QueueProperty,
  TableProperty,
};

test.each(Object.entries(unions))('the generator reaches every case of %s', (_, codec) => {
  const { schema } = codec;
  const tags =
    schema.kind === 'union'
      ? schema.variants.map((variant) => (variant as { readonly tag?: string }).tag)
      : [];
  const seen = new Set(
    fc.sample(arbitrary(codec), 1500).map((value) => (value as { readonly type: string }).type),
  );
  expect(tags.filter((tag) => tag !== 'unknown' && !seen.has(tag ?? ''))).toEqual([]);
});

test('what has no encoding is refused with the place', () => {
  const refuse = (message: unknown): OpenFlowEncodeError => {
    try {
      encode(message as MessageInput);
    } catch (e) {
      if (e instanceof OpenFlowEncodeError) return e;
    }
    throw new Error('was encoded');
  };
  expect(refuse({ type: 'NO_SUCH' }).message).toContain('"NO_SUCH"');
  expect(refuse({ type: 'FLOW_MOD', command: 'NONE' }).message).toContain('command: "NONE"');
  expect(refuse({ type: 'FLOW_MOD', command: 'ADD', priority: 65536 }).path).toBe('priority');
  expect(refuse({ type: 'FLOW_MOD', command: 'ADD', cookie: 5 }).path).toBe('cookie');
  expect(refuse({ type: 'FLOW_MOD', command: 'ADD', match: { eth_dst: '1:2:3' } }).path).toBe(
    'match.eth_dst',
  );
  expect(refuse({ type: 'FLOW_MOD', command: 'ADD', match: { no_such: 1 } }).path).toBe('match.no_such');
  expect(refuse({ type: 'FLOW_MOD' }).path).toBe('command');
  const instructions = [
    { type: 'APPLY_ACTIONS', actions: [{ type: 'POP_VLAN' }, { type: 'OUTPUT', port: -1 }] },
  ];
  expect(refuse({ type: 'FLOW_MOD', command: 'ADD', instructions }).path).toBe(
    'instructions[0].actions[1].port',
  );
  const data = new Uint8Array(3);
  expect(
    refuse({ type: 'PACKET_OUT', actions: [{ type: 'EXPERIMENTER', experimenter: 1, data }] }).reason,
  ).toContain('multiple of 8');
  expect(refuse({ type: 'ECHO_REQUEST', data: new Uint8Array(65535) }).path).toBe('data');
  expect(() => fromJson({ type: 'FLOW_MOD', priorty: 1 })).toThrow(/priorty/);
});

test('a multipart body alone is refused: its type stands in the message', () => {
  expect(() => decodeAs(MultipartReplyBody, new Uint8Array(16))).toThrow(OpenFlowDecodeError);
  expect(() => encodeAs(MultipartReplyBody, { type: 'TABLE', entries: [] })).toThrow(OpenFlowEncodeError);
});
