/** A document on a running switch: what differs is sent, and nothing else; traffic of the rest goes on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changesSent, Lab, projectRoot, sh, until, type Host } from './lab.js';

const COUNT = 40;
const names = Array.from({ length: COUNT }, (_, i) => `d${i}`);
const loadgen = join(projectRoot, 'datapath/target/release/weft-loadgen');

interface Cost {
  readonly bridge: string;
  readonly flowAdds: number;
  readonly flowModifies: number;
  readonly flowDeletes: number;
}
interface Outcome {
  readonly changed: boolean;
  readonly changes: { readonly path: string }[];
  readonly cost: Cost[];
  readonly applied: Cost[];
}

let lab: Lab;
let a: Host, b: Host;
const tags: Record<string, { tag: number }> = {};

const put = async (query = '') =>
  (await lab.must('PUT', `/v1/config${query}`, { bridges: { br0: { ports: tags } } })) as Outcome;

/** Every flow and group with its age: what was sent again would be young. */
const held = async () => {
  const ofctl = (command: string) =>
    lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${lab.rundir}/br0.mgmt`);
  const text = `${await ofctl('dump-flows')}${await ofctl('dump-groups')}`;
  return text.split('\n').filter((line) => !/dl_src|dl_dst/.test(line));
};
const content = (lines: string[]) =>
  lines.map((line) => line.replace(/ ?(duration|n_packets|n_bytes)=[^ ,]*,?/g, '')).sort();

beforeAll(async () => {
  lab = await Lab.create();
  const devices = names.flatMap((name, i) =>
    i % 2 === 0 ? [`link add ${name} type veth peer name ${names[i + 1] ?? 'spare'}`] : [],
  );
  writeFileSync(join(lab.folder, 'devices'), `${devices.join('\n')}\n`);
  await sh('ip', '-n', lab.switchNamespace, '-batch', join(lab.folder, 'devices'));
  a = await lab.addHost('pa', '10.97.0.1/24');
  b = await lab.addHost('pb', '10.97.0.2/24');
  await lab.startWeft();
  for (const [i, name] of names.entries()) tags[name] = { tag: (i % 10) + 1 };
  for (const name of ['pa', 'pb']) tags[name] = { tag: 2000 };
  const { changed } = await put();
  expect(changed).toBe(true);
  await until('in sync', () => lab.isHealthy());
  await a.reaches('10.97.0.2');
});

afterAll(() => lab?.close());

test('an unchanged document sends nothing', async () => {
  const before = await held();
  const sentBefore = await lab.openFlowSent('br0');
  // The counters see what is sent: the flows of the configuration, and barriers behind them.
  expect(sentBefore.get('FLOW_MOD')).toBeGreaterThan(COUNT);
  expect(sentBefore.get('BARRIER_REQUEST')).toBeGreaterThan(0);
  for (let i = 0; i < 3; i += 1)
    expect(await put()).toMatchObject({ changed: false, changes: [], cost: [], applied: [] });
  expect(changesSent(sentBefore, await lab.openFlowSent('br0'))).toEqual({});
  expect(content(await held())).toEqual(content(before));
});

test('one port’s VLAN costs what was foretold, and no frame of others', async () => {
  const received = async () => Number(await b.run('cat', '/sys/class/net/eth0/statistics/rx_packets'));
  const [to, from] = [await b.mac(), await a.mac()];
  const before = await received();
  const load = ['--interface', 'eth0', '--destination', to, '--source', from, '--flows', '1'];
  const sending = a.run(loadgen, ...load, '--rate', '2000', '--seconds', '3');
  let messages = 0;
  for (const name of names.slice(0, 3)) {
    tags[name] = { tag: 500 };
    const [foretold] = (await put('?dryRun=true')).cost;
    const { changes, applied } = await put();
    expect(changes.map(({ path }) => path)).toEqual([`/bridges/br0/ports/${name}`]);
    expect(applied).toEqual([foretold]);
    messages +=
      (applied[0]?.flowAdds ?? 0) + (applied[0]?.flowDeletes ?? 0) + (applied[0]?.flowModifies ?? 0);
  }
  expect(messages).toBeGreaterThan(0);
  expect(messages).toBeLessThan(60);
  const { sent } = JSON.parse(await sending) as { sent: number };
  await until('every frame has come', async () => (await received()) - before >= sent);
});
