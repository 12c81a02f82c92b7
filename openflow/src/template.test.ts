import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encode } from './openflow.js';
import type { MessageInput } from './messages/message.js';
import { MessageTemplate } from './template.js';

const rule = (eth_src: string, vlan_vid = 0x100a): MessageInput => ({
  type: 'FLOW_MOD',
  command: 'ADD',
  cookie: 0x5745_0000_0000_0001n,
  tableId: 67,
  match: { metadata: { value: 5n, mask: 0xffn }, vlan_vid, eth_src },
  instructions: [{ type: 'GOTO_TABLE', tableId: 68 }],
});

it('makes the bytes that encoding each message makes', () => {
  const macs = new MessageTemplate(rule('02:00:00:00:00:01'), 'eth_src');
  const vlans = new MessageTemplate(rule('02:00:00:00:00:01'), 'vlan_vid');
  const mac = fc
    .uint8Array({ minLength: 6, maxLength: 6 })
    .map((bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'));
  fc.assert(
    fc.property(mac, fc.integer({ min: 0, max: 0xffff }), (address, vlan) => {
      expect(macs.encode(address)).toEqual(encode(rule(address)));
      expect(vlans.encode(vlan)).toEqual(encode(rule('02:00:00:00:00:01', vlan)));
    }),
  );
});

it('hands out bytes that the next message does not change', () => {
  const template = new MessageTemplate(rule('02:00:00:00:00:01'), 'eth_src');
  const first = template.encode('02:00:00:00:00:02');
  template.encode('02:00:00:00:00:03');
  expect(first).toEqual(encode(rule('02:00:00:00:00:02')));
});

it('appends the same bytes under an xid, one message behind the other', () => {
  const template = new MessageTemplate(rule('02:00:00:00:00:01'), 'eth_src');
  const pieces: Buffer[] = [];
  const sink = {
    append: (memory: ArrayBufferLike, start: number, end: number) =>
      pieces.push(Buffer.from(memory as ArrayBuffer, start, end - start)),
  };
  for (const [i, mac] of ['02:00:00:00:00:02', '02:00:00:00:00:03'].entries())
    template.encodeTo(sink, mac, 0xfffffff0 + i);
  expect(pieces).toEqual([
    encode({ ...rule('02:00:00:00:00:02'), xid: 0xfffffff0 }),
    encode({ ...rule('02:00:00:00:00:03'), xid: 0xfffffff1 }),
  ]);
  expect(pieces[1]?.byteOffset).toBe((pieces[0]?.byteOffset ?? 0) + (pieces[0]?.length ?? 0));
});

it('refuses values that the field does not have, and works on', () => {
  const template = new MessageTemplate(rule('02:00:00:00:00:01'), 'eth_src');
  expect(() => template.encode('nonsense')).toThrow('"nonsense" is not a MAC address');
  expect(template.encode('02:00:00:00:00:02')).toEqual(encode(rule('02:00:00:00:00:02')));
});

it('wants a field that stands in the message once, without a mask', () => {
  const message = rule('02:00:00:00:00:01');
  expect(() => new MessageTemplate(message, 'eth_dst')).toThrow('eth_dst stands 0 times');
  expect(() => new MessageTemplate(message, 'metadata')).toThrow('metadata stands 0 times');
  const twice: MessageInput = {
    type: 'FLOW_MOD',
    command: 'ADD',
    match: { eth_src: '02:00:00:00:00:01' },
    instructions: [
      {
        type: 'APPLY_ACTIONS',
        actions: [{ type: 'SET_FIELD', field: { eth_src: '02:00:00:00:00:02' } }],
      },
    ],
  };
  expect(() => new MessageTemplate(twice, 'eth_src')).toThrow('eth_src stands 2 times');
  // A failed attempt leaves nothing behind.
  expect(encode(message)).toEqual(encode(rule('02:00:00:00:00:01')));
});
