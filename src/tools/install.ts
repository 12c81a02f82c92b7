/** `weft-tools install`: puts the programs where a shell finds them, unless others of those names are there already. */
import { accessSync, constants, lstatSync, readlinkSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { Fatal } from './fatal.js';
import { processIo } from './io.js';
import type { Io } from './io.js';

const NAMES = ['ovs-vsctl', 'ovs-appctl', 'ovs-ofctl'];

export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  const { dir, remove } = readOptions(argv);
  const program = realpathSync(process.argv[1] ?? '');
  for (const name of NAMES) {
    const path = join(dir, name);
    const there = linkTarget(path);
    if (remove) {
      if (there === program) rmSync(path);
      continue;
    }
    const other = there === program ? undefined : findOther(name, path, program);
    if (other !== undefined) io.out(`${name}: ${other} is there; left alone\n`);
    else if (there !== program) {
      try {
        if (there !== undefined) rmSync(path);
        symlinkSync(program, path);
      } catch (error) {
        throw new Fatal(`${path} cannot be made: ${(error as Error).message}`);
      }
      io.out(`${name}: installed as ${path}\n`);
    }
  }
  return 0;
}

function readOptions(argv: readonly string[]): { dir: string; remove: boolean } {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        dir: { type: 'string', default: '/usr/local/bin' },
        remove: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new Fatal((error as Error).message);
  }
}

/** Where a link leads, undefined where there is no link. A link of an earlier installation counts as ours. */
function linkTarget(path: string): string | undefined {
  try {
    if (!lstatSync(path).isSymbolicLink()) return undefined;
    const target = readlinkSync(path);
    return /\/ovs-tools\.cjs$/.test(target) ? target : undefined;
  } catch {
    return undefined;
  }
}

/** Another program of that name: at the place itself or anywhere a shell looks. */
function findOther(name: string, path: string, program: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  for (const candidate of [path, ...folders.map((folder) => join(folder, name))]) {
    try {
      accessSync(candidate, constants.X_OK);
      const real = realpathSync(candidate);
      if (real !== program && linkTarget(candidate) === undefined) return candidate;
    } catch {
      // Nothing there.
    }
  }
  return undefined;
}
