/**
 * Flow dumps as users ask for them, beside ovs-ofctl's of Open vSwitch in one run: ten thousand flows by REST, as JSON
 * and as text, the first time and after; a hundred thousand as a stream, with what that takes in memory.
 *
 * `--flows=N` (10000) `--stream=N` (100000) `--reps=N` (9)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, sh } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { printTable, readOptions, residentMb, spread } from './measure.js';

/** Flow number i: connections to services, to one of forty ports. */
function flow(i: number): string {
  const address = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
  return `table=${i % 4},priority=${100 + (i % 7)},tcp,nw_src=${address},tp_dst=${(i % 60_000) + 1},actions=output:${(i % 40) + 1}`;
}

/** User and system time of a process so far, in ms. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

interface Dump {
  readonly ms: number;
  readonly lines: number;
}

/** By curl, as a script would. */
async function dump(lab: Lab, type: string): Promise<Dump> {
  const file = join(lab.folder, 'dump');
  const url = 'http://localhost/v1/bridges/br0/flows';
  const args = ['-sSf', '--unix-socket', lab.apiSocket, '-H', `accept: ${type}`, '-o', file];
  const seconds = await sh('curl', ...args, '-w', '%{time_total}', url);
  const text = readFileSync(file, 'utf8');
  const lines = type === 'application/json' ? text.split('"tableId":') : text.split('\n');
  return { ms: Number(seconds) * 1000, lines: lines.length - 1 };
}

async function load(lab: Lab, count: number): Promise<void> {
  // In parts, as a body has its limit.
  for (let from = 0; from < count; from += 50_000) {
    const lines = Array.from({ length: Math.min(50_000, count - from) }, (_, i) => flow(from + i));
    await lab.must('POST', '/v1/bridges/br0/flows', lines.join('\n'));
  }
}

async function measureWeft(count: number, streamed: number, repetitions: number): Promise<string[][]> {
  const lab = await Lab.create();
  try {
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
    await load(lab, count);
    const weftd = await lab.pidOf('weftd');
    if (weftd === null) throw new Error('weftd is not there');
    const rows: string[][] = [];
    for (const type of ['application/json', 'text/plain']) {
      const first = await dump(lab, type);
      const before = cpuMs(weftd);
      const again: Dump[] = [];
      for (let i = 0; i < repetitions; i += 1) again.push(await dump(lab, type));
      const cpu = (cpuMs(weftd) - before) / repetitions;
      const what = `${first.lines} flows, ${type}`;
      rows.push([`${what}: the first time, ms`, first.ms.toFixed(0), '']);
      const times = again.map(({ ms }) => ms);
      rows.push([`${what}: after that, ms`, spread(times), `${cpu.toFixed(0)} ms of CPU each in weftd`]);
    }
    await load(lab, streamed);
    await dump(lab, 'application/x-ndjson');
    const restingMb = residentMb([weftd]);
    // What the memory has been at most is counted from here on (proc(5), clear_refs).
    writeFileSync(`/proc/${weftd}/clear_refs`, '5');
    const stream = await dump(lab, 'application/x-ndjson');
    const most = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${weftd}/status`, 'utf8'))?.[1]) / 1024;
    rows.push([
      `${stream.lines} flows streamed, ms`,
      stream.ms.toFixed(0),
      `memory at most ${(most - restingMb).toFixed(0)} MB above ${restingMb.toFixed(0)} MB before`,
    ]);
    await lab.stopWeft();
    return rows;
  } finally {
    await lab.close();
  }
}

async function measureOvs(count: number, repetitions: number): Promise<string[][]> {
  const lab = await Lab.create();
  try {
    const ovs = await OpenVSwitch.start(lab);
    await ovs.addBridge('br0');
    await ovs.vsctl('set', 'bridge', 'br0', 'protocols=OpenFlow13', 'fail_mode=secure');
    const file = join(lab.folder, 'flows');
    writeFileSync(file, Array.from({ length: count }, (_, i) => flow(i)).join('\n'));
    const socket = `unix:${join(ovs.rundir, 'br0.mgmt')}`;
    const ofctl = (...args: string[]) => sh('ovs-ofctl', '-O', 'OpenFlow13', ...args);
    await ofctl('--bundle', 'add-flows', socket, file);
    const times: number[] = [];
    for (let i = 0; i < repetitions; i += 1) {
      const startedMs = performance.now();
      await ofctl('dump-flows', socket);
      times.push(performance.now() - startedMs);
    }
    await ovs.stop();
    return [[`${count} flows, ovs-ofctl and Open vSwitch, ms`, spread(times), '']];
  } finally {
    await lab.close();
  }
}

export default async function run(options: string[]): Promise<void> {
  const { number } = readOptions(options);
  const count = number('flows', 10_000);
  const repetitions = number('reps', 9);
  printTable([
    ['work', 'median (minimum–maximum)', ''],
    ...(await measureWeft(count, number('stream', 100_000), repetitions)),
    ...(await measureOvs(count, repetitions)),
  ]);
}
