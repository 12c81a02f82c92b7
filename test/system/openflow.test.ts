/**
 * What of OpenFlow only real ports and clocks can show: every bit of a port's configuration (OF 1.3.5 §7.2.1), fragments
 * (§7.3.2), time-outs (§6.5), and a large bundle beside traffic (ONF EXT-230).
 */
import { join } from 'node:path';
import { connect, parseFlow, type Connection, type FlowRemoved, type PacketIn } from 'node-openflow';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { datapathBinary, Lab, sh, until, type Host } from './lab.js';

let lab: Lab;
let a: Host;
let b: Host;
let connection: Connection;
const removed: FlowRemoved[] = [];
const packetIns: PacketIn[] = [];

const ofctl = (command: string, ...args: string[]): Promise<string> =>
  sh('ovs-ofctl', '-O', 'OpenFlow13', '--timeout=20', command, `unix:${lab.rundir}/br0.mgmt`, ...args);

/** One echo request that is not answered within a second. */
const isCutOff = async (): Promise<boolean> => (await a.ping('192.0.2.2', 1)) === 0;

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('of1', '192.0.2.1/24');
  b = await lab.addHost('of2', '192.0.2.2/24');
  const bridge = 'name=br0,dpid=0000000000000abd,fail_mode=secure,port=of1:1,port=of2:2';
  lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge]);
  await until('the switch', () => ofctl('show'));
  connection = await connect(`unix:${join(lab.rundir, 'br0.mgmt')}`);
  connection.on('flowRemoved', (message) => removed.push(message));
  connection.on('packetIn', (message) => packetIns.push(message));
  connection.send({ type: 'SET_CONFIG', flags: 'FRAG_NORMAL', missSendLength: 0xffff });
  // Neighbours are known for good, so that each ping is one frame each way.
  for (const [host, peer, address] of [
    [a, b, '192.0.2.2'],
    [b, a, '192.0.2.1'],
  ] as const) {
    const mac = await peer.mac();
    await host.run('ip', 'neigh', 'replace', address, 'lladdr', mac, 'dev', 'eth0', 'nud', 'permanent');
  }
});

beforeEach(async () => {
  await ofctl('del-flows');
  await ofctl('add-flow', 'priority=10,in_port=1,actions=output:2');
  await ofctl('add-flow', 'priority=10,in_port=2,actions=output:1');
  await a.reaches('192.0.2.2');
});

afterAll(async () => {
  connection?.close();
  await lab?.close();
});

test('each bit of a port configuration does what it says', async () => {
  const pairs = [
    ['1', 'no-receive', 'receive', 'NO_RECV'],
    ['2', 'no-forward', 'forward', 'NO_FWD'],
    ['2', 'down', 'up', 'PORT_DOWN'],
  ] as const;
  for (const [port, set, clear, shown] of pairs) {
    await ofctl('mod-port', port, set);
    expect(await ofctl('dump-ports-desc')).toContain(shown);
    expect(await isCutOff(), set).toBe(true);
    if (set === 'down') {
      const link = await lab.inSwitch('ip', '-o', 'link', 'show', 'dev', 'of2');
      expect(link).not.toMatch(/[<,]UP[,>]/);
    }
    await ofctl('mod-port', port, clear);
    await a.reaches('192.0.2.2');
    expect(await ofctl('dump-ports-desc')).not.toContain(shown);
  }
});

test('no-packet-in keeps what a port receives from the controllers', async () => {
  await ofctl('mod-flows', 'in_port=1,actions=CONTROLLER:65535');
  await ofctl('mod-flows', 'in_port=2,actions=CONTROLLER:65535');
  const from = (port: number): number =>
    packetIns.filter((message) => message.match['in_port'] === port).length;
  expect(await isCutOff()).toBe(true);
  await until('a packet-in', () => from(1) > 0);
  await ofctl('mod-port', '1', 'no-packet-in');
  const before = [from(1), from(2)];
  expect(await isCutOff()).toBe(true);
  await b.ping('192.0.2.1', 1);
  // One thread handles both ports: what came first would be there before.
  await until('one of the other port', () => from(2) > before[1]!);
  expect(from(1)).toBe(before[0]);
  await ofctl('mod-port', '1', 'packet-in');
  await a.ping('192.0.2.2', 1);
  await until('and again', () => from(1) > before[0]!);
});

