/**
 * `ovs-appctl`, Open vSwitch's and ours, finds a running Weft; bridges for VLANs as the first tutorial makes them, with
 * packets; our own `ovs-vsctl` and `ovs-ofctl` on the same switch.
 */
import { execFile } from 'node:child_process';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleTools } from '../../src/launch/bundle.mjs';
import { Lab, projectRoot, until, type Host } from './lab.js';

let lab: Lab;
let a: Host, c: Host, b: Host;

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** A command as it is typed on the switch's machine; with `weft` our own program of that name. */
function type(line: string, whose: 'ovs' | 'weft' = 'ovs'): Promise<Outcome> {
  const [name = '', ...args] = line.split(' ');
  const program =
    whose === 'ovs' ? [name] : [process.execPath, join(projectRoot, 'dist/ovs-tools.cjs'), name];
  const env = { ...process.env, OVS_RUNDIR: lab.rundir };
  return new Promise((resolve) => {
    execFile(
      'ip',
      ['netns', 'exec', lab.switchNamespace, ...program, ...args],
      { env },
      (error, stdout, stderr) => {
        resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
      },
    );
  });
}

async function must(line: string, whose: 'ovs' | 'weft' = 'ovs'): Promise<string> {
  const { status, stdout, stderr } = await type(line, whose);
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' });
  return stdout;
}

beforeAll(async () => {
  await bundleTools();
  lab = await Lab.create();
  a = await lab.addHost('vnet0', '10.1.0.1/24');
  b = await lab.addHost('vnet1', '10.1.0.2/24');
  // Beyond the trunk: speaks VLAN 1.
  c = await lab.addHost('eth0', '10.1.0.3/24', 1);
  await lab.startWeft();
});

afterAll(() => lab?.close());

test('bridges for VLANs: the host is in them, and what is added to them', async () => {
  await must('ovs-vsctl add-br vswitch');
  await must('ovs-vsctl add-port vswitch eth0 trunks=1,2', 'weft');
  await must('ovs-vsctl add-br vlan1 vswitch 1', 'weft');
  await must('ovs-vsctl add-br vlan2 vswitch 2');
  await must('ovs-vsctl add-port vlan1 vnet0', 'weft');
  await must('ovs-vsctl add-port vswitch vnet1 tag=2');
  for (const whose of ['ovs', 'weft'] as const) {
    expect(await must('ovs-vsctl list-br', whose)).toBe('vlan1\nvlan2\nvswitch\n');
    expect(await must('ovs-vsctl br-to-vlan vlan1', whose)).toBe('1\n');
    expect(await must('ovs-vsctl br-to-parent vlan1', whose)).toBe('vswitch\n');
    expect(await must('ovs-vsctl iface-to-br vnet0', whose)).toBe('vlan1\n');
    expect(await must('ovs-vsctl port-to-br vnet1', whose)).toBe('vlan2\n');
    expect(await must('ovs-vsctl list-ports vlan2', whose)).toBe('vnet1\n');
    expect(await must('ovs-vsctl get port vnet0 tag', whose)).toBe('1\n');
  }
  expect(await must('ovs-vsctl show')).toBe(await must('ovs-vsctl show', 'weft'));
  await lab.inSwitch('ip', 'link', 'set', 'vlan1', 'up');
  await lab.inSwitch('ip', 'addr', 'add', '10.1.0.254/24', 'dev', 'vlan1');
  // The machine on vnet0 and the one beyond the trunk, which speaks with tags, reach the host and each other.
  await a.reaches('10.1.0.254');
  await c.reaches('10.1.0.254');
  await a.reaches('10.1.0.3');
  expect(await b.ping('10.1.0.254')).toBe(0);
  expect(await b.ping('10.1.0.1')).toBe(0);
});

test('the MAC table as Open vSwitch shows it', async () => {
  const mac = await a.mac();
  const port = (await must('ovs-vsctl get Interface vnet0 ofport')).trim();
  await a.reaches('10.1.0.254');
  const table = await must('ovs-appctl fdb/show vswitch');
  expect(table).toMatch(/^ port {2}VLAN {2}MAC {16}Age\n/);
  expect(table).toMatch(new RegExp(`^ *${port} +1 {2}${mac} {2} *\\d+$`, 'm'));
  expect((await must('ovs-appctl fdb/show vswitch', 'weft')).split('\n')[0]).toBe(table.split('\n')[0]);
  expect(await must('ovs-appctl fdb/stats-show vswitch')).toMatch(
    /^Statistics for bridge "vswitch":\n {2}Current\/maximum MAC entries in the table: \d+\/8192\n/,
  );
  expect(await must('ovs-appctl fdb/flush vswitch')).toBe('table successfully flushed\n');
  // A host that speaks again is learned again.
  await until('forgotten', async () => {
    await must('ovs-appctl fdb/flush vswitch');
    return !(await must('ovs-appctl fdb/show vswitch')).includes(mac);
  });
  // A bridge for a VLAN has no table of its own, with Open vSwitch neither.
  for (const whose of ['ovs', 'weft'] as const) {
    expect(await type('ovs-appctl fdb/show vlan1', whose)).toEqual({
      status: 2,
      stdout: '',
      stderr: 'no such bridge\novs-appctl: ovs-vswitchd: server returned an error\n',
    });
  }
});

