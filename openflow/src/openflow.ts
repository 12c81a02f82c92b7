/** Decoding, encoding, sizes and JSON of messages, and of any other declaration. */

import type { Codec } from './codec/codec.js';
import { OpenFlowDecodeError } from './codec/errors.js';
import { Reader } from './codec/reader.js';
import { Writer } from './codec/writer.js';
import { HEADER_BYTES } from './messages/header.js';
import { Message, messageName, type MessageInput } from './messages/message.js';

/** The 8 bytes that every message starts with (OF 1.3.5 §7.1). */
export interface Header {
  readonly version: number;
  readonly type: number;
  /** Of the whole message. */
  readonly length: number;
  readonly xid: number;
}

/** The header at `offset`, or undefined while there are fewer than 8 bytes. Checks nothing. */
export function peekHeader(bytes: Uint8Array, offset = 0): Header | undefined {
  if (bytes.length - offset < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, HEADER_BYTES);
  return {
    version: view.getUint8(0),
    type: view.getUint8(1),
    length: view.getUint16(2),
    xid: view.getUint32(4),
  };
}

/**
 * Decodes exactly one message. Byte strings in it are views onto `bytes`.
 *
 * @throws OpenFlowDecodeError, and nothing else, whatever the bytes.
 */
export function decode(bytes: Uint8Array): Message {
  const r = new Reader(bytes);
  try {
    const message = Message.read(r);
    r.finish();
    return message;
  } catch (e) {
    throw e instanceof OpenFlowDecodeError ? e.within(messageName(new Reader(bytes))).settle(bytes) : e;
  }
}

/** One writer serves all encoding: encoding never yields, and never starts another. */
export const writer = new Writer();

/**
 * Encodes one message. Lengths, padding and defaults are filled in.
 *
 * @throws OpenFlowEncodeError if a value has no encoding; its `path` says which.
 */
export function encode(message: MessageInput): Buffer {
  return encodeAs(Message, message);
}

/** The bytes a message takes, without keeping them. */
export function sizeOf(message: MessageInput): number {
  writer.begin();
  Message.write(writer, message);
  return writer.length;
}

/**
 * Encodes several messages into one buffer, for a single write to a socket.
 *
 * @throws OpenFlowEncodeError
 */
export function encodeAll(messages: readonly MessageInput[]): Buffer {
  return messages.length === 1 && messages[0] !== undefined
    ? encode(messages[0])
    : Buffer.concat(messages.map(encode));
}

/**
 * A message from its JSON form, ready to be encoded.
 *
 * @throws OpenFlowEncodeError for shapes that cannot be a message; ranges and names are checked by `encode`.
 */
export function fromJson(json: unknown): MessageInput {
  return Message.fromJson(json);
}

/**
 * Decodes any declaration alone: an action, a match, a bucket. All bytes must be consumed.
 *
 * @throws OpenFlowDecodeError
 */
export function decodeAs<T>(codec: Pick<Codec<T>, 'read'>, bytes: Uint8Array): T {
  const r = new Reader(bytes);
  try {
    const value = codec.read(r);
    r.finish();
    return value;
  } catch (e) {
    throw e instanceof OpenFlowDecodeError ? e.settle(bytes) : e;
  }
}

/**
 * Encodes any declaration alone.
 *
 * @throws OpenFlowEncodeError
 */
export function encodeAs<T, I>(codec: Codec<T, I>, value: I): Buffer {
  writer.begin();
  codec.write(writer, value);
  return writer.take();
}
