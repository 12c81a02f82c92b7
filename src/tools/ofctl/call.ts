/** What the commands have in common: a switch at the other end, options, and sending so that refusals are told. */
import { commitBundle } from 'node-openflow';
import type { Connection, MessageInput, PortNames } from 'node-openflow';
import { Fatal } from '../fatal.js';
import type { Io } from '../io.js';
import type { TlsFiles } from './connection.js';

export type Options = ReadonlyMap<string, string | null>;

/** One that talks to the switch that its first argument names. */
export interface Call {
  readonly connection: Connection;
  /** Names of ports, for reading; for writing only where names are wanted. */
  readonly names: PortNames;
  readonly shownNames: PortNames | undefined;
  readonly args: readonly string[];
  readonly options: Options;
  readonly io: Io;
}

export function tlsOf(options: Options): TlsFiles {
  const file = (name: string) => options.get(name) ?? undefined;
  return { key: file('private-key'), cert: file('certificate'), ca: file('ca-cert') };
}

/**
 * Sends, and waits until the switch has taken all of it; with `--bundle`, all of it or nothing.
 * @throws Fatal what it refuses
 */
export async function commit(
  { connection, options }: Pick<Call, 'connection' | 'options'>,
  messages: readonly MessageInput[],
): Promise<void> {
  const [first] = options.has('bundle')
    ? await commitBundle(connection, messages)
    : await connection.commit([...messages]);
  if (!first) return;
  const { errorType, code } = first.error;
  throw new Fatal(
    `the switch refuses message ${first.index + 1} of ${messages.length}: ${errorType} ${code}`,
  );
}
