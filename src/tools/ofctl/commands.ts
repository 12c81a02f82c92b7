/** The commands of `ovs-ofctl`. */
import { readFileSync } from 'node:fs';
import {
  Group,
  Meter,
  Port,
  formatGroup,
  formatGroupStats,
  formatMeter,
  formatMeterStats,
  parseActions,
  parseFlow,
  parseFlows,
  parseGroup,
  parseMeter,
} from 'node-openflow';
import type { MessageInput, PortNames } from 'node-openflow';
import { Fatal } from '../fatal.js';
import type { Io } from '../io.js';
import { commit, tlsOf } from './call.js';
import type { Call, Options } from './call.js';
import { connectTo, portNames } from './connection.js';
import { diffFlows, dumpAggregate, dumpFlows, replaceFlows } from './flows.js';
import { monitor } from './monitor.js';
import {
  descText,
  featuresText,
  groupFeaturesText,
  header,
  meterFeaturesText,
  portStatsText,
  portText,
  queuesText,
  tablesText,
} from './print.js';

export interface Command {
  readonly usage: string;
  readonly minArguments: number;
  readonly maxArguments: number;
  run(args: readonly string[], options: Options, io: Io): Promise<number>;
}

function call(
  usage: string,
  [minArguments, maxArguments]: readonly [number, number],
  work: (call: Call) => Promise<void>,
): Command {
  return {
    usage: `SWITCH ${usage}`.trimEnd(),
    minArguments: minArguments + 1,
    maxArguments: maxArguments + 1,
    run: async ([target = '', ...args], options, io) => {
      const connection = await connectTo(target, tlsOf(options));
      try {
        const names = await portNames(connection);
        await work({
          connection,
          names,
          shownNames: wantsNames(options) ? names : undefined,
          args,
          options,
          io,
        });
      } finally {
        connection.close();
      }
      return 0;
    },
  };
}

function wantsNames(options: Options): boolean {
  return options.has('names') || (process.stdout.isTTY && !options.has('no-names'));
}

function readFileOrInput(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new Fatal(`${path}: open failed (${(error as Error).message})`);
  }
}

/** Each line that is not blank or a comment. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((line) => line !== '');
}

const STRICT = { MODIFY: 'MODIFY_STRICT', DELETE: 'DELETE_STRICT', ADD: 'ADD' } as const;

const flowMods = (kind: 'ADD' | 'MODIFY' | 'DELETE') => async (given: Call) => {
  const { names, args, options } = given;
  const isStrict = options.has('strict') && kind !== 'ADD';
  const command = isStrict ? STRICT[kind] : kind;
  const [text = ''] = args;
  const isFile = text === '-' || (kind === 'ADD' && options.has('flows-from-file'));
  const flows = isFile
    ? parseFlows(readFileOrInput(text), { command, names })
    : [parseFlow(text, { command, names })];
  await commit(given, flows);
};

async function addFlows(given: Call): Promise<void> {
  const { names, args } = given;
  await commit(given, parseFlows(readFileOrInput(args[0] ?? '-'), { command: 'ADD', names }));
}

const groupMods = (command: 'ADD' | 'MODIFY' | 'DELETE') => async (given: Call) => {
  const { names, args } = given;
  const [text = command === 'DELETE' ? 'group_id=all' : ''] = args;
  const lines = text === '-' ? linesOf(readFileOrInput(text)) : [text];
  await commit(
    given,
    lines.map((line) => parseGroup(line, { command, names })),
  );
};

const meterMods = (command: 'ADD' | 'MODIFY' | 'DELETE') => async (given: Call) => {
  const [text = command === 'DELETE' ? 'meter=all' : ''] = given.args;
  await commit(given, [parseMeter(text, { command })]);
};

function meterIdOf(text: string | undefined): number {
  if (text === undefined) return Meter.ALL;
  return parseMeter(text, { command: 'DELETE' }).meterId ?? Meter.ALL;
}

function groupIdOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const id = Number(/^(?:group_id=)?(0x[0-9a-f]+|\d+)$/i.exec(text)?.[1]);
  if (Number.isNaN(id)) throw new Fatal(`${text}: group_id=ID is wanted`);
  return id;
}

function portOf(names: PortNames, text: string | undefined): number {
  if (text === undefined || /^any$/i.test(text)) return Port.ANY;
  if (/^local$/i.test(text)) return Port.LOCAL;
  const number = /^\d+$/.test(text) ? Number(text) : names.byName(text);
  if (number === undefined) throw new Fatal(`couldn't find port \`${text}'`);
  return number === 65534 ? Port.LOCAL : number;
}

/** What `mod-port` calls the bits of a port's configuration; each may be turned off by `no-`, or on. */
const PORT_BITS: Readonly<
  Record<string, readonly [bit: 'PORT_DOWN' | 'NO_RECV' | 'NO_FWD' | 'NO_PACKET_IN', on: boolean]>
