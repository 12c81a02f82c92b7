/** What a command of `ovs-vsctl` is, and what it works on. */
import type { DatabaseSchema } from '../../ovsdb/index.js';
import type { Needs } from './replica.js';
import type { Structure } from './structure.js';
import type { TableOutput } from './table.js';
import type { Transaction } from './transaction.js';

export interface Context {
  readonly schema: DatabaseSchema;
  readonly txn: Transaction;
  /** The one row of Open_vSwitch. */
  readonly root: string;
  readonly args: readonly string[];
  /** Options given to this command, by name with dashes; the value of those that have one. */
  readonly options: ReadonlyMap<string, string | null>;
  /** The bridges, read when first asked for. */
  structure(): Structure;
  /** Something else than {@link Structure} has changed rows: it is read anew. */
  invalidate(): void;
  /** Interfaces that should be there once the switch has taken the configuration. */
  readonly expected: Set<string>;
  /** Puts a line out. */
  print(line: string): void;
  table: TableOutput | null;
  warn(message: string): void;
  /** The uuid of a row made here, as the server chose it; text with it is put out after the commit. */
  printUuid(uuid: string): void;
}

/** The program ends at once with this status, with nothing said and nothing done. */
export class Exit extends Error {
  override readonly name = 'Exit';

  constructor(readonly status: number) {
    super(`exit status ${status}`);
  }
}

export interface Command {
  readonly name: string;
  readonly minArguments: number;
  readonly maxArguments: number;
  /** With `=` at the end: takes a value. */
  readonly options: readonly string[];
  /** Says which columns it reads. */
  needs(needs: Needs, args: readonly string[], options: Context['options'], schema: DatabaseSchema): void;
  run(context: Context): void;
  /** Not done until this is so: the command is run again when the database changes. */
  readonly waits?: (context: Context) => boolean;
}

/** What the commands on bridges, ports and interfaces read. */
export function needStructure(needs: Needs): void {
  needs.add('Open_vSwitch', 'bridges');
  needs.add('Bridge', 'name', 'ports');
  needs.add('Port', 'name', 'fake_bridge', 'tag', 'interfaces');
  needs.add('Interface', 'name', 'type', 'ofport', 'error');
}

export function define(
  name: string,
  [minArguments, maxArguments]: readonly [number, number],
  options: readonly string[],
  needs: Command['needs'],
  run: Command['run'],
): Command {
  return { name, minArguments, maxArguments, options, needs, run };
}
