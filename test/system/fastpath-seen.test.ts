/** What is told of the fast path is what happens: frames by the kernel and by user space, counted, listed, foretold. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { join } from 'node:path';
import { Lab, projectRoot, sh, until, type Host } from './lab.js';

let lab: Lab;
let a: Host;

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('pa', '10.99.0.1/24');
  await lab.addHost('pb', '10.99.0.2/24');
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  for (const name of ['pa', 'pb'])
    await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
  await a.reaches('10.99.0.2');
});
afterAll(() => lab?.close());

interface Show {
  active: boolean;
  whyNot: string | null;
  bridges: {
    hits: { kernel: { packets: number }; userSpace: { packets: number } };
    notOffloaded: { reason: string; flows: number }[];
    punts: { port: string; sent: { packets: number } }[];
  }[];
}
interface Flow {
  match: string;
  actions: string;
  packets: number;
  offloaded: boolean;
  notOffloaded: { reason: string } | null;
}

const show = async () => (await lab.must('GET', '/v1/fastpath')) as Show;
const flows = async (query: string) =>
  ((await lab.must('GET', `/v1/bridges/br0/fastpath/flows${query}`)) as { flows: Flow[] }).flows;
const weft = (...words: string[]) =>
  sh('node', join(projectRoot, 'dist/src/cli/main.js'), '--api', `unix:${lab.apiSocket}`, ...words);
async function pathOf(flow: string) {
  const body = { flow: `in_port=pa,${flow}` };
  const told = (await lab.must('POST', '/v1/bridges/br0/trace', body)) as {
    fastPath: { offloaded: boolean; reason: string | null };
  };
  return told.fastPath;
}
const icmp = async () => {
  const mac = async (name: string) =>
    (
      await lab
        .must('GET', '/v1/bridges/br0/fdb')
        .then((view) => (view as { entries: { mac: string; port: string }[] }).entries)
    ).find(({ port }) => port === name)?.mac ?? '';
  return `icmp,dl_src=${await mac('pa')},dl_dst=${await mac('pb')},nw_src=10.99.0.1,nw_dst=10.99.0.2`;
};

const dumped = (type: string) =>
  lab.inSwitch('env', `OVS_RUNDIR=${lab.rundir}`, 'ovs-appctl', 'dpctl/dump-flows', '-m', `type=${type}`);

test('without the fast path it is said why, and user space forwards', async ({ skip }) => {
  const { active, whyNot } = await show();
  skip(active);
  expect(whyNot).not.toBeNull();
  expect(await weft('show')).toContain(`known flows in user space: ${whyNot ?? ''}`);
  expect(await weft('fastpath')).toContain(whyNot);
  expect(await pathOf(await icmp())).toMatchObject({ offloaded: false, reason: 'no fast path' });
});

test('what the kernel forwards is told, counted and listed', async ({ skip }) => {
  skip(!(await show()).active);
  expect(await weft('show')).toContain('known flows in the kernel');
  expect(await weft('fastpath')).toMatch(/^first packets: (no limit|limited to \d+ % of one processor)/m);
  // Learning is over, and the ports have the program, once pings pass in the kernel.
  const before = await until('the kernel forwards', async () => {
    await a.ping('10.99.0.2', 2, 0.01);
    const [flow] = await flows('?offloaded=true&port=pa');
    return flow && flow.packets > 0 ? flow : null;
  });
  expect(before.match).toContain('in_port=pa');
  expect(before.actions).toContain('output:pb');
  expect(await pathOf(await icmp())).toEqual({ offloaded: true, reason: null, sentence: null });
  const hits = async () => (await show()).bridges[0]?.hits.kernel.packets ?? 0;
  const at = await hits();
  expect(await a.ping('10.99.0.2', 50, 0.005)).toBe(50);
  // There and back; what is shown is a sample of the last second.
  await until('the pings are counted', async () => (await hits()) >= at + 100);
  expect(await weft('fastpath', 'flows', 'br0', '--offloaded', 'yes')).toMatch(
    /in_port=pa.*output:pb\n.*kernel/,
  );
  expect(await weft('fastpath', 'stats')).toMatch(/br0 +pa +\d+/);
  await until('ovs-appctl dumps them so', async () => {
    await a.ping('10.99.0.2', 2, 0.01);
    return /used:\S+, offloaded:yes, dp:tc, actions:/.test(await dumped('offloaded'));
  });
});

test('a rule that the kernel cannot follow: foretold, and said why', async ({ skip }) => {
  skip(!(await show()).active);
  const rule = 'priority=100,icmp,actions=CONTROLLER:64,NORMAL';
  await lab.must('POST', '/v1/bridges/br0/flows', { flows: [rule] });
  expect(await pathOf(await icmp())).toMatchObject({ offloaded: false, reason: 'packet-in' });
  const flow = await until('such flows are listed', async () => {
    await a.ping('10.99.0.2', 2, 0.01);
    return (await flows('?offloaded=false&reason=packet-in'))[0];
  });
  expect(flow).toMatchObject({ offloaded: false, notOffloaded: { reason: 'packet-in' } });
  await until('they are counted', async () =>
    (await show()).bridges[0]?.notOffloaded.some(({ reason, flows: n }) => reason === 'packet-in' && n > 0),
  );
  expect(await weft('fastpath')).toMatch(/packet-in: A copy goes to a controller\./);
  await until('they are dumped so', async () => {
    await a.ping('10.99.0.2', 2, 0.01);
    return (await dumped('non-offloaded')).includes('dp:ovs (packet-in)');
  });
});
