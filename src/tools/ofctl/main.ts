/** `ovs-ofctl` (ovs-ofctl(8)) for OpenFlow 1.3: the shell around the commands. */
import { OVS_VERSION } from '../../domain/version.js';
import { armTimeout } from '../alarm.js';
import { Fatal } from '../fatal.js';
import { processIo } from '../io.js';
import type { Io } from '../io.js';
import { OfctlSyntaxError, OpenFlowEncodeError, RequestError, TargetError } from 'node-openflow';
import { COMMANDS } from './commands.js';
import type { Options } from './call.js';

const LONG = {
  strict: 'flag',
  names: 'flag',
  'no-names': 'flag',
  'no-stats': 'flag',
  stats: 'flag',
  sort: 'optional',
  rsort: 'optional',
  protocols: 'value',
  'flow-format': 'value',
  'packet-in-format': 'value',
  timeout: 'value',
  bundle: 'flag',
  readd: 'flag',
  'may-create': 'flag',
  more: 'flag',
  timestamp: 'flag',
  color: 'optional',
  'private-key': 'value',
  certificate: 'value',
  'ca-cert': 'value',
  verbose: 'optional',
  version: 'flag',
  help: 'flag',
} as const;
type Name = keyof typeof LONG;
const SHORT: Readonly<Record<string, Name>> = {
  O: 'protocols',
  F: 'flow-format',
  P: 'packet-in-format',
  t: 'timeout',
  m: 'more',
  p: 'private-key',
  c: 'certificate',
  C: 'ca-cert',
  v: 'verbose',
  V: 'version',
  h: 'help',
};

/** Gives the exit status. @throws Fatal */
export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  const { options, words } = parse(argv);
  if (options.has('version')) {
    io.out(`ovs-ofctl (Open vSwitch) ${OVS_VERSION}\nOpenFlow versions 0x4:0x4\n`);
    return 0;
  }
  if (options.has('help')) {
    io.out(helpText());
    return 0;
  }
  const protocols = options.get('protocols');
  if (typeof protocols === 'string' && !/openflow13/i.test(protocols)) {
    throw new Fatal(`this ovs-ofctl speaks OpenFlow13, not ${protocols}`);
  }
  const [name, ...args] = words;
  if (name === undefined) throw new Fatal('missing command name; use --help for help');
  const command = COMMANDS.get(name);
  if (!command) throw new Fatal(`unknown command '${name}'; use --help for help`);
  if (args.length < command.minArguments) {
    throw new Fatal(`'${name}' command requires at least ${command.minArguments} arguments`);
  }
  if (args.length > command.maxArguments) {
    throw new Fatal(`'${name}' command takes at most ${command.maxArguments} arguments`);
  }
  const callOff = armTimeout(options.get('timeout'));
  try {
    return await command.run(args, options, io);
  } catch (error) {
    if (error instanceof RequestError && error.error) {
      const { errorType, code } = error.error;
      throw new Fatal(`${args[0] ?? ''}: the switch refuses: ${errorType} ${code}`);
    }
    const isPlain = [OfctlSyntaxError, OpenFlowEncodeError, RequestError, TargetError].some(
      (type) => error instanceof type,
    );
    if (isPlain) throw new Fatal((error as Error).message);
    throw error;
  } finally {
    callOff();
  }
}

/** Options may stand anywhere, and be cut short as long as they stay clear. */
function parse(argv: readonly string[]): { options: Options; words: string[] } {
  const options = new Map<string, string | null>();
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    const { name, inline } = word.startsWith('--') ? longOption(word) : shortOption(word);
    const kind = LONG[name];
    if (kind === 'flag' && inline !== undefined)
      throw new Fatal(`option '--${name}' doesn't allow an argument`);
    let value = inline ?? null;
    if (kind === 'value' && inline === undefined) {
      value = argv[(i += 1)] ?? null;
      if (value === null) throw new Fatal(`option '--${name}' requires an argument`);
    }
    options.set(name, value);
  }
  return { options, words };
}

function longOption(word: string): { name: Name; inline: string | undefined } {
  const equals = word.indexOf('=');
  const given = word.slice(2, equals < 0 ? undefined : equals);
  const inline = equals < 0 ? undefined : word.slice(equals + 1);
  const names = Object.keys(LONG) as Name[];
  const matches = names.includes(given as Name)
    ? [given as Name]
    : names.filter((name) => name.startsWith(given));
  const [name] = matches;
  if (name === undefined) throw new Fatal(`unrecognized option '--${given}'`);
  if (matches.length > 1) throw new Fatal(`option '--${given}' is ambiguous`);
  return { name, inline };
}

function shortOption(word: string): { name: Name; inline: string | undefined } {
  const name = SHORT[word[1] ?? ''];
  if (name === undefined) throw new Fatal(`unrecognized option '${word}'`);
  return { name, inline: word.length > 2 ? word.slice(2) : undefined };
}

function helpText(): string {
  return `ovs-ofctl: asks and programs OpenFlow 1.3 switches
usage: ovs-ofctl [OPTIONS] COMMAND [ARG...]

${[...COMMANDS].map(([name, { usage }]) => `  ${name} ${usage}`).join('\n')}

SWITCH: a bridge's name, unix:FILE, tcp:HOST[:PORT], ssl:HOST[:PORT]
Options:
  -O, --protocols=OpenFlow13   the only one there is
  --strict                     flows that match exactly
  --names, --no-names          ports by name, or by number
  --no-stats                   flows without counters
  --sort[=FIELD], --rsort[=FIELD]   by priority if no field is given
  --bundle                     all of it or nothing
  -t, --timeout=SECS           give up after so long
  -p, --private-key=FILE  -c, --certificate=FILE  -C, --ca-cert=FILE   for ssl:
`;
}
