/**
 * The remotes that the database itself names (ovsdb-server(1), "--remote=db:…"): passive ones are listened on, active
 * ones dialled again and again. A shell.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { X509Certificate } from 'node:crypto';
import { connect as connectTls } from 'node:tls';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { serveSocket } from './listener-connection.js';
import { Listener, parsePassiveTarget } from './listener.js';
import type { TlsIdentity } from './listener.js';
import type { OvsdbServer } from './server.js';

export interface RemoteOptions {
  readonly probeMs: number;
  readonly maxBackoffMs: number;
}

/** With what remotes speak TLS: an identity, or one whose CA is yet to be learned, or why not. */
export type RemoteTls =
  { readonly identity: TlsIdentity } | { readonly bootstrap: Bootstrap } | { readonly fault: string };

/**
 * `bootstrap_ca_cert` (ovs-vswitchd.conf.db(5)): the first server that is dialled is believed. The CA certificate that it
 * sends is kept, and believed from then on, and no other.
 */
export interface Bootstrap {
  readonly key: string;
  readonly cert: string;
  keep(ca: string): Promise<void>;
}

export const REMOTE_DEFAULTS: RemoteOptions = { probeMs: 5_000, maxBackoffMs: 8_000 };

export interface RemoteStatus {
  readonly target: string;
  readonly isConnected: boolean;
  /** `ACTIVE`, `BACKOFF`, `CONNECTING`; null for passive ones. */
  readonly state: string | null;
  readonly lastError: string | null;
  readonly connections: number;
  readonly boundPort: number | null;
  /** When the state became what it is, by `performance.now()`; null: never connected, or never disconnected. */
  readonly connectedAtMs: number | null;
  readonly disconnectedAtMs: number | null;
}

export type ActiveTarget =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'ssl'; readonly host: string; readonly port: number };

