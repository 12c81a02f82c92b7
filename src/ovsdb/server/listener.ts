/** The server's sockets: unix, TCP and TLS, named as in ovsdb(7), "Passive Connection Methods". A shell. */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { serveSocket } from './listener-connection.js';
import type { OvsdbServer } from './server.js';

const HANDSHAKE_MS = 10_000;

export type PassiveTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'ssl'; readonly port: number; readonly host: string | undefined };

/** PEM texts. Clients need a certificate that `ca` has signed. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** Cannot be listened on; the message is one line for the user. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
}

/** `punix:PATH`, `ptcp:[PORT][:HOST]`, `pssl:[PORT][:HOST]`; null: none of these. The port by default is 6640. */
export function parsePassiveTarget(text: string): PassiveTarget | null {
  const unix = /^punix:(.+)$/.exec(text);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const groups = /^p(?<kind>tcp|ssl):(?<port>\d{1,5})?(?::(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]+)))?$/.exec(
    text,
  )?.groups;
  const port = Number(groups?.['port'] ?? 6640);
  if (!groups || port > 65535) return null;
  return { kind: groups['kind'] === 'ssl' ? 'ssl' : 'tcp', port, host: groups['v6'] ?? groups['host'] };
}

export class Listener {
  readonly #sockets = new Set<Socket>();
  #count = 0;

  private constructor(
    private readonly server: OvsdbServer,
    private readonly target: PassiveTarget,
    private readonly acceptor: Server,
    private readonly probeMs: number,
  ) {}

  /** @param probeMs see {@link serveSocket} @throws RemoteError */
  static async open(
    server: OvsdbServer,
    target: PassiveTarget,
    tls?: TlsIdentity,
    probeMs = 0,
  ): Promise<Listener> {
    if (target.kind === 'ssl' && !tls) {
      throw new RemoteError('pssl: needs a private key, a certificate and a CA certificate');
    }
    if (target.kind === 'unix') await removeStaleSocket(target.path);
    const acceptor =
      target.kind === 'ssl'
        ? createTlsServer({
            ...tls,
            requestCert: true,
            rejectUnauthorized: true,
            handshakeTimeout: HANDSHAKE_MS,
            minVersion: 'TLSv1.2',
          })
        : createServer();
    const listener = new Listener(server, target, acceptor, probeMs);
    acceptor.on(target.kind === 'ssl' ? 'secureConnection' : 'connection', (socket: Socket) => {
      listener.#accept(socket);
    });
    acceptor.on('tlsClientError', (error: Error, socket: Socket) => {
      server.log.warn({}, `${socket.remoteAddress ?? 'a client'}: no TLS connection: ${error.message}`);
    });
    await new Promise<void>((resolve, reject) => {
      acceptor.once('error', (error: Error) =>
        reject(new RemoteError(`${nameOf(target)}: ${error.message}`)),
      );
      if (target.kind === 'unix') acceptor.listen(target.path, resolve);
      else
        // Plain TCP has no protection of its own: open to others only by naming an address.
        acceptor.listen(
          target.kind === 'ssl' && target.host === undefined
            ? { port: target.port }
            : { port: target.port, host: target.host ?? '127.0.0.1' },
          resolve,
        );
    });
    // Who configures the switch is root, as with Open vSwitch.
    if (target.kind === 'unix') await chmod(target.path, 0o600);
    acceptor.on('error', (error: Error) =>
      server.log.warn({ err: error }, `${nameOf(target)}: ${error.message}`),
    );
    return listener;
  }

  /** The TCP port in use, which matters if 0 was asked for. */
  get port(): number | null {
    const address = this.acceptor.address();
    return typeof address === 'object' && address ? address.port : null;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.acceptor.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  /** How many clients there are. */
  get connectionCount(): number {
    return this.#sockets.size;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#count++;
    const { kind } = this.target;
    const name =
      kind === 'unix'
        ? `unix#${this.#count}`
        : `${kind} ${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`;
    serveSocket(this.server, socket, { name, isNetwork: kind !== 'unix', probeMs: this.probeMs });
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

function nameOf(target: PassiveTarget): string {
  return target.kind === 'unix'
    ? target.path
    : `p${target.kind}:${target.port}${target.host ? `:${target.host}` : ''}`;
}

/** A socket that nobody answers on is left from a process that died. @throws RemoteError where somebody answers */
async function removeStaleSocket(path: string): Promise<void> {
  const isThere = await lstat(path).then(
    (stats) => stats.isSocket(),
    () => false,
  );
  if (!isThere) return;
  const isServed = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (isServed)
    throw new RemoteError(`${path} is served by another program; stop it or choose another --rundir`);
  await unlink(path).catch(() => undefined);
}
