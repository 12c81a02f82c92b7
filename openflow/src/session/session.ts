/**
 * One end of an OpenFlow connection, controller or switch, without sockets, clock, timers or randomness.
 *
 * ```
 *             bytes in ──▶ receive(bytes, now) ──▶ takeEvents()
 *  send / request / … ──▶      Session         ──▶ takeOutput() ──▶ bytes out
 *   deadline reached  ──▶ handleDeadline(now)  ──▶ nextDeadline()
 * ```
 *
 * After every call the owner takes output and events, and arms its timer for {@link Session.nextDeadline}.
 * States: `negotiating` (HELLO, OF 1.3.5 §6.3.1), on a controller `identifying` (features request, §7.3.1),
 * `ready`, `closed`. Nothing leaves `closed`.
 *
 * Traffic that is the session's own business never reaches the owner: HELLO, ECHO, the first FEATURES, barriers.
 */

import { Framer, MAX_MESSAGE_BYTES } from './framing.js';
import { OPENFLOW_13, isHello, negotiate, readHello, writeHello, writeHelloFailed } from './hello.js';
import { MultipartJoin, entriesOf, hasMore } from './multipart.js';
import { Keepalive } from './keepalive.js';
import { Outbox } from './outbox.js';
import { PendingTable } from './pending.js';
import type { OxmFieldName, OxmValue } from '../oxm/fields.js';
import type { MessageTemplate } from '../template.js';
import {
  ANSWER_NAMES,
  ANSWER_TYPES,
  OPENFLOW_TYPE,
  OpenFlowDecodeError,
  decode,
  encode,
  encodeUnder,
  errorMessage,
  mayAnswer,
  typeName,
  xidOf,
} from './wire.js';
import type {
  ErrorMessage,
  FeaturesReply,
  Message,
  MessageInput,
  MultipartReply,
  MultipartRequest,
} from './wire.js';
import type { CloseReason, RequestFailure, SessionConfig, SessionEvent } from './events.js';

export const DEFAULT_SESSION: SessionConfig = {
  side: 'controller',
  helloTimeoutMs: 10_000,
  echoIntervalMs: 5_000,
  echoTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxMultipartBytes: 256 * 1024 * 1024,
  maxMultipartParts: 100_000,
  maxOpenMultiparts: 64,
  highWaterBytes: 1024 * 1024,
  lowWaterBytes: 256 * 1024,
  maxQueuedBytes: 64 * 1024 * 1024,
  firstXid: 1,
};

/** Names a request: the xid it went out with. Unique among the requests that wait. */
export type Token = number;

interface Pending {
  deadlineMs: number;
  readonly timeoutMs: number;
  readonly kind: 'features' | 'single' | 'multipart' | 'parts' | 'batch';
  join?: MultipartJoin<MultipartReply>;
  /** Of a batch: its messages' xids in order, and the errors that came for them. */
  batch?: { readonly xids: readonly number[]; readonly errors: Map<number, ErrorMessage> };
}

const VERSIONS = [OPENFLOW_13];

export class Session {
  readonly config: SessionConfig;
  readonly #framer: Framer;
  #state: 'new' | 'negotiating' | 'identifying' | 'ready' | 'closed' = 'new';
  readonly #outbox: Outbox;
  /** Messages sent, by type number. */
  readonly #sent = new Float64Array(256);
  #events: SessionEvent[] = [];
  #nextXid: number;
  readonly #pending = new PendingTable<Pending>();
  /** Which batch a message belongs to, by xid. */
  readonly #batchOf = new Map<number, Token>();
  /** Multipart requests of a controller that are not whole yet (switch side). */
  readonly #requestJoins = new Map<number, MultipartJoin<MultipartRequest>>();
  #helloDeadlineMs = Infinity;
  /** Since when the owner does not read; undefined while it does. */
  #pausedMs: number | undefined;
  /** From the handshake on. */
  #keepalive: Keepalive | undefined;
  #features: FeaturesReply | undefined;

