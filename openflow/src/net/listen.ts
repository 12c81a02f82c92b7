/** Passive connections: `ptcp:[PORT][:HOST]`, `pssl:[PORT][:HOST]`, `punix:PATH`. */

import { EventEmitter } from 'node:events';
import { unlinkSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { Connection } from './connection.js';
import type { ConnectionOptions } from './options.js';
import { formatTarget, parsePassiveTarget, type PassiveTarget } from './target.js';

export interface ListenerEvents {
  /** A peer connected and its session is ready. */
  connection: [connection: Connection];
  /** A peer connected but never became ready: why. */
  rejected: [peer: string, reason: string];
  /** The listening socket itself failed. */
  failed: [error: Error];
}

/** A listening socket and its connections. Made by {@link listen}. */
export class Listener extends EventEmitter<ListenerEvents> {
  readonly #server: net.Server;
  readonly #connections = new Set<Connection>();

  constructor(
    /** Where it listens, with the port that was taken where 0 was asked for. */
    readonly target: PassiveTarget,
    server: net.Server,
    options: ConnectionOptions,
  ) {
    super();
    this.#server = server;
    server.on('error', (error) => this.emit('failed', error));
    server.on(target.kind === 'pssl' ? 'secureConnection' : 'connection', (socket: net.Socket) => {
      void this.#accept(socket, options);
    });
    server.on('tlsClientError', (error: Error, socket: tls.TLSSocket) => {
      this.emit('rejected', peerName(target, socket), error.message);
    });
  }

  /** The connections there are, ready or not yet. */
  get connections(): readonly Connection[] {
    return [...this.#connections];
  }

  /** Takes no more connections and closes those there are. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await closed;
  }

  async #accept(socket: net.Socket, options: ConnectionOptions): Promise<void> {
    const peer = peerName(this.target, socket);
    const connection = new Connection(socket, peer, options.session);
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    try {
      await connection.ready();
    } catch (error) {
      this.emit('rejected', peer, error instanceof Error ? error.message : String(error));
      return;
    }
    this.emit('connection', connection);
  }
}

function peerName(target: PassiveTarget, socket: net.Socket): string {
  if (target.kind === 'punix') return `unix:${target.path}`;
  const kind = target.kind === 'pssl' ? 'ssl' : 'tcp';
  return formatTarget({ kind, host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 });
}

/**
 * Listens, and hands out every peer whose session becomes ready. Resolves once the socket is open; rejects when it
 * cannot be (port in use). A unix socket that nobody listens on any more is replaced. @throws TargetError
 */
export async function listen(
  target: string,
  options: ConnectionOptions = {},
  onConnection?: (connection: Connection) => void,
): Promise<Listener> {
  const parsed = parsePassiveTarget(target);
  const server = parsed.kind === 'pssl' ? tlsServer(options) : net.createServer();
  if (parsed.kind === 'punix') await removeStale(parsed.path);
  // Plain TCP has no protection of its own: open to others only by naming an address.
  const host =
    parsed.kind === 'punix' ? undefined : (parsed.host ?? (parsed.kind === 'ptcp' ? '127.0.0.1' : undefined));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      parsed.kind === 'punix'
        ? { path: parsed.path }
        : { port: parsed.port, ...(host === undefined ? {} : { host }) },
      () => {
        server.off('error', reject);
        resolve();
      },
    );
  });
  const address = server.address();
  const taken =
    parsed.kind !== 'punix' && address !== null && typeof address === 'object'
      ? { ...parsed, port: address.port }
      : parsed;
  const listener = new Listener(taken, server, options);
  if (onConnection !== undefined) listener.on('connection', onConnection);
  return listener;
}

function tlsServer(options: ConnectionOptions): tls.Server {
  const { key, cert, ca, verifyPeer } = options.tls ?? {};
  return tls.createServer({
    ...(key === undefined ? {} : { key }),
    ...(cert === undefined ? {} : { cert }),
    ...(ca === undefined ? {} : { ca }),
    requestCert: verifyPeer ?? true,
    rejectUnauthorized: verifyPeer ?? true,
  });
}

/** Removes the socket file of a listener that died; one that still answers is left alone. */
function removeStale(path: string): Promise<void> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.on('connect', () => {
      probe.destroy();
      resolve();
    });
    probe.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') {
        try {
          unlinkSync(path);
        } catch {
          // Somebody else was faster; listening will tell.
        }
      }
      resolve();
    });
  });
}
