/** One lasting connection to weft-datapath: reconnects by itself, answers each call or fails it. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { LineReader } from './lines.js';
import type { Methods, PortChanged } from './protocol.js';

/** The datapath refused a call; `code` is its stable word (`no-such-bridge`, `in-use`, …). */
export class DatapathError extends Error {
  override readonly name = 'DatapathError';

  constructor(
    message: string,
    readonly code: string,
  ) {
    super(message);
  }
}

export interface DatapathEvents {
  connected(): void;
  disconnected(because: string): void;
  portChanged(event: PortChanged): void;
}

interface Call {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** The datapath may be back within milliseconds, and traffic waits for it. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 250;

export class DatapathClient {
  readonly #calls = new Map<number, Call>();
  #socket: Socket | null = null;
  #isConnected = false;
  #nextId = 1;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(
    readonly path: string,
    private readonly events: DatapathEvents,
    private readonly timeoutMs = 10_000,
  ) {}

  get isConnected(): boolean {
    return this.#isConnected;
  }

  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  /** @throws DatapathError what the datapath answered, or with code `disconnected`, `timeout` */
  call<M extends keyof Methods>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']> {
    const socket = this.#socket;
    if (!socket || !this.#isConnected) return Promise.reject(new DatapathError('weft-datapath is not connected', 'disconnected'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new DatapathError(`weft-datapath did not answer ${method} in ${this.timeoutMs} ms`, 'timeout'));
      }, this.timeoutMs);
      this.#calls.set(id, { resolve: resolve as (result: unknown) => void, reject, timer });
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
  }

  #connect(): void {
    const reader = new LineReader();
    const socket = connect({ path: this.path });
    this.#socket = socket;
    let because = 'the connection was closed';
    socket.on('connect', () => {
      this.#isConnected = true;
      this.#retryMs = FIRST_RETRY_MS;
      this.events.connected();
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const line of reader.push(chunk)) this.#receive(line);
      } catch (error) {
        because = (error as Error).message;
        socket.destroy();
      }
    });
    socket.on('error', (error) => (because = error.message));
    socket.on('close', () => this.#closed(because));
  }

  #closed(because: string): void {
    const wasConnected = this.#isConnected;
    this.#isConnected = false;
    this.#socket = null;
    for (const { reject, timer } of this.#calls.values()) {
      clearTimeout(timer);
      reject(new DatapathError('weft-datapath went away', 'disconnected'));
    }
    this.#calls.clear();
    if (wasConnected && !this.#stopped) this.events.disconnected(because);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  /** @throws Error where the line is no JSON-RPC; the connection is then of no use */
  #receive(line: string): void {
    if (line.trim() === '') return;
    const message = JSON.parse(line) as Partial<{
      id: number;
      method: string;
      params: unknown;
      result: unknown;
      error: { message?: string; data?: { code?: string } };
    }> | null;
    if (typeof message !== 'object' || message === null) throw new Error('weft-datapath sent what is no JSON-RPC');
    if (typeof message.method === 'string') {
      if (message.method === 'port.changed') this.events.portChanged(message.params as PortChanged);
      return;
    }
    const call = typeof message.id === 'number' ? this.#calls.get(message.id) : undefined;
    if (!call) return;
    this.#calls.delete(message.id ?? 0);
    clearTimeout(call.timer);
    if (message.error) {
      call.reject(new DatapathError(message.error.message ?? 'unknown error', message.error.data?.code ?? 'unknown'));
    } else call.resolve(message.result);
  }
}