> = {
  up: ['PORT_DOWN', false],
  down: ['PORT_DOWN', true],
  receive: ['NO_RECV', false],
  'no-receive': ['NO_RECV', true],
  forward: ['NO_FWD', false],
  'no-forward': ['NO_FWD', true],
  'packet-in': ['NO_PACKET_IN', false],
  'no-packet-in': ['NO_PACKET_IN', true],
};

async function modPort(given: Call): Promise<void> {
  const { connection, names, args } = given;
  const [name, word = ''] = args;
  const portNo = portOf(names, name);
  const [bit, isSet] = (Object.hasOwn(PORT_BITS, word) ? PORT_BITS[word] : undefined) ?? [];
  if (bit === undefined) throw new Fatal(`unknown mod-port command '${word}'`);
  const { entries } = await connection.multipart({ type: 'PORT_DESC' });
  const port = entries.find((each) => each.portNo === portNo);
  if (!port) throw new Fatal(`couldn't find port \`${name ?? ''}'`);
  await commit(given, [
    { type: 'PORT_MOD', portNo, hwAddr: port.hwAddr, config: isSet ? [bit] : [], mask: [bit] },
  ]);
}

/** What no bundle can hold is sent by itself. */
const NO_OPTIONS: Options = new Map();

const FRAGMENTS = { normal: 'FRAG_NORMAL', drop: 'FRAG_DROP', reassemble: 'FRAG_REASM' } as const;

async function getFrags({ connection, io }: Call): Promise<void> {
  const reply = await connection.request({ type: 'GET_CONFIG_REQUEST' });
  if (reply.type !== 'GET_CONFIG_REPLY') throw new Fatal('the switch did not answer');
  const found = Object.entries(FRAGMENTS).find(([, flag]) => flag === reply.flags);
  io.out(`${found?.[0] ?? String(reply.flags)}\n`);
}

async function setFrags(given: Call): Promise<void> {
  const { connection, args } = given;
  const mode = args[0] ?? '';
  const flags = Object.hasOwn(FRAGMENTS, mode) ? FRAGMENTS[mode as keyof typeof FRAGMENTS] : undefined;
  if (flags === undefined) throw new Fatal(`${mode}: unknown fragment handling mode`);
  const before = await connection.request({ type: 'GET_CONFIG_REQUEST' });
  const missSendLength = before.type === 'GET_CONFIG_REPLY' ? before.missSendLength : 0;
  await commit({ connection, options: NO_OPTIONS }, [{ type: 'SET_CONFIG', flags, missSendLength }]);
  const after = await connection.request({ type: 'GET_CONFIG_REQUEST' });
  if (after.type !== 'GET_CONFIG_REPLY' || after.flags !== flags) {
    throw new Fatal(`setting fragment handling mode failed: this switch does not support "${mode}"`);
  }
}

