/**
 * What it costs to be watched: 64-byte frames and TCP between two hosts with nothing on, with sFlow of one packet in a hundred,
 * with NetFlow, with a mirror of everything; by turns in one run, so that the ratios mean something. Then sampling itself:
 * whether its estimate of a known number of packets is within two standard deviations.
 *
 * `--reps=N` (3), `--seconds=S` (3) a measurement, `--packets=N` (1000000) to sample; 0: none.
 */
import { Lab, type Host } from '../system/lab.js';
import {
  forwardedPps,
  loadgen,
  median,
  observerStats,
  printTable,
  readOptions,
  spread,
  tcpGbps,
} from './measure.js';

const INTERVAL = 100;
const COLLECTOR = '127.0.0.1:9999';
/** Takes datagrams and looks at none: what is measured is the switch, not a collector, nor ICMP errors for want of one. */
const SINK = `import socket, time
taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taker.bind(('127.0.0.1', 9999))
time.sleep(100000)`;

interface Watch {
  readonly name: string;
  on(lab: Lab): Promise<unknown>;
  off(lab: Lab): Promise<unknown>;
}

const remove = (path: string) => (lab: Lab) => lab.must('DELETE', `/v1/bridges/br0/${path}`);
const watches: readonly Watch[] = [
  { name: 'nothing', on: async () => undefined, off: async () => undefined },
  {
    name: `sFlow, one in ${INTERVAL}`,
    on: (lab) =>
      lab.must('PUT', '/v1/bridges/br0/sflow', { targets: [COLLECTOR], sampling: INTERVAL, pollingS: 0 }),
    off: remove('sflow'),
  },
  {
    name: 'NetFlow',
    on: (lab) => lab.must('PUT', '/v1/bridges/br0/netflow', { targets: [COLLECTOR], version: 9 }),
    off: remove('netflow'),
  },
  {
    name: 'mirror of everything',
    on: (lab) => lab.must('PUT', '/v1/bridges/br0/mirrors/all', { selectAll: true, outputPort: 'pc' }),
    off: remove('mirrors/all'),
  },
];

const work = ['64-byte, 1 flow, kpps', '64-byte, 1,000 flows, kpps', 'TCP, 1 stream, Gbit/s'] as const;

async function measure(a: Host, b: Host, seconds: number): Promise<number[]> {
  const mac = await b.mac();
  return [
    (await forwardedPps(a, b, mac, 1, seconds)) / 1000,
    (await forwardedPps(a, b, mac, 1000, seconds)) / 1000,
    await tcpGbps(a, b, '10.99.0.2', 1, seconds),
  ];
}

/** The counters of the one observer there is. */
async function observed(lab: Lab): Promise<{ packets: number; records: number; lost: number }> {
  const [first] = await observerStats(lab);
  if (first === undefined) throw new Error('nobody observes');
  const { packets, records, lost } = first;
  return { packets: Number(packets), records: Number(records), lost: Number(lost) };
}

async function sampling(lab: Lab, a: Host, b: Host, packets: number): Promise<void> {
  await watches[1]!.on(lab);
  const before = await observed(lab);
  const [mac, own] = [await b.mac(), await a.mac()];
  const options = ['--interface', 'eth0', '--destination', mac, '--source', own, '--seconds', '600'];
  await a.run(loadgen, ...options, '--count', String(packets));
  const after = await observed(lab);
  const pool = after.packets - before.packets;
  const samples = after.records + after.lost - before.records - before.lost;
  const sigma = Math.sqrt((pool / INTERVAL) * (1 - 1 / INTERVAL));
  const away = (samples - pool / INTERVAL) / sigma;
  process.stdout.write(
    `${pool} packets seen, ${samples} sampled (${after.lost - before.lost} of them lost): ` +
      `an estimate of ${samples * INTERVAL}, ${away.toFixed(2)} σ away\n`,
  );
  await watches[1]!.off(lab);
}

export default async function run(options: string[]): Promise<void> {
  const { number } = readOptions(options);
  const lab = await Lab.create();
  try {
    const [a, b] = [await lab.addHost('pa', '10.99.0.1/24'), await lab.addHost('pb', '10.99.0.2/24')];
    await lab.addHost('pc', '10.99.0.3/24');
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
    for (const name of ['pa', 'pb', 'pc']) await lab.must('POST', '/v1/bridges/br0/ports', { name });
    await a.reaches('10.99.0.2');
    lab.spawnInSwitch('python3', ['-c', SINK]);
    const figures = watches.map((): number[][] => []);
    for (let repetition = 0; repetition < number('reps', 3); repetition += 1) {
      for (const [index, watch] of watches.entries()) {
        await watch.on(lab);
        await a.reaches('10.99.0.2');
        figures[index]!.push(await measure(a, b, number('seconds', 3)));
        await watch.off(lab);
      }
    }
    if (figures[0]!.length > 0)
      printTable([
        ['watched by', ...work.flatMap((name) => [name, 'ratio'])],
        ...watches.map((watch, index) => [
          watch.name,
          ...work.flatMap((_, column) => {
            const of = (runs: number[][]) => runs.map((each) => each[column]!);
            const ratio = median(of(figures[index]!)) / median(of(figures[0]!));
            return [spread(of(figures[index]!), column < 2 ? 0 : 1), `${ratio.toFixed(2)} ×`];
          }),
        ]),
      ]);
    const packets = number('packets', 1_000_000);
    if (packets > 0) await sampling(lab, a, b, packets);
  } finally {
    await lab.close();
  }
}