  constructor(config: Partial<SessionConfig> = {}) {
    this.config = { ...DEFAULT_SESSION, ...config };
    this.#outbox = new Outbox(this.config);
    this.#framer = new Framer({ maxMessageBytes: this.config.maxMessageBytes });
    this.#nextXid = this.config.firstXid >>> 0 || 1;
  }

  get state(): 'new' | 'negotiating' | 'identifying' | 'ready' | 'closed' {
    return this.#state;
  }

  /** What the switch said of itself; controller side, once `ready`. */
  get features(): FeaturesReply | undefined {
    return this.#features;
  }

  /** Bytes that wait to leave: here, and in the transport as far as it has told. */
  get queuedBytes(): number {
    return this.#outbox.bytes;
  }

  /** Bytes that {@link takeOutput} would give. */
  get unsentBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /** How many messages of each type have been sent so far, the session's own included. */
  get sent(): ReadonlyMap<string, number> {
    const counts = [...this.#sent].flatMap((count, type) =>
      count === 0 ? [] : [[typeName(type), count] as const],
    );
    return new Map(counts);
  }

  /** False from the high-water mark until the low-water mark: hold back messages until the `drained` event. */
  get isWritable(): boolean {
    return !this.#outbox.isCongested;
  }

  /**
   * False while the owner should not read on: a switch whose answers pile up stops taking requests. A controller
   * always reads, as two ends that both stop would wait for each other for ever.
   */
  get isReadable(): boolean {
    return this.config.side === 'controller' || !this.#outbox.isCongested;
  }

  /** Requests that wait for answers. */
  get pendingRequests(): number {
    return this.#pending.size;
  }

