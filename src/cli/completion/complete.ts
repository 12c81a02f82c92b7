/**
 * What can come next on a command line. Pure: it walks the tree of commands along the words that are there, and says what
 * fits the last one; names of bridges and ports come from a function that the shell of the program gives.
 */
import type { Argument, Command, Option } from 'commander';
import { defaultOf, visible } from '../tree.js';

export interface Candidate {
  readonly value: string;
  readonly about: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** The shell should offer files besides. */
  readonly files: boolean;
}

/** What is known only at run time. */
export interface Names {
  bridges(): Promise<string[]>;
  ports(bridge: string | undefined): Promise<string[]>;
}

/** @param words after `weft`; the last is the one being typed and may be empty */
export async function complete(
  program: Command,
  words: readonly string[],
  names: Names,
): Promise<Completion> {
  const typed = words.at(-1) ?? '';
  const state = walk(program, words.slice(0, -1));
  const only = (candidates: readonly Candidate[], files = false): Completion => ({
    candidates: candidates.filter(({ value }) => value.startsWith(typed)),
    files,
  });
  if (state.pending) {
    const { pending, values } = state;
    return named(pending.argChoices, pending.attributeName(), values, names, only);
  }
  const joined = /^(--[\w-]+)=(.*)$/.exec(typed);
  if (joined) {
    const option = findOption(program, state.command, joined[1] ?? '');
    const found =
      option && (await named(option.argChoices, option.attributeName(), state.values, names, plain));
    const prefix = `${joined[1]}=`;
    return only(
      (found?.candidates ?? []).map(({ value, about }) => ({ value: prefix + value, about })),
      found?.files,
    );
  }
  if (typed.startsWith('-') && !state.onlyOperands) {
    return only(
      optionsOf(program, state.command).map((option) => ({
        value: option.long ?? option.flags,
        about: option.description,
      })),
    );
  }
  const subcommands = state.values.size === 0 ? visible(state.command) : [];
  const candidates = subcommands.map((each) => ({ value: each.name(), about: each.description() }));
  const argument = nextArgument(state.operands, state.count);
  if (!argument) return only(candidates);
  const values = await named(argument.argChoices, argument.name(), state.values, names, plain);
  return only([...candidates, ...values.candidates], values.files);
}

const plain = (candidates: readonly Candidate[], files = false): Completion => ({ candidates, files });

/** Values for something of this name: an option or an argument. */
async function named(
  choices: readonly string[] | undefined,
  name: string,
  values: ReadonlyMap<string, string>,
  names: Names,
  only: (candidates: readonly Candidate[], files?: boolean) => Completion,
): Promise<Completion> {
  const list = (texts: readonly string[], about: string) => only(texts.map((value) => ({ value, about })));
  if (choices) return list(choices, '');
  if (/^bridges?$/.test(name)) return list(await names.bridges(), 'bridge');
  if (/^ports?$/.test(name)) return list(await names.ports(values.get('bridge')), 'port');
  return only([], /file|cert|key/i.test(name));
}

interface State {
  readonly command: Command;
  /** Whose operands come: the command itself or its default subcommand. */
  readonly operands: Command;
  /** An option that still wants its value. */
  readonly pending: Option | undefined;
  /** Operands so far, by the names of their arguments, and options' values by theirs. */
  readonly values: Map<string, string>;
  readonly count: number;
  readonly onlyOperands: boolean;
}

function walk(program: Command, words: readonly string[]): State {
  let command = program;
  let operands = program;
  let pending: Option | undefined;
  let count = 0;
  let onlyOperands = false;
  const values = new Map<string, string>();
  for (const word of words) {
    if (pending) {
      values.set(pending.attributeName(), word);
      pending = undefined;
    } else if (word === '--') onlyOperands = true;
    else if (word.startsWith('-') && !onlyOperands) {
      const option = word.includes('=') ? undefined : findOption(program, operands, word);
      if (option?.required) pending = option;
    } else {
      const next = count === 0 ? visible(command).find((each) => each.name() === word) : undefined;
      if (next) [command, operands] = [next, defaultOf(next) ?? next];
      else {
        const argument = nextArgument(operands, count);
        if (argument) values.set(argument.name(), word);
        count += 1;
      }
    }
  }
  return { command, operands, pending, values, count, onlyOperands };
}

function nextArgument(command: Command, count: number): Argument | undefined {
  const last = command.registeredArguments.at(-1);
  return command.registeredArguments[count] ?? (last?.variadic ? last : undefined);
}

function optionsOf(program: Command, command: Command): Option[] {
  const inner = defaultOf(command);
  const all = [
    ...command.options,
    ...(inner?.options ?? []),
    ...(command === program ? [] : program.options),
  ];
  return all.filter((option) => !option.hidden);
}

function findOption(program: Command, command: Command, flag: string): Option | undefined {
  return optionsOf(program, command).find(({ short, long }) => flag === long || flag === short);
}
