/** The socket of the REST API: loopback or a unix socket, anything else only with a token. */
import { chmod, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { isLoopbackHost } from './app.js';
import type { App } from './plugin.js';

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** The API cannot listen; the message is one line for the user. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Reads `HOST:PORT`, `[V6]:PORT` or `unix:PATH`. @throws ListenError */
export function parseListenAddress(text: string): ListenAddress {
  if (/^unix:./.test(text)) return { kind: 'unix', path: text.slice(5) };
  const { v6, host, port } =
    /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:]+)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  const name = v6 ?? host;
  if (name === undefined || Number(port) > 65535) {
    throw new ListenError(`--http ${text}: HOST:PORT, [V6]:PORT or unix:PATH is wanted`);
  }
  return { kind: 'tcp', host: name, port: Number(port) };
}

export function isLoopback(address: ListenAddress): boolean {
  return address.kind === 'unix' || isLoopbackHost(address.host);
}

/** Gives the address that clients use. @throws ListenError */
export async function listen(app: App, address: ListenAddress): Promise<string> {
  try {
    if (address.kind === 'tcp') return await app.listen({ host: address.host, port: address.port });
    if (await isStaleSocket(address.path)) await rm(address.path, { force: true });
    await app.listen({ path: address.path });
    await chmod(address.path, 0o600);
    return `unix:${address.path}`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const text = address.kind === 'tcp' ? `${address.host}:${address.port}` : `unix:${address.path}`;
    const why =
      code === 'EADDRINUSE' ? 'is already in use by another program' : `cannot be listened on: ${message}`;
    throw new ListenError(`the REST address ${text} ${why}; choose another with --http`);
  }
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
