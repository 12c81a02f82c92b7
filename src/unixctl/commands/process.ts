/** Commands about the process itself: `version`, `exit`, `vlog/…`, `memory/show`, `coverage/…`. */
import { CommandError, command } from '../command.js';
import type { Command } from '../command.js';
import type { Coverage } from '../coverage.js';

export interface ProcessControl {
  /** What `version` prints: the program that it stands for first. */
  readonly version: string;
  /** Ends Weft, after the answer has gone out. @param cleanup internal interfaces go as well */
  exit(cleanup: boolean): void;
  readonly log: LogLevels;
  /** Totals by name, sorted by the command. */
  memory(): Readonly<Record<string, number>>;
  readonly coverage: Coverage;
}

/** Where a log goes and from which level on; there is one destination, the console. */
export interface LogLevels {
  readonly modules: readonly string[];
  level(module: string): LogLevel;
  /** @throws CommandError where the module cannot be told */
  setLevel(module: string, level: LogLevel): void | Promise<void>;
}

/** Open vSwitch's levels, the quietest first. */
export const LOG_LEVELS = ['off', 'emer', 'err', 'warn', 'info', 'dbg'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
const DESTINATIONS = ['console', 'syslog', 'file'];

export function processCommands(control: ProcessControl): Command[] {
  return [
    command('version', '', [0, 0], () => control.version),
    command('exit', '[--cleanup]', [0, 1], ([option]) => {
      if (option !== undefined && option !== '--cleanup')
        throw new CommandError('only --cleanup is understood');
      control.exit(option === '--cleanup');
      return '';
    }),
    command('vlog/list', '', [0, 0], () => levelTable(control.log)),
    command('vlog/list-pattern', '', [0, 0], () => {
      const rows = DESTINATIONS.map(
        (name) => `${name.padEnd(7)}    ${name === 'console' ? 'structured lines' : ''}\n`,
      );
      return `         pattern\n         -------\n${rows.map((row) => ` ${row}`).join('')}`;
    }),
    command('vlog/set', '{spec | PATTERN:destination:pattern}', [1, 64], async (specs) => {
      for (const spec of specs) await setLevel(control.log, spec);
      return '';
    }),
    // There is no file: whoever started the daemon has its output.
    command('vlog/reopen', '', [0, 0], () => 'Logging to file not configured'),
    command('memory/show', '', [0, 0], () => {
      const entries = Object.entries(control.memory()).sort(([a], [b]) => (a < b ? -1 : 1));
      return entries.map(([name, value]) => `${name}:${value}`).join(' ');
    }),
    command('coverage/show', '', [0, 0], () => control.coverage.show()),
    command('coverage/read-counter', 'COUNTER', [1, 1], ([name = '']) => {
      const value = control.coverage.total(name);
      if (value === undefined) throw new CommandError('No such counter');
      return String(value);
    }),
  ];
}

function levelTable(log: LogLevels): string {
  const header = '                 console    syslog    file\n                 -------    ------    ------\n';
  const rows = log.modules.map((name) => {
    const level = log.level(name).toUpperCase();
    return `${name.padEnd(16)}  ${level.padStart(4)}       ${' OFF'}       ${' OFF'}\n`;
  });
  return header + rows.join('');
}

/** `[module][:destination][:level]`, each optional, as in ovs-appctl(8); the words may also be parted by blanks. */
async function setLevel(log: LogLevels, spec: string): Promise<void> {
  if (/^pattern:/i.test(spec)) throw new CommandError('the pattern of log lines cannot be set');
  let module: string | null = null;
  let destination: string | null = null;
  let level: LogLevel | null = null;
  for (const word of spec.split(/[ :,]+/).filter((each) => each !== '')) {
    const lower = word.toLowerCase();
    const asLevel = LOG_LEVELS.find((each) => each === lower);
    if (lower === 'any') continue;
    if (asLevel !== undefined) level = asLevel;
    else if (DESTINATIONS.includes(lower)) destination = lower;
    else if (log.modules.includes(lower)) module = lower;
    else throw new CommandError(`no destination, level, or module "${word}"`);
  }
  // Nothing goes to syslog or a file, so nothing is to be changed there.
  if (destination !== null && destination !== 'console') return;
  for (const each of module === null ? log.modules : [module]) await log.setLevel(each, level ?? 'dbg');
}
