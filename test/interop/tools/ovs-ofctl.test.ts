/** Our own `ovs-ofctl` beside Open vSwitch's: what they print of one switch is the same, line for line; and bundles. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleTools } from '../../../src/launch/bundle.mjs';
import { Lab, datapathBinary, projectRoot, until } from '../../system/lab.js';

let lab: Lab;

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line after `ovs-ofctl`, in which BR is the switch. */
function run(whose: 'ovs' | 'weft', line: string): Promise<Outcome> {
  const words = line
    .replaceAll('BR', `unix:${lab.rundir}/br0.mgmt`)
    .replaceAll('FOLDER', lab.folder)
    .split(' ');
  const [program, ...args] =
    whose === 'ovs'
      ? ['ovs-ofctl', '-O', 'OpenFlow13', ...words]
      : [process.execPath, join(projectRoot, 'dist/ovs-tools.cjs'), 'ovs-ofctl', ...words];
  return new Promise((resolve) => {
    execFile(program ?? '', args, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

async function must(whose: 'ovs' | 'weft', line: string): Promise<string> {
  const { status, stdout, stderr } = await run(whose, line);
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' });
  return stdout;
}

/** What differs from call to call: transaction ids, times. */
function normalized(text: string): string {
  return (
    text
      .replaceAll(/\(xid=0x[0-9a-f]+\)/g, '(xid)')
      .replaceAll(/duration[:=][\d.]+s/g, 'duration')
      .replaceAll(/(idle|hard)_age=\d+/g, '$1_age')
      // Actions that Open vSwitch's tool has no names for.
      .replaceAll(' push_pbb pop_pbb copy_ttl_out copy_ttl_in', '')
      .trim()
  );
}

beforeAll(async () => {
  await bundleTools();
  lab = await Lab.create();
  for (const n of [1, 2, 3]) await lab.addHost(`of${n}`);
  const ports = [1, 2, 3].map((n) => `port=of${n}:${n}`).join(',');
  const bridge = `name=br0,dpid=0000000000000abc,fail_mode=secure,${ports}`;
  lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge]);
  await until('the switch', async () => (await run('ovs', 'show BR')).status === 0);
  const good = 'priority=70,in_port=1,actions=output:2\npriority=71,in_port=2,actions=output:1\n';
  writeFileSync(join(lab.folder, 'good'), good);
  writeFileSync(join(lab.folder, 'bad'), `${good.replaceAll('7', '8')}priority=9,actions=group:999\n`);
}, 120_000);
afterAll(() => lab?.close());

const CHANGES = [
  'add-flow BR table=0,priority=50,tcp,tp_dst=80,actions=goto_table:1',
  'add-flow BR table=1,cookie=0x7,priority=5,ip,nw_src=10.0.0.0/8,actions=dec_ttl,output:2',
  'add-flow BR priority=9,dl_vlan=5,idle_timeout=3600,hard_timeout=9000,actions=strip_vlan,set_field:02:00:00:00:00:01->eth_dst,output:3',
  'add-flow BR priority=8,ipv6,ipv6_dst=2001:db8::/32,actions=push_vlan:0x8100,set_field:4101->vlan_vid,LOCAL',
  'add-flow BR priority=7,arp,arp_op=1,actions=CONTROLLER:128',
  'add-flow BR priority=6,icmp,icmp_type=8,send_flow_rem,actions=NORMAL',
  'add-group BR group_id=21,type=all,bucket=output:1,bucket=output:2',
  'add-group BR group_id=22,type=select,bucket=weight:3,output:1,bucket=weight:1,output:3',
  'add-group BR group_id=23,type=ff,bucket=watch_port:1,output:1',
  'add-flow BR priority=5,udp,udp_src=53,actions=group:21',
  'add-meter BR meter=3,kbps,burst,bands=type=drop,rate=1000,burst_size=200',
  'add-flow BR priority=4,sctp,sctp_dst=9,actions=meter:3,output:1',
];
const QUESTIONS = [
  'dump-flows BR',
  'dump-flows BR table=1',
  'dump-flows BR ip',
  '--no-stats dump-flows BR',
  '--sort dump-flows BR',
  '--rsort=priority dump-flows BR',
  '--names --no-stats dump-flows BR',
  'dump-aggregate BR',
  'dump-groups BR',
  'dump-group-stats BR',
  'dump-group-features BR',
  'dump-meters BR',
  'meter-stats BR',
  'meter-features BR',
  'dump-ports-desc BR',
  'dump-desc BR',
  'get-frags BR',
  'show BR',
];

test('what one of them has written, both show alike', async () => {
  for (const [i, line] of CHANGES.entries()) await must(i % 2 === 0 ? 'ovs' : 'weft', line);
  for (const line of QUESTIONS) {
    const [theirs, ours] = await Promise.all([must('ovs', line), must('weft', line)]);
    expect.soft(normalized(ours), line).toBe(normalized(theirs));
  }
}, 180_000);

test('--bundle: all of a file, or nothing', async () => {
  await must('weft', '--bundle add-flows BR FOLDER/good');
  expect(await must('ovs', 'dump-flows BR')).toMatch(/priority=70[^]*priority=71|priority=71[^]*priority=70/);
  const refused = await run('weft', '--bundle add-flows BR FOLDER/bad');
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('BAD_OUT_GROUP');
  expect(await must('ovs', 'dump-flows BR')).not.toMatch(/priority=8[01]/);
}, 60_000);
