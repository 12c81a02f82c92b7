/** One run of commands on a copy of the database: what they put out, and the transaction they want. Pure. */
import type { DatabaseSchema } from '../../ovsdb/index.js';
import { Fatal } from '../fatal.js';
import type { Context } from './command.js';
import type { Invocation } from './commandline.js';
import type { Replica } from './replica.js';
import { Structure } from './structure.js';
import { formatTable } from './table.js';
import type { TableOutput, TableStyle } from './table.js';
import { Transaction } from './transaction.js';

export interface Run {
  readonly txn: Transaction;
  readonly root: string;
  /** False: a condition does not hold yet, so nothing is to be done until the database changes. */
  readonly isReady: boolean;
  /** What each command puts out. Uuids of new rows are as they are called here, until the server has chosen. */
  readonly outputs: readonly string[];
  readonly expected: ReadonlySet<string>;
  readonly warnings: readonly string[];
}

/** @throws Fatal, Exit */
export function runCommands(
  replica: Replica,
  schema: DatabaseSchema,
  invocations: readonly Invocation[],
  style: TableStyle,
  newUuid: () => string,
): Run {
  const txn = new Transaction(replica, newUuid);
  const [root = txn.insert('Open_vSwitch')] = txn.uuids('Open_vSwitch');
  const expected = new Set<string>();
  const warnings: string[] = [];
  const outputs: string[] = [];
  let structure: Structure | undefined;
  for (const { command, args, options } of invocations) {
    let text = '';
    const context: Context & { table: TableOutput | null } = {
      schema,
      txn,
      root,
      args,
      options,
      expected,
      table: null,
      structure: () => (structure ??= new Structure(txn, root)),
      invalidate: () => (structure = undefined),
      print: (line) => (text += `${line}\n`),
      printUuid: (uuid) => (text += `${uuid}\n`),
      warn: (message) => warnings.push(message),
    };
    if (command.waits?.(context) === false) {
      return { txn, root, isReady: false, outputs: [], expected, warnings };
    }
    command.run(context);
    outputs.push(context.table ? formatTable(context.table, style) : text);
  }
  checkSymbols(txn, warnings);
  return { txn, root, isReady: true, outputs, expected, warnings };
}

function checkSymbols(txn: Transaction, warnings: string[]): void {
  for (const [name, symbol] of txn.symbols) {
    if (!symbol.created) {
      throw new Fatal(
        `row id "${name}" is referenced but never created (e.g. with "-- --id=${name} create ...")`,
      );
    }
    if (symbol.strongRef) continue;
    const what = symbol.weakRef ? 'only a weak reference to it was' : 'no reference to it was';
    warnings.push(
      `row id "${name}" was created but ${what} inserted, so it will not actually appear in the database`,
    );
  }
}
