/** The types that come out of the declarations. Checked by the compiler when the tests are type-checked. */

import { expectTypeOf, test } from 'vitest';
import {
  decode,
  encode,
  FlowMod,
  Match,
  type Action,
  type FlowModInput,
  type Input,
  type Message,
  type MessageInput,
  type MultipartReplyBody,
  type PacketIn,
  type Static,
} from '../src/index.js';

test('decoded messages have every field', () => {
  expectTypeOf<Static<typeof FlowMod>>().toEqualTypeOf<FlowMod>();
  expectTypeOf<FlowMod['type']>().toEqualTypeOf<'FLOW_MOD'>();
  expectTypeOf<FlowMod['cookie']>().toEqualTypeOf<bigint>();
  expectTypeOf<FlowMod['command']>().toEqualTypeOf<
    'ADD' | 'MODIFY' | 'MODIFY_STRICT' | 'DELETE' | 'DELETE_STRICT' | number
  >();
  expectTypeOf<FlowMod['match']>().toEqualTypeOf<Match>();
  expectTypeOf<PacketIn['data']>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<FlowMod>().not.toHaveProperty('_pad');
});

test('inputs may leave out what has a default, and nothing else', () => {
  expectTypeOf<Input<typeof FlowMod>>().toEqualTypeOf<FlowModInput>();
  expectTypeOf<{ type: 'FLOW_MOD'; command: 'ADD' }>().toExtend<FlowModInput>();
  expectTypeOf<{ type: 'FLOW_MOD' }>().not.toExtend<FlowModInput>();
  expectTypeOf<{ type: 'FLOW_MOD'; command: 'NONE' }>().not.toExtend<FlowModInput>();
  expectTypeOf<{
    type: 'PACKET_OUT';
    actions: [{ type: 'OUTPUT'; port: string }];
  }>().not.toExtend<MessageInput>();
  expectTypeOf<Message>().toExtend<MessageInput>();
});

test('`type` tells messages, actions and bodies apart', () => {
  expectTypeOf<Extract<Message, { type: 'ROLE_REPLY' }>['generationId']>().toEqualTypeOf<bigint>();
  expectTypeOf<Extract<Action, { type: 'OUTPUT' }>['port']>().toEqualTypeOf<number>();
  expectTypeOf<Extract<Action, { type: 'unknown' }>['raw']>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<
    Extract<MultipartReplyBody, { type: 'FLOW' }>['entries'][number]['packetCount']
  >().toEqualTypeOf<bigint>();
});

test('match fields have the types of their values', () => {
  type Field<K extends keyof Match> = NonNullable<Match[K]>;
  expectTypeOf<Field<'in_port'>>().toEqualTypeOf<
    number | { readonly value: number; readonly mask: number }
  >();
  expectTypeOf<Field<'metadata'>>().toEqualTypeOf<
    bigint | { readonly value: bigint; readonly mask: bigint }
  >();
  expectTypeOf<Field<'ipv6_src'>>().toEqualTypeOf<
    string | { readonly value: string; readonly mask: string }
  >();
  // @ts-expect-error a MAC is not a number
  const wrong: Match = { eth_dst: 1 };
  // @ts-expect-error not a field
  const unknown: Match = { no_such_field: 1 };
  void [wrong, unknown];
});

test('functions', () => {
  expectTypeOf(decode).returns.toEqualTypeOf<Message>();
  expectTypeOf<Parameters<typeof encode>>().toEqualTypeOf<[message: MessageInput]>();
});
