/**
 * Loading, dumping and deleting flows, beside Open vSwitch in one run: by ovs-ofctl, which waits for a barrier after each
 * flow-mod, and as controllers do it, with one barrier behind all of them. What ovs-ofctl itself computes is told beside its
 * time: no switch makes it faster than that.
 *
 * `--flows=N` (100000) `--reps=N` (3) `--only=weft|ovs`
 */
import { writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { encode, parseFlow } from 'node-openflow';
import { datapathBinary, Lab, sh, until } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { cpuSeconds, median, printTable, readOptions, residentMb, spread } from './measure.js';

interface Subject {
  /** The management socket of a bridge without flows. */
  socket: string;
  pid: number;
  stop(): Promise<unknown>;
}

export async function startWeft(lab: Lab): Promise<Subject> {
  const rundir = join(lab.folder, 'weft');
  const child = lab.spawnInSwitch(datapathBinary, [
    '--rundir',
    rundir,
    '--bridge',
    'name=br0,dpid=0000000000000001,fail_mode=secure',
  ]);
  const socket = join(rundir, 'br0.mgmt');
  await until('weft-datapath', () => ofctl('dump-flows', socket).then(() => true));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  return { socket, pid: child.pid!, stop };
}

async function startOvs(lab: Lab): Promise<Subject> {
  const ovs = await OpenVSwitch.start(lab);
  await ovs.addBridge('br0');
  await ovs.vsctl('set', 'bridge', 'br0', 'protocols=OpenFlow13', 'fail_mode=secure');
  return { socket: join(ovs.rundir, 'br0.mgmt'), pid: ovs.pids[0]!, stop: () => ovs.stop() };
}

function ofctl(command: string, socket: string, ...args: string[]): Promise<string> {
  const [name = '', ...options] = command.split(' ');
  return sh('ovs-ofctl', '-O', 'OpenFlow13', ...options, name, `unix:${socket}`, ...args);
}

/** The same without what it prints; the seconds of CPU time that it took itself. */
async function ofctlCpu(command: string, socket: string, ...args: string[]): Promise<number> {
  const [name = '', ...options] = command.split(' ');
  const words = ['-O', 'OpenFlow13', ...options, name, `unix:${socket}`, ...args];
  const timed = 'TIMEFORMAT="%U %S"; { time ovs-ofctl "$@" >/dev/null 2>&1; } 2>&1';
  const [user, system] = (await sh('bash', '-c', timed, 'bash', ...words)).trim().split(' ').map(Number);
  return user! + system!;
}

/** Flow number i, one of many with the same mask. */
function flow(i: number): string {
  const address = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
  return `priority=100,ip,in_port=1,nw_src=${address},actions=output:2`;
}

/** An OpenFlow connection that keeps nothing of what it is told: the clock is not to measure its reader. */
export class Wire {
  #rest: Buffer = Buffer.alloc(0);
  #wanted: { type: number; resolve: () => void } | undefined;

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => this.#take(chunk));
  }

  static async open(path: string): Promise<Wire> {
    const socket = createConnection(path);
    const wire = new Wire(socket);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    await wire.ask(Buffer.from([4, 0, 0, 8, 0, 0, 0, 1]), 0);
    return wire;
  }

  /** Sends, and resolves when a message of that type comes that no further part follows. */
  ask(bytes: Buffer, type: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = { type, resolve };
      this.socket.write(bytes);
    });
  }

  #take(chunk: Buffer): void {
    const input = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (input.length - at >= 8) {
      const length = input.readUInt16BE(at + 2);
      if (input.length - at < length) break;
      const type = input[at + 1]!;
      if (type === 1) throw new Error(`refused: ${input.subarray(at, at + length).toString('hex')}`);
      const isLast = type !== 19 || (input.readUInt16BE(at + 10) & 1) === 0;
      if (type === this.#wanted?.type && isLast) {
        const { resolve } = this.#wanted;
        this.#wanted = undefined;
        resolve();
      }
      at += length;
    }
    this.#rest = input.subarray(at);
  }

  close(): void {
    this.socket.destroy();
  }
}

const BARRIER_REQUEST = 20;
export const BARRIER_REPLY = 21;
const EXPERIMENTER = 4;
const MULTIPART_REPLY = 19;
const ONF = 0x4f4e4600;
export const barrier = Buffer.from([4, BARRIER_REQUEST, 0, 8, 0, 0, 0, 9]);

/** ONF EXT-230: bundle 1, atomic and ordered; `content` as each type of message has it. */
function bundle(type: number, xid: number, content: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.set([4, EXPERIMENTER]);
  head.writeUInt16BE(16 + content.length, 2);
  head.writeUInt32BE(xid, 4);
  head.writeUInt32BE(ONF, 8);
  head.writeUInt32BE(type, 12);
  return Buffer.concat([head, content]);
}

const control = (type: number) => bundle(2300, 7, Buffer.from([0, 0, 0, 1, 0, type, 0, 3]));
const staged = (message: Buffer) =>
  bundle(2301, message.readUInt32BE(4), Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 3]), message]));

/** How long something took, and what of it the switch was running. */
type Timed = [seconds: number, cpuSeconds: number];

async function timed(pid: number, work: () => Promise<unknown>): Promise<Timed> {
  const startedCpu = cpuSeconds(pid);
  const startedMs = performance.now();
  await work();
  return [(performance.now() - startedMs) / 1000, cpuSeconds(pid) - startedCpu];
}

