/**
 * The commands of `ovs-appctl` (ovs-appctl(8), ovs-vswitchd(8) "RUNTIME MANAGEMENT COMMANDS"): words in, text out.
 * What the text looks like is Open vSwitch's choice, as scripts read it.
 */

/** The command is answered with this text as an error; `ovs-appctl` prints it and ends with status 2. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export interface Command {
  /** As typed: `fdb/show`. */
  readonly name: string;
  /** What stands behind the name in `list-commands`. */
  readonly usage: string;
  readonly minArguments: number;
  readonly maxArguments: number;
  /** Gives the text of the answer. @throws CommandError */
  readonly run: (args: readonly string[]) => string | Promise<string>;
}

/** Commands by their names, `list-commands` included. */
export class CommandTable {
  readonly #commands: ReadonlyMap<string, Command>;

  constructor(commands: readonly Command[]) {
    const all = [...commands, this.#listCommands()].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#commands = new Map(all.map((command) => [command.name, command]));
  }

  /** Runs a command. @throws CommandError */
  async run(name: string, args: readonly string[]): Promise<string> {
    const command = this.#commands.get(name);
    if (!command) {
      throw new CommandError(
        `"${name}" is not a valid command (use "list-commands" to see a list of valid commands)`,
      );
    }
    if (args.length < command.minArguments) {
      throw new CommandError(`"${name}" command requires at least ${command.minArguments} arguments`);
    }
    if (args.length > command.maxArguments) {
      throw new CommandError(`"${name}" command takes at most ${command.maxArguments} arguments`);
    }
    return command.run(args);
  }

  #listCommands(): Command {
    const run = () => {
      const lines = [...this.#commands.values()].map(({ name, usage }) => `  ${name.padEnd(23)} ${usage}\n`);
      return `The available commands are:\n${lines.join('')}`;
    };
    return { name: 'list-commands', usage: '', minArguments: 0, maxArguments: 0, run };
  }
}

/** `["[bridge]", 0, 1]` and what it does, as a {@link Command}. */
export function command(
  name: string,
  usage: string,
  [minArguments, maxArguments]: readonly [number, number],
  run: Command['run'],
): Command {
  return { name, usage, minArguments, maxArguments, run };
}
