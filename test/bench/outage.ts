/**
 * What is lost while daemons die: a million frames of one flow and of a thousand, weft-datapath and then weftd killed
 * with -9 meanwhile. `--count=N` (1,200,000), `--rate=R` (150,000 a second), `--reps=N` (3).
 */
import { Lab, until, type Host } from '../system/lab.js';
import { loadgen, printTable, readOptions, receivedFrames } from './measure.js';

async function kill(lab: Lab, daemon: 'weft-datapath' | 'weftd'): Promise<number> {
  const old = await until(`${daemon} runs`, () => lab.pidOf(daemon));
  const startedMs = Date.now();
  process.kill(old, 'SIGKILL');
  await until(`${daemon} is back`, async () => {
    const pid = await lab.pidOf(daemon);
    return pid !== null && pid !== old;
  });
  return Date.now() - startedMs;
}

interface Loss {
  sent: number;
  lost: number;
}

async function round(
  lab: Lab,
  [a, b]: [Host, Host],
  flows: number,
  rate: number,
  count: number,
): Promise<Loss> {
  const [from, to] = [await a.mac(), await b.mac()];
  const load = (frames: number) =>
    a.run(
      ...[loadgen, '--interface', 'eth0', '--source', from, '--destination', to, '--flows', String(flows)],
      ...['--rate', String(rate), '--count', String(frames), '--seconds', '600'],
    );
  await load(rate);
  const before = await receivedFrames(b);
  const sending = load(count);
  const received = async () => (await receivedFrames(b)) - before;
  await until('a tenth is sent', async () => (await received()) > count / 10, 60_000);
  await kill(lab, 'weft-datapath');
  await until('half is sent', async () => (await received()) > count / 2, 60_000);
  await kill(lab, 'weftd');
  const { sent } = JSON.parse(await sending) as { sent: number };
  // What is still under way arrives within a moment; what has not arrived then was lost.
  await until('all has come', async () => (await received()) >= sent, 3000).catch(() => undefined);
  await until('all is in order', () => lab.isHealthy(), 60_000);
  return { sent, lost: Math.max(0, sent - (await received())) };
}

export default async function run(options: string[]): Promise<void> {
  const { number } = readOptions(options);
  const lab = await Lab.create();
  try {
    const a = await lab.addHost('pa', '10.99.0.1/24');
    const b = await lab.addHost('pb', '10.99.0.2/24');
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
    for (const name of ['pa', 'pb'])
      await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
    await a.reaches('10.99.0.2');
    const rows = [['flows', 'frames', 'lost']];
    for (const flows of [1, 1000])
      for (let rep = 0; rep < number('reps', 3); rep += 1) {
        const { sent, lost } = await round(
          lab,
          [a, b],
          flows,
          number('rate', 150_000),
          number('count', 1_200_000),
        );
        rows.push([String(flows), String(sent), String(lost)]);
      }
    printTable(rows);
  } finally {
    await lab.close();
  }
}
