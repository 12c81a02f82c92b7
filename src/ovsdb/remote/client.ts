/** A client of a database server (RFC 7047 §4): requests, and notifications. A shell. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { isObject } from '../atom.js';
import type { Json } from '../atom.js';
import { JsonFramer } from '../server/framing.js';

export interface TlsFiles {
  readonly privateKey?: string | undefined;
  readonly certificate?: string | undefined;
  readonly caCert?: string | undefined;
}

/** The server answered with an error. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';

  constructor(readonly error: Json) {
    super(JSON.stringify(error));
  }
}

/** The target cannot be dialled: it is none, or files for `ssl:` are missing. */
export class TargetError extends Error {
  override readonly name = 'TargetError';
}

/** The connection could not be made, or was lost. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

const LIMITS = { maxBytes: 1 << 30, maxDepth: 1000 };

export class OvsdbClient {
  readonly #calls = new Map<number, { resolve: (result: Json) => void; reject: (error: Error) => void }>();
  #nextId = 0;
  #lost: ConnectionLost | null = null;
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>;
  /** Hears of notifications. */
  onNotification: (method: string, params: readonly Json[]) => void = () => undefined;

  private constructor(private readonly socket: Socket) {
    const framer = new JsonFramer(LIMITS);
    socket.on('data', (chunk: Buffer) => {
      try {
        framer.push(chunk, (text) => this.#receive(JSON.parse(text) as Json));
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    let because = 'End of file';
    socket.on('error', (error) => (because = systemText(error)));
    this.lost = new Promise((_, reject) => {
      socket.on('close', () => {
        const lost = new ConnectionLost(because);
        this.#lost = lost;
        for (const call of this.#calls.values()) call.reject(lost);
        this.#calls.clear();
        reject(lost);
      });
    });
    this.lost.catch(() => undefined);
  }

  /** @throws ConnectionLost, with the system's words; TargetError */
  static async connect(target: string, tls: TlsFiles = {}): Promise<OvsdbClient> {
    const socket = dial(target, tls);
    const isTls = target.startsWith('ssl:');
    await new Promise<void>((resolve, reject) => {
      socket.once(isTls ? 'secureConnect' : 'connect', resolve);
      socket.once('error', (error: NodeJS.ErrnoException) => reject(new ConnectionLost(systemText(error))));
    });
    socket.removeAllListeners('error');
    return new OvsdbClient(socket);
  }

  /** @throws RefusedError, ConnectionLost */
  request(method: string, params: readonly Json[]): Promise<Json> {
    if (this.#lost) return Promise.reject(this.#lost);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.socket.write(JSON.stringify({ method, params, id }));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #receive(message: Json): void {
    if (!isObject(message)) return;
    const { id = null, method, params, result = null, error = null } = message;
    if (typeof method === 'string') {
      if (method === 'echo') this.socket.write(JSON.stringify({ id, result: params ?? [], error: null }));
      else if (id === null && Array.isArray(params)) this.onNotification(method, params as readonly Json[]);
      return;
    }
    const call = typeof id === 'number' ? this.#calls.get(id) : undefined;
    if (!call) return;
    this.#calls.delete(id as number);
    if (error === null) call.resolve(result);
    else call.reject(new RefusedError(error));
  }
}

function dial(target: string, tls: TlsFiles): Socket {
  const unix = /^unix:(.+)$/.exec(target);
  if (unix?.[1] !== undefined) return connect({ path: unix[1] });
  const groups = /^(?<kind>tcp|ssl):(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(
    target,
  )?.groups;
  const host = groups?.['v6'] ?? groups?.['host'];
  if (!groups || host === undefined)
    throw new TargetError(`${target}: database connection failed (Address family not supported by protocol)`);
  const port = Number(groups['port'] ?? 6640);
  if (groups['kind'] === 'tcp') return connect({ host, port });
  const read = (path: string | undefined, what: string) => {
    if (path === undefined) throw new TargetError(`${target}: ${what} must be given for ssl:`);
    return readFileSync(path);
  };
  return connectTls({
    host,
    port,
    key: read(tls.privateKey, '--private-key'),
    cert: read(tls.certificate, '--certificate'),
    ca: read(tls.caCert, '--ca-cert'),
    checkServerIdentity: () => undefined,
  });
}

const ERRNO_TEXT: Record<string, string> = {
  ENOENT: 'No such file or directory',
  ECONNREFUSED: 'Connection refused',
  EACCES: 'Permission denied',
  ETIMEDOUT: 'Connection timed out',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ECONNRESET: 'Connection reset by peer',
};

/** As strerror(3) says it. */
export function systemText(error: NodeJS.ErrnoException): string {
  return ERRNO_TEXT[error.code ?? ''] ?? error.message;
}
