/** ovs-ofctl's commands on weft-datapath, one after the other, as an operator types them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { datapathBinary, Lab, sh, until } from '../system/lab.js';

let lab: Lab;

function ofctl(line: string): Promise<string> {
  const [command = '', ...args] = line.replaceAll('BR', `unix:${lab.rundir}/br0.mgmt`).split(' ');
  const options = command.startsWith('--') ? [command] : [];
  const words = options.length > 0 ? args : [command, ...args];
  return sh('ovs-ofctl', '-O', 'OpenFlow13', '--timeout=20', ...options, ...words);
}

beforeAll(async () => {
  lab = await Lab.create();
  for (const n of [1, 2, 3]) await lab.addHost(`oc${n}`);
  const ports = [1, 2, 3].map((n) => `port=oc${n}:${n}`).join(',');
  const bridge = `name=br0,dpid=0000000000000abc,fail_mode=secure,${ports}`;
  lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge]);
  await until('the switch', () => ofctl('dump-flows BR').then(() => true));
  const files: Record<string, string> = {
    flows: 'priority=1,in_port=1,actions=output:2\npriority=2,in_port=2,actions=output:1\n',
    other: 'priority=2,in_port=2,actions=output:1\npriority=3,in_port=3,actions=drop\n',
    groups: 'group_id=21,type=all,bucket=output:1\ngroup_id=22,type=indirect,bucket=output:2\n',
    bundle:
      'flow add priority=70,in_port=3,actions=output:1\ngroup add group_id=30,type=all,bucket=output:3\n',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(lab.folder, name), text);
});

afterAll(() => lab?.close());

/** Commands in order, each with what must be in its output. */
const steps: [line: string, ...wanted: RegExp[]][] = [
  ['show BR', /dpid:0000000000000abc/, /n_tables:25[0-9]/, / 1\(oc1\): addr:/, / 3\(oc3\)/],
  ['dump-desc BR', /Manufacturer: Weft/],
  ['dump-tables BR', /table 0/],
  ['dump-table-features BR', /table 0/, /instructions: .*meter/],
  ['get-frags BR', /normal/],
  ['set-frags BR drop'],
  ['get-frags BR', /drop/],
  ['set-frags BR normal'],
  ['add-flow BR table=0,priority=50,tcp,tp_dst=80,actions=goto_table:1'],
  ['add-flow BR table=1,cookie=0x7,priority=5,ip,actions=dec_ttl,output:2'],
  ['add-flows BR FOLDER/flows'],
  ['dump-flows BR', /tp_dst=80 actions=goto_table:1/, /cookie=0x7.*actions=dec_ttl,output:/],
  ['dump-flows BR table=1', /cookie=0x7/],
  ['dump-aggregate BR', /flow_count=4/],
  ['mod-flows BR in_port=1,actions=output:3'],
  ['--strict mod-flows BR priority=2,in_port=2,actions=output:3'],
  ['diff-flows BR FOLDER/flows', /-.*in_port/],
  ['replace-flows BR FOLDER/other'],
  ['dump-flows BR', /priority=3,in_port="?(oc)?3"? actions=drop/],
  ['--strict del-flows BR priority=3,in_port=3'],
  ['dump-ports BR', /port +"?(oc)?1"?: rx pkts=/],
  ['dump-ports BR 2', /port +"?(oc)?2"?: rx pkts=/],
  ['dump-ports-desc BR', /3\(oc3\): addr:/],
  ['mod-port BR 3 no-flood'],
  ['dump-ports-desc BR', /3\(oc3\)/],
  ['mod-port BR 3 no-forward'],
  ['dump-ports-desc BR', /NO_FWD/],
  ['mod-port BR 3 forward'],
  ['add-group BR group_id=5,type=select,bucket=weight:3,output:1,bucket=weight:1,output:2'],
  ['add-groups BR FOLDER/groups'],
  ['dump-groups BR', /group_id=5,type=select/, /group_id=22,type=indirect/],
  ['dump-groups BR 21', /group_id=21,type=all/],
  ['mod-group BR group_id=5,type=all,bucket=output:1'],
  ['dump-group-stats BR', /group_id=5,duration=/],
  ['dump-group-features BR', /Group table:/, /max_groups/],
  ['del-groups BR group_id=5'],
  ['add-meter BR meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100'],
  ['mod-meter BR meter=1,pktps,stats,bands=type=drop,rate=10'],
  ['dump-meters BR', /meter=1 pktps stats bands=/],
  ['dump-meter BR meter=1', /type=drop rate=10/],
  ['meter-stats BR', /meter:1 flow_count:0/],
  ['meter-features BR', /max_meter:/, /band_types: drop dscp_remark/],
  ['del-meter BR meter=1'],
  ['bundle BR FOLDER/bundle'],
  ['dump-flows BR in_port=3', /priority=70/],
  ['queue-get-config BR any', /OFPT_QUEUE_GET_CONFIG_REPLY|queue/i],
  ['queue-stats BR', /0 queues/],
  ['packet-out BR in_port=controller,packet=ffffffffffff0200000000010806,actions=output:1'],
  ['probe BR'],
  ['ping BR', /bytes from/],
  ['del-flows BR'],
  ['dump-aggregate BR', /flow_count=0/],
  ['del-groups BR'],
  ['dump-groups BR', /^OFPST_GROUP_DESC reply.*\n?$/],
];

test('every command works', async () => {
  const failures = [];
  for (const [line, ...wanted] of steps) {
    const command = line.replace('FOLDER', lab.folder);
    const output = await ofctl(command).catch((error: { stdout?: string; stderr?: string }) => {
      // diff-flows says by its status that there are differences.
      if (line.startsWith('diff-flows') && error.stdout) return error.stdout;
      return `failed: ${error.stderr ?? 'no word'}`;
    });
    const missing = wanted.filter((pattern) => !pattern.test(output));
    if (missing.length > 0 || output.startsWith('failed')) failures.push({ line, missing, output });
  }
  expect(failures).toEqual([]);
  const commands = new Set(steps.map(([line]) => line.replace(/^--\S+ /, '').split(' ')[0]));
  expect(commands.size).toBeGreaterThanOrEqual(25);
});

test('what cannot be is refused in the words of the specification', async () => {
  const refusals: [string, RegExp][] = [
    ['add-flow BR actions=group:77', /OFPBAC_BAD_OUT_GROUP/],
    ['add-flow BR actions=meter:9,output:1', /OFPMMFC_UNKNOWN_METER/],
    ['add-flow BR table=5,actions=goto_table:5', /goto_table|OFPBIC_BAD_TABLE_ID/i],
    ['add-group BR group_id=1,type=indirect,bucket=output:1,bucket=output:2', /OFPGMFC_|indirect/i],
    ['queue-get-config BR 99', /OFPQOFC_BAD_PORT/],
    ['dump-meter BR meter=12', /OFPMMFC_UNKNOWN_METER/],
  ];
  for (const [line, wanted] of refusals) {
    // Questions that are refused end with status 0 all the same.
    const said = await ofctl(line).catch((error: { stderr?: string }) => error.stderr ?? 'no word');
    expect(said, line).toMatch(wanted);
  }
});
