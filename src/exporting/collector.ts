/**
 * One collector and the way to it: a UDP socket that is connected, so that the kernel says when nobody listens there (ICMP).
 * Nothing here blocks or fails: datagrams wait in a bounded queue and leave at a bounded rate; what cannot be sent is counted,
 * and why is shown. A shell: sockets, names, timers.
 */
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { collectorText } from '../config/index.js';
import type { Collector } from '../domain/index.js';

export interface CollectorStatus {
  /** As configured. */
  readonly target: string;
  /** What the name stands for; null while that is not known. */
  readonly address: string | null;
  readonly datagrams: number;
  readonly bytes: number;
  /** Datagrams that were given up: the queue was full, or the collector could not be reached. */
  readonly dropped: number;
  readonly waiting: number;
  /** What is wrong at present. */
  readonly error: string | null;
}

export interface CollectorOptions {
  readonly collector: Collector;
  /** Datagrams a second. */
  readonly rate: number;
  /** Something was wrong and seems to be right again: what was said may not have been heard. */
  readonly onRecovered?: () => void;
  readonly log: (message: string) => void;
}

/** Some ten seconds' worth at the usual rate. */
const QUEUE_LIMIT = 20_000;
/** Datagrams that the kernel has not taken yet. */
const MOST_UNDER_WAY = 64;
const TICK_MS = 10;
/** A name is looked up again after so long, sooner where that failed. */
const RESOLVE = { againMs: 300_000, firstRetryMs: 1_000, lastRetryMs: 60_000 } as const;
/** An error is shown until so long has passed without another. */
const ERROR_LASTS_MS = 10_000;

export class CollectorLink {
  readonly target: string;
  readonly #options: CollectorOptions;
  #socket: Socket | null = null;
  #address: string | null = null;
  #queue: Uint8Array[] = [];
  #next = 0;
  #underWay = 0;
  #tokens: number;
  #refilledMs = now();
  #timer: NodeJS.Timeout | null = null;
  #resolveTimer: NodeJS.Timeout | null = null;
  #retryMs: number = RESOLVE.firstRetryMs;
  #datagrams = 0;
  #bytes = 0;
  #dropped = 0;
  #error: { readonly message: string; readonly atMs: number } | null = null;
  #isClosed = false;
  readonly #drained = new Set<() => void>();

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.target = collectorText(options.collector);
    this.#tokens = this.#burst;
    void this.#resolve();
  }

  send(datagrams: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    const room = Math.max(0, QUEUE_LIMIT - this.#waiting);
    for (const datagram of datagrams.slice(0, room)) this.#queue.push(datagram);
    this.#dropped += Math.max(0, datagrams.length - room);
    this.#pump();
  }

  status(): CollectorStatus {
    return {
      target: this.target,
      address: this.#address,
      datagrams: this.#datagrams,
      bytes: this.#bytes,
      dropped: this.#dropped,
      waiting: this.#waiting + this.#underWay,
      error: this.#currentError,
    };
  }

  /** Sends what waits, as far as that is possible within `withinMs`, and closes. */
  async close(withinMs: number): Promise<void> {
    if (this.#isClosed) return;
    await this.#emptied(withinMs);
    this.#isClosed = true;
    this.#dropped += this.#waiting;
    this.#queue = [];
    this.#next = 0;
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#resolveTimer) clearTimeout(this.#resolveTimer);
    this.#dropSocket();
  }

  get #waiting(): number {
    return this.#queue.length - this.#next;
  }

  get #burst(): number {
    return Math.max(8, Math.ceil((this.#options.rate * TICK_MS) / 1000));
  }

  get #currentError(): string | null {
    const error = this.#error;
    if (error === null) return null;
    return this.#socket === null || now() - error.atMs < ERROR_LASTS_MS ? error.message : null;
  }

  #emptied(withinMs: number): Promise<void> {
    if (this.#waiting + this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#drained.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#drained.add(done);
    });
  }

  async #resolve(): Promise<void> {
    const { collector } = this.#options;
    try {
      const { address, family } = await lookup(collector.host);
      if (this.#isClosed) return;
      this.#retryMs = RESOLVE.firstRetryMs;
      if (address !== this.#address || this.#socket === null) await this.#connect(address, family);
      this.#resolveLater(RESOLVE.againMs);
    } catch (error) {
      if (this.#isClosed) return;
      // An address that was good once may be good still.
      if (this.#socket === null) this.#failed(explain(error));
      this.#resolveLater(this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, RESOLVE.lastRetryMs);
    }
    this.#pump();
  }

  #resolveLater(ms: number): void {
    if (this.#isClosed) return;
    this.#resolveTimer = setTimeout(() => void this.#resolve(), ms);
    this.#resolveTimer.unref();
  }

  /** @throws Error where there is no way there */
  async #connect(address: string, family: number): Promise<void> {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    // ICMP's answers to earlier datagrams.
    socket.on('error', (error) => this.#failed(explain(error)));
    socket.unref();
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.connect(this.#options.collector.port, address, () => {
          socket.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      socket.close();
      throw error;
    }
    if (this.#isClosed) return void socket.close();
    this.#dropSocket();
    this.#socket = socket;
    this.#address = address;
    if (this.#error) this.#options.onRecovered?.();
  }

  #dropSocket(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #failed(message: string): void {
    if (this.#error?.message !== message || this.#currentError === null)
      this.#options.log(`collector ${this.target}: ${message}`);
    this.#error = { message, atMs: now() };
    // Whoever begins to listen now has heard nothing so far.
    this.#options.onRecovered?.();
  }

  /** Sends what the rate allows, and comes back for the rest. */
  #pump(): void {
    const { rate } = this.#options;
    const nowMs = now();
    this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#refilledMs) * rate) / 1000);
    this.#refilledMs = nowMs;
    const socket = this.#socket;
    while (socket !== null && this.#waiting > 0 && this.#tokens >= 1 && this.#underWay < MOST_UNDER_WAY) {
      const datagram = this.#queue[this.#next++];
      this.#tokens -= 1;
      if (datagram) this.#transmit(socket, datagram, true);
    }
    if (this.#next === this.#queue.length || this.#next > QUEUE_LIMIT) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    if (this.#waiting + this.#underWay === 0) for (const done of [...this.#drained]) done();
    if (this.#waiting === 0 || this.#timer !== null || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#pump();
    }, TICK_MS);
  }

  #transmit(socket: Socket, datagram: Uint8Array, mayRepeat: boolean): void {
    this.#underWay += 1;
    const sent = (error: Error | null) => {
      this.#underWay -= 1;
      if (error === null) {
        this.#datagrams += 1;
        this.#bytes += datagram.length;
      } else {
        this.#failed(explain(error));
        // The kernel tells of an earlier datagram and has not sent this one.
        if (mayRepeat && this.#socket === socket) return this.#transmit(socket, datagram, false);
        this.#dropped += 1;
      }
      if (this.#waiting + this.#underWay === 0) for (const done of [...this.#drained]) done();
    };
    try {
      socket.send(datagram, sent);
    } catch (error) {
      sent(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there (ICMP: port unreachable)',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'there is no route to it',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up at present',
  EMSGSIZE: 'datagrams are too large for the way there',
  EPERM: 'a firewall of this host does not let datagrams out',
  EACCES: 'this host does not let datagrams out',
};

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return EXPLANATIONS[code ?? ''] ?? message;
}

/** ms of a clock that never steps back. */
function now(): number {
  return performance.now();
}
