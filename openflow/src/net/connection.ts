/**
 * A {@link Session} on a socket: reads, writes, keeps the one timer, and turns tokens into promises. All decisions
 * are the session's.
 *
 * Messages sent within one turn of the event loop leave in one write.
 */

import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { Session } from '../session/session.js';
import type { OxmFieldName, OxmValue } from '../oxm/fields.js';
import type { MessageTemplate } from '../template.js';
import type { CloseReason, RequestFailure, SessionConfig, SessionEvent } from '../session/events.js';
import type {
  ErrorMessage,
  FeaturesReply,
  FlowRemoved,
  Message,
  MessageInput,
  MultipartRequestBodyInput,
  MultipartReply,
  PacketIn,
  PortStatus,
} from '../session/wire.js';

/** A request that did not get the answer it asked for. `error` is the OFPT_ERROR, where there was one. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly kind: RequestFailure['kind'];
  readonly error: ErrorMessage | undefined;

  constructor(what: string, failure: RequestFailure) {
    super(`${what}: ${failure.message}`);
    this.kind = failure.kind;
    this.error = failure.error;
  }
}

/** What {@link Connection.commit} was told: the message refused and why. */
export interface CommitError {
  /** Index among the messages given. */
  index: number;
  error: ErrorMessage;
}

export interface ConnectionEvents {
  /** Any message that answers nothing, before its more specific event. */
  message: [message: Message];
  packetIn: [message: PacketIn];
  portStatus: [message: PortStatus];
  flowRemoved: [message: FlowRemoved];
  /** An OFPT_ERROR that belongs to no request. */
  refused: [error: ErrorMessage];
  /** A message that could not be read; the peer has been told. */
  malformed: [reason: string, bytes: Uint8Array];
  /** One may send again after {@link Connection.isWritable} was false. */
  drain: [];
  close: [reason: CloseReason];
}

interface Waiter {
  what: string;
  resolve: (event: Extract<SessionEvent, { kind: 'reply' | 'committed' }>) => void;
  reject: (error: Error) => void;
  onPart?: (part: MultipartReply) => void;
}

/** Joining small messages costs less than a vectored write of many. */
const JOIN_BYTES = 64 * 1024;

/**
 * Answers to what came in together leave in one write; but when there is so much of them, before the rest is worked on. Not
 * sooner: to wake up a peer that waits costs us as much as to make some ten answers.
 */
const EAGER_BYTES = 16 * 1024;

/** Parts of one multipart answer that may wait for their consumer. */
const MAX_WAITING_PARTS = 8;

/** Use `connect`, `keepConnected` or `listen` to get one: they hand it out once it is ready. */
export class Connection extends EventEmitter<ConnectionEvents> {
  readonly session: Session;
  /** The other end, for logs: `tcp:192.0.2.1:6653`. */
  readonly peer: string;
  readonly #socket: Socket;
  readonly #waiters = new Map<number, Waiter>();
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Infinity;
  #isFlushScheduled = false;
  /** Whoever sends now need not have it flushed. */
  #isTelling = false;
  #isPaused = false;
  /** Consumers of multipart answers that lag behind. */
  #laggards = 0;
  readonly #ready: Promise<void>;
  #settleReady: { resolve: () => void; reject: (error: Error) => void };
  #closeReason: CloseReason | undefined;
  /** Events that came with or right behind `ready`: kept for one turn, until those who awaited it listen. */
  #held: SessionEvent[] | undefined;

