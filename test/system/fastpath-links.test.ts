/** The kernel's short cut into another namespace, and devices for which it is none. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readFileSync, readdirSync } from 'node:fs';
import { ethDst, startFastPathLab } from './fastpath-lab.js';
import { datapathBinary, Host, type Lab, sh, until } from './lab.js';

let lab: Lab;
let a: Host, b: Host;
let isActive = false;

const NOBODY = '02:00:00:00:00:99';

interface Flow {
  match: string[];
  inKernel: boolean;
  packets: number;
}

/** Packets that the kernel has forwarded to an address of the data link layer; without a fast path, anybody. */
async function forwarded(mac: string): Promise<number> {
  const field = ethDst(mac);
  const flows = (await lab.datapath('fastpath.flows', { bridge: 'br0' })) as Flow[];
  const these = flows.filter(({ match, inKernel }) => (inKernel || !isActive) && match.includes(field));
  return these.reduce((sum, { packets }) => sum + packets, 0);
}

/** Frames that have been transmitted by a device of the switch; what takes the short cut is not. */
const transmitted = async (device: string) =>
  Number(await lab.inSwitch('cat', `/sys/class/net/${device}/statistics/tx_packets`));

/** Pings until the kernel forwards all of them; what `count` has risen by meanwhile. */
async function whileForwarded(address: string, mac: string, count: () => Promise<number>): Promise<number> {
  return until('the kernel forwards', async () => {
    await a.ping(address, 1);
    const [before, begin] = [await forwarded(mac), await count()];
    if ((await a.ping(address, 20, 0.01)) < 20) return false;
    return (await forwarded(mac)) - before >= 20 && (await count()) - begin;
  });
}

beforeAll(async () => {
  ({ a, b, isActive } = await startFastPathLab((made) => (lab = made)));
});

afterAll(() => lab?.close());

test('what is for a host’s address is received there at once, and so again once a new address is noticed', async () => {
  const sent = () => transmitted('pb');
  const takesShortCut = async (mac: string) => (await whileForwarded('10.99.0.2', mac, sent)) < 20;
  const old = await b.mac();
  if (isActive) await until('the short cut is taken', () => takesShortCut(old));
  await b.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:42');
  await a.run('ip', 'neigh', 'flush', 'dev', 'eth0');
  expect(await whileForwarded('10.99.0.2', '02:00:00:00:00:42', sent)).toBeGreaterThanOrEqual(20);
  await lab.inSwitch('ip', 'link', 'set', 'pb', 'alias', 'noticed');
  if (isActive) await until('the short cut is taken', () => takesShortCut('02:00:00:00:00:42'));
});

test('what is for nobody’s address is no host’s, whoever forwards it', async () => {
  await a.reaches('10.99.0.3');
  await a.run('ip', 'neigh', 'replace', '10.99.0.3', 'lladdr', NOBODY, 'dev', 'eth0', 'nud', 'permanent');
  let answers = 0;
  await until('it is flooded', async () => {
    answers += await a.ping('10.99.0.3', 5, 0.01);
    return (await forwarded(NOBODY)) > 4;
  });
  expect(answers).toBe(0);
  await a.run('ip', 'neigh', 'del', '10.99.0.3', 'dev', 'eth0');
  await a.reaches('10.99.0.3');
});

test('a rule that does not look at addresses leaves it to the host which frames are its own', async () => {
  const ofctl = (command: string, ...words: string[]) =>
    lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', command, `${lab.rundir}/br0.mgmt`, ...words);
  const ports = (await lab.datapath('port.list', { bridge: 'br0' })) as { name: string; ofport: number }[];
  const ofport = ports.find(({ name }) => name === 'pc')?.ofport;
  await ofctl('add-flow', `priority=9,ip,nw_dst=10.99.0.3,actions=output:${ofport}`);
  await until('the rule’s flow is in the kernel', async () => {
    const replies = await a.ping('10.99.0.3', 5, 0.01);
    const flows = (await lab.datapath('fastpath.flows', { bridge: 'br0' })) as (Flow & {
      actions: string[];
    })[];
    const isRule = ({ match, actions }: (typeof flows)[number]) =>
      actions.join() === `output:${ofport}` && !match.some((field) => field.startsWith('eth_dst'));
    return (
      replies === 5 && flows.some((flow) => isRule(flow) && flow.inKernel === isActive && flow.packets > 4)
    );
  });
  await a.run('ip', 'neigh', 'replace', '10.99.0.3', 'lladdr', NOBODY, 'dev', 'eth0', 'nud', 'permanent');
  expect(await a.ping('10.99.0.3', 5, 0.01)).toBe(0);
  await a.run('ip', 'neigh', 'del', '10.99.0.3', 'dev', 'eth0');
  await ofctl('del-flows', 'ip,nw_dst=10.99.0.3');
  await a.reaches('10.99.0.3');
});

test('what is sent passes the queueing discipline that an administrator gives a port, from then on', async () => {
  const mac = await b.mac();
  const queued = async () => {
    const text = await lab.inSwitch('tc', '-s', 'qdisc', 'show', 'dev', 'pb', 'root');
    return Number(/Sent \d+ bytes (\d+) pkt/.exec(text)?.[1] ?? 0);
  };
  await whileForwarded('10.99.0.2', mac, queued);
  await lab.inSwitch('tc', 'qdisc', 'add', 'dev', 'pb', 'root', 'pfifo');
  await until('all are queued', async () => (await whileForwarded('10.99.0.2', mac, queued)) >= 20);
  await lab.inSwitch('tc', 'qdisc', 'del', 'dev', 'pb', 'root');
  const sent = () => transmitted('pb');
  if (isActive) {
    await until(
      'the short cut is taken again',
      async () => (await whileForwarded('10.99.0.2', mac, sent)) < 20,
    );
  }
});

