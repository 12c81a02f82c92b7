/**
 * What collectors count against what was sent: NetFlow v5, v9 and IPFIX exactly, packet for packet, over a million packets in ten
 * thousand flows; sFlow's estimate within its statistical bound (two standard deviations).
 */
import { Lab, until, type Host } from '../system/lab.js';
import { Capture, quiet, type Totals } from '../interop/collectors-lab.js';
import { loadgen, observerStats, printTable, readOptions, receivedFrames } from './measure.js';

/** Of the generator's frames: 60 bytes without FCS, 14 of them Ethernet's. */
const IP_OCTETS = 46;
const QUIET_MS = 3_000;
const QUIET_DEADLINE_MS = 120_000;

interface Sent {
  readonly packets: number;
  readonly received: number;
  readonly seconds: number;
}

async function send(from: Host, to: Host, count: number, flows: number, rate: number | null): Promise<Sent> {
  const before = await receivedFrames(to);
  const words = ['--interface', 'eth0', '--destination', await to.mac(), '--source', await from.mac()];
  const limit = rate === null ? [] : ['--rate', String(rate)];
  const counts = ['--flows', String(flows), '--count', String(count), '--seconds', '600'];
  const report = JSON.parse(await from.run(loadgen, ...words, ...counts, ...limit)) as { seconds: number };
  let received = -1;
  await until(
    'the last frames arrive',
    async () => {
      const now = (await receivedFrames(to)) - before;
      if (now === received) return true;
      received = now;
      return false;
    },
    30_000,
  );
  return { packets: count, received, seconds: report.seconds };
}

async function observed(
  lab: Lab,
  kind: 'sflow' | 'netflow' | 'ipfix',
  settings: object,
  capture: Capture,
  work: () => Promise<Sent>,
): Promise<{ sent: Sent; totals: Totals; status: string }> {
  const path = `/v1/bridges/br0/${kind}`;
  await lab.must('PUT', path, { targets: [`127.0.0.1:${capture.port}`], ...settings });
  type View = { status: { active: boolean; counters: object; collectors: object[] } };
  const view = async () => ((await lab.must('GET', path)) as View).status;
  await until('the switch observes', async () => (await view()).active);
  const sent = await work();
  await quiet(lab, QUIET_MS, QUIET_DEADLINE_MS);
  const status = JSON.stringify((await view()).counters);
  await lab.must('DELETE', path);
  // It tells what it has open before it goes.
  await until('the observer has gone', async () => (await observerStats(lab)).length === 0, 60_000);
  await quiet(lab, QUIET_MS, QUIET_DEADLINE_MS);
  return { sent, totals: await capture.stop(), status };
}

/** `--packets=N` (1,000,000), `--flows=N` (10,000), `--samples-of=N` (10,000,000), `--rate=N` packets a second (50,000). */
export default async function run(options: string[]): Promise<void> {
  const { number } = readOptions(options);
  const [packets, flows] = [number('packets', 1_000_000), number('flows', 10_000)];
  const lab = await Lab.create();
  const rows = [['export', 'sent', 'arrived', 'told packets', 'told octets', 'flow records', 'verdict']];
  let isRight = true;
  const judge = (is: boolean, right: string, wrong: string): string => {
    isRight &&= is;
    return is ? right : wrong;
  };
  try {
    const a = await lab.addHost('pa', '10.99.0.1/24');
    const b = await lab.addHost('pb', '10.99.0.2/24');
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
    for (const name of ['pa', 'pb'])
      await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
    await a.reaches('10.99.0.2');
    const exact = [
      ['netflow', { version: 5, activeTimeoutS: 3600 }, 'NetFlow v5'],
      ['netflow', { version: 9, activeTimeoutS: 3600 }, 'NetFlow v9'],
      ['ipfix', { sampling: 1, activeTimeoutS: 3600 }, 'IPFIX'],
    ] as const;
    for (const [i, [kind, settings, title]] of exact.entries()) {
      const capture = await Capture.start(lab, 'nfcapd', 20_550 + i);
      const work = () => send(a, b, packets, flows, number('rate', 50_000));
      const { sent, totals, status } = await observed(lab, kind, settings, capture, work);
      const isExact = totals.packets === sent.packets && totals.bytes === sent.packets * IP_OCTETS;
      const verdict = judge(isExact && totals.sequenceErrors === 0, 'equal', `NOT equal: ${status}`);
      const { packets: told, bytes, flows: records } = totals;
      rows.push([title, `${sent.packets}`, `${sent.received}`, `${told}`, `${bytes}`, `${records}`, verdict]);
    }
    const interval = 100;
    const count = number('samples-of', 10_000_000);
    const capture = await Capture.start(lab, 'sfcapd', 20_560);
    const settings = { sampling: interval, pollingS: 0 };
    const { sent, totals, status } = await observed(lab, 'sflow', settings, capture, () =>
      send(a, b, count, flows, null),
    );
    // Each packet is sampled with probability 1/N: the estimate N·samples has the variance n·(N − 1).
    const sigma = Math.sqrt(sent.packets * (interval - 1));
    const off = (totals.packets - sent.packets) / sigma;
    const verdict = judge(Math.abs(off) <= 2, `${off.toFixed(2)} σ`, `${off.toFixed(2)} σ: ${status}`);
    const { packets: told, bytes, flows: samples } = totals;
    rows.push([
      'sFlow 1 in 100',
      `${sent.packets}`,
      `${sent.received}`,
      `${told}`,
      `${bytes}`,
      `${samples}`,
      verdict,
    ]);
    process.stdout.write(`${Math.round(sent.packets / sent.seconds / 1000)} kpps while sampling\n`);
  } finally {
    await lab.close();
  }
  printTable(rows);
  if (!isRight) process.exitCode = 1;
}
