/**
 * ovs-ofctl's syntax held beside ovs-ofctl itself: what it reads and what we read must be the same message to Open
 * vSwitch, and what ovs-vswitchd then holds must be printed by both in the same words.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  connect,
  decode,
  encode,
  formatFlow,
  formatFlowStats,
  formatGroup,
  formatMeter,
} from 'node-openflow';
import { parseFlow, parseGroup, parseMeter, type Connection } from 'node-openflow';
import { FLOWS, anyFlow } from '../../openflow/src/ofctl/testing-flows.js';
import { Lab, sh } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';

const run = promisify(execFile);

/** What ovs-ofctl makes of a flow, printed by itself: everything behind `OFPT_FLOW_MOD (…): `. */
async function readByThem(text: string): Promise<string> {
  const { stdout } = await run('ovs-ofctl', ['-O', 'OpenFlow13', 'parse-flow', text]);
  return bodyOf(stdout);
}

/** What ovs-ofctl makes of the message that we make of a flow. */
async function readByUs(text: string): Promise<string> {
  const bytes = encode({ ...parseFlow(text), xid: 1 });
  const { stdout } = await run('ovs-ofctl', ['ofp-print', bytes.toString('hex')]);
  return bodyOf(stdout);
}

function bodyOf(output: string): string {
  const line = output.split('\n').find((each) => each.startsWith('OFPT_FLOW_MOD'));
  return line?.replace(/^OFPT_FLOW_MOD \(OF1\.3\) \(xid=0x[0-9a-f]+\): /, '') ?? output;
}

/** Our own print of our reading, in the words that ovs-ofctl uses for flow-mods instead of those for dumps. */
function printedByUs(text: string): string {
  const message = decode(encode(parseFlow(text)));
  if (message.type !== 'FLOW_MOD') throw new Error('not a flow-mod');
  const { cookie, tableId, idleTimeout, hardTimeout, flags, ...rest } = message;
  const key = formatFlow({ ...rest, cookie: 0n, tableId: 0, idleTimeout: 0, hardTimeout: 0, flags: [] });
  const words = {
    SEND_FLOW_REM: 'send_flow_rem',
    CHECK_OVERLAP: 'check_overlap',
    RESET_COUNTS: 'reset_counts',
    NO_PKT_COUNTS: 'no_packet_counts',
    NO_BYT_COUNTS: 'no_byte_counts',
  } as Record<string, string>;
  const at = key.search(/(^| )actions=/);
  const before = [
    tableId === 0 || tableId === 255 ? '' : `table:${tableId}`,
    key.slice(0, Math.max(0, at)),
    cookie === 0n ? '' : `cookie:0x${cookie.toString(16)}`,
    idleTimeout === 0 ? '' : `idle:${idleTimeout}`,
    hardTimeout === 0 ? '' : `hard:${hardTimeout}`,
    ...flags.map((flag) => words[flag] ?? String(flag)),
  ];
  return ['ADD', ...before.filter((word) => word !== ''), key.slice(at).trim()].join(' ');
}

describe('ovs-ofctl and we read the same', () => {
  test.each(FLOWS)('%s', async (text) => {
    const [theirs, ours] = await Promise.all([readByThem(text), readByUs(text)]);
    expect(ours).toBe(theirs);
    expect(printedByUs(text)).toBe(theirs);
  });

  test('any flow', async () => {
    await fc.assert(
      fc.asyncProperty(anyFlow, async (text) => {
        const [theirs, ours] = await Promise.all([readByThem(text), readByUs(text)]);
        expect(ours).toBe(theirs);
        expect(printedByUs(text)).toBe(theirs);
      }),
      { numRuns: 100 },
    );
  });
});