async function measure(
  start: (lab: Lab) => Promise<Subject>,
  flows: number,
): Promise<Record<string, number>> {
  const lab = await Lab.create();
  try {
    const subject = await start(lab);
    const { socket } = subject;
    const file = join(lab.folder, 'flows.txt');
    const texts = Array.from({ length: flows }, (_, i) => flow(i));
    writeFileSync(file, `${texts.join('\n')}\n`);
    const mods = texts.map((text) => Buffer.from(encode({ ...parseFlow(text), xid: 5 })));
    const strictly = mods.map((mod) => {
      const bytes = Buffer.from(mod);
      bytes[25] = 4; // OFPFC_DELETE_STRICT
      return bytes;
    });
    const clear = () => ofctl('del-flows', socket);
    const figures: Record<string, number> = { idleMb: residentMb([subject.pid]) };
    const measured = async (key: string, work: () => Promise<unknown>) => {
      [figures[key], figures[`${key}Cpu`]] = await timed(subject.pid, work);
    };
    const wire = await Wire.open(socket);

    await measured('pipelined', () => wire.ask(Buffer.concat([...mods, barrier]), BARRIER_REPLY));
    figures['flowsMb'] = residentMb([subject.pid]);
    const byOfctl = (key: string, command: string, ...args: string[]) =>
      measured(key, async () => {
        figures[`${key}Ofctl`] = await ofctlCpu(command, socket, ...args);
      });
    await byOfctl('dump', 'dump-flows');
    const stats = Buffer.alloc(56);
    stats.set([4, 18, 0, 56]);
    stats.writeUInt16BE(1, 8);
    stats.set([0xff], 16);
    stats.fill(0xff, 20, 28);
    stats.set([0, 1, 0, 4], 48);
    await measured('rawDump', () => wire.ask(stats, MULTIPART_REPLY));
    await measured('strict', () => wire.ask(Buffer.concat([...strictly, barrier]), BARRIER_REPLY));
    const bytes = Buffer.concat([control(0), ...mods.map(staged)]);
    await measured('rawBundle', async () => {
      await wire.ask(bytes, EXPERIMENTER);
      await wire.ask(control(4), EXPERIMENTER);
    });
    await measured('clear', clear);
    await byOfctl('bundle', 'add-flows --bundle', file);
    await clear();
    await byOfctl('plain', 'add-flows', file);
    await clear();
    const [trips] = await timed(subject.pid, async () => {
      for (let i = 0; i < 20_000; i += 1) await wire.ask(barrier, BARRIER_REPLY);
    });
    figures['roundTripUs'] = (trips / 20_000) * 1e6;
    wire.close();
    figures['afterMb'] = residentMb([subject.pid]);
    await subject.stop();
    return figures;
  } finally {
    await lab.close();
  }
}

const steps: [key: string, text: string][] = [
  ['plain', 'added by ovs-ofctl, a barrier behind each, s'],
  ['bundle', 'added by ovs-ofctl --bundle, s'],
  ['pipelined', 'added, one barrier behind all, s'],
  ['rawBundle', 'added in one bundle, s'],
  ['dump', 'dumped by ovs-ofctl, s'],
  ['rawDump', 'dumped, s'],
  ['strict', 'deleted one by one, one barrier behind all, s'],
  ['clear', 'deleted by one flow-mod of ovs-ofctl, s'],
];
const BY_OFCTL = ['plain', 'bundle', 'dump'];
const ofctlRow = (key: string): [string, string, number] => [
  `${key}Ofctl`,
  "  of that ovs-ofctl's own CPU, s",
  2,
];
const rows: [key: string, text: string, decimals: number][] = [
  ...steps.flatMap(([key, text]): [string, string, number][] => [
    [key, text, 2],
    [`${key}Cpu`, "  of that the switch's own CPU, s", 2],
    ...(BY_OFCTL.includes(key) ? [ofctlRow(key)] : []),
  ]),
  ['roundTripUs', 'barrier to its reply, nothing else, µs', 0],
  ['idleMb', 'memory without flows, MB', 0],
  ['flowsMb', 'memory with them, MB', 0],
  ['afterMb', 'memory when all was done, MB', 0],
];

export default async function run(options: string[]): Promise<void> {
  const { word, number } = readOptions(options);
  const flows = number('flows', 100_000);
  const repetitions = number('reps', 3);
  const all = { weft: startWeft, 'open vswitch': startOvs };
  const only = word('only');
  const subjects = Object.entries(all).filter(([name]) => !only || name.startsWith(only.slice(0, 1)));
  const figures = new Map<string, Record<string, number>[]>();
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const [name, start] of subjects)
      figures.set(name, [...(figures.get(name) ?? []), await measure(start, flows)]);
  }
  const values = (name: string, key: string) => figures.get(name)!.map((each) => each[key]!);
  printTable([
    [`${flows} flows`, ...subjects.map(([name]) => name), ...(only ? [] : ['weft / ovs'])],
    ...rows.map(([key, text, decimals]) => [
      text,
      ...subjects.map(([name]) => spread(values(name, key), decimals)),
      ...(only
        ? []
        : [`${(median(values('weft', key)) / median(values('open vswitch', key))).toFixed(2)} ×`]),
    ]),
  ]);
}