test('a macvlan of a device in another namespace forwards as any port', async () => {
  const [below, beyond] = [`${lab.switchNamespace}b`, `${lab.switchNamespace}h`];
  await lab.addNamespace(below);
  await lab.addNamespace(beyond);
  const host = new Host(beyond, 'mv');
  await sh('ip', '-n', below, 'link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', beyond);
  await sh('ip', '-n', below, 'link', 'set', 'e0', 'up');
  await sh('ip', '-n', beyond, 'link', 'set', 'eth0', 'up');
  await sh('ip', '-n', beyond, 'addr', 'add', '10.99.0.4/24', 'dev', 'eth0');
  const kind = ['type', 'macvlan', 'mode', 'passthru'];
  await sh(
    'ip',
    '-n',
    below,
    'link',
    'add',
    'link',
    'e0',
    'name',
    'mv',
    'netns',
    lab.switchNamespace,
    ...kind,
  );
  await lab.inSwitch('ip', 'link', 'set', 'mv', 'up');
  await lab.must('POST', '/v1/bridges/br0/ports', { name: 'mv' });
  await a.reaches('10.99.0.4');
  expect(await whileForwarded('10.99.0.4', await host.mac(), () => transmitted('mv'))).toBeGreaterThanOrEqual(
    20,
  );
});

/** Whether a device of the switch has been made promiscuous by name, and by how many in all. */
async function promiscuity(device: string): Promise<{ byName: boolean; count: number }> {
  const text = await lab.inSwitch('ip', '-d', 'link', 'show', device);
  return { byName: /<[^>]*PROMISC/.test(text), count: Number(/promiscuity (\d+)/.exec(text)?.[1]) };
}

/** Kills weft-datapath and does something before its supervisor starts another one. */
async function whileDead(
  act: (there: (...words: string[]) => Promise<string>) => Promise<void>,
): Promise<void> {
  const daemon = await until('weft-datapath runs', () => lab.pidOf('weft-datapath'));
  const supervisor = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon}/status`, 'utf8'))?.[1]);
  process.kill(supervisor, 'SIGSTOP');
  try {
    process.kill(daemon, 'SIGKILL');
    const hasEnded = () => /^State:\s+Z/m.test(readFileSync(`/proc/${daemon}/status`, 'utf8'));
    await until('it has ended', () => hasEnded() && readdirSync(`/proc/${daemon}/task`).length === 1);
    // What it has mounted is where the pins are.
    await act((...words) => sh('nsenter', '-t', String(supervisor), '-m', '-n', ...words));
  } finally {
    process.kill(supervisor, 'SIGCONT');
  }
  await until('another one runs', async () => {
    const pid = await lab.pidOf('weft-datapath');
    return pid !== null && pid !== daemon;
  });
  await until('all is in order', () => lab.isHealthy(), 60_000);
}

test('a device that the kernel forwards for stays promiscuous without us, and only so long', async () => {
  await lab.inSwitch('ip', 'link', 'add', 'below', 'type', 'veth', 'peer', 'name', 'other');
  for (const name of ['ours', 'theirs']) {
    await lab.inSwitch(
      'ip',
      'link',
      'add',
      'link',
      'below',
      'name',
      name,
      'type',
      'macvlan',
      'mode',
      'bridge',
    );
    await lab.inSwitch('ip', 'link', 'set', name, 'up', 'promisc', name === 'theirs' ? 'on' : 'off');
    await lab.must('POST', '/v1/bridges/br0/ports', { name });
  }
  const isHeld = async () => (await promiscuity('ours')).byName;
  if (isActive) await until('the kernel has it', isHeld);
  // Once more for the socket.
  expect((await promiscuity('theirs')).count).toBe(2);
  await whileDead(async () => {
    if (isActive) expect(await promiscuity('ours')).toEqual({ byName: true, count: 1 });
    expect(await promiscuity('theirs')).toEqual({ byName: true, count: 1 });
  });
  for (const name of ['ours', 'theirs']) await lab.must('DELETE', `/v1/bridges/br0/ports/${name}`);
  await until('the socket is closed', async () => (await promiscuity('ours')).count === 0);
  expect(await promiscuity('ours')).toEqual({ byName: false, count: 0 });
  await until('the socket is closed', async () => (await promiscuity('theirs')).count === 1);
  expect(await promiscuity('theirs')).toEqual({ byName: true, count: 1 });

  for (const name of ['ours', 'theirs']) await lab.must('POST', '/v1/bridges/br0/ports', { name });
  if (isActive) await until('the kernel has it again', isHeld);
  await whileDead(async (there) => {
    await there(datapathBinary, '--flush', '--rundir', lab.rundir);
    expect(await promiscuity('ours')).toEqual({ byName: false, count: 0 });
    expect(await promiscuity('theirs')).toEqual({ byName: true, count: 1 });
  });
  if (isActive) await until('the next process has it', isHeld);
  await lab.stopWeft();
  expect(await promiscuity('ours')).toEqual({ byName: false, count: 0 });
  expect(await promiscuity('theirs')).toEqual({ byName: true, count: 1 });
}, 120_000);
