/** What the session needs of the codec, and the few things it reads from a header itself. */

import { decode, encode } from '../openflow.js';
import { OpenFlowDecodeError } from '../codec/errors.js';
import type { Static } from '../codec/codec.js';
import type { ErrorMessage as ErrorMessageCodec } from '../messages/errors.js';
import type { FlowRemoved as FlowRemovedCodec } from '../messages/flows.js';
import type { FeaturesReply as FeaturesReplyCodec } from '../messages/handshake.js';
import type { Message, MessageInput } from '../messages/message.js';
import type {
  MultipartReply as MultipartReplyCodec,
  MultipartReplyBody,
  MultipartRequest as MultipartRequestCodec,
  MultipartRequestBody,
  MultipartRequestBodyInput,
} from '../messages/multipart.js';
import type { PacketIn as PacketInCodec } from '../messages/packets.js';
import type { PortStatus as PortStatusCodec } from '../messages/ports.js';

export { OpenFlowDecodeError, decode, encode };
export type { Message, MessageInput, MultipartReplyBody, MultipartRequestBody, MultipartRequestBodyInput };
export type ErrorMessage = Static<typeof ErrorMessageCodec>;
export type FeaturesReply = Static<typeof FeaturesReplyCodec>;
export type FlowRemoved = Static<typeof FlowRemovedCodec>;
export type MultipartReply = Static<typeof MultipartReplyCodec>;
export type MultipartRequest = Static<typeof MultipartRequestCodec>;
export type PacketIn = Static<typeof PacketInCodec>;
export type PortStatus = Static<typeof PortStatusCodec>;

/** `ofp_type` of the messages that a session knows by their header (OF 1.3.5 §7.1). */
export const OPENFLOW_TYPE = {
  ERROR: 1,
  ECHO_REQUEST: 2,
  ECHO_REPLY: 3,
  FEATURES_REPLY: 6,
  GET_CONFIG_REPLY: 8,
  MULTIPART_REPLY: 19,
  BARRIER_REPLY: 21,
  QUEUE_GET_CONFIG_REPLY: 23,
  ROLE_REPLY: 25,
  GET_ASYNC_REPLY: 27,
} as const;

/** `ofp_type` in its order (OF 1.3.5 §7.1), without `OFPT_`. */
const TYPE_NAMES = [
  ...['HELLO', 'ERROR', 'ECHO_REQUEST', 'ECHO_REPLY', 'EXPERIMENTER'],
  ...['FEATURES_REQUEST', 'FEATURES_REPLY', 'GET_CONFIG_REQUEST', 'GET_CONFIG_REPLY', 'SET_CONFIG'],
  ...['PACKET_IN', 'FLOW_REMOVED', 'PORT_STATUS', 'PACKET_OUT', 'FLOW_MOD', 'GROUP_MOD', 'PORT_MOD'],
  ...['TABLE_MOD', 'MULTIPART_REQUEST', 'MULTIPART_REPLY', 'BARRIER_REQUEST', 'BARRIER_REPLY'],
  ...['QUEUE_GET_CONFIG_REQUEST', 'QUEUE_GET_CONFIG_REPLY', 'ROLE_REQUEST', 'ROLE_REPLY'],
  ...['GET_ASYNC_REQUEST', 'GET_ASYNC_REPLY', 'SET_ASYNC', 'METER_MOD'],
];

/** The name of a type, or its number where it has none. */
export function typeName(type: number): string {
  return TYPE_NAMES[type] ?? String(type);
}

/** The xid in the header of a whole message. */
export function xidOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(4);
}

/** An OFPT_ERROR that quotes what it is about. */
export function errorMessage(
  xid: number,
  errorType: ErrorMessage['errorType'],
  code: ErrorMessage['code'],
  data: Uint8Array,
): MessageInput {
  return { type: 'ERROR', xid, errorType, code, data };
}

/** Where the xid of the bundled message stands: behind the experimenter header (16), bundle id, padding and flags (8). */
const BUNDLED_XID_AT = 16 + 8 + 4;

/** The message's bytes under that xid, which is written over the message's own. @throws OpenFlowEncodeError */
export function encodeUnder(message: MessageInput, xid: number): Buffer {
  const bytes = encode(message);
  bytes.writeUInt32BE(xid, 4);
  // A message in a bundle has the xid of the message that adds it (EXT-230).
  if (message.type === 'BUNDLE_ADD_MESSAGE') bytes.writeUInt32BE(xid, BUNDLED_XID_AT);
  return bytes;
}

/** Messages that only ever answer a request (§7.1, Table: "controller/switch" replies). */
export const ANSWER_TYPES: ReadonlySet<number> = new Set([
  OPENFLOW_TYPE.ECHO_REPLY,
  OPENFLOW_TYPE.FEATURES_REPLY,
  OPENFLOW_TYPE.GET_CONFIG_REPLY,
  OPENFLOW_TYPE.MULTIPART_REPLY,
  OPENFLOW_TYPE.BARRIER_REPLY,
  OPENFLOW_TYPE.QUEUE_GET_CONFIG_REPLY,
  OPENFLOW_TYPE.ROLE_REPLY,
  OPENFLOW_TYPE.GET_ASYNC_REPLY,
]);

export const ANSWER_NAMES: ReadonlySet<unknown> = new Set(
  Object.entries(OPENFLOW_TYPE).flatMap(([name, code]) => (ANSWER_TYPES.has(code) ? [name] : [])),
);

/** Experimenter messages answer too (ONF bundles), but also come unasked: they are answers when one is awaited. */
export function mayAnswer(type: Message['type']): boolean {
  return ANSWER_NAMES.has(type) || type === 'EXPERIMENTER' || type === 'BUNDLE_CONTROL';
}