  constructor(socket: Socket, peer: string, config: Partial<SessionConfig> = {}) {
    super();
    this.session = new Session(config);
    this.peer = peer;
    this.#socket = socket;
    this.#settleReady = { resolve: () => undefined, reject: () => undefined };
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.#ready.catch(() => undefined);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.session.receive(chunk, performance.now());
      this.#pump();
    });
    socket.on('drain', () => this.#pump());
    socket.on('error', (error) => this.#transportClosed(error.message));
    socket.on('close', () => this.#transportClosed('connection closed by the peer'));
    socket.on('end', () => this.#transportClosed('connection closed by the peer'));
    this.session.start(performance.now());
    this.#pump();
  }

  /** Resolves once the session is ready, rejects when it ends before. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** The switch's features reply (controller side). */
  get features(): FeaturesReply | undefined {
    return this.session.features;
  }

  /** The switch's datapath id as 16 hex digits (controller side), '' before it is known. */
  get datapathId(): string {
    const id = this.session.features?.datapathId;
    return id === undefined ? '' : id.toString(16).padStart(16, '0');
  }

  /** Set once closed. */
  get closeReason(): CloseReason | undefined {
    return this.#closeReason;
  }

  /** False from high to low water: a sender that can wait should await {@link drained}. */
  get isWritable(): boolean {
    return this.session.isWritable;
  }

  /** How many messages of each type (`FLOW_MOD`) have been sent so far, handshake and echoes included. */
  get sent(): ReadonlyMap<string, number> {
    return this.session.sent;
  }

  /** Sends a message and returns its xid. @throws OpenFlowEncodeError */
  send(message: MessageInput): number {
    const xid = this.session.send(message);
    this.#scheduleFlush();
    return xid;
  }

  /** Sends a copy of the template's message with that value. Returns its xid. @throws OpenFlowEncodeError */
  sendLike<K extends OxmFieldName>(template: MessageTemplate<K>, value: OxmValue<K>): number {
    const xid = this.session.sendLike(template, value);
    this.#scheduleFlush();
    return xid;
  }

  /** Sends a message and waits until there is room for the next. */
  async write(message: MessageInput): Promise<void> {
    this.send(message);
    await this.drained();
  }

  /** Resolves when the connection is writable, rejects when it closes instead. */
  drained(): Promise<void> {
    if (this.session.state === 'closed') return Promise.reject(this.#closedError());
    if (this.session.isWritable) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.off('drain', settle);
        this.off('close', settle);
        if (this.session.state === 'closed') reject(this.#closedError());
        else resolve();
      };
      this.on('drain', settle);
      this.on('close', settle);
    });
  }

  /** Sends a request and resolves with its answer. A multipart answer comes whole. @throws RequestError */
  request(message: MessageInput, options: { timeoutMs?: number } = {}): Promise<Message> {
    return this.#waitFor(`${message.type} request`, () =>
      this.session.request(message, performance.now(), options),
    ).then((event) => {
      if (event.kind !== 'reply') throw new Error(`unexpected ${event.kind}`);
      return event.message;
    });
  }

  /** A multipart request: `connection.multipart({ type: 'FLOW', … })` resolves with the body of the whole reply. */
  async multipart<T extends MultipartRequestBodyInput['type']>(
    body: Extract<MultipartRequestBodyInput, { type: T }>,
    options: { timeoutMs?: number } = {},
  ): Promise<Extract<MultipartReply['body'], { type: T }>> {
    const reply = await this.request(multipartRequest(body), options);
    if (reply.type !== 'MULTIPART_REPLY' || reply.body.type !== body.type) {
      throw new Error(`${String(body.type)} request answered with ${String(reply.type)}`);
    }
    return reply.body as Extract<MultipartReply['body'], { type: T }>;
  }

  /** A multipart request whose answer is handed out part by part: memory holds only what is not yet consumed. */
  async *multipartParts<T extends MultipartRequestBodyInput['type']>(
    body: Extract<MultipartRequestBodyInput, { type: T }>,
    options: { timeoutMs?: number } = {},
  ): AsyncGenerator<Extract<MultipartReply['body'], { type: T }>> {
    type Body = Extract<MultipartReply['body'], { type: T }>;
    const parts: Body[] = [];
    let wake: () => void = () => undefined;
    let isDone = false;
    let failure: Error | undefined;
    let token = 0;
    let isLagging = false;
    // A consumer that lags behind stops the reading, so that memory holds no more than was read already.
    const lag = (now: boolean): void => {
      if (now === isLagging) return;
      isLagging = now;
      this.#laggards += now ? 1 : -1;
      this.#updateReading();
    };
    const onPart = (part: MultipartReply): void => {
      parts.push(part.body as Body);
      lag(parts.length > MAX_WAITING_PARTS);
      wake();
    };
    this.#waitFor(
      `${String(body.type)} request`,
      () =>
        (token = this.session.request(multipartRequest(body), performance.now(), {
          ...options,
          parts: true,
        })),
      onPart,
    ).then(
      (event) => {
        if (event.kind === 'reply' && event.message.type === 'MULTIPART_REPLY')
          parts.push(event.message.body as Body);
        isDone = true;
        wake();
      },
      (error: unknown) => {
        failure = error instanceof Error ? error : new Error(String(error));
        isDone = true;
        wake();
      },
    );
    try {
      for (;;) {
        const part = parts.shift();
        if (part !== undefined) yield part;
        else if (isDone) break;
        else {
          lag(false);
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
      if (failure !== undefined) throw failure;
    } finally {
      if (!isDone) {
        this.session.cancel(token);
        this.#waiters.delete(token);
      }
      lag(false);
    }
  }

  /** Resolves once the switch has processed everything sent before. */
  async barrier(options: { timeoutMs?: number } = {}): Promise<void> {
    await this.commit([], options);
  }

  /**
   * Sends messages and a barrier in one go, and resolves once the switch has processed them all, with the errors
   * it answered (none: everything was accepted). @throws OpenFlowEncodeError before anything is sent
   */
  commit(messages: readonly MessageInput[], options: { timeoutMs?: number } = {}): Promise<CommitError[]> {
    return this.#waitFor('barrier', () => this.session.commit(messages, performance.now(), options)).then(
      (event) => {
        if (event.kind !== 'committed') throw new Error(`unexpected ${event.kind}`);
        return event.errors.flatMap((error, index) => (error === undefined ? [] : [{ index, error }]));
      },
    );
  }

  /** Stops reading: the peer is held back by TCP. What was read already still arrives. */
  pause(): void {
    this.#isPaused = true;
    this.#updateReading();
  }

  resume(): void {
    this.#isPaused = false;
    this.#updateReading();
  }

  /** Sends what is queued and closes. */
  close(): void {
    if (this.session.state === 'closed') return;
    this.#flush();
    this.session.close();
    this.#pump();
  }

  async #waitFor(
    what: string,
    begin: () => number,
    onPart?: (part: MultipartReply) => void,
  ): Promise<Extract<SessionEvent, { kind: 'reply' | 'committed' }>> {
    if (this.session.state === 'closed') throw this.#closedError();
    const token = begin();
    this.#scheduleFlush();
    this.#armTimer();
    return new Promise((resolve, reject) => {
      this.#waiters.set(token, { what, resolve, reject, ...(onPart === undefined ? {} : { onPart }) });
    });
  }

  #closedError(): RequestError {
    return new RequestError(this.peer, { kind: 'closed', message: this.#closeReason?.message ?? 'closed' });
  }

  #transportClosed(message: string): void {
    this.session.transportClosed(message);
    this.#pump();
  }

  /** After every input: write, tell, arm. */
  #pump(): void {
    this.session.transportQueued(this.#socket.writableLength);
    this.#flush();
    // Telling may make us send, and sending makes room, which is told too.
    for (let events = this.session.takeEvents(); events.length > 0; events = this.session.takeEvents()) {
      this.#isTelling = true;
      try {
        for (const event of events) {
          if (this.#held === undefined) this.#tell(event);
          else this.#held.push(event);
          if (this.session.unsentBytes >= EAGER_BYTES) this.#flush();
        }
      } finally {
        this.#isTelling = false;
      }
      this.#flush();
    }
    this.#updateReading();
    this.#armTimer();
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#isTelling) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.#pump();
    });
  }

  #flush(): void {
    const output = this.session.takeOutput();
    if (output.length > 0 && this.#socket.writable) this.#writeAll(output);
    this.session.transportQueued(this.#socket.writableLength);
  }

  #writeAll(output: readonly Uint8Array[]): void {
    const only = output[0];
    if (output.length === 1 && only !== undefined) {
      this.#socket.write(only);
      return;
    }
    this.#socket.cork();
    for (let from = 0; from < output.length;) {
      let to = from;
      for (let bytes = 0; to < output.length && bytes < JOIN_BYTES; to++) bytes += output[to]?.length ?? 0;
      this.#socket.write(Buffer.concat(output.slice(from, to)));
      from = to;
    }
    this.#socket.uncork();
  }

  #updateReading(): void {
    const isReading = !this.#isPaused && this.#laggards === 0 && this.session.isReadable;
    if (isReading === !this.#socket.isPaused()) return;
    this.session.setReading(isReading, performance.now());
    if (isReading) this.#socket.resume();
    else this.#socket.pause();
    this.#armTimer();
  }

  #armTimer(): void {
    const deadlineMs = this.session.nextDeadline() ?? Infinity;
    // A timer that fires too early finds nothing to do and is armed anew: cheaper than moving it on each message.
    if (this.#timer !== undefined && deadlineMs >= this.#timerAtMs && deadlineMs !== Infinity) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (deadlineMs === Infinity) return;
    this.#timerAtMs = deadlineMs;
    const fire = (): void => {
      this.#timer = undefined;
      this.session.handleDeadline(performance.now());
      this.#pump();
    };
    this.#timer = setTimeout(fire, Math.max(1, Math.ceil(deadlineMs - performance.now())));
  }

  #tell(event: SessionEvent): void {
    switch (event.kind) {
      case 'ready':
        this.#held = [];
        this.#settleReady.resolve();
        setImmediate(() => {
          const held = this.#held ?? [];
          this.#held = undefined;
          for (const later of held) this.#tell(later);
        });
        break;
      case 'message':
        this.#tellMessage(event.message);
        break;
      case 'reply':
      case 'committed': {
        const waiter = this.#waiters.get(event.token);
        this.#waiters.delete(event.token);
        waiter?.resolve(event);
        break;
      }
      case 'part':
        this.#waiters.get(event.token)?.onPart?.(event.message);
        break;
      case 'failed': {
        const waiter = this.#waiters.get(event.token);
        this.#waiters.delete(event.token);
        waiter?.reject(new RequestError(waiter.what, event.failure));
        break;
      }
      case 'malformed':
        this.emit('malformed', event.message, event.bytes);
        break;
      case 'drained':
        this.emit('drain');
        break;
      case 'closed':
        this.#closeReason = event.reason;
        this.#settleReady.reject(
          new RequestError(this.peer, { kind: 'closed', message: event.reason.message }),
        );
        // What was queued (a HELLO_FAILED, say) still leaves; a peer that does not read it is not waited for.
        this.#flush();
        this.#socket.end();
        setTimeout(() => this.#socket.destroy(), 1000).unref();
        this.emit('close', event.reason);
        break;
    }
  }

  #tellMessage(message: Message): void {
    this.emit('message', message);
    switch (message.type) {
      case 'PACKET_IN':
        this.emit('packetIn', message);
        break;
      case 'PORT_STATUS':
        this.emit('portStatus', message);
        break;
      case 'FLOW_REMOVED':
        this.emit('flowRemoved', message);
        break;
      case 'ERROR':
        this.emit('refused', message);
        break;
      default:
        break;
    }
  }
}

function multipartRequest(body: MultipartRequestBodyInput): MessageInput {
  return { type: 'MULTIPART_REQUEST', flags: [], body };
}
