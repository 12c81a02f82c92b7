/**
 * Ten thousand addresses learned, and four thousand VLANs on a trunk: time and memory beside Open vSwitch, in one run.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { Lab, until, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { loadgen, median, printTable, readOptions, residentMb, spread } from './measure.js';

const addresses = 10_000;
const vlans = Array.from({ length: 4000 }, (_, index) => index + 1);

/** The switch under test, reduced to what this benchmark asks of it. */
interface Subject {
  learnedCount(): Promise<number>;
  setTrunks(port: string, list: number[]): Promise<void>;
  residentMb(): Promise<number>;
  stop(): Promise<unknown>;
}

async function startWeft(lab: Lab): Promise<Subject> {
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0', macTableSize: 20_000 });
  for (const name of ['pa', 'pb'])
    await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'trunk' });
  return {
    learnedCount: async () => {
      const { status } = (await lab.must('GET', '/v1/bridges/br0')) as { status: { macs: number } };
      return status.macs;
    },
    setTrunks: async (port, trunks) => {
      await lab.must('PUT', `/v1/bridges/br0/ports/${port}`, { name: port, vlanMode: 'trunk', trunks });
    },
    residentMb: async () => {
      const pids = [await lab.pidOf('weft-datapath'), await lab.pidOf('weftd')];
      return residentMb(pids.filter((pid) => pid !== null));
    },
    stop: () => lab.stopWeft(),
  };
}

async function startOvs(lab: Lab): Promise<Subject> {
  const ovs = await OpenVSwitch.start(lab);
  await ovs.addBridge('br0');
  await ovs.vsctl('set', 'bridge', 'br0', 'other_config:mac-table-size=20000');
  for (const name of ['pa', 'pb', 'pc', 'pd'])
    await ovs.vsctl('add-port', 'br0', name, ...(['pa', 'pb'].includes(name) ? [] : ['trunks=1']));
  return {
    learnedCount: async () =>
      Number(/entries in the table\s*:\s*(\d+)/i.exec(await ovs.appctl('fdb/stats-show', 'br0'))?.[1] ?? 0),
    setTrunks: async (port, trunks) =>
      void (await ovs.vsctl('set', 'port', port, `trunks=${trunks.join(',')}`)),
    residentMb: async () => residentMb(ovs.pids),
    stop: () => ovs.stop(),
  };
}

/** Keeps sending frames from every address, over and over, until stopped. */
function sendAll(host: Host, rate: number): ChildProcess {
  const args = [
    'netns',
    'exec',
    host.namespace,
    loadgen,
    '--interface',
    'eth0',
    '--source',
    '02:00:00:10:00:00',
  ];
  return spawn('ip', [...args, '--sources', String(addresses), '--rate', String(rate), '--seconds', '60'], {
    stdio: 'ignore',
  });
}

async function measure(start: (lab: Lab) => Promise<Subject>): Promise<Record<string, number>> {
  const lab = await Lab.create();
  try {
    const a = await lab.addHost('pa', '10.99.0.1/24');
    await lab.addHost('pb', '10.99.0.2/24');
    const tagged = await lab.addHost('pc', '10.99.1.1/24', 4000);
    await lab.addHost('pd', '10.99.1.2/24', 4000);
    const subject = await start(lab);
    await a.reaches('10.99.0.2');
    // What the first question alone costs (the API compiles its answer's schema then) is no part of learning.
    await subject.learnedCount();
    const idleMb = await subject.residentMb();

    let startedMs = performance.now();
    const sender = sendAll(a, 20_000);
    await until('all addresses learned', async () => (await subject.learnedCount()) >= addresses, 60_000);
    const learnMs = performance.now() - startedMs;
    sender.kill('SIGKILL');
    const learnedMb = await subject.residentMb();

    startedMs = performance.now();
    for (const port of ['pc', 'pd']) await subject.setTrunks(port, vlans);
    await tagged.reaches('10.99.1.2');
    const vlansMs = performance.now() - startedMs;
    const vlansMb = await subject.residentMb();
    await subject.stop();
    return { learnMs, vlansMs, idleMb, learnedMb, vlansMb };
  } finally {
    await lab.close();
  }
}

const rows: [key: string, text: string, decimals: number][] = [
  ['learnMs', '10,000 addresses learned (sent at 20,000/s), ms', 0],
  ['vlansMs', '4,000 VLANs set on two trunks until a ping in VLAN 4000 is answered, ms', 0],
  ['idleMb', 'memory at start, MB', 1],
  ['learnedMb', 'memory with 10,000 addresses, MB', 1],
  ['vlansMb', 'memory with 10,000 addresses and 4,000 VLANs, MB', 1],
];

/** `--reps=N` (3). */
export default async function run(options: string[]): Promise<void> {
  const repetitions = readOptions(options).number('reps', 3);
  const subjects = { weft: startWeft, 'open vswitch': startOvs };
  const figures = new Map<string, Record<string, number>[]>();
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const [name, start] of Object.entries(subjects))
      figures.set(name, [...(figures.get(name) ?? []), await measure(start)]);
  }
  const values = (name: string, key: string) => figures.get(name)!.map((each) => each[key]!);
  printTable([
    ['work', ...Object.keys(subjects), 'weft / ovs'],
    ...rows.map(([key, text, decimals]) => [
      text,
      ...Object.keys(subjects).map((name) => spread(values(name, key), decimals)),
      `${(median(values('weft', key)) / median(values('open vswitch', key))).toFixed(2)} ×`,
    ]),
  ]);
}