test('fragments pass, or are dropped, or it is said that they cannot be reassembled', async () => {
  const large = async (): Promise<boolean> => {
    const output = await a
      .run('ping', '-n', '-c', '1', '-W', '1', '-s', '4000', '192.0.2.2')
      .catch((error: { stdout?: string }) => error.stdout ?? '');
    return / 1 received/.test(output);
  };
  await until('fragments pass', large);
  await ofctl('set-frags', 'drop');
  expect(await ofctl('get-frags')).toContain('drop');
  expect(await large()).toBe(false);
  expect(await isCutOff()).toBe(false);
  const refused = await connection
    .request({ type: 'SET_CONFIG', flags: 'FRAG_REASM', missSendLength: 0xffff })
    .then(() => undefined)
    .catch((error: { error?: { errorType: string; code: string } }) => error.error);
  expect(refused).toMatchObject({ errorType: 'SWITCH_CONFIG_FAILED', code: 'BAD_FLAGS' });
  expect(await ofctl('get-frags')).toContain('drop');
  await ofctl('set-frags', 'normal');
  await until('fragments pass again', large);
});

test('flows end when their time is up: not before, and those in use not by idleness', async () => {
  const flows = {
    hard: 'priority=1,cookie=1,in_port=9,hard_timeout=2,send_flow_rem,actions=drop',
    idle: 'priority=1,cookie=2,in_port=8,idle_timeout=2,send_flow_rem,actions=drop',
    used: 'priority=20,cookie=3,in_port=1,idle_timeout=2,hard_timeout=4,send_flow_rem,actions=output:2',
  };
  removed.length = 0;
  for (const text of Object.values(flows)) await ofctl('add-flow', text);
  const traffic = a.ping('192.0.2.2', 60, 0.1);
  const gone = (cookie: bigint): FlowRemoved | undefined =>
    removed.find((message) => message.cookie === cookie);
  // How long this process had to wait for a processor: the switch may have had to, too.
  let [lastMs, lagMs] = [performance.now(), 0];
  const watch = setInterval(() => {
    const nowMs = performance.now();
    [lastMs, lagMs] = [nowMs, Math.max(lagMs, nowMs - lastMs)];
  }, 10);
  await until('all are gone', () => gone(1n) && gone(2n) && gone(3n), 30_000);
  clearInterval(watch);
  const seconds = (cookie: bigint): number => {
    const message = gone(cookie)!;
    return message.durationSec + message.durationNsec / 1e9;
  };
  expect([gone(1n)!.reason, gone(2n)!.reason, gone(3n)!.reason]).toEqual([
    'HARD_TIMEOUT',
    'IDLE_TIMEOUT',
    'HARD_TIMEOUT',
  ]);
  const late = [seconds(1n) - 2, seconds(2n) - 2, seconds(3n) - 4];
  expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  // To the second, by the switch's own clock.
  expect(Math.max(...late)).toBeLessThan(1 + lagMs / 1000);
  expect(gone(3n)!.packetCount).toBeGreaterThan(0n);
  await traffic;
});

test('a bundle of 20,000 flows costs traffic that it does not concern no frame', async () => {
  const traffic = a.run('ping', '-n', '-q', '-i', '0.002', '-c', '1000', '192.0.2.2');
  const mods = Array.from({ length: 20_000 }, (_, i) =>
    parseFlow(
      `priority=5,ip,in_port=7,nw_src=10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255},actions=drop`,
    ),
  );
  expect(await connection.commit(mods)).toEqual([]);
  expect(await ofctl('dump-aggregate')).toContain('flow_count=20002');
  expect(await traffic).toContain(' 0% packet loss');
  expect(await connection.commit([{ type: 'FLOW_MOD', command: 'DELETE', tableId: 255 }])).toEqual([]);
  expect(await ofctl('dump-aggregate')).toContain('flow_count=0');
});