  /** The transport is connected: send HELLO. */
  start(nowMs: number): void {
    if (this.#state !== 'new') return;
    this.#state = 'negotiating';
    this.#helloDeadlineMs = nowMs + this.config.helloTimeoutMs;
    this.#write(writeHello(VERSIONS, this.#takeXid()));
  }

  /** Bytes came in, in whatever portions. */
  receive(bytes: Uint8Array, nowMs: number): void {
    if (this.#state === 'new') this.start(nowMs);
    if (this.#state === 'closed') return;
    this.#framer.push(bytes);
    for (;;) {
      const message = this.#framer.next();
      if (message === undefined) break;
      this.#keepalive?.received(nowMs);
      this.#handle(message, nowMs);
      if (this.#isClosed()) return;
    }
    // A peer of another protocol must not hold us till the timeout with a "length" that never arrives.
    const header = this.#state === 'negotiating' ? this.#framer.peekHeader() : undefined;
    if (header !== undefined && !isHello(header) && header[1] !== OPENFLOW_TYPE.ERROR)
      this.#handleFirst(header, nowMs);
    const error = this.#framer.error;
    if (error !== undefined) {
      this.#refuse(error.header, 'BAD_REQUEST', 'BAD_LEN');
      this.#close({ kind: 'framing', message: error.message });
    }
  }

  /** The peer closed, or the transport failed. */
  transportClosed(message: string): void {
    this.#close({ kind: 'transport', message });
  }

  /** End the session from this side. */
  close(): void {
    this.#close({ kind: 'local', message: 'closed' });
  }

  /**
   * The owner stops reading, or reads on. Meanwhile silence is not the peer's fault: neither its liveness nor the
   * timeouts of requests are counted.
   */
  setReading(isReading: boolean, nowMs: number): void {
    if (!isReading) {
      this.#pausedMs ??= nowMs;
    } else if (this.#pausedMs !== undefined) {
      this.#pending.postpone(nowMs - this.#pausedMs);
      this.#keepalive?.received(nowMs);
      this.#pausedMs = undefined;
    }
  }

  /** When {@link handleDeadline} wants to be called; undefined when only traffic can move the session. */
  nextDeadline(): number | undefined {
    if (this.#state === 'closed' || this.#state === 'new' || this.#pausedMs !== undefined) return undefined;
    const echoMs = this.#keepalive?.deadlineMs ?? Infinity;
    const deadline = Math.min(this.#helloDeadlineMs, echoMs, this.#pending.earliestMs);
    return deadline === Infinity ? undefined : deadline;
  }

  /** Time has passed. Calling it early or often does no harm. */
  handleDeadline(nowMs: number): void {
    if (this.#state === 'closed' || this.#state === 'new' || this.#pausedMs !== undefined) return;
    if (nowMs >= this.#helloDeadlineMs) {
      const message = `no HELLO within ${this.config.helloTimeoutMs} ms`;
      this.#close({ kind: 'hello-timeout', message });
      return;
    }
    for (const [xid, pending] of this.#pending.takeDue(nowMs)) {
      if (pending.kind === 'features') {
        this.#close({ kind: 'hello-timeout', message: 'no answer to the features request' });
        return;
      }
      this.#forget(pending);
      this.#fail(xid, { kind: 'timeout', message: `no answer within ${pending.timeoutMs} ms` });
    }
    this.#keepAlive(nowMs);
  }

  /** Sends a message; a missing or zero xid is filled in. Returns the xid. @throws OpenFlowEncodeError */
  send(message: MessageInput): number {
    const xid = message.xid === undefined || message.xid === 0 ? this.#takeXid() : message.xid;
    this.#write(encodeUnder(message, xid));
    return xid;
  }

  /** Sends a copy of the template's message with that value. Returns its xid. @throws OpenFlowEncodeError */
  sendLike<K extends OxmFieldName>(template: MessageTemplate<K>, value: OxmValue<K>): number {
    const xid = this.#takeXid();
    if (this.#state === 'closed') return xid;
    template.encodeTo(this.#outbox, value, xid);
    this.#countSent(template.typeNumber);
    return xid;
  }

  /**
   * Sends a request and watches for its answer: a `reply` event with this token, or `failed`. A multipart request's
   * parts are joined first, unless `parts` is set: then each comes as a `part` event, and `reply` brings the last.
   * The timeout starts anew with every part. @throws OpenFlowEncodeError
   */
  request(
    message: MessageInput,
    nowMs: number,
    options: { timeoutMs?: number; parts?: boolean } = {},
  ): Token {
    const xid = this.#takeXid();
    const bytes = encodeUnder(message, xid);
    const timeoutMs = options.timeoutMs ?? this.config.requestTimeoutMs;
    const kind =
      message.type !== 'MULTIPART_REQUEST' ? 'single' : options.parts === true ? 'parts' : 'multipart';
    this.#watch(xid, { kind, timeoutMs, deadlineMs: nowMs + timeoutMs });
    this.#write(bytes);
    return xid;
  }

  /**
   * Sends messages that have no answer of their own (flow-mods, …) and a barrier after them (§7.3.8). The `committed`
   * event with this token says that the switch has processed them, and which it refused.
   * With no messages it is a plain barrier. Nothing is sent if one of them cannot be encoded. @throws OpenFlowEncodeError
   */
  commit(messages: readonly MessageInput[], nowMs: number, options: { timeoutMs?: number } = {}): Token {
    const xids: number[] = [];
    const encoded: Uint8Array[] = [];
    for (const message of messages) {
      const xid = this.#takeXid();
      xids.push(xid);
      encoded.push(encodeUnder(message, xid));
    }
    const token = this.#takeXid();
    const timeoutMs = options.timeoutMs ?? this.config.requestTimeoutMs;
    for (const xid of xids) this.#batchOf.set(xid, token);
    this.#watch(token, {
      kind: 'batch',
      timeoutMs,
      deadlineMs: nowMs + timeoutMs,
      batch: { xids, errors: new Map() },
    });
    for (const bytes of encoded) this.#write(bytes);
    this.#write(encode({ type: 'BARRIER_REQUEST', xid: token }));
    return token;
  }

  /** Nobody waits for this request any more; its answer will be dropped. */
  cancel(token: Token): void {
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    this.#pending.delete(token);
    this.#forget(pending);
  }

  /** Everything that is to be written, in order. The transport reports with {@link transportQueued} what it still holds. */
  takeOutput(): Uint8Array[] {
    return this.#outbox.take();
  }

  /** How many bytes the transport has taken but not yet passed on. */
  transportQueued(bytes: number): void {
    if (this.#outbox.transportHolds(bytes) && this.#state !== 'closed') this.#emit({ kind: 'drained' });
  }

  takeEvents(): SessionEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  // ---- incoming -------------------------------------------------------------------------------------------

  #handle(bytes: Uint8Array, nowMs: number): void {
    const type = bytes[1];
    if (this.#state === 'negotiating') {
      this.#handleFirst(bytes, nowMs);
      return;
    }
    // A second HELLO says nothing new (§6.3.1 has one each way).
    if (isHello(bytes)) return;
    if (bytes[0] !== OPENFLOW_13) {
      if (type !== OPENFLOW_TYPE.ERROR) this.#refuse(bytes, 'BAD_REQUEST', 'BAD_VERSION');
      this.#emit({
        kind: 'malformed',
        message: `version 0x${(bytes[0] ?? 0).toString(16)} after 1.3 was agreed`,
        bytes,
      });
      return;
    }
    // Echo is answered on bytes: the reply is the request with its type changed (§7.5.3). A copy: the chunk is not ours.
    if (type === OPENFLOW_TYPE.ECHO_REQUEST) {
      const reply = new Uint8Array(bytes);
      reply[1] = OPENFLOW_TYPE.ECHO_REPLY;
      this.#answer(reply);
      return;
    }
    if (type === OPENFLOW_TYPE.ECHO_REPLY && !this.#pending.has(xidOf(bytes))) return;

    let message: Message;
    try {
      message = decode(bytes);
    } catch (error) {
      if (!(error instanceof OpenFlowDecodeError)) throw error;
      this.#malformed(error, bytes);
      return;
    }
    this.#dispatch(message, bytes.length, nowMs);
  }

  #handleFirst(bytes: Uint8Array, nowMs: number): void {
    if (bytes[1] === OPENFLOW_TYPE.ERROR) {
      const text = new TextDecoder().decode(bytes.subarray(12));
      this.#close({ kind: 'refused', message: `peer refused: ${text || 'no common version'}` });
      return;
    }
    if (!isHello(bytes)) {
      this.#refuse(bytes, 'HELLO_FAILED', 'INCOMPATIBLE');
      this.#close({ kind: 'negotiation', message: `first message is of type ${bytes[1] ?? 0}, not HELLO` });
      return;
    }
    const hello = readHello(bytes);
    if (negotiate(VERSIONS, hello) === undefined) {
      this.#write(writeHelloFailed(VERSIONS, hello));
      const theirs = hello.bitmap === undefined ? `up to ${hello.version}` : `${hello.bitmap.join(', ')}`;
      this.#close({
        kind: 'negotiation',
        message: `no common version: peer speaks wire version ${theirs || 'none'}`,
      });
      return;
    }
    this.#helloDeadlineMs = Infinity;
    this.#keepalive = new Keepalive(this.config.echoIntervalMs, this.config.echoTimeoutMs, nowMs);
    if (this.config.side === 'switch') {
      this.#state = 'ready';
      this.#emit({ kind: 'ready', features: undefined });
      return;
    }
    this.#state = 'identifying';
    const xid = this.#takeXid();
    const timeoutMs = this.config.helloTimeoutMs;
    this.#watch(xid, { kind: 'features', timeoutMs, deadlineMs: nowMs + timeoutMs });
    this.#write(encode({ type: 'FEATURES_REQUEST', xid }));
  }

  #dispatch(message: Message, size: number, nowMs: number): void {
    switch (message.type) {
      case 'ERROR':
        this.#handleError(message);
        return;
      case 'MULTIPART_REPLY':
        this.#handleReplyPart(message, size, nowMs);
        return;
      case 'MULTIPART_REQUEST':
        this.#handleRequestPart(message, size);
        return;
      default:
        break;
    }
    const pending = mayAnswer(message.type) ? this.#pending.get(message.xid) : undefined;
    if (pending === undefined) {
      // A late answer to a request that was given up is nobody's; everything else is the owner's.
      if (!ANSWER_NAMES.has(message.type)) this.#emit({ kind: 'message', message });
      return;
    }
    this.#pending.delete(message.xid);
    this.#forget(pending);
    if (pending.kind === 'features') {
      this.#identified(message);
    } else if (pending.batch !== undefined) {
      const { xids, errors } = pending.batch;
      this.#emit({ kind: 'committed', token: message.xid, errors: xids.map((xid) => errors.get(xid)) });
    } else {
      this.#emit({ kind: 'reply', token: message.xid, message });
    }
  }

  #identified(message: Message): void {
    if (message.type !== 'FEATURES_REPLY') {
      this.#close({ kind: 'negotiation', message: `features request answered with ${String(message.type)}` });
      return;
    }
    this.#features = message;
    this.#state = 'ready';
    this.#emit({ kind: 'ready', features: message });
  }

  #handleError(error: ErrorMessage): void {
    const batch = this.#batchOf.get(error.xid);
    if (batch !== undefined) {
      this.#pending.get(batch)?.batch?.errors.set(error.xid, error);
      return;
    }
    const pending = this.#pending.get(error.xid);
    if (pending === undefined) {
      this.#emit({ kind: 'message', message: error });
      return;
    }
    this.#pending.delete(error.xid);
    this.#forget(pending);
    const message = `${error.errorType} ${error.code}`;
    if (pending.kind === 'features')
      this.#close({ kind: 'refused', message: `features request refused: ${message}` });
    else this.#fail(error.xid, { kind: 'refused', message, error });
  }