async function packetOut({ connection, names, args }: Call): Promise<void> {
  const call = { connection, options: NO_OPTIONS };
  const [first = '', actionText, ...packets] = args;
  if (actionText === undefined) {
    const word = (key: string) => new RegExp(`(?:^|[ ,])${key}=([^ ,]+)`).exec(first)?.[1];
    const [inPort, packet] = [word('in_port') ?? 'controller', word('packet')];
    const actions = /actions?=(.*)$/.exec(first)?.[1];
    if (packet === undefined || actions === undefined)
      throw new Fatal('in_port=PORT packet=HEX actions=… is wanted');
    return commit(call, [packetOutOf(names, inPort, actions, packet)]);
  }
  if (packets.length === 0) throw new Fatal('at least one packet, in hex, is wanted');
  await commit(
    call,
    packets.map((packet) => packetOutOf(names, first, actionText, packet)),
  );
}

function packetOutOf(names: PortNames, inPort: string, actions: string, hex: string): MessageInput {
  const bare = hex.replaceAll(/\s/g, '');
  if (!/^([0-9a-f]{2}){14,}$/i.test(bare))
    throw new Fatal(`${hex}: a frame of at least 14 bytes in hex is wanted`);
  const port = /^(controller|none)$/i.test(inPort) ? Port.CONTROLLER : portOf(names, inPort);
  return {
    type: 'PACKET_OUT',
    inPort: port,
    actions: parseActions(actions, { names }),
    data: Buffer.from(bare, 'hex'),
  };
}

