/** `weft completion`, and the hidden command that completion scripts ask. */
import type { Command } from 'commander';
import { complete as find } from '../completion/complete.js';
import { FILES_LINE, completionScript } from '../completion/scripts.js';
import type { Shell } from '../completion/scripts.js';
import type { Context, Result } from '../context.js';
import { readBridges } from './bridges.js';
import { readPorts } from './ports.js';

export async function script(_context: Context, shell: Shell): Promise<Result> {
  return { json: { shell, script: completionScript(shell) }, text: completionScript(shell).trimEnd() };
}

/** Never fails and says nothing of faults: somebody is only typing. */
export async function complete(context: Context, program: Command, words: string[]): Promise<Result> {
  const orNone = (list: Promise<string[]>) => list.catch(() => []);
  const { candidates, files } = await find(program, words, {
    bridges: () => orNone(readBridges(context).then((list) => list.map(({ name }) => name))),
    ports: (bridge) => orNone(readPorts(context, bridge).then((list) => list.map(({ name }) => name))),
  });
  const lines = candidates.map(({ value, about }) => (about === '' ? value : `${value}\t${about}`));
  return { text: [...new Set(lines), ...(files ? [FILES_LINE] : [])].join('\n') };
}
