/** `ovsdb-server/…`: what `ovs-appctl -t ovsdb-server` asks (ovsdb-server(1), "RUNTIME MANAGEMENT COMMANDS"). */
import { CommandError, command } from '../command.js';
import type { Command } from '../command.js';

export interface DatabaseControl {
  databases(): readonly string[];
  /** Targets that the database is served at, or that are dialled. */
  remotes(): readonly string[];
  /** @throws Error that says why not */
  addRemote(target: string): Promise<void>;
  /** False: there is no such remote that was added at run time. */
  removeRemote(target: string): Promise<boolean>;
  /** Writes the file anew without its history. */
  compact(): Promise<void>;
}

export function ovsdbServerCommands(control: DatabaseControl): Command[] {
  const lines = (words: readonly string[]) =>
    [...words]
      .sort()
      .map((word) => `${word}\n`)
      .join('');
  return [
    command('ovsdb-server/list-dbs', '', [0, 0], () => lines(control.databases())),
    command('ovsdb-server/list-remotes', '', [0, 0], () => lines(control.remotes())),
    command('ovsdb-server/add-remote', 'REMOTE', [1, 1], async ([target = '']) => {
      try {
        await control.addRemote(target);
      } catch (error) {
        throw new CommandError((error as Error).message);
      }
      return '';
    }),
    command('ovsdb-server/remove-remote', 'REMOTE', [1, 1], async ([target = '']) => {
      if (!(await control.removeRemote(target))) throw new CommandError('no such remote');
      return '';
    }),
    command('ovsdb-server/compact', '[DB]', [0, 1], async ([name]) => {
      if (name !== undefined && !control.databases().includes(name)) {
        throw new CommandError(`"${name}" database does not exist`);
      }
      await control.compact();
      return '';
    }),
  ];
}
