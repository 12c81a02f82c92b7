/** The union of all messages, by header. */

import { union, type Case, type InputOf, type StaticOf } from '../codec/collections.js';
import type { AnyCodec, Codec } from '../codec/codec.js';
import type { Reader } from '../codec/reader.js';
import { ErrorMessage, ExperimenterError } from './errors.js';
import {
  BundleControl,
  bundleAddMessage,
  Experimenter,
  flowMonitorMessages,
  messageKeys,
  niciraMessages,
  ONF_MESSAGE,
} from './experimenter.js';
import { FlowMod, FlowRemoved, TableMod } from './flows.js';
import { GroupMod } from './groups.js';
import {
  BarrierReply,
  BarrierRequest,
  EchoReply,
  EchoRequest,
  FeaturesReply,
  FeaturesRequest,
  GetConfigReply,
  GetConfigRequest,
  Hello,
  SetConfig,
} from './handshake.js';
import { MeterMod } from './meters.js';
import { MultipartReply, MultipartRequest } from './multipart.js';
import { observerMessages } from './observers.js';
import { PacketIn, PacketOut } from './packets.js';
import { PortMod, PortStatus } from './ports.js';
import { QueueGetConfigReply, QueueGetConfigRequest } from './queues.js';
import { GetAsyncReply, GetAsyncRequest, RoleReply, RoleRequest, SetAsync } from './roles.js';

/** Key of an error whose type is OFPET_EXPERIMENTER. */
const EXPERIMENTER_ERROR = 0x100;

const plain = [
  [0, Hello],
  [1, ErrorMessage],
  [2, EchoRequest],
  [3, EchoReply],
  [4, Experimenter],
  [5, FeaturesRequest],
  [6, FeaturesReply],
  [7, GetConfigRequest],
  [8, GetConfigReply],
  [9, SetConfig],
  [10, PacketIn],
  [11, FlowRemoved],
  [12, PortStatus],
  [13, PacketOut],
  [14, FlowMod],
  [15, GroupMod],
  [16, PortMod],
  [17, TableMod],
  [18, MultipartRequest],
  [19, MultipartReply],
  [20, BarrierRequest],
  [21, BarrierReply],
  [22, QueueGetConfigRequest],
  [23, QueueGetConfigReply],
  [24, RoleRequest],
  [25, RoleReply],
  [26, GetAsyncRequest],
  [27, GetAsyncReply],
  [28, SetAsync],
  [29, MeterMod],
  [EXPERIMENTER_ERROR, ExperimenterError],
  BundleControl,
  ...flowMonitorMessages,
  ...niciraMessages,
  ...observerMessages,
] as const;

type PlainCodec = (typeof plain)[number][1];
/** Any message but BUNDLE_ADD_MESSAGE: what a bundle can hold. */
export type PlainMessage = StaticOf<readonly PlainCodec[]>;
export type PlainMessageInput = InputOf<readonly PlainCodec[]>;

const known = new Set<number>([...plain.map(([key]) => key), ONF_MESSAGE + 2301]);

function peek(r: Reader): number {
  const type = r.peek(1, 1);
  if (type === 4) {
    const base = messageKeys(r.peek(4, 8));
    const key = base + r.peek(4, 12);
    return base !== 0 && known.has(key) ? key : type;
  }
  return type === 1 && r.peek(2, 8) === 0xffff ? EXPERIMENTER_ERROR : type;
}

function refuse(r: Reader, type: number) {
  if (type < 0) return r.fail('too short for a header', ['BAD_REQUEST', 'BAD_LEN']);
  const version = r.peek(1, 0);
  // Types mean different things in other versions, so the version is what is wrong first.
  if (version !== 4) return r.fail(`version ${version}`, ['BAD_REQUEST', 'BAD_VERSION']).within('version');
  return r.fail(`message type ${type} is not defined`, ['BAD_REQUEST', 'BAD_TYPE'], 1).within('type');
}

/** A message within a bundle. */
const PlainMessage: Codec<PlainMessage, PlainMessageInput> = union('message', {
  peek,
  cases: plain satisfies readonly Case[],
  otherwise: refuse,
});

const [bundleKey, bundleCodec] = bundleAddMessage(PlainMessage);
/** BUNDLE_ADD_MESSAGE of EXT-230. */
export const BundleAddMessage = bundleCodec;

/** Any message. */
export type Message = PlainMessage | StaticOf<readonly (typeof BundleAddMessage)[]>;
/** Any message, as the encoder takes it. */
export type MessageInput = PlainMessageInput | InputOf<readonly (typeof BundleAddMessage)[]>;

/** Every message with its key: the type number, or more for experimenters. */
export const messageCases: readonly (readonly [number, AnyCodec & { readonly tag: string }])[] = [
  ...plain,
  [bundleKey, BundleAddMessage],
];

/** Any message (§7.1). */
export const Message: Codec<Message, MessageInput> = union('message', {
  peek,
  cases: messageCases,
  otherwise: refuse,
});

/** `flow_mod` for type 14: the root of error paths. */
export function messageName(r: Reader): string {
  const key = peek(r);
  return messageCases.find(([k]) => k === key)?.[1].tag.toLowerCase() ?? 'message';
}
