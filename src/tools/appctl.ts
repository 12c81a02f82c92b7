/** `ovs-appctl` (ovs-appctl(8)): sends a command to a running daemon and prints its answer. */
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { OVS_VERSION } from '../domain/version.js';
import { isObject } from '../ovsdb/index.js';
import type { Json } from '../ovsdb/index.js';
import { JsonFramer } from '../ovsdb/server/framing.js';
import { armTimeout } from './alarm.js';
import { Fatal } from './fatal.js';
import { processIo } from './io.js';
import type { Io } from './io.js';
import { systemText } from '../ovsdb/remote/client.js';
import { rundir } from './rundir.js';

const HELP = `ovs-appctl, for querying and controlling a running daemon of the switch
usage: ovs-appctl [TARGET] COMMAND [ARG...]
Targets:
  -t, --target=TARGET  name of a daemon, or its pid file or socket (default: ovs-vswitchd)
Common commands:
  list-commands      what the daemon understands
  version            which version it is
  vlog/list          current levels of its log
  vlog/set [SPEC]    module, destination (console) and level (off, emer, err, warn, info, dbg), each optional
Other options:
  -T, --timeout=SECS  wait at most so long for an answer
  -h, --help         this text
  -V, --version      version of ovs-appctl
`;

interface Options {
  readonly target: string;
  readonly timeout: string | null;
  readonly words: readonly string[];
}

export async function main(argv: readonly string[], io: Io = processIo): Promise<number> {
  const options = readOptions(argv);
  if (typeof options === 'string') {
    io.out(options);
    return 0;
  }
  const [command, ...args] = options.words;
  if (command === undefined) {
    throw new Fatal('at least one non-option argument is required (use --help for help)');
  }
  const callOff = armTimeout(options.timeout);
  const { error, result } = await call(socketOf(options.target), options.target, command, args).finally(
    callOff,
  );
  if (error !== null) {
    io.err(`${error}ovs-appctl: ${options.target}: server returned an error\n`);
    return 2;
  }
  io.out(result ?? '');
  return 0;
}

/** Options end where the command begins. A text is what is to be printed instead. */
function readOptions(argv: readonly string[]): Options | string {
  let target = 'ovs-vswitchd';
  let timeout: string | null = null;
  let at = 0;
  for (; at < argv.length && (argv[at] ?? '').startsWith('-'); at++) {
    const [, name = '', , inline] = /^(--[a-z]+|-[a-zA-Z])(=?(.+))?$/s.exec(argv[at] ?? '') ?? [];
    const value = () => {
      const given = inline ?? argv[(at += 1)];
      if (given === undefined) throw new Fatal(`option '${name}' requires an argument`);
      return given;
    };
    if (name === '-h' || name === '--help') return HELP;
    if (name === '-V' || name === '--version') return `ovs-appctl (Open vSwitch) ${OVS_VERSION}\n`;
    if (name === '-t' || name === '--target') target = value();
    else if (name === '-T' || name === '--timeout') timeout = value();
    else if (argv[at] === '--') {
      at++;
      break;
    } else throw new Fatal(`unrecognized option '${argv[at]}'`);
  }
  return { target, timeout, words: argv.slice(at) };
}

/** @throws Fatal */
function socketOf(target: string): string {
  if (target.startsWith('/')) return target;
  const pidFile = `${rundir()}/${target}.pid`;
  let text: string;
  try {
    text = readFileSync(pidFile, 'utf8');
  } catch (error) {
    throw new Fatal(`cannot read pidfile "${pidFile}" (${systemText(error as NodeJS.ErrnoException)})`);
  }
  const pid = text.trim();
  if (!/^\d+$/.test(pid)) throw new Fatal(`cannot read pidfile "${pidFile}" (Invalid argument)`);
  if (!existsSync(`/proc/${pid}`)) throw new Fatal(`cannot read pidfile "${pidFile}" (No such process)`);
  return `${rundir()}/${target}.${pid}.ctl`;
}

function call(
  path: string,
  target: string,
  method: string,
  params: readonly string[],
): Promise<{ error: string | null; result: string | null }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const framer = new JsonFramer({ maxBytes: 1 << 30, maxDepth: 100 });
    let isConnected = false;
    socket.once('connect', () => {
      isConnected = true;
      socket.write(JSON.stringify({ id: 0, method, params }));
    });
    const failed = (because: string) =>
      reject(
        new Fatal(
          isConnected
            ? `${target}: transaction error (${because})`
            : `cannot connect to "${path}" (${because})`,
        ),
      );
    socket.on('error', (error) => failed(systemText(error)));
    socket.on('close', () => failed('End of file'));
    socket.on('data', (chunk: Buffer) => {
      try {
        framer.push(chunk, (text) => {
          const reply = JSON.parse(text) as Json;
          const textOf = (json: Json | undefined) => (typeof json === 'string' ? json : null);
          const { error, result } = isObject(reply) ? reply : {};
          resolve({ error: textOf(error), result: textOf(result) });
          socket.destroy();
        });
      } catch (error) {
        failed((error as Error).message);
      }
    });
  });
}
