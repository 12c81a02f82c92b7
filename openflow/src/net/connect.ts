/** Active connections: once, or kept up with reconnects. */

import { EventEmitter } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import tls from 'node:tls';
import {
  DEFAULT_RECONNECT,
  RECONNECT_IDLE,
  reconnectDeadline,
  stepReconnect,
  type ReconnectConfig,
  type ReconnectInput,
  type ReconnectState,
} from '../session/reconnect.js';
import type { CloseReason } from '../session/events.js';
import { Connection } from './connection.js';
import type { ConnectionOptions } from './options.js';
import { formatTarget, parseActiveTarget, type ActiveTarget } from './target.js';

/**
 * Connects to `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]` or `unix:PATH` and resolves once the session is ready. Rejects
 * when that fails; tries once (see {@link keepConnected}). @throws TargetError
 */
export async function connect(
  target: string,
  options: ConnectionOptions & { signal?: AbortSignal } = {},
): Promise<Connection> {
  const parsed = parseActiveTarget(target);
  const socket = openSocket(parsed, options);
  const abort = (): void => {
    socket.destroy(new Error('connection attempt given up'));
  };
  options.signal?.addEventListener('abort', abort);
  if (options.signal?.aborted === true) abort();
  try {
    await opened(socket, parsed.kind === 'ssl' ? 'secureConnect' : 'connect');
    const connection = new Connection(socket, formatTarget(parsed), options.session);
    await connection.ready();
    return connection;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

function openSocket(target: ActiveTarget, options: ConnectionOptions): net.Socket {
  switch (target.kind) {
    case 'unix':
      return net.connect({ path: target.path });
    case 'tcp':
      return net.connect({ host: target.host, port: target.port });
    case 'ssl': {
      const { key, cert, ca, verifyPeer, serverName } = options.tls ?? {};
      return tls.connect({
        host: target.host,
        port: target.port,
        ...(key === undefined ? {} : { key }),
        ...(cert === undefined ? {} : { cert }),
        ...(ca === undefined ? {} : { ca }),
        ...(serverName === undefined ? { checkServerIdentity: () => undefined } : { servername: serverName }),
        rejectUnauthorized: verifyPeer ?? true,
      });
    }
  }
}

/** Waits for the event that says the socket is up. */
function opened(socket: net.Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      socket.off(event, onUp);
      socket.off('error', done);
      socket.off('close', onClose);
      // Once settled, an error must not become an uncaught exception.
      socket.on('error', () => undefined);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onUp = (): void => done();
    const onClose = (): void => done(new Error('connection closed'));
    socket.on(event, onUp);
    socket.on('error', done);
    socket.on('close', onClose);
  });
}

export interface ClientEvents {
  /** A connection is ready. */
  connection: [connection: Connection];
  /** An attempt failed, or the connection ended; another attempt follows after `retryInMs`. */
  disconnected: [reason: string, retryInMs: number];
}

/** Keeps one connection up. Made by {@link keepConnected}. */
export class Client extends EventEmitter<ClientEvents> {
  readonly target: string;
  readonly #options: ConnectionOptions;
  readonly #config: ReconnectConfig;
  #state: ReconnectState = RECONNECT_IDLE;
  #timer: NodeJS.Timeout | undefined;
  #attempt: AbortController | undefined;
  #connection: Connection | undefined;

  constructor(target: string, options: ConnectionOptions, reconnect: Partial<ReconnectConfig>) {
    super();
    this.target = formatTarget(parseActiveTarget(target));
    this.#options = options;
    this.#config = { ...DEFAULT_RECONNECT, ...reconnect };
    // After the caller has had the chance to listen.
    setImmediate(() => this.#step({ kind: 'enable' }));
  }

  /** The connection there is, if it is ready. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  get state(): ReconnectState['kind'] {
    return this.#state.kind;
  }

  /** Ends the connection and stays away. */
  close(): void {
    this.#isClosed = true;
    this.#step({ kind: 'disable' });
  }
  #isClosed = false;

  #step(input: ReconnectInput, reason = ''): void {
    if (this.#isClosed && input.kind !== 'disable') return;
    const before = this.#state;
    const { state, outputs } = stepReconnect(before, input, performance.now(), this.#config);
    this.#state = state;
    for (const output of outputs) {
      if (output === 'connect') void this.#connect();
      else this.#abort();
    }
    clearTimeout(this.#timer);
    const deadlineMs = reconnectDeadline(state);
    if (deadlineMs !== undefined) {
      const delayMs = Math.max(1, Math.ceil(deadlineMs - performance.now()));
      this.#timer = setTimeout(() => this.#step({ kind: 'deadline' }, 'timed out'), delayMs);
    }
    if (state.kind === 'backoff' && before.kind !== 'backoff')
      this.emit('disconnected', reason, state.backoffMs);
  }

  #abort(): void {
    this.#attempt?.abort();
    this.#attempt = undefined;
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #connect(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    let connection: Connection;
    try {
      connection = await connect(this.target, { ...this.#options, signal: attempt.signal });
    } catch (error) {
      if (this.#attempt === attempt)
        this.#step({ kind: 'failed' }, error instanceof Error ? error.message : String(error));
      return;
    }
    if (this.#attempt !== attempt) {
      connection.close();
      return;
    }
    this.#connection = connection;
    connection.on('close', (reason: CloseReason) => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      this.#step({ kind: 'disconnected' }, reason.message);
    });
    this.#step({ kind: 'connected' });
    this.emit('connection', connection);
  }
}

/**
 * Connects, and connects again whenever the connection ends, with pauses that double from 1 s to 8 s. Every
 * `connection` event is a new session: nothing of the one before it is carried over. @throws TargetError
 */
export function keepConnected(
  target: string,
  options: ConnectionOptions & { reconnect?: Partial<ReconnectConfig> } = {},
): Client {
  return new Client(target, options, options.reconnect ?? {});
}