export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    show: call('', [0, 0], async ({ connection, io }) => {
      const { entries } = await connection.multipart({ type: 'PORT_DESC' });
      io.out(
        featuresText(connection) + `${header('OFPST_PORT_DESC reply', 3)}\n${entries.map(portText).join('')}`,
      );
      const config = await connection.request({ type: 'GET_CONFIG_REQUEST' });
      if (config.type !== 'GET_CONFIG_REPLY') return;
      const frags = Object.entries(FRAGMENTS).find(([, flag]) => flag === config.flags)?.[0] ?? config.flags;
      io.out(
        `OFPT_GET_CONFIG_REPLY (OF1.3) (xid=0x9): frags=${frags} miss_send_len=${config.missSendLength}\n`,
      );
    }),
    'dump-desc': call('', [0, 0], async ({ connection, io }) =>
      io.out(descText(await connection.multipart({ type: 'DESC' }))),
    ),
    'dump-tables': call('', [0, 0], async ({ connection, io }) =>
      io.out(tablesText((await connection.multipart({ type: 'TABLE' })).entries)),
    ),
    'dump-ports': call('[PORT]', [0, 1], async ({ connection, names, shownNames, args, io }) => {
      const portNo = portOf(names, args[0]);
      io.out(portStatsText((await connection.multipart({ type: 'PORT_STATS', portNo })).entries, shownNames));
    }),
    'dump-ports-desc': call('[PORT]', [0, 1], async ({ connection, names, args, io }) => {
      const portNo = portOf(names, args[0]);
      const { entries } = await connection.multipart({ type: 'PORT_DESC' });
      const shown = entries.filter((port) => portNo === Port.ANY || port.portNo === portNo);
      io.out(`${header('OFPST_PORT_DESC reply')}\n${shown.map(portText).join('')}`);
    }),
    'mod-port': call('PORT up|down|[no-]receive|[no-]forward|[no-]packet-in', [2, 2], modPort),
    'get-frags': call('', [0, 0], getFrags),
    'set-frags': call('normal|drop|reassemble', [1, 1], setFrags),
    'dump-flows': call('[FLOW]', [0, 1], dumpFlows),
    'dump-aggregate': call('[FLOW]', [0, 1], dumpAggregate),
    'add-flow': call('FLOW', [1, 1], flowMods('ADD')),
    'add-flows': call('FILE', [1, 1], addFlows),
    'mod-flows': call('FLOW', [1, 1], flowMods('MODIFY')),
    'del-flows': call('[FLOW]', [0, 1], flowMods('DELETE')),
    'replace-flows': call('FILE', [1, 1], (given) =>
      replaceFlows(given, readFileOrInput(given.args[0] ?? '-')),
    ),
    'diff-flows': { usage: 'SOURCE1 SOURCE2', minArguments: 2, maxArguments: 2, run: diffFlows },
    'packet-out': call('IN_PORT ACTIONS PACKET... | in_port=PORT packet=HEX actions=…', [1, 100], packetOut),
    'queue-stats': call('[PORT [QUEUE]]', [0, 2], async ({ connection, names, shownNames, args, io }) => {
      const queueId = args[1] === undefined || /^all$/i.test(args[1]) ? 0xffff_ffff : Number(args[1]);
      const portNo = /^all$/i.test(args[0] ?? 'all') ? Port.ANY : portOf(names, args[0]);
      io.out(
        queuesText((await connection.multipart({ type: 'QUEUE', portNo, queueId })).entries, shownNames),
      );
    }),
    'add-group': call('GROUP', [1, 1], groupMods('ADD')),
    'add-groups': call('FILE', [1, 1], async (given) => {
      const { names, args } = given;
      const lines = linesOf(readFileOrInput(args[0] ?? '-'));
      await commit(
        given,
        lines.map((line) => parseGroup(line, { command: 'ADD', names })),
      );
    }),
    'mod-group': call('GROUP', [1, 1], groupMods('MODIFY')),
    'del-groups': call('[GROUP]', [0, 1], groupMods('DELETE')),
    'dump-groups': call('[GROUP]', [0, 1], async ({ connection, shownNames, args, io }) => {
      const wanted = groupIdOf(args[0]);
      const { entries } = await connection.multipart({ type: 'GROUP_DESC' });
      const shown = entries.filter(({ groupId }) => wanted === undefined || groupId === wanted);
      io.out(
        `${header('OFPST_GROUP_DESC reply')}\n${shown.map((group) => ` ${formatGroup(group, shownNames)}\n`).join('')}`,
      );
    }),
    'dump-group-stats': call('[GROUP]', [0, 1], async ({ connection, args, io }) => {
      const groupId = groupIdOf(args[0]) ?? Group.ALL;
      const { entries } = await connection.multipart({ type: 'GROUP', groupId });
      io.out(
        `${header('OFPST_GROUP reply')}\n${entries.map((group) => ` ${formatGroupStats(group)}\n`).join('')}`,
      );
    }),
    'dump-group-features': call('', [0, 0], async ({ connection, io }) =>
      io.out(groupFeaturesText(await connection.multipart({ type: 'GROUP_FEATURES' }))),
    ),
    'add-meter': call('METER', [1, 1], meterMods('ADD')),
    'mod-meter': call('METER', [1, 1], meterMods('MODIFY')),
    'del-meters': call('[METER]', [0, 1], meterMods('DELETE')),
    'del-meter': call('[METER]', [0, 1], meterMods('DELETE')),
    'dump-meters': call('[METER]', [0, 1], async ({ connection, args, io }) => {
      const { entries } = await connection.multipart({ type: 'METER_CONFIG', meterId: meterIdOf(args[0]) });
      io.out(
        `${header('OFPST_METER_CONFIG reply')}\n${entries.map((meter) => `${formatMeter(meter)}\n`).join('\n')}`,
      );
    }),
    'meter-stats': call('[METER]', [0, 1], async ({ connection, args, io }) => {
      const { entries } = await connection.multipart({ type: 'METER', meterId: meterIdOf(args[0]) });
      io.out(
        `${header('OFPST_METER reply')}\n${entries.map((meter) => `${formatMeterStats(meter)}\n`).join('\n')}`,
      );
    }),
    'meter-features': call('', [0, 0], async ({ connection, io }) =>
      io.out(meterFeaturesText(await connection.multipart({ type: 'METER_FEATURES' }))),
    ),
    monitor: call('[MISSLEN] [invalid_ttl]', [0, 2], monitor),
    probe: call('', [0, 0], () => Promise.resolve()),
  } satisfies Record<string, Command>),
);
