/**
 * The declarative configuration: a document of a thousand ports put on an empty switch, put again unchanged, and with
 * one port's VLAN changed while 50,000 frames a second cross two others. Says times, OpenFlow messages and lost frames.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, sh, until } from '../system/lab.js';
import { loadgen, macOf, printTable, receivedFrames } from './measure.js';

interface Cost {
  readonly flowAdds: number;
  readonly flowModifies: number;
  readonly flowDeletes: number;
  readonly groupAdds: number;
  readonly groupModifies: number;
  readonly groupDeletes: number;
}
interface Outcome {
  readonly changed: boolean;
  readonly applied: readonly Cost[] | null;
  readonly pending: string | null;
}

const sum = (costs: readonly Cost[] | null) =>
  (costs ?? []).reduce(
    (total, each) =>
      total +
      each.flowAdds +
      each.flowModifies +
      each.flowDeletes +
      each.groupAdds +
      each.groupModifies +
      each.groupDeletes,
    0,
  );

/** Makes devices in the switch's namespace, all at once: pairs of veth, both ends of which become ports. */
async function addDevices(lab: Lab, names: readonly string[]): Promise<void> {
  const batch = join(lab.folder, 'devices');
  const lines = names.flatMap((name, i) =>
    i % 2 === 0
      ? [`link add ${name} type veth peer name ${names[i + 1] ?? 'spare'}`, `link set ${name} up`]
      : [`link set ${name} up`],
  );
  writeFileSync(batch, `${lines.join('\n')}\n`);
  await sh('ip', '-n', lab.switchNamespace, '-batch', batch);
}

/** `--ports=N` (1000), `--rate=N` (50,000 frames a second), `--seconds=N` (5), `--changes=N` (5). */
export default async function run(options: string[]): Promise<void> {
  const option = (name: string, preset: number) =>
    Number(options.find((each) => each.startsWith(`--${name}=`))?.split('=')[1] ?? preset);
  const count = option('ports', 1000);
  const lab = await Lab.create();
  try {
    const names = Array.from({ length: count - 2 }, (_, i) => `d${i}`);
    await addDevices(lab, names);
    const a = await lab.addHost('pa', '10.99.0.1/24');
    const b = await lab.addHost('pb', '10.99.0.2/24');
    await lab.startWeft();
    const ports = Object.fromEntries([
      ...names.map((name, i) => [name, { tag: (i % 100) + 1 }]),
      ['pa', { tag: 2000 }],
      ['pb', { tag: 2000 }],
    ]) as Record<string, { tag: number }>;
    const put = async (): Promise<[ms: number, Outcome]> => {
      const startedMs = performance.now();
      const outcome = (await lab.must('PUT', '/v1/config', { bridges: { br0: { ports } } })) as Outcome;
      // An answer that something is pending is not the end.
      await until('converged', () => lab.isHealthy(), 120_000);
      return [performance.now() - startedMs, outcome];
    };
    const rows: string[][] = [['work', 'ms', 'OpenFlow messages', 'result']];
    const say = (work: string, [ms, outcome]: [number, Outcome], result = '') =>
      rows.push([work, ms.toFixed(0), String(sum(outcome.applied)), result]);
    say(`${count} ports on an empty switch`, await put());
    say('the same again', await put(), 'goal: 0 messages');
    await a.reaches('10.99.0.2');

    const changes = option('changes', 5);
    const before = await receivedFrames(b);
    const seconds = option('seconds', 5);
    const sending = a.run(
      ...[loadgen, '--interface', 'eth0', '--destination', await macOf(b), '--source', await macOf(a)],
      ...['--flows', '1', '--rate', String(option('rate', 50_000)), '--seconds', String(seconds)],
    );
    for (let i = 0; i < changes; i += 1) {
      const port = ports[names[i * 7] ?? 'd0'];
      if (port) port.tag = 500 + i;
      say(`one port’s VLAN, under load (${i + 1})`, await put());
    }
    const { sent } = JSON.parse(await sending) as { sent: number };
    await until('the last frame', async () => (await receivedFrames(b)) - before >= sent, 2_000).catch(
      () => undefined,
    );
    const received = (await receivedFrames(b)) - before;
    rows.push([
      `${sent} frames at ${option('rate', 50_000)}/s`,
      '',
      '',
      `lost: ${Math.max(0, sent - received)}`,
    ]);
    printTable(rows);
    await lab.stopWeft();
  } finally {
    await lab.close();
  }
}
