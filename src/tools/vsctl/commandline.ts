/** The command line: options for all, then commands with options of their own, parted by `--`. */
import { Fatal } from '../fatal.js';
import type { Command } from './command.js';

/** Long options; `=` at the end: takes a value. */
const GLOBAL = [
  '--db=',
  '--no-syslog',
  '--no-wait',
  '--dry-run',
  '--oneline',
  '--timeout=',
  '--retry',
  '--help',
  '--version',
  '--format=',
  '--data=',
  '--no-headings',
  '--max-column-width=',
  '--pretty',
  '--bare',
  '--verbose=?',
  '--log-file=?',
  '--syslog-method=',
  '--syslog-target=',
  '--private-key=',
  '--certificate=',
  '--ca-cert=',
  '--bootstrap-ca-cert=',
  '--peer-ca-cert=',
  '--ssl-protocols=',
  '--ssl-ciphers=',
] as const;

const SHORT: Readonly<Record<string, string>> = {
  t: '--timeout',
  f: '--format',
  d: '--data',
  p: '--private-key',
  c: '--certificate',
  C: '--ca-cert',
  h: '--help',
  V: '--version',
  v: '--verbose',
};

export interface Invocation {
  readonly command: Command;
  readonly args: readonly string[];
  readonly options: ReadonlyMap<string, string | null>;
}

export interface CommandLine {
  readonly globals: ReadonlyMap<string, string | null>;
  readonly invocations: readonly Invocation[];
}

const nameOf = (option: string) => option.replace(/=\??$/, '');

/** @throws Fatal */
export function parseCommandLine(
  argv: readonly string[],
  commands: ReadonlyMap<string, Command>,
): CommandLine {
  const locals = new Set([...commands.values()].flatMap(({ options }) => options));
  const all = new Map([...GLOBAL, ...locals].map((option) => [nameOf(option), option]));
  const globalNames = new Set(GLOBAL.map(nameOf));
  const globals = new Map<string, string | null>();
  const early = new Map<string, string | null>();
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-') || word === '-') break;
    if (word === '--') {
      at++;
      break;
    }
    const { name, value, usedNext } = word.startsWith('--')
      ? longOption(word, argv[at + 1], all)
      : shortOption(word, argv[at + 1]);
    if (usedNext) at++;
    if (globalNames.has(name)) globals.set(name, value);
    else if (early.has(name)) throw new Fatal(`'${name}' option specified multiple times`);
    else early.set(name, value);
  }
  const invocations: Invocation[] = [];
  if (!['--help', '--version'].some((name) => globals.has(name))) {
    const parts = split(argv.slice(at));
    parts.forEach((words, i) => invocations.push(invocation(words, i === 0 ? early : new Map(), commands)));
    if (invocations.length === 0) throw new Fatal('missing command name (use --help for help)');
  }
  return { globals, invocations };
}

interface Parsed {
  readonly name: string;
  readonly value: string | null;
  readonly usedNext: boolean;
}

/** Names may be cut short as long as they stay clear, as getopt_long(3) allows. */
function longOption(word: string, next: string | undefined, all: ReadonlyMap<string, string>): Parsed {
  const equals = word.indexOf('=');
  const given = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  const matches = all.has(given) ? [given] : [...all.keys()].filter((name) => name.startsWith(given));
  const [name] = matches;
  if (name === undefined) throw new Fatal(`unrecognized option '${given}'`);
  if (matches.length > 1) {
    const list = matches.map((each) => `'${each}'`).join(' ');
    throw new Fatal(`option '${given}' is ambiguous; possibilities: ${list}`);
  }
  const option = all.get(name) ?? '';
  if (option.endsWith('?')) return { name, value: value ?? null, usedNext: false };
  if (!option.endsWith('=')) {
    if (value !== undefined) throw new Fatal(`option '${name}' doesn't allow an argument`);
    return { name, value: null, usedNext: false };
  }
  if (value !== undefined) return { name, value, usedNext: false };
  if (next === undefined) throw new Fatal(`option '${name}' requires an argument`);
  return { name, value: next, usedNext: true };
}

function shortOption(word: string, next: string | undefined): Parsed {
  const name = SHORT[word[1] ?? ''];
  if (name === undefined) throw new Fatal(`unrecognized option '${word}'`);
  const rest = word.slice(2);
  if (name === '--help' || name === '--version') return { name, value: null, usedNext: false };
  if (name === '--verbose') return { name, value: rest === '' ? null : rest, usedNext: false };
  if (rest !== '') return { name, value: rest, usedNext: false };
  if (next === undefined) throw new Fatal(`option requires an argument -- '${word[1]}'`);
  return { name, value: next, usedNext: true };
}

function split(words: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  for (const word of words) {
    if (word === '--') parts.push([]);
    else parts.at(-1)?.push(word);
  }
  // A `--` with nothing behind it is how scripts write a list that may be empty.
  return parts.filter((part) => part.length > 0);
}

function invocation(
  words: readonly string[],
  early: ReadonlyMap<string, string | null>,
  commands: ReadonlyMap<string, Command>,
): Invocation {
  const options = new Map(early);
  let at = 0;
  for (; (words[at] ?? '').startsWith('-'); at++) {
    const [name = '', ...value] = (words[at] ?? '').split('=');
    if (options.has(name)) throw new Fatal(`'${name}' option specified multiple times`);
    options.set(name, value.length === 0 ? null : value.join('='));
  }
  const given = words[at];
  if (given === undefined) throw new Fatal('missing command name (use --help for help)');
  const command = commands.get(given);
  if (!command) throw new Fatal(`unknown command '${given}'; use --help for help`);
  for (const [name, value] of options) {
    const known = command.options.find((each) => nameOf(each) === name);
    if (known === undefined) throw new Fatal(`'${given}' command has no '${name}' option`);
    if (known.endsWith('=') && value === null) {
      throw new Fatal(`missing argument to '${name}' option on '${given}' command`);
    }
    if (!known.endsWith('=') && value !== null) {
      throw new Fatal(`'${name}' option on '${given}' does not accept an argument`);
    }
  }
  const args = words.slice(at + 1);
  if (args.length < command.minArguments) {
    throw new Fatal(`'${given}' command requires at least ${command.minArguments} arguments`);
  }
  if (args.length > command.maxArguments) {
    const extra = args.slice(command.maxArguments).find((word) => word.startsWith('--'));
    const hint =
      extra === undefined ? '' : ` (note that options must precede command names and follow a "--" argument)`;
    throw new Fatal(`'${given}' command takes at most ${command.maxArguments} arguments${hint}`);
  }
  return { command, args, options };
}
