/**
 * Packet-ins that a controller answers: weftd's bridge program beside ovs-testcontroller (C) and a learning switch on
 * os-ken (Python). `weft-loadgen controller` stands for N switches, on each of which M stations come up that nobody has seen
 * before; the controller has processor 0, the load processor 1. What counts as an answer: a rule for the station, or its
 * frame sent back. weftd sends two rules for each, the others a rule and the frame.
 *
 * Measured is a controller that has been at work for some seconds, as cbench does, too: some stations come up beforehand, of all
 * peers alike. The row `cold` is without that: V8 compiles meanwhile, on the same processor.
 *
 * `--reps=N` (3), `--os-ken=PYTHON` (a Python that has os-ken), `--only=PEER`, `--load=throughput|latency`.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot, until } from '../system/lab.js';
import { cpuSeconds, loadgen, median, printTable, readOptions, spread } from './measure.js';

const FIRST_PORT = 17_653;
const PORTS = 64;
const VLAN = 10;
/** `eth_src` of the bridge program, where unknown stations are told from, on a switch that is not ours. */
const LEARNING_TABLE = 3;

interface Load {
  readonly switches: number;
  /** Stations of each switch, and those before them that are not counted. */
  readonly macs: number;
  readonly warmup: number;
}
/** Throughput with a window of 32 for each switch; latency with one packet-in at a time of one switch. */
const THROUGHPUT: readonly Load[] = [
  { switches: 1, macs: 50_000, warmup: 30_000 },
  { switches: 16, macs: 6_000, warmup: 2_000 },
  { switches: 1, macs: 50_000, warmup: 0 },
];
const LATENCY: Load = { switches: 1, macs: 5_000, warmup: 30_000 };
const titleOf = ({ switches, macs, warmup }: Load) => `${switches} × ${macs}${warmup === 0 ? ', cold' : ''}`;

interface Report {
  sent: number;
  answered: number;
  perSecond: number;
  medianUs: number;
  p99Us: number;
  errors: number;
}

interface Peer {
  readonly name: string;
  /** It gets only this part of the stations: they would take it minutes, and its rate does not depend on how many there are. */
  readonly part?: number;
  /** Starts it; gives its process, and how the load reaches it. */
  start(folder: string, load: Load): Promise<{ child: ChildProcess; reach: string[] }>;
}

function run(command: string, args: string[], folder: string, env = {}): ChildProcess {
  const log = openSync(join(folder, 'log'), 'a');
  return spawn('taskset', ['-c', '0', command, ...args], {
    cwd: projectRoot,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  });
}

/** By the kernel's list: a connection to try would take one of the sixteen places that ovs-testcontroller has. */
const isListening = (port: number) =>
  readFileSync('/proc/net/tcp', 'latin1').includes(
    `:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`,
  );

/** As a user would set it up: bridges on switches that are not Weft's own. */
const weftd: Peer = {
  name: 'weftd',
  async start(folder, { switches, macs, warmup }) {
    const api = join(folder, 'api.sock');
    const files = ['--rundir', folder, '--db', join(folder, 'conf.db'), '--http', `unix:${api}`];
    const main = join(projectRoot, 'dist/weftd/main.js');
    const child = run(process.execPath, [main, ...files, '--log-level', 'warn'], folder);
    const bridges = Array.from({ length: switches }, (_, i) => {
      const access = (_: unknown, p: number) => [`s${i}-p${p + 1}`, { vlanMode: 'access', tag: VLAN }];
      const ports = Object.fromEntries(Array.from({ length: PORTS }, access)) as object;
      const connection = `tcp:127.0.0.1:${FIRST_PORT + i}`;
      return [`s${i}`, { connection, macTableSize: Math.max(8192, warmup + macs), ports }];
    });
    const document = JSON.stringify({ bridges: Object.fromEntries(bridges) as object });
    await until('weftd is configured', () => put(api, '/v1/config', document).catch(() => false), 60_000);
    const reach = ['--listen', String(FIRST_PORT), '--table', String(LEARNING_TABLE)];
    return { child, reach };
  },
};

