/** `dump-flows`, `dump-aggregate`, `replace-flows`, `diff-flows`. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { formatFlow, formatFlowStats, formatMatch, parseFlow, parseFlows } from 'node-openflow';
import type { Connection, FlowStats, PortNames, Static } from 'node-openflow';
import { Fatal } from '../fatal.js';
import type { Io } from '../io.js';
import { commit, tlsOf } from './call.js';
import type { Call, Options } from './call.js';
import { connectTo } from './connection.js';
import { header } from './print.js';

type Stats = Static<typeof FlowStats>;
type FlowMod = ReturnType<typeof parseFlow>;

/** What a flow's text selects, as a request wants it. */
function selection(text: string | undefined, names: PortNames) {
  const { tableId, outPort, outGroup, cookie, cookieMask, match } = parseFlow(text ?? '', {
    command: 'DELETE',
    names,
  });
  return {
    tableId,
    cookie,
    cookieMask,
    match,
    ...(outPort === undefined ? {} : { outPort }),
    ...(outGroup === undefined ? {} : { outGroup }),
  };
}

export async function dumpFlows({ connection, names, shownNames, args, options, io }: Call): Promise<void> {
  const { entries } = await connection.multipart({ type: 'FLOW', ...selection(args[0], names) });
  const hasStats = !options.has('no-stats');
  const lines = sorted(entries, options).map(
    (flow) => ` ${formatFlowStats(flow, { hasStats, ...(shownNames ? { names: shownNames } : {}) })}\n`,
  );
  const isReply = !['sort', 'rsort', 'names', 'no-stats'].some((name) => options.has(name));
  // As with Open vSwitch, what has been worked on is no reply any more.
  io.out(`${isReply ? `${header('OFPST_FLOW reply')}\n` : ''}${lines.join('')}`);
}

function sorted(entries: readonly Stats[], options: Options): readonly Stats[] {
  const isReverse = options.has('rsort');
  if (!options.has('sort') && !isReverse) return entries;
  const field = (isReverse ? options.get('rsort') : options.get('sort')) ?? 'priority';
  const direction = isReverse ? -1 : 1;
  return [...entries].sort((a, b) => {
    const order =
      field === 'priority' ? a.priority - b.priority : compareText(fieldOf(a, field), fieldOf(b, field));
    return direction * order || b.priority - a.priority;
  });
}

/** A field of the match as text; flows without it come first. */
function fieldOf(flow: Stats, field: string): string {
  if (field === 'table') return String(flow.tableId).padStart(3, '0');
  return (
    new RegExp(`(?:^|,)${field.replaceAll(/[^\w]/g, '')}=([^,]*)`).exec(formatMatch(flow.match))?.[1] ?? ''
  );
}

function compareText(a: string, b: string): number {
  const numbers = [a, b].map(Number);
  if (a !== '' && b !== '' && numbers.every((each) => !Number.isNaN(each)))
    return (numbers[0] ?? 0) - (numbers[1] ?? 0);
  return a < b ? -1 : a > b ? 1 : 0;
}

export async function dumpAggregate({ connection, names, args, io }: Call): Promise<void> {
  const sum = await connection.multipart({ type: 'AGGREGATE', ...selection(args[0], names) });
  io.out(
    `OFPST_AGGREGATE reply (OF1.3) (xid=0x2): packet_count=${sum.packetCount} byte_count=${sum.byteCount} flow_count=${sum.flowCount}\n`,
  );
}

// ---------------------------------------------------------------------------------------------------------------

/** Tables, priorities and matches say which flow it is; the rest what it does. */
function keyOf(flow: Pick<FlowMod, 'tableId' | 'priority' | 'match'>): string {
  return `${flow.tableId ?? 0} ${flow.priority ?? 0x8000} ${formatMatch(flow.match ?? {})}`;
}

interface Known {
  readonly mod: FlowMod;
  readonly text: string;
}

function known(mods: readonly FlowMod[]): Map<string, Known> {
  return new Map(
    mods.map((mod) => {
      const whole = { ...EMPTY, ...mod } as unknown as Parameters<typeof formatFlow>[0];
      return [keyOf(mod), { mod, text: formatFlow(whole) }];
    }),
  );
}

const EMPTY = {
  cookie: 0n,
  tableId: 0,
  priority: 0x8000,
  idleTimeout: 0,
  hardTimeout: 0,
  flags: [],
  match: {},
  instructions: [],
};

/** Users' flows; the tables of the bridge program are not theirs to replace. */
async function flowsOf(connection: Connection): Promise<FlowMod[]> {
  const { entries } = await connection.multipart({ type: 'FLOW', tableId: 255 });
  return entries
    .filter(({ tableId }) => tableId < FIRST_PROGRAM_TABLE || !isWeft(entries))
    .map(({ cookie, tableId, priority, idleTimeout, hardTimeout, flags, match, instructions }) => {
      const flow = { cookie, tableId, priority, idleTimeout, hardTimeout, flags, match, instructions };
      return { ...flow, type: 'FLOW_MOD', command: 'ADD' };
    });
}

const FIRST_PROGRAM_TABLE = 64;
/** The cookies of Weft's programs begin with these bytes (src/programs/cookie.ts). */
const PROGRAM_COOKIE = 0x57n;

function isWeft(entries: readonly Stats[]): boolean {
  return entries.some(
    ({ tableId, cookie }) => tableId >= FIRST_PROGRAM_TABLE && cookie >> 56n === PROGRAM_COOKIE,
  );
}

export async function replaceFlows(given: Call, text: string): Promise<void> {
  const { connection, names, options } = given;
  const want = known(parseFlows(text, { command: 'ADD', names }));
  const have = known(await flowsOf(connection));
  const messages: FlowMod[] = [];
  for (const [key, { mod, text: wanted }] of want) {
    if (have.get(key)?.text !== wanted || options.has('readd')) messages.push(mod);
  }
  for (const [key, { mod }] of have) {
    if (want.has(key)) continue;
    messages.push({ ...mod, command: 'DELETE_STRICT', instructions: [], cookie: 0n, flags: [] });
  }
  await commit(given, messages);
}

/** Status 0: equal, 2: not, as diff(1) has it but for Open vSwitch's choice of number. */
export async function diffFlows(args: readonly string[], options: Options, io: Io): Promise<number> {
  const [first = '', second = ''] = args;
  const [a, b] = [known(await source(first, options)), known(await source(second, options))];
  let isDifferent = false;
  for (const key of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    const [left, right] = [a.get(key)?.text, b.get(key)?.text];
    if (left === right) continue;
    isDifferent = true;
    if (left !== undefined) io.out(`-${left}\n`);
    if (right !== undefined) io.out(`+${right}\n`);
  }
  return isDifferent ? 2 : 0;
}

async function source(text: string, options: Options): Promise<FlowMod[]> {
  if (existsSync(text) && statSync(text).isFile())
    return parseFlows(readFileSync(text, 'utf8'), { command: 'ADD' });
  const connection = await connectTo(text, tlsOf(options));
  try {
    return await flowsOf(connection);
  } catch (error) {
    throw new Fatal(`${text}: ${(error as Error).message}`);
  } finally {
    connection.close();
  }
}
