/** The switch that a command line means, and a connection to it. A shell. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node-openflow';
import type { Connection, PortNames } from 'node-openflow';
import { Fatal } from '../fatal.js';
import { systemText } from '../../ovsdb/remote/client.js';
import { rundir } from '../rundir.js';

export interface TlsFiles {
  readonly key?: string | undefined;
  readonly cert?: string | undefined;
  readonly ca?: string | undefined;
}

/** A bridge's name, `unix:FILE`, a socket's path, `tcp:HOST[:PORT]` or `ssl:HOST[:PORT]`. */
export function targetOf(text: string): string {
  if (/^(unix|tcp|ssl):/.test(text)) return text;
  if (text.includes('/') && existsSync(text) && statSync(text).isSocket()) return `unix:${text}`;
  const socket = `${rundir()}/${text}.mgmt`;
  if (existsSync(socket)) return `unix:${socket}`;
  throw new Fatal(`${text} is not a bridge or a socket`);
}

/** @throws Fatal */
export async function connectTo(text: string, tls: TlsFiles): Promise<Connection> {
  const target = targetOf(text);
  const read = (path: string | undefined) => (path === undefined ? undefined : readFileSync(path));
  const files = { key: read(tls.key), cert: read(tls.cert), ca: read(tls.ca) };
  const given = Object.fromEntries(Object.entries(files).filter(([, value]) => value !== undefined));
  try {
    return await connect(target, { tls: given });
  } catch (error) {
    throw new Fatal(`${text}: failed to connect to socket (${systemText(error as NodeJS.ErrnoException)})`);
  }
}

/** The switch's own names for its ports. */
export async function portNames(connection: Connection): Promise<PortNames> {
  const { entries } = await connection.multipart({ type: 'PORT_DESC' });
  const byName = new Map(entries.map(({ name, portNo }) => [name, portNo]));
  const byNumber = new Map(entries.map(({ name, portNo }) => [portNo, name]));
  return { byName: (name) => byName.get(name), byNumber: (port) => byNumber.get(port) };
}