function put(socketPath: string, path: string, body: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request({ socketPath, path, method: 'PUT', headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode !== undefined && response.statusCode < 300));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const testController: Peer = {
  name: 'ovs-testcontroller',
  async start(folder) {
    const target = [`--unixctl=${folder}/ctl`, '-O', 'OpenFlow13', `ptcp:${FIRST_PORT}:127.0.0.1`];
    const child = run('ovs-testcontroller', target, folder, { OVS_RUNDIR: folder });
    await until('ovs-testcontroller listens', () => Promise.resolve(isListening(FIRST_PORT)));
    return { child, reach: ['--connect', `127.0.0.1:${FIRST_PORT}`] };
  },
};

const osKen = (python: string): Peer => ({
  name: 'os-ken',
  part: 0.1,
  async start(folder) {
    const app = join(projectRoot, 'test/bench/learning_switch_os_ken.py');
    const listen = ['--ofp-listen-host=127.0.0.1', `--ofp-tcp-listen-port=${FIRST_PORT}`];
    const child = run(python, [join(dirname(python), 'osken-manager'), ...listen, app], folder);
    await until('os-ken listens', () => Promise.resolve(isListening(FIRST_PORT)), 60_000);
    return { child, reach: ['--connect', `127.0.0.1:${FIRST_PORT}`] };
  },
});

async function measure(peer: Peer, whole: Load, window: number): Promise<Report & { cpuS: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const { switches } = whole;
  const [macs, warmup] = [whole.macs, whole.warmup].map((count) => Math.round(count * (peer.part ?? 1)));
  const load = { switches, macs: macs ?? 0, warmup: warmup ?? 0 };
  const { child, reach } = await peer.start(folder, load);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const before = child.pid === undefined ? 0 : cpuSeconds(child.pid);
    const { stdout } = await promisify(execFile)(
      'taskset',
      [
        ...['-c', '1', loadgen, 'controller', ...reach, '--switches', String(load.switches)],
        ...[
          '--macs',
          String(load.macs),
          '--warmup',
          String(load.warmup),
          '--settle',
          '2',
          '--ports',
          String(PORTS),
          '--vlan',
          String(VLAN),
        ],
        ...['--window', String(window)],
      ],
      { timeout: 120_000 },
    );
    const report = JSON.parse(stdout) as Report;
    if (report.answered < report.sent || report.errors > 0) process.stderr.write(`${peer.name}: ${stdout}`);
    return { ...report, cpuS: (child.pid === undefined ? 0 : cpuSeconds(child.pid)) - before };
  } catch (error) {
    process.stderr.write(readFileSync(join(folder, 'log'), 'utf8').slice(-2000));
    throw error;
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

export default async function bench(options: string[]): Promise<void> {
  const { word, number } = readOptions(options);
  const python = word('os-ken');
  if (python === undefined) process.stdout.write('without os-ken: --os-ken=PYTHON is not given\n');
  const all = [weftd, testController, ...(python === undefined ? [] : [osKen(python)])];
  const peers = all.filter(({ name }) => (word('only') ?? name) === name);
  const reps = number('reps', 3);
  const rows = [
    ['controller', 'switches × MACs', 'answered/s', 'weftd over it', 'latency µs: median', 'p99'],
  ];
  const isWanted = (load: string) => (word('load') ?? load) === load;
  for (const load of isWanted('throughput') ? THROUGHPUT : []) {
    const results = new Map<string, number[]>();
    // In turns, so that what else the machine does meets all of them.
    for (let rep = 0; rep < reps; rep += 1)
      for (const peer of peers) {
        const { perSecond } = await measure(peer, load, 32);
        results.set(peer.name, [...(results.get(peer.name) ?? []), perSecond]);
      }
    const ours = median(results.get(weftd.name) ?? []);
    for (const [name, rates] of results) {
      const ratio = name === weftd.name ? '' : (ours / median(rates)).toFixed(2);
      rows.push([name, titleOf(load), spread(rates), ratio, '', '']);
    }
  }
  const reportsOf = new Map(peers.map((peer): [Peer, Report[]] => [peer, []]));
  for (let rep = 0; isWanted('latency') && rep < reps; rep += 1)
    for (const [peer, reports] of reportsOf) reports.push(await measure(peer, LATENCY, 1));
  for (const [peer, reports] of reportsOf) {
    if (reports.length === 0) continue;
    const of = (read: (report: Report) => number) => spread(reports.map(read));
    rows.push([
      peer.name,
      titleOf(LATENCY),
      of(({ perSecond }) => perSecond),
      '',
      of(({ medianUs }) => medianUs),
      of(({ p99Us }) => p99Us),
    ]);
  }
  printTable(rows);
}