/** `unix:PATH`, `tcp:HOST[:PORT]`, `ssl:HOST[:PORT]`; null: none of these. The port by default is 6640. */
export function parseActiveTarget(text: string): ActiveTarget | null {
  const unix = /^unix:(.+)$/.exec(text);
  if (unix?.[1] !== undefined) return { kind: 'unix', path: unix[1] };
  const groups = /^(?<kind>tcp|ssl):(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(
    text,
  )?.groups;
  const host = groups?.['v6'] ?? groups?.['host'];
  const port = Number(groups?.['port'] ?? 6640);
  if (!groups || host === undefined || port === 0 || port > 65535) return null;
  return { kind: groups['kind'] === 'ssl' ? 'ssl' : 'tcp', host, port };
}

interface Remote {
  readonly options: RemoteOptions;
  status(): RemoteStatus;
  close(): Promise<void>;
}

export class Remotes {
  readonly #remotes = new Map<string, Remote>();
  #latest: Promise<void> = Promise.resolve();

  /** @param tls until there is another ({@link configure}) */
  constructor(
    private readonly server: OvsdbServer,
    private tls: RemoteTls,
  ) {}

  /** Opens what is new, closes what is wanted no more; others go on undisturbed, those with TLS if `tls` says the same. */
  configure(wanted: ReadonlyMap<string, RemoteOptions>, tls: RemoteTls = this.tls): Promise<void> {
    this.#latest = this.#latest.then(() => this.#configure(wanted, tls));
    return this.#latest;
  }

  status(): RemoteStatus[] {
    return [...this.#remotes.values()].map((remote) => remote.status());
  }

  async close(): Promise<void> {
    await this.configure(new Map());
  }

  async #configure(wanted: ReadonlyMap<string, RemoteOptions>, tls: RemoteTls): Promise<void> {
    const isSame = JSON.stringify(tls) === JSON.stringify(this.tls);
    this.tls = tls;
    for (const [target, remote] of this.#remotes) {
      const options = isSame || !isTls(target) ? wanted.get(target) : undefined;
      if (options && JSON.stringify(options) === JSON.stringify(remote.options)) continue;
      this.#remotes.delete(target);
      await remote.close();
    }
    for (const [target, options] of wanted) {
      if (!this.#remotes.has(target)) this.#remotes.set(target, await this.#open(target, options));
    }
  }

  async #open(target: string, options: RemoteOptions): Promise<Remote> {
    const { server, tls } = this;
    const identity = 'identity' in tls ? tls.identity : undefined;
    const fault = 'fault' in tls ? tls.fault : 'the CA certificate is not there yet';
    const passive = parsePassiveTarget(target);
    if (passive?.kind === 'ssl' && !identity) return idleRemote(target, options, `pssl: ${fault}`);
    if (passive) {
      try {
        const listener = await Listener.open(server, passive, identity, options.probeMs);
        return passiveRemote(target, options, listener);
      } catch (error) {
        server.log.warn({ err: error }, `${target}: ${(error as Error).message}`);
        return idleRemote(target, options, (error as Error).message);
      }
    }
    const active = parseActiveTarget(target);
    if (active?.kind === 'ssl' && 'fault' in tls) return idleRemote(target, options, `ssl: ${fault}`);
    if (!active) return idleRemote(target, options, 'is no target of a connection');
    return new Dialer(server, target, active, options, tls);
  }
}

function isTls(target: string): boolean {
  return /^p?ssl:/.test(target);
}

const NEVER = {
  isConnected: false,
  state: null,
  lastError: null,
  connections: 0,
  boundPort: null,
  connectedAtMs: null,
  disconnectedAtMs: null,
} as const;

/** One that cannot be. */
function idleRemote(target: string, options: RemoteOptions, lastError: string): Remote {
  return { options, status: () => ({ ...NEVER, target, lastError }), close: () => Promise.resolve() };
}

function passiveRemote(target: string, options: RemoteOptions, listener: Listener): Remote {
  return {
    options,
    status: () => {
      const connections = listener.connectionCount;
      return { ...NEVER, target, connections, isConnected: connections > 0, boundPort: listener.port };
    },
    close: () => listener.close(),
  };
}

const FIRST_BACKOFF_MS = 1_000;
/** A connection that held so long is a good one: the next attempt comes soon. */
const GOOD_MS = 10_000;

class Dialer implements Remote {
  #socket: Socket | null = null;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = FIRST_BACKOFF_MS;
  #state: 'ACTIVE' | 'BACKOFF' | 'CONNECTING' = 'CONNECTING';
  #lastError: string | null = null;
  #connectedAtMs: number | null = null;
  #disconnectedAtMs: number | null = null;
  #isClosed = false;

  constructor(
    private readonly server: OvsdbServer,
    private readonly target: string,
    private readonly where: ActiveTarget,
    readonly options: RemoteOptions,
    private readonly tls: RemoteTls,
  ) {
    this.#dial();
  }

  status(): RemoteStatus {
    const isConnected = this.#state === 'ACTIVE';
    return {
      target: this.target,
      isConnected,
      state: this.#state,
      lastError: isConnected ? null : this.#lastError,
      connections: isConnected ? 1 : 0,
      boundPort: null,
      connectedAtMs: this.#connectedAtMs,
      disconnectedAtMs: this.#disconnectedAtMs,
    };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
    return Promise.resolve();
  }

  #dial(): void {
    this.#state = 'CONNECTING';
    const socket = this.#connect();
    this.#socket = socket;
    let hasFailed: string | null = null;
    socket.once(this.where.kind === 'ssl' ? 'secureConnect' : 'connect', () => {
      if (this.where.kind === 'ssl' && 'bootstrap' in this.tls) {
        void this.#learnCa(socket as TLSSocket, this.tls.bootstrap);
        return;
      }
      this.#state = 'ACTIVE';
      this.#connectedAtMs = performance.now();
      const { probeMs } = this.options;
      serveSocket(this.server, socket, {
        name: this.target,
        isNetwork: this.where.kind !== 'unix',
        probeMs,
      });
    });
    socket.on('error', (error) => (hasFailed = error.message));
    socket.once('close', () => this.#closed(hasFailed ?? 'connection closed by the peer'));
  }

  #connect(): Socket {
    const { where } = this;
    if (where.kind === 'unix') return connect({ path: where.path });
    if (where.kind === 'tcp') return connect({ host: where.host, port: where.port });
    // The peer is whoever the CA vouches for; managers are often named by address only.
    const options = { host: where.host, port: where.port, minVersion: 'TLSv1.2' as const };
    if ('identity' in this.tls)
      return connectTls({ ...options, ...this.tls.identity, checkServerIdentity: () => undefined });
    const { key, cert } = 'bootstrap' in this.tls ? this.tls.bootstrap : { key: '', cert: '' };
    return connectTls({ ...options, key, cert, rejectUnauthorized: false });
  }

  /**
   * Nothing is said on a connection to somebody who has only just been believed: with the CA that is kept now, another
   * dialler takes over ({@link Remotes.configure}).
   */
  async #learnCa(socket: TLSSocket, bootstrap: Bootstrap): Promise<void> {
    const ca = caOf(socket.getPeerCertificate(true));
    if (ca === null) {
      socket.destroy(new Error('the peer sends no CA certificate to be believed'));
      return;
    }
    try {
      await bootstrap.keep(ca);
      this.#isClosed = true;
      this.server.log.warn(
        { target: this.target },
        `${this.target}: its CA certificate is believed from now on`,
      );
      socket.destroy();
    } catch (error) {
      socket.destroy(error as Error);
    }
  }

  #closed(because: string): void {
    const nowMs = performance.now();
    if (this.#state === 'ACTIVE') {
      this.#disconnectedAtMs = nowMs;
      if (nowMs - (this.#connectedAtMs ?? nowMs) > GOOD_MS) this.#backoffMs = FIRST_BACKOFF_MS;
    }
    if (because !== this.#lastError && !this.#isClosed) {
      this.server.log.warn({ target: this.target }, `${this.target}: ${because}`);
    }
    this.#lastError = because;
    this.#state = 'BACKOFF';
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#dial(), this.#backoffMs);
    this.#backoffMs = Math.min(this.#backoffMs * 2, Math.max(FIRST_BACKOFF_MS, this.options.maxBackoffMs));
  }
}

/** The self-signed certificate at the end of the chain that a peer has sent; null where there is none. */
export function caOf(leaf: DetailedPeerCertificate): string | null {
  let last = leaf;
  // Node closes the chain with a certificate that is its own issuer.
  while (last.issuerCertificate && last.issuerCertificate !== last) last = last.issuerCertificate;
  if (!last.raw) return null;
  const certificate = new X509Certificate(last.raw);
  const signsItself = certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
  return signsItself && certificate.ca ? certificate.toString() : null;
}