  #handleReplyPart(part: MultipartReply, size: number, nowMs: number): void {
    const pending = this.#pending.get(part.xid);
    if (pending === undefined) return;
    const isLast = !hasMore(part);
    if (pending.kind === 'parts' || pending.kind === 'single') {
      if (isLast) this.#pending.delete(part.xid);
      else this.#pending.set(part.xid, { ...pending, deadlineMs: nowMs + pending.timeoutMs });
      this.#emit(
        isLast
          ? { kind: 'reply', token: part.xid, message: part }
          : { kind: 'part', token: part.xid, message: part, entries: entriesOf(part.body) ?? [] },
      );
      return;
    }
    const join = pending.join ?? new MultipartJoin<MultipartReply>(this.#limits());
    const result = join.add(part, size);
    if (result.kind === 'more') {
      this.#pending.set(part.xid, { ...pending, join, deadlineMs: nowMs + pending.timeoutMs });
      return;
    }
    this.#pending.delete(part.xid);
    this.#forget(pending);
    if (result.kind === 'whole') this.#emit({ kind: 'reply', token: part.xid, message: result.message });
    else
      this.#fail(part.xid, {
        kind: result.kind === 'overflow' ? 'overflow' : 'malformed',
        message: result.reason,
      });
  }

  /** A switch joins what a controller splits (table features); over the cap it says so (§7.4.4.2). */
  #handleRequestPart(part: MultipartRequest, size: number): void {
    const known = this.#requestJoins.get(part.xid);
    if (known === undefined && !hasMore(part)) {
      this.#emit({ kind: 'message', message: part });
      return;
    }
    const join = known ?? new MultipartJoin<MultipartRequest>(this.#limits());
    const hasRoom = known !== undefined || this.#requestJoins.size < this.config.maxOpenMultiparts;
    const result = hasRoom ? join.add(part, size) : ({ kind: 'overflow', reason: '' } as const);
    if (result.kind === 'more') {
      this.#requestJoins.set(part.xid, join);
      return;
    }
    this.#requestJoins.delete(part.xid);
    if (result.kind === 'whole') {
      this.#emit({ kind: 'message', message: result.message });
      return;
    }
    const code = result.kind === 'overflow' ? 'MULTIPART_BUFFER_OVERFLOW' : 'BAD_MULTIPART';
    this.#answer(encode(errorMessage(part.xid, 'BAD_REQUEST', code, encode(part).subarray(0, 64))));
  }

  /** A message that does not decode: its request fails, or its sender is told (§7.4.4); errors are never answered. */
  #malformed(error: OpenFlowDecodeError, bytes: Uint8Array): void {
    const type = bytes[1] ?? 0;
    const xid = xidOf(bytes);
    const pending = this.#pending.get(xid);
    if (pending !== undefined && type !== OPENFLOW_TYPE.ERROR && ANSWER_TYPES.has(type)) {
      this.#pending.delete(xid);
      this.#forget(pending);
      if (pending.kind === 'features')
        this.#close({ kind: 'negotiation', message: `features reply: ${error.message}` });
      else this.#fail(xid, { kind: 'malformed', message: error.message });
      return;
    }
    if (type !== OPENFLOW_TYPE.ERROR && !ANSWER_TYPES.has(type)) {
      const { errorType, code } = error.wire;
      this.#answer(encode(errorMessage(xid, errorType, code, error.answer.data)));
    }
    this.#emit({ kind: 'malformed', message: error.message, bytes });
  }

  // ---- outgoing and housekeeping --------------------------------------------------------------------------

  #keepAlive(nowMs: number): void {
    const verdict = this.#keepalive?.check(nowMs);
    if (verdict === 'ask') {
      this.#write(encode({ type: 'ECHO_REQUEST', xid: this.#takeXid(), data: new Uint8Array(0) }));
    } else if (verdict === 'gone') {
      const silenceMs = this.#keepalive?.silenceMs(nowMs);
      this.#close({ kind: 'echo-timeout', message: `no sign of life for ${silenceMs} ms` });
    }
  }

  /** The next xid that nobody waits for; 0 is left to unsolicited messages. */
  #takeXid(): number {
    let xid = this.#nextXid;
    while (xid === 0 || this.#isAwaited(xid)) xid = (xid + 1) >>> 0;
    this.#nextXid = (xid + 1) >>> 0;
    return xid;
  }

  #isAwaited(xid: number): boolean {
    // Who awaits a batch's messages awaits its barrier, so this says it for most messages at once.
    if (this.#pending.size === 0) return false;
    return this.#pending.has(xid) || this.#batchOf.has(xid);
  }

  #limits(): { maxBytes: number; maxParts: number } {
    return { maxBytes: this.config.maxMultipartBytes, maxParts: this.config.maxMultipartParts };
  }

  #watch(xid: number, pending: Pending): void {
    this.#pending.set(xid, pending);
  }

  #forget(pending: Pending): void {
    for (const xid of pending.batch?.xids ?? []) this.#batchOf.delete(xid);
  }

  #fail(token: Token, failure: RequestFailure): void {
    this.#emit({ kind: 'failed', token, failure });
  }

  #refuse(bytes: Uint8Array, errorType: ErrorMessage['errorType'], code: ErrorMessage['code']): void {
    this.#answer(encode(errorMessage(xidOf(bytes), errorType, code, bytes.subarray(0, 64))));
  }

  /** Queues what a peer made us say. One that asks and asks but does not read must not fill our memory. */
  #answer(bytes: Uint8Array): void {
    if (this.queuedBytes > this.config.maxQueuedBytes) {
      this.#close({ kind: 'overflow', message: `peer does not read: ${this.queuedBytes} bytes queued` });
      return;
    }
    this.#write(bytes);
  }

  #write(bytes: Uint8Array): void {
    if (this.#state === 'closed') return;
    this.#countSent(bytes[1] ?? 0);
    this.#outbox.push(bytes);
  }

  #countSent(type: number): void {
    this.#sent[type] = (this.#sent[type] ?? 0) + 1;
  }

  #emit(event: SessionEvent): void {
    this.#events.push(event);
  }

  /** Read afresh: a call may have closed the session behind the compiler's back. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  #close(reason: CloseReason): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const [token, pending] of this.#pending.takeAll()) {
      if (pending.kind !== 'features')
        this.#fail(token, { kind: 'closed', message: `connection closed: ${reason.message}` });
    }
    this.#batchOf.clear();
    this.#requestJoins.clear();
    this.#emit({ kind: 'closed', reason });
  }
}
