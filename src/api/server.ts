/**
 * The sockets of the REST API: loopback and unix sockets as they are, anything else with token and TLS. Each listener is
 * a server of its own in front of the one app.
 */
import { execFile } from 'node:child_process';
import { chmod, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import type { App } from './plugin.js';
import { answerUnparsable } from './problems.js';
import { isLoopbackHost, setPolicy } from './security.js';
import type { Policy } from './security.js';

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number; readonly group: string | null }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly scheme: 'http' | 'https' | null;
    };

/** PEM; with `ca`, clients must have a certificate that it signed. */
export interface ApiTls {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
}

/** The API cannot listen; the message is one line for the user. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** A request has to come in within these, and a connection is kept so long for the next one. */
const TIMEOUTS = { requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 10_000 } as const;
const UNIX_MODE = 0o600;
/** Requests that are under way when the API stops have so long to end. */
const CLOSE_MS = 2_000;

/** Reads `HOST:PORT`, `[V6]:PORT`, these with `http://` or `https://`, or `unix:PATH[,mode=660][,group=NAME]`. @throws ListenError */
export function parseListenAddress(text: string): ListenAddress {
  const fail = (why: string) => new ListenError(`--http ${text}: ${why}`);
  if (/^unix:./.test(text)) {
    const [path = '', ...options] = text.slice(5).split(',');
    let [mode, group]: [number, string | null] = [UNIX_MODE, null];
    for (const option of options) {
      const { octal, name } =
        /^(?:mode=(?<octal>[0-7]{3,4})|group=(?<name>[\w.-]+))$/.exec(option)?.groups ?? {};
      if (octal !== undefined) mode = Number.parseInt(octal, 8);
      else if (name !== undefined) group = name;
      else throw fail(`after the path, mode=OCTAL or group=NAME is wanted, not ${option}`);
    }
    // A group is named to be let in.
    if (group !== null && mode === UNIX_MODE) mode = 0o660;
    return { kind: 'unix', path, mode, group };
  }
  const { scheme, v6, host, port } =
    /^(?:(?<scheme>https?):\/\/)?(?:\[(?<v6>[^\]]+)\]|(?<host>[^:/]+)):(?<port>\d{1,5})\/?$/.exec(text)
      ?.groups ?? {};
  const name = v6 ?? host;
  if (name === undefined || Number(port) > 65535) throw fail('HOST:PORT, [V6]:PORT or unix:PATH is wanted');
  return {
    kind: 'tcp',
    host: name,
    port: Number(port),
    scheme: scheme === 'http' || scheme === 'https' ? scheme : null,
  };
}

export function isLoopback(address: ListenAddress): boolean {
  return address.kind === 'unix' || isLoopbackHost(address.host);
}

export interface ListenOptions {
  readonly tls?: ApiTls;
  readonly hasTokens?: boolean;
  /** Go without TLS where it would be demanded. */
  readonly insecure?: boolean;
}

/**
 * What a listener asks, and whether it speaks TLS: a bare HOST:PORT does where there is a certificate.
 * @throws ListenError where it would be open to everybody
 */
export function policyOf(address: ListenAddress, options: ListenOptions): Policy & { isTls: boolean } {
  const { tls, hasTokens = false, insecure = false } = options;
  // Who may open a unix socket, the file system says.
  if (address.kind === 'unix') return { needsToken: false, loopbackOnly: false, isTls: false };
  const text = `--http ${address.host}:${address.port}`;
  const isTls = address.scheme === null ? tls !== undefined : address.scheme === 'https';
  if (isTls && !tls) throw new ListenError(`${text}: https takes --http-cert and --http-key`);
  if (isLoopback(address)) return { needsToken: hasTokens, loopbackOnly: !hasTokens, isTls };
  if (!hasTokens) {
    throw new ListenError(
      `${text} is not loopback: whoever reaches it could reconfigure the network; give --http-token-file too`,
    );
  }
  if (!isTls && !insecure) {
    throw new ListenError(
      `${text} is not loopback: tokens would be sent in the clear; give --http-cert and --http-key, or --http-insecure`,
    );
  }
  return { needsToken: true, loopbackOnly: false, isTls };
}

/** A socket of the API. */
export interface ApiListener {
  /** What clients use: `http://127.0.0.1:8080`, `unix:/run/weft.sock`. */
  readonly url: string;
  /** Takes no more, lets requests end that are under way, and goes. */
  close(): Promise<void>;
}

/** @throws ListenError */
export async function listen(
  app: App,
  address: ListenAddress,
  options: ListenOptions = {},
): Promise<ApiListener> {
  const { isTls, ...policy } = policyOf(address, options);
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    setPolicy(request, policy);
    app.routing(request, response);
  };
  const { tls } = options;
  try {
    const server =
      isTls && tls
        ? createTlsServer(
            { ...TIMEOUTS, ...tls, minVersion: 'TLSv1.2', requestCert: tls.ca !== undefined },
            handle,
          )
        : createServer(TIMEOUTS, handle);
    server.on('clientError', answerUnparsable);
    const url = await open(server, address, isTls);
    return { url, close: () => close(server) };
  } catch (error) {
    if (error instanceof ListenError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const text = address.kind === 'tcp' ? `${address.host}:${address.port}` : `unix:${address.path}`;
    const why =
      code === 'EADDRINUSE' ? 'is already in use by another program' : `cannot be listened on: ${message}`;
    throw new ListenError(`the REST address ${text} ${why}; choose another with --http`);
  }
}

async function open(server: Server, address: ListenAddress, isTls: boolean): Promise<string> {
  if (address.kind === 'tcp') {
    await listening(server, { host: address.host, port: address.port });
    const { address: host, family, port } = server.address() as AddressInfo;
    return `${isTls ? 'https' : 'http'}://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
  }
  if (await isStaleSocket(address.path)) await rm(address.path, { force: true });
  // Nobody gets in between making the socket and giving it its mode.
  const mask = process.umask(0o177);
  try {
    await listening(server, { path: address.path });
  } finally {
    process.umask(mask);
  }
  if (address.group !== null) await promisify(execFile)('chgrp', ['--', address.group, address.path]);
  await chmod(address.path, address.mode);
  return `unix:${address.path}`;
}

function listening(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** Whether a socket lies there that nobody listens on any more. */
function isStaleSocket(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