test('the process, its log, and the database server', async () => {
  expect(await must('ovs-appctl version')).toMatch(/^ovs-vswitchd \(Open vSwitch\) \d+\.\d+\.\d+\n/);
  expect(await must('ovs-appctl list-commands')).toContain('  fdb/show                bridge\n');
  expect(await must('ovs-appctl ofproto/list')).toBe('vswitch\n');
  expect(await must('ovs-appctl dpif/show')).toMatch(
    /^\S+: hit:\d+ missed:\d+\n {2}vswitch:\n {4}eth0 \d+\/\d+: \(system\)\n/,
  );
  // What is not used for a while leaves the cache.
  await until('a flow in the cache', async () => {
    await a.ping('10.1.0.3', 1);
    const flow =
      /^in_port=.*, packets:\d+, bytes:\d+, used:(\d+\.\d{3}s|never), (offloaded:yes, )?dp:.*, actions:\S+/m;
    return flow.test(await must('ovs-appctl dpctl/dump-flows -m vswitch'));
  });
  expect((await type('ovs-appctl dpctl/dump-flows nosuch')).status).toBe(2);
  expect(await must('ovs-appctl memory/show')).toMatch(/ports:\d+ /);
  expect(await must('ovs-appctl coverage/show')).toMatch(/^flow_adds +.*\/sec +total: \d+$/m);
  await must('ovs-appctl vlog/set weftd:console:dbg');
  expect(await must('ovs-appctl vlog/list')).toMatch(/^weftd +DBG /m);
  // The datapath's own level as well: what it refuses is for debugging.
  expect(lab.log).not.toContain('request refused');
  await must('ovs-appctl vlog/set dbg');
  const peer = createConnection(`${lab.rundir}/vswitch.mgmt`);
  // HELLO, and a FLOW_MOD that ends where it begins.
  peer.write(Buffer.from('0400000800000001' + '040e000800000002', 'hex'));
  await until('the datapath says more', () => lab.log.includes('request refused'));
  peer.destroy();
  await must('ovs-appctl vlog/set info');
  expect(await must('ovs-appctl -t ovsdb-server ovsdb-server/list-dbs')).toBe('Open_vSwitch\n_Server\n');
  expect((await type('ovs-appctl nosuch')).status).toBe(2);
  const trace = await must(
    'ovs-appctl ofproto/trace vswitch in_port=vnet0,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02',
  );
  expect(trace).toMatch(/^Flow: in_port=.*\n\nbridge\("vswitch"\)\n-{17}\n 0\. priority 0\n {4}NORMAL\n/);
  expect(trace).toMatch(/\nDatapath actions: \S+\n$/);
});

test('flows by our ovs-ofctl are what Open vSwitch’s sees', async () => {
  await must('ovs-ofctl add-flow vswitch table=0,priority=7,in_port=vnet1,actions=drop', 'weft');
  const flow = /priority=7,in_port=\d+ actions=drop/;
  expect(await must('ovs-ofctl -O OpenFlow13 dump-flows vswitch table=0')).toMatch(flow);
  expect(await must('ovs-ofctl dump-flows vswitch table=0', 'weft')).toMatch(flow);
  expect(await must('ovs-ofctl --strict del-flows vswitch table=0,priority=7,in_port=vnet1', 'weft')).toBe(
    '',
  );
  expect(await must('ovs-ofctl -O OpenFlow13 dump-flows vswitch table=0')).not.toMatch(flow);
});

test('managers that the database names are served', async () => {
  await must('ovs-vsctl set-manager ptcp:16640:127.0.0.1');
  await until('ptcp:16640 is served', async () => {
    return (
      (await type('ovs-vsctl --db=tcp:127.0.0.1:16640 --timeout=5 br-exists vswitch', 'weft')).status === 0
    );
  });
  await until('its status', async () => {
    return (await must('ovs-vsctl --columns=status list manager')).includes('bound_port="16640"');
  });
  await must('ovs-vsctl del-manager');
});

test('restarts: the sockets come back; exit ends it all', async () => {
  const works = async () => (await type('ovs-appctl ofproto/list')).stdout === 'vswitch\n';
  for (const daemon of ['weftd', 'weft-datapath'] as const) {
    process.kill((await lab.pidOf(daemon)) ?? 0, 'SIGKILL');
    await until(`ovs-appctl after the death of ${daemon}`, works, 60_000);
  }
  expect((await type('ovs-appctl exit')).status).toBe(0);
  await until(
    'weft has ended',
    async () => (await lab.pidOf('weftd')) === null && (await lab.pidOf('weft-datapath')) === null,
    60_000,
  );
  expect((await type('ovs-appctl version', 'weft')).stderr).toMatch(/^ovs-appctl: cannot read pidfile /);
});
