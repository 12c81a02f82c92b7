/** Open vSwitch's own `ovs-vsctl` configures a running Weft: the topology of the second tutorial, word for word. */
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, until, type Host } from './lab.js';

let lab: Lab;
let machine: Host, other: Host;

function vsctl(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const command = [
    'netns',
    'exec',
    lab.switchNamespace,
    'ovs-vsctl',
    '--timeout=20',
    `--db=unix:${lab.rundir}/db.sock`,
  ];
  return new Promise((resolve) => {
    execFile('ip', [...command, ...args], (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

/** A command as it is typed. */
async function type(line: string): Promise<string> {
  const { status, stdout, stderr } = await vsctl(...line.split(' '));
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' });
  return stdout;
}

beforeAll(async () => {
  lab = await Lab.create();
  // What the virtual machine's tap is in the tutorial.
  machine = await lab.addHost('tap2', '203.0.113.130/26');
  other = await lab.addHost('tap3', '203.0.113.131/26');
  await lab.startWeft();
});

afterAll(() => lab?.close());

test('the second tutorial: switch, port of the host in a VLAN, port of the machine', async () => {
  await type('add-br sw0');
  await type('add-port sw0 sw0-vlan2 tag=2 -- set Interface sw0-vlan2 type=internal');
  await type('add-port sw0 tap2 tag=2');
  await type('add-port sw0 tap3 tag=3');
  // ovs-vsctl has returned, so the devices are there.
  for (const name of ['sw0', 'sw0-vlan2', 'tap2']) await lab.inSwitch('ip', 'link', 'set', 'dev', name, 'up');
  await lab.inSwitch('ip', 'addr', 'add', '203.0.113.129/26', 'dev', 'sw0-vlan2');
  const show = await type('show');
  expect(show).toMatch(/^[0-9a-f-]{36}\n {4}Bridge sw0\n/);
  for (const part of [
    / {8}Port sw0-vlan2\n {12}tag: 2\n {12}Interface sw0-vlan2\n {16}type: internal\n/,
    / {8}Port tap2\n {12}tag: 2\n {12}Interface tap2\n/,
    / {8}Port sw0\n {12}Interface sw0\n {16}type: internal\n/,
    / {4}ovs_version: "/,
  ]) {
    expect(show).toMatch(part);
  }
  await machine.reaches('203.0.113.129');
  expect(await machine.ping('203.0.113.129', 5, 0.05)).toBe(5);
  expect(await other.ping('203.0.113.129')).toBe(0);
  expect((await type('get Interface tap2 ofport error link_state')).split('\n')).toEqual([
    '2',
    '[]',
    'up',
    '',
  ]);
});

test('what ovs-vsctl says is what REST says', async () => {
  const port = (await lab.must('GET', '/v1/bridges/sw0/ports/tap2')) as { tag: number };
  expect(port.tag).toBe(2);
  await lab.must('PUT', '/v1/bridges/sw0/ports/tap3', { vlanMode: 'access', tag: 2 });
  expect(await type('get port tap3 tag')).toBe('2\n');
  await other.reaches('203.0.113.130');
  await type('set port tap3 tag=3');
  expect(await other.ping('203.0.113.130')).toBe(0);
});

test('a device that is not there: said so, and taken when it comes', async () => {
  const { status, stderr } = await vsctl('add-port', 'sw0', 'late', 'tag=2');
  expect(status).toBe(0);
  expect(stderr).toMatch(
    /Error detected while setting up 'late': could not open network device late \(No such device\)/,
  );
  expect(await type('get Interface late ofport')).toBe('-1\n');
  const late = await lab.addHost('late', '203.0.113.132/26');
  await type('wait-until Interface late ofport>0 error=[]');
  await late.reaches('203.0.113.129');
  await type('del-port late');
  expect(await late.ping('203.0.113.129')).toBe(0);
});

test('a bridge for a VLAN', async () => {
  await type('add-br vlan7 sw0 7');
  expect(await type('list-br')).toBe('sw0\nvlan7\n');
  expect(await type('br-to-vlan vlan7')).toBe('7\n');
  await lab.inSwitch('ip', 'link', 'set', 'vlan7', 'up');
  await lab.inSwitch('ip', 'addr', 'add', '10.7.0.1/24', 'dev', 'vlan7');
  const guest = await lab.addHost('vnet0', '10.7.0.2/24');
  await type('add-port vlan7 vnet0');
  expect(await type('get port vnet0 tag')).toBe('7\n');
  await guest.reaches('10.7.0.1');
  await type('del-br vlan7');
  expect(await type('list-ports sw0')).toBe('sw0-vlan2\ntap2\ntap3\n');
});

test('everything in one call, and gone in one', async () => {
  const a = await lab.addHost('swA', '10.8.0.1/24');
  await lab.addHost('swB', '10.8.0.2/24');
  await type('add-br br0 -- add-port br0 swA tag=10 -- add-port br0 swB tag=10');
  await a.reaches('10.8.0.2', 3_000);
  await type('del-port swB -- add-port br0 swB tag=10 -- set Interface swB ofport_request=9');
  expect(await type('get Interface swB ofport')).toBe('9\n');
  await a.reaches('10.8.0.2', 3_000);
  await type('del-br br0');
  expect(await a.ping('10.8.0.2')).toBe(0);
  await until('the bridge is gone', async () => !(await lab.inSwitch('ip', '-br', 'link')).includes('br0 '));
});

test('the database outlives kill -9 of weftd, the ports keep their numbers', async () => {
  const before = await type('--columns=name,ofport list Interface');
  const pid = await lab.pidOf('weftd');
  process.kill(pid ?? 0, 'SIGKILL');
  await until('weftd is back', async () => (await lab.pidOf('weftd')) !== pid && lab.isHealthy(), 60_000);
  expect((await type('--columns=name,ofport list Interface')).split('\n').sort()).toEqual(
    before.split('\n').sort(),
  );
  await type('add-port sw0 vnet0 tag=2');
  expect(await machine.ping('203.0.113.129', 2)).toBe(2);
});
