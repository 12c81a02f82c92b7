/**
 * The configuration in a cluster of Debian's ovsdb-server: weftd follows the leader, also when that one is killed, and what
 * is changed afterwards is done.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, sh, until, type Host } from './lab.js';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const MEMBERS = [1, 2, 3];
const raft = (n: number): string => `tcp:127.0.0.1:${16_643 + n}`;
const client = (n: number): string => `tcp:127.0.0.1:${16_640 + n * 10}`;
const SERVERS = MEMBERS.map(client).join(',');

let lab: Lab;
let a: Host, b: Host;
const members = new Map<number, ChildProcess>();

const control = (n: number): string => join(lab.folder, `db${n}.ctl`);
const file = (n: number): string => join(lab.folder, 'cluster', `db${n}`);

function start(n: number): void {
  members.set(
    n,
    lab.spawnInSwitch('ovsdb-server', [
      ...[file(n), `--remote=p${client(n).replace(/127\.0\.0\.1:(\d+)/, '$1:127.0.0.1')}`],
      ...[`--unixctl=${control(n)}`, '--no-chdir'],
    ]),
  );
}

const status = (n: number): Promise<string> =>
  sh('ovs-appctl', '-t', control(n), 'cluster/status', 'Open_vSwitch');

const leader = (): Promise<number> =>
  until(
    'the cluster has a leader',
    async () => {
      for (const n of members.keys()) {
        if (/^Role: leader$/m.test(await status(n).catch(() => ''))) return n;
      }
      return null;
    },
    60_000,
  );

/** `ovs-vsctl` waits until the switch forwards so. */
const vsctl = (...words: string[]): Promise<string> =>
  lab.inSwitch('ovs-vsctl', '--timeout=60', `--db=${SERVERS}`, ...words);

async function kill(n: number): Promise<void> {
  const child = members.get(n);
  members.delete(n);
  const ended = new Promise((resolve) => child?.once('exit', resolve));
  child?.kill('SIGKILL');
  await ended;
}

beforeAll(async () => {
  lab = await Lab.create();
  mkdirSync(join(lab.folder, 'cluster'));
  a = await lab.addHost('pa', '10.97.0.1/24');
  b = await lab.addHost('pb', '10.97.0.2/24');
  await lab.addHost('pc', '10.97.0.3/24');
  await sh('ovsdb-tool', 'create-cluster', file(1), SCHEMA, raft(1));
  start(1);
  for (const n of [2, 3]) {
    await sh('ovsdb-tool', 'join-cluster', file(n), 'Open_vSwitch', raft(n), raft(1));
    start(n);
  }
  await until(
    'all have joined',
    async () => {
      const all = await Promise.all(MEMBERS.map(status));
      return all.every((text) => /^Status: cluster member$/m.test(text));
    },
    60_000,
  );
  await lab.startWeft('--db', SERVERS);
}, 180_000);

afterAll(() => lab?.close());

test('what ovs-vsctl writes there is done when it returns, and told back', async () => {
  await vsctl(
    'add-br',
    'br0',
    '--',
    'add-port',
    'br0',
    'pa',
    'tag=10',
    '--',
    'add-port',
    'br0',
    'pb',
    'tag=10',
  );
  await a.reaches('10.97.0.2');
  await until(
    'the link is told',
    async () => (await vsctl('get', 'interface', 'pa', 'link_state')) === 'up\n',
  );
  expect(Number(await vsctl('get', 'interface', 'pa', 'ofport'))).toBeGreaterThan(0);
});

test('the REST API writes there as well, and a refusal is told', async () => {
  await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pc', vlanMode: 'access', tag: 20 });
  expect(await vsctl('get', 'port', 'pc', 'tag')).toBe('20\n');
  const again = await lab.rest('POST', '/v1/bridges/br0/ports', { name: 'pc' });
  expect(again.status).toBe(409);
});

test('the leader is killed: traffic goes on, and a change afterwards is done', async () => {
  await kill(await leader());
  expect(await b.ping('10.97.0.1', 20)).toBe(20);
  await vsctl('set', 'port', 'pc', 'tag=10');
  await a.reaches('10.97.0.3');
  await lab.must('DELETE', '/v1/bridges/br0/ports/pc');
  await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pc', vlanMode: 'access', tag: 30 });
  expect(await vsctl('get', 'port', 'pc', 'tag')).toBe('30\n');
  await until('weft says that all is well', () => lab.isHealthy());
}, 120_000);

test('no majority is left: traffic goes on; a member comes back, and so does the configuration', async () => {
  const [gone = 0] = [...members.keys()];
  await kill(gone);
  expect(await a.ping('10.97.0.2', 20)).toBe(20);
  start(gone);
  await leader();
  await vsctl('set', 'port', 'pc', 'tag=10');
  await a.reaches('10.97.0.3', 30_000);
}, 120_000);

test('weftd killed: the next one has the lock and the same configuration', async () => {
  const pid = await until('weftd runs', () => lab.pidOf('weftd'));
  process.kill(pid, 'SIGKILL');
  await until('another has come', async () => {
    const now = await lab.pidOf('weftd');
    return now !== null && now !== pid;
  });
  await until('it is in order', () => lab.isHealthy(), 30_000);
  await a.reaches('10.97.0.2');
}, 60_000);
