/** Queues of ports and limits of what they send, as weftd asks weft-datapath for them, at work in the kernel. */
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PortParams } from '../../src/datapath/protocol.js';
import { datapathBinary, Lab, sh, type Host } from './lab.js';

let lab: Lab;
let a: Host, b: Host;

const ofctl = (command: string, ...args: string[]) =>
  sh('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${lab.rundir}/br0.mgmt`, ...args);
const classes = () => lab.inSwitch('tc', '-s', 'class', 'show', 'dev', 'qb');

/** `port.ensure` of the control channel. */
async function ensure(name: string, settings: Pick<PortParams, 'qos' | 'policing'>): Promise<void> {
  const socket = createConnection(`${lab.rundir}/weft-datapath.sock`);
  const params = { bridge: 'br0', name, type: 'system', ...settings };
  socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'port.ensure', params })}\n`);
  for await (const line of createInterface({ input: socket })) {
    const answer = JSON.parse(line) as { result?: { error?: string } };
    expect(answer.result).toBeDefined();
    expect(answer.result?.error).toBeUndefined();
    break;
  }
  socket.destroy();
}

const qos = (maxRate: number) => ({
  maxRate: 50_000_000,
  queues: [
    { id: 0, minRate: 1_000_000 },
    { id: 7, maxRate, priority: 1 },
  ],
});

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('qa', '192.0.2.1/24');
  b = await lab.addHost('qb', '192.0.2.2/24');
  const bridge = 'name=br0,dpid=0000000000000001,fail_mode=standalone,port=qa:1,port=qb:2';
  lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge]);
  await a.reaches('192.0.2.2');
  await b.reaches('192.0.2.1');
});

afterAll(() => lab?.close());

test('set_queue leads to the queue', async () => {
  await ensure('qb', { qos: qos(8_000_000) });
  const set = await classes();
  expect(set).toMatch(/class htb 1:fffe root .*rate 50Mbit ceil 50Mbit/);
  expect(set).toMatch(/class htb 1:1 parent 1:fffe .*rate 1Mbit ceil 50Mbit/);
  expect(set).toMatch(/class htb 1:8 parent 1:fffe .*prio 1 .*ceil 8Mbit/);

  const port = 2;
  const config = await ofctl('queue-get-config', String(port));
  expect(config).toMatch(/queue 0:\s+min_rate:0\.[01]%/);
  expect(config).toMatch(/queue 7:\s+max_rate:0\.[0-9]%/);

  await ofctl('add-flow', 'priority=100,icmp,in_port=1,actions=set_queue:7,normal');
  expect(await a.ping('192.0.2.2', 5, 0.05)).toBe(5);
  const sentBy = async (queue: number) => {
    const stats = await ofctl('queue-stats', String(port), String(queue));
    return Number(/pkts=(\d+)/.exec(stats)?.[1]);
  };
  expect(await sentBy(7)).toBeGreaterThanOrEqual(5);
  await ofctl('del-flows', 'icmp');
  const before = await sentBy(7);
  expect(await a.ping('192.0.2.2', 5, 0.05)).toBe(5);
  expect(await sentBy(7)).toBe(before);
  expect(await sentBy(0)).toBeGreaterThanOrEqual(5);
  const unknown = await ofctl('queue-stats', String(port), '3').catch((error: Error) => error.message);
  expect(unknown).toContain('OFPQOFC_BAD_QUEUE');
});

test('queues follow what is asked for, and go with it', async () => {
  await ensure('qb', { qos: qos(9_000_000) });
  expect(await classes()).toMatch(/class htb 1:8 .*ceil 9Mbit/);
  await ensure('qb', { qos: { queues: [{ id: 1 }] } });
  expect(await classes()).not.toContain('class htb 1:8');
  await ensure('qb', {});
  expect(await classes()).toBe('');
  expect(await a.ping('192.0.2.2', 3, 0.05)).toBe(3);
});

test('an interface that sends too much is held back', async () => {
  await ensure('qa', { policing: { rateKbps: 100, burstKbits: 100 } });
  // 12.5 KB at once and as much in each second: of 40 frames of 1.4 KB within a second most are too many.
  const answered = await a
    .run('ping', '-n', '-c', '40', '-i', '0.01', '-W', '1', '-s', '1400', '192.0.2.2')
    .catch((error: { stdout?: string }) => error.stdout ?? '');
  const count = Number(/(\d+) received/.exec(answered)?.[1]);
  expect(count).toBeGreaterThan(4);
  expect(count).toBeLessThan(40);
  await ensure('qa', {});
  await a.reaches('192.0.2.2');
  expect(await a.ping('192.0.2.2', 20, 0.01)).toBe(20);
});
