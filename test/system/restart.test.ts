/** Either daemon killed under traffic: what is known keeps flowing, and all comes back by itself. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { join } from 'node:path';
import { Lab, projectRoot, until, type Host } from './lab.js';

let lab: Lab;
let a: Host, b: Host, late: Host;

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('pa', '10.99.0.1/24');
  b = await lab.addHost('pb', '10.99.0.2/24');
  late = await lab.addHost('pl', '10.99.0.3/24');
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  for (const name of ['pa', 'pb', 'pl'])
    await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
  await lab.must('POST', '/v1/bridges/br0/ports', {
    name: 'int10',
    type: 'internal',
    vlanMode: 'access',
    tag: 10,
  });
  await lab.inSwitch('ip', 'link', 'set', 'int10', 'up');
  await lab.inSwitch('ip', 'addr', 'add', '10.99.0.9/24', 'dev', 'int10');
  await a.reaches('10.99.0.2');
  await a.reaches('10.99.0.9');
});

afterAll(() => lab?.close());

async function killed(daemon: 'weft-datapath' | 'weftd'): Promise<number> {
  const pid = await until(`${daemon} runs`, () => lab.pidOf(daemon));
  process.kill(pid, 'SIGKILL');
  return pid;
}

const anotherThan = (daemon: 'weft-datapath' | 'weftd', old: number) =>
  until(`${daemon} is back`, async () => {
    const pid = await lab.pidOf(daemon);
    return pid !== null && pid !== old && pid;
  });

const dump = () =>
  lab
    .inSwitch('ovs-ofctl', '-O', 'OpenFlow13', '--no-stats', 'dump-flows', `unix:${lab.rundir}/br0.mgmt`)
    .then((text) =>
      text
        .split('\n')
        .filter((line) => line.includes('actions='))
        .map((line) => line.trim())
        .sort(),
    );

test('kill -9 of weftd: no packet of a known flow lost, nothing that is right is changed, learning goes on', async () => {
  // The first pings may have been flooded before their senders were learned.
  const before = await until('both hosts are learned', async () => {
    const flows = await dump();
    return (
      flows.filter((flow) => flow.includes('dl_src') && flow.includes('idle_timeout')).length >= 2 && flows
    );
  });
  const pinging = a.ping('10.99.0.2', 1500, 0.002);
  const old = await killed('weftd');
  await anotherThan('weftd', old);
  await until('the controller is in order', () => lab.isHealthy());
  expect(await pinging).toBe(1500);
  expect(await dump()).toEqual(before);
  await late.reaches('10.99.0.1');
  const mac = await late.mac();
  await until('the late host is learned', async () =>
    (await lab.rest('GET', '/v1/bridges/br0/fdb')).text.includes(mac),
  );
});

test('kill -9 of weft-datapath: the same ports, numbers and reachability are back within 2 s', async () => {
  const ports = async () =>
    (await lab.rest('GET', '/v1/bridges/br0/ports')).body as { name: string; ofport: number }[];
  const numbers = async () => {
    const body = await ports();
    const list = Array.isArray(body) ? body : (body as { ports: { name: string; ofport: number }[] }).ports;
    return list.map(({ name, ofport }) => `${name}=${ofport}`).sort();
  };
  const before = await numbers();
  const flowsBefore = (await dump()).filter((line) => !line.includes('dl_src') && !line.includes('dl_dst'));
  const startedMs = Date.now();
  const old = await killed('weft-datapath');
  await until('a reaches b', async () => (await a.ping('10.99.0.2', 1)) > 0, 10_000);
  const outageMs = Date.now() - startedMs;
  await anotherThan('weft-datapath', old);
  expect(outageMs).toBeLessThan(2_000);
  await until(
    'the internal port kept its address and answers',
    async () => (await a.ping('10.99.0.9', 1)) > 0,
  );
  await until('the same numbers', async () => JSON.stringify(await numbers()) === JSON.stringify(before));
  await until('the same static flows', async () => {
    const now = (await dump()).filter((line) => !line.includes('dl_src') && !line.includes('dl_dst'));
    return JSON.stringify(now) === JSON.stringify(flowsBefore);
  });
});

test('kill -9 of weft-datapath: a flow that the kernel has loses no packet', async () => {
  const received = async () => Number(await b.run('cat', '/sys/class/net/eth0/statistics/rx_packets'));
  const inKernel = async () => {
    const answer = await lab.datapath('fastpath.flows', { bridge: 'br0' });
    return (answer as { inKernel: boolean; packets: number }[]).some(
      (flow) => flow.inKernel && flow.packets > 1000,
    );
  };
  const { active } = (await lab.datapath('fastpath.show', {})) as { active: boolean };
  if (!active) {
    process.stderr.write('skipped: no fast path on this machine\n');
    return;
  }
  // Both are known by their pings. What one batch sends (32) is far below what may wait for user space (2048).
  const [from, to] = [await a.mac(), await b.mac()];
  const before = await received();
  const sending = a.run(
    ...[join(projectRoot, 'datapath/target/release/weft-loadgen'), '--interface', 'eth0'],
    ...['--source', from, '--destination', to],
    ...['--rate', '20000', '--count', '100000', '--seconds', '60'],
  );
  await until('the kernel has the flow', inKernel);
  const old = await killed('weft-datapath');
  await anotherThan('weft-datapath', old);
  const { sent } = JSON.parse(await sending) as { sent: number };
  await until('all have come', async () => (await received()) - before >= sent);
  await until('the controller is in order', () => lab.isHealthy());
});

test('a clean stop takes sockets and internal interfaces away; a start brings the same configuration back', async () => {
  expect(await lab.stopWeft('SIGINT')).toBe(0);
  await expect(lab.inSwitch('ip', 'link', 'show', 'int10')).rejects.toThrow();
  await lab.startWeft();
  await a.reaches('10.99.0.2');
  await lab.inSwitch('ip', 'link', 'show', 'int10');
});
