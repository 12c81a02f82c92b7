/** What a session is set up with, and what it tells its owner. */

import type { ErrorMessage, FeaturesReply, Message, MultipartReply } from './wire.js';

export interface SessionConfig {
  side: 'controller' | 'switch';
  /** How long the peer may take for its HELLO, and then for its features reply. */
  helloTimeoutMs: number;
  /** Silence after which an echo request goes out; 0: never. */
  echoIntervalMs: number;
  /** Silence after an echo request that ends the session. */
  echoTimeoutMs: number;
  /** Default for requests. */
  requestTimeoutMs: number;
  /** A longer message ends the session. */
  maxMessageBytes: number;
  /** Caps for one multipart message. */
  maxMultipartBytes: number;
  maxMultipartParts: number;
  /** How many multipart requests a peer may leave unfinished (switch side). */
  maxOpenMultiparts: number;
  /** Queued bytes above which the session is congested, and at or below which it is again writable. */
  highWaterBytes: number;
  lowWaterBytes: number;
  /** Queued bytes above which an answer that the peer provokes (echo, errors) ends the session. */
  maxQueuedBytes: number;
  /** Where xids start. Give each connection its own to tell their messages apart in a capture. */
  firstXid: number;
}

export interface CloseReason {
  /**
   * `framing`: bytes that are no messages; `negotiation`: no common version or no HELLO; `refused`: the peer said no;
   * `hello-timeout`, `echo-timeout`: silence; `overflow`: it asks but does not read; `transport`: the connection went away; `local`: we closed it.
   */
  readonly kind:
    | 'framing'
    | 'negotiation'
    | 'refused'
    | 'hello-timeout'
    | 'echo-timeout'
    | 'overflow'
    | 'transport'
    | 'local';
  readonly message: string;
}

export interface RequestFailure {
  /**
   * `refused`: answered with OFPT_ERROR; `overflow`: a multipart answer beyond the caps; `malformed`: an answer
   * that does not decode.
   */
  readonly kind: 'refused' | 'timeout' | 'closed' | 'overflow' | 'malformed';
  readonly message: string;
  /** The OFPT_ERROR, when `refused`. */
  readonly error?: ErrorMessage;
}

export type SessionEvent =
  /** The version is agreed, and on a controller the switch has identified itself. */
  | { readonly kind: 'ready'; readonly features: FeaturesReply | undefined }
  /** A message that answers nothing we wait for. Multipart requests come whole. */
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'reply'; readonly token: number; readonly message: Message }
  /** One part of a multipart answer asked for in parts; the last one comes as `reply`. */
  | {
      readonly kind: 'part';
      readonly token: number;
      readonly message: MultipartReply;
      readonly entries: readonly unknown[];
    }
  /** A batch is through: for each message the error it met, or undefined. */
  | {
      readonly kind: 'committed';
      readonly token: number;
      readonly errors: readonly (ErrorMessage | undefined)[];
    }
  | { readonly kind: 'failed'; readonly token: number; readonly failure: RequestFailure }
  /** A message that could not be decoded and was answered, where it may be, with OFPT_ERROR. */
  | { readonly kind: 'malformed'; readonly message: string; readonly bytes: Uint8Array }
  /** Queued bytes have fallen to the low-water mark. */
  | { readonly kind: 'drained' }
  | { readonly kind: 'closed'; readonly reason: CloseReason };
