/** What the benchmarks share: medians, tables, memory, load. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect, type ObserverStats } from 'node-openflow';
import { projectRoot, until, type Host, type Lab } from '../system/lab.js';

export const loadgen = join(projectRoot, 'datapath/target/release/weft-loadgen');

/** A benchmark's options. */
export interface BenchOptions {
  /** What `--name=` says. */
  readonly word: (name: string) => string | undefined;
  /** The same as a number; `preset` if nothing is said. */
  readonly number: (name: string, preset: number) => number;
}

/** Reads `--name=value`; what a benchmark does not ask for may be another's. */
export function readOptions(options: readonly string[]): BenchOptions {
  const { values } = parseArgs({ args: [...options], strict: false });
  const word = (name: string) => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  return { word, number: (name, preset) => Number(word(name) ?? preset) };
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** `median (minimum–maximum)` with so many decimals. */
export function spread(values: number[], decimals = 0): string {
  const fixed = (value: number) => value.toFixed(decimals);
  return `${fixed(median(values))} (${fixed(Math.min(...values))}–${fixed(Math.max(...values))})`;
}

/** Prints rows as an aligned table; the first row is the head. */
export function printTable(rows: string[][]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const [index, row] of rows.entries()) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd()}\n`,
    );
    if (index === 0) process.stdout.write(`${widths.map((width) => '-'.repeat(width)).join('  ')}\n`);
  }
}

/** Processor time of the processes together so far, user and system, in milliseconds (clock ticks of 10 ms). */
export function cpuMs(pids: number[]): number {
  const ticks = pids.map((pid) => {
    // Behind the name, which may hold anything: state is field 3, utime and stime are 14 and 15 (proc(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) * 10;
}

/** Resident memory of the processes together, in MB. */
export function residentMb(pids: number[]): number {
  const kb = pids.map((pid) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0),
  );
  return kb.reduce((sum, each) => sum + each, 0) / 1024;
}

/** Time that all threads of a process have run, in seconds: what others do on the machine hardly changes it. */
export function cpuSeconds(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const run = tasks.map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return run.reduce((sum, each) => sum + each, 0) / 1e9;
}

/** Frames that a host's interface has received. */
export async function receivedFrames(host: Host): Promise<number> {
  return Number(await host.run('cat', '/sys/class/net/eth0/statistics/rx_packets'));
}

/** How frames are sent. */
export interface Sending {
  /** The core to send on (0). */
  core?: number;
  /** Frames per second; as many as can be without it. */
  rate?: number;
}

/** What the generator says of its run; `cpu`: seconds of processor time. */
export interface Sent {
  sent: number;
  seconds: number;
  cpu: number;
}

/** Sends minimum-size frames from a host. */
export async function sendFrames(
  from: Host,
  mac: string,
  flows: number,
  seconds: number,
  { core = 0, rate }: Sending = {},
): Promise<Sent> {
  const source = await from.mac();
  const output = await from.run(
    ...['taskset', '-c', String(core), loadgen, '--interface', 'eth0'],
    ...['--destination', mac, '--source', source],
    ...['--flows', String(flows), '--seconds', String(seconds)],
    ...(rate === undefined ? [] : ['--rate', String(rate)]),
  );
  return JSON.parse(output) as Sent;
}

/** Frames per second that arrive at `to` while `from` sends minimum-size frames, as fast as it can unless told otherwise. */
export async function forwardedPps(
  from: Host,
  to: Host,
  mac: string,
  flows: number,
  seconds: number,
  sending: Sending = {},
): Promise<number> {
  const before = await receivedFrames(to);
  const report = await sendFrames(from, mac, flows, seconds, sending);
  return ((await receivedFrames(to)) - before) / report.seconds;
}

/** Resolves when the host listens on the TCP port. */
async function listens(host: Host, port: number): Promise<void> {
  await until(`port ${port}`, async () => (await host.run('ss', '-Hltn')).includes(`:${port} `));
}

/**
 * TCP throughput in Gbit/s of one or several streams.
 * @param words more for iperf3's client: `-R`, the other way round
 */
export async function tcpGbps(
  from: Host,
  to: Host,
  address: string,
  streams: number,
  seconds: number,
  words: string[] = [],
): Promise<number> {
  const server = to.run('timeout', '60', 'iperf3', '-s', '-1', '-B', address);
  await listens(to, 5201);
  const output = await from.run(
    ...['timeout', '60', 'iperf3', '-c', address, '-t', String(seconds)],
    ...['-P', String(streams), '-J', ...words],
  );
  await server;
  return (
    (JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received
      .bits_per_second / 1e9
  );
}

/** Transactions per second of one byte each way over one TCP connection, the two ends on a core each. */
export async function transactionsPerSecond(
  from: Host,
  to: Host,
  address: string,
  seconds: number,
): Promise<number> {
  const words = (core: number) => ['timeout', '60', 'taskset', '-c', String(core), loadgen];
  const server = to.run(...words(1), 'answer', '--listen', `${address}:5202`);
  await listens(to, 5202);
  const output = await from.run(
    ...words(0),
    ...['ask', '--connect', `${address}:5202`, '--seconds', String(seconds)],
  );
  await server;
  const report = JSON.parse(output) as { transactions: number; seconds: number };
  return report.transactions / report.seconds;
}

/** The counters of the observers of the bridge br0. */
export async function observerStats(lab: Lab): Promise<readonly ObserverStats[]> {
  const connection = await connect(`unix:${lab.rundir}/br0.mgmt`);
  try {
    return (await connection.multipart({ type: 'WEFT_OBSERVER_STATS' })).entries;
  } finally {
    connection.close();
  }
}