describe('ovs-vswitchd holds what we sent, and both print it alike', () => {
  let lab: Lab;
  let ovs: OpenVSwitch;
  let connection: Connection;
  const ofctl = async (...args: string[]): Promise<string[]> => {
    const [command = '', ...rest] = args;
    const output = await sh('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${ovs.rundir}/br0.mgmt`, ...rest);
    return output.split('\n').filter((line) => line !== '' && !/^OFPST_/.test(line));
  };

  beforeAll(async () => {
    lab = await Lab.create();
    ovs = await OpenVSwitch.start(lab);
    await ovs.addBridge('br0');
    await ovs.vsctl('set', 'bridge', 'br0', 'protocols=OpenFlow13', 'fail_mode=secure');
    connection = await connect(`unix:${ovs.rundir}/br0.mgmt`);
  });
  afterAll(async () => {
    connection.close();
    await ovs.stop();
    await lab.close();
  });

  test('groups', async () => {
    const groups = [
      'group_id=5,type=all,bucket=actions=output:1,bucket=actions=output:2,push_vlan:0x8100,set_field:4100->vlan_vid',
      'group_id=6,type=select,bucket=weight:5,watch_port:1,actions=output:1,bucket=actions=output:2',
      'group_id=7,type=indirect,bucket=actions=drop',
      'group_id=8,type=ff,bucket=watch_port:1,actions=1,bucket=watch_group:5,actions=2',
    ];
    expect(await connection.commit(groups.map((group) => parseGroup(group)))).toEqual([]);
    const { entries } = await connection.multipart({ type: 'GROUP_DESC' });
    expect(entries.map((group) => ` ${formatGroup(group)}`).sort()).toEqual(
      (await ofctl('dump-groups')).sort(),
    );
  });

  test('meters', async () => {
    const meters = [
      'meter=3,kbps,burst,stats,bands=type=drop,rate=100,burst_size=10',
      'meter=4,pktps,bands=type=drop,rate=5',
      'meter=controller,pktps,bands=type=drop,rate=5000',
    ];
    expect(await connection.commit(meters.map((meter) => parseMeter(meter)))).toEqual([]);
    const { entries } = await connection.multipart({ type: 'METER_CONFIG' });
    expect(entries.flatMap((meter) => formatMeter(meter).split('\n'))).toEqual(await ofctl('dump-meters'));
  });

  test('flows', async () => {
    // Each in a table of its own choosing, apart by priority; those Open vSwitch refuses are refused in both ways.
    const texts = FLOWS.filter(
      (text) => !/priority=|CONTROLLER2|check_overlap/.test(text) && !/\bgoto_table/.test(text),
    );
    const flows = texts.map((text, i) => ({ ...parseFlow(text), priority: i + 1 }));
    const refused = await connection.commit(flows);
    for (const { index } of refused) {
      await expect(ofctl('add-flow', texts[index] ?? '')).rejects.toThrow();
    }
    expect(flows.length - refused.length).toBeGreaterThan(50);
    const { entries } = await connection.multipart({ type: 'FLOW' });
    const plain = (line: string): string => line.replace(/duration=[0-9.]+s/, 'duration=Xs');
    const ours = entries.map((flow) => plain(` ${formatFlowStats(flow)}`));
    expect(ours.sort()).toEqual((await ofctl('dump-flows')).map(plain).sort());
    const bare = entries.map((flow) => ` ${formatFlowStats(flow, { hasStats: false })}`);
    expect(bare.sort()).toEqual((await ofctl('dump-flows', '--no-stats')).sort());

    // What was dumped, read back and sent again, changes nothing.
    const again = entries.map((flow) => parseFlow(formatFlowStats(flow)));
    expect(
      await connection.commit([{ type: 'FLOW_MOD', command: 'DELETE', tableId: 255 }, ...again]),
    ).toEqual([]);
    const { entries: after } = await connection.multipart({ type: 'FLOW' });
    expect(after.map((flow) => formatFlowStats(flow, { hasStats: false })).sort()).toEqual(
      entries.map((flow) => formatFlowStats(flow, { hasStats: false })).sort(),
    );
  });

  test('a thousand flows in one commit, read in parts', async () => {
    const flows = Array.from({ length: 1000 }, (_, i) =>
      parseFlow(`table=9,priority=${i},in_port=${i + 1},actions=output:1`),
    );
    expect(await connection.commit(flows)).toEqual([]);
    let count = 0;
    for await (const part of connection.multipartParts({ type: 'FLOW', tableId: 9 }))
      count += part.entries.length;
    expect(count).toBe(1000);
  });
});
