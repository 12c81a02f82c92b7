/** The tree of commands: helpers around commander for what several parts walk (help, completion, the reference). */
import { Command, Option } from 'commander';
import type { Handler } from './context.js';
import type { Setting } from './settings.js';

/** The subcommand that is meant where none is named. */
const DEFAULTS = new WeakMap<Command, Command>();
const HANDLERS = new WeakMap<Command, () => Promise<Handler>>();
const EXAMPLES = new WeakMap<Command, readonly string[]>();

interface Leaf {
  readonly about: string;
  /** Loaded when the command runs, as most of the time to start is the loading of modules. */
  readonly load: () => Promise<Handler>;
  readonly options?: readonly Option[];
  readonly examples?: readonly string[];
  readonly isDefault?: boolean;
  readonly isHidden?: boolean;
}

/** @param usage name and arguments, as commander reads them: `add <bridge> <port> [settings...]` */
export function leaf(parent: Command, usage: string, of: Leaf): Command {
  const flags = { isDefault: of.isDefault ?? false, hidden: of.isHidden ?? false };
  const command = parent.command(usage, flags).description(of.about).allowExcessArguments(false);
  for (const option of of.options ?? []) command.addOption(option);
  HANDLERS.set(command, of.load);
  if (of.isDefault) DEFAULTS.set(parent, command);
  if (of.examples) EXAMPLES.set(command, of.examples);
  return command;
}

export function group(parent: Command, name: string, about: string): Command {
  return parent.command(name).description(about);
}

export const defaultOf = (command: Command) => DEFAULTS.get(command);
export const handlerOf = (command: Command) => HANDLERS.get(command);
export const examplesOf = (command: Command) => EXAMPLES.get(command) ?? [];

/** Subcommands but the hidden ones. */
export function visible(command: Command): Command[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== 'help');
}

/** Every command that does something, in the order of declaration. */
export function leaves(command: Command): Command[] {
  return visible(command).flatMap((each) => (handlerOf(each) ? [each] : leaves(each)));
}

/** `weft port add` */
export function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}

export const flag = (flags: string, about: string) => new Option(flags, about);

export function settingOptions(settings: readonly Setting[]): Option[] {
  return settings.map(({ option, value, about, choices, kind }) => {
    const made = new Option(`--${option} <${kind === 'flag' ? 'yes|no' : value}>`, about);
    // What a value may be is weftd's to say, with all other faults at once; the choices are for completion and help.
    if (choices) made.argChoices = [...choices];
    return made;
  });
}
