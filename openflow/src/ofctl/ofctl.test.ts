import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLOWS, anyFlow } from './testing-flows.js';
import { decode, encode } from '../openflow.js';
import {
  OfctlSyntaxError,
  formatFlow,
  formatFlowStats,
  formatGroup,
  formatMatch,
  formatMeter,
  parseActions,
} from './index.js';
import { formatActions, parseFlow, parseFlows, parseGroup, parseMatch, parseMeter } from './index.js';

/** A flow as it comes off the wire. */
function flowOf(text: string) {
  const message = decode(encode({ ...parseFlow(text), xid: 1 }));
  if (message.type !== 'FLOW_MOD') throw new Error('not a flow-mod');
  return message;
}

describe('flows', () => {
  it.each(FLOWS)('print∘parse is stable: %s', (text) => {
    const flow = flowOf(text);
    expect(flowOf(formatFlow(flow))).toEqual(flow);
  });

  it('parse∘print gives any flow back', () => {
    fc.assert(
      fc.property(anyFlow, (text) => {
        const flow = flowOf(text);
        const printed = formatFlow(flow);
        expect(flowOf(printed)).toEqual(flow);
        expect(formatFlow(flowOf(printed))).toBe(printed);
      }),
      { numRuns: 500 },
    );
  });

  it('are read as messages', () => {
    expect(parseFlow('priority=100,in_port=1,dl_vlan=10,actions=pop_vlan,output:2')).toMatchObject({
      type: 'FLOW_MOD',
      command: 'ADD',
      priority: 100,
      match: { in_port: 1, vlan_vid: 0x100a },
      instructions: [{ type: 'APPLY_ACTIONS', actions: [{ type: 'POP_VLAN' }, { type: 'OUTPUT', port: 2 }] }],
    });
  });

  it('are read line by line', () => {
    const flows = parseFlows('# two flows\n\n priority=1,actions=1 # the first\npriority=2,actions=2\n');
    expect(flows.map((flow) => flow.priority)).toEqual([1, 2]);
  });

  it('deletes name what they select', () => {
    expect(parseFlow('cookie=0x5/-1,out_port=3,tcp', { command: 'DELETE' })).toMatchObject({
      command: 'DELETE',
      tableId: 255,
      cookie: 5n,
      cookieMask: 0xffff_ffff_ffff_ffffn,
      outPort: 3,
      match: { eth_type: 0x800, ip_proto: 6 },
      instructions: [],
    });
  });

  it('know ports by name', () => {
    const ports = new Map([
      ['eth0', 1],
      ['a,b', 2],
    ]);
    const names = {
      byName: (name: string) => ports.get(name),
      byNumber: (port: number) => [...ports].find(([, n]) => n === port)?.[0],
    };
    const flow = decode(encode(parseFlow('in_port=eth0,actions=output:eth0,eth0', { names })));
    if (flow.type !== 'FLOW_MOD') throw new Error();
    expect(formatFlow(flow, names)).toBe('in_port=eth0 actions=output:eth0,output:eth0');
    expect(formatActions([{ type: 'OUTPUT', port: 2, maxLength: 0 }], names)).toBe('output:"a,b"');
    expect(() => parseFlow('in_port=eth1,actions=drop', { names })).toThrow('"eth1" at character 9');
  });

  it('print as dump-flows prints them', () => {
    const stats = {
      tableId: 0,
      durationSec: 1,
      durationNsec: 234_567_890,
      priority: 5,
      idleTimeout: 60,
      hardTimeout: 0,
      flags: ['SEND_FLOW_REM'] as const,
      cookie: 0xabcn,
      packetCount: 3n,
      byteCount: 0xffff_ffff_ffff_ffffn,
      match: parseMatch('tcp,tp_dst=80'),
      instructions: flowOf('actions=output:2').instructions,
    };
    const rest = 'idle_timeout=60, send_flow_rem priority=5,tcp,tp_dst=80 actions=output:2';
    expect(formatFlowStats(stats)).toBe(
      `cookie=0xabc, duration=1.234s, table=0, n_packets=3, n_bytes=?, ${rest}`,
    );
    expect(formatFlowStats(stats, { hasStats: false })).toBe(`cookie=0xabc, ${rest}`);
  });
});

describe('errors name the word and its place', () => {
  it.each([
    ['foo=3,actions=drop', 'foo', 0],
    ['priority=x,actions=drop', 'x', 9],
    ['idle_timeout=70000,actions=drop', '70000', 13],
    ['ip,nw_src=1.2.3,actions=drop', '1.2.3', 10],
    ['ip,nw_src=1.2.3.4/33,actions=drop', '33', 18],
    ['nw_src=1.2.3.4,actions=drop', 'nw_src', 0],
    ['ip,tp_src=4,actions=drop', 'tp_src', 3],
    ['dl_vlan=4096,actions=drop', '4096', 8],
    ['tcp,tcp_flags=+syn+foo,actions=drop', 'foo', 19],
    ['in_port=,actions=drop', 'in_port', 0],
    ['dl_vlan=10', 'dl_vlan=10', 0],
    ['actions=foo:3', 'foo', 8],
    ['actions=output:2,drop', 'drop', 17],
    ['actions=output:nowhere', 'nowhere', 15],
    ['actions=set_field:5->bar', 'bar', 21],
    ['actions=set_field:300->ip_ecn', '300', 18],
    ['actions=load:2->reg0[3]', '2', 13],
    ['actions=load:2->reg0[3..40]', 'reg0[3..40]', 16],
    ['actions=write_actions(output:2', '(output:2', 21],
    ['actions=goto_table:1,output:2', 'output', 21],
    ['actions=mod_tp_src:5', 'mod_tp_src', 8],
    ['importance=5,actions=drop', 'importance', 0],
    ['cookie=1/2,actions=drop', '1/2', 7],
  ])('%s', (text, word, position) => {
    expect(() => parseFlow(text)).toThrow(OfctlSyntaxError);
    try {
      parseFlow(text);
    } catch (error) {
      expect(error).toMatchObject({ word, position });
      if (error instanceof OfctlSyntaxError) expect(text.slice(error.position).startsWith(word)).toBe(true);
    }
  });

  it('and nothing else is ever thrown', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc
        .tuple(anyFlow, fc.nat(200), fc.string({ maxLength: 4 }))
        .map(([flow, at, junk]) => flow.slice(0, at) + junk + flow.slice(at + 2)),
    );
    fc.assert(
      fc.property(text, (flow) => {
        try {
          parseFlow(flow);
        } catch (error) {
          expect(error).toBeInstanceOf(OfctlSyntaxError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('matches', () => {
  it.each([
    ['', ''],
    ['nw_dst=10.0.0.1/8,ip', 'ip,nw_dst=10.0.0.0/8'],
    ['eth_type=0x86dd,nw_proto=58,icmp_type=1', 'icmp6,icmp_type=1'],
    ['in_phy_port=3,pbb_isid=5,dl_type=0x88e7', 'in_phy_port=3,dl_type=0x88e7,pbb_isid=0x5'],
    ['unknown_8000_7f=abcd/ff00', 'unknown_8000_7f=abcd/ff00'],
    ['xreg0=0x100000002,xxreg1=5', 'xreg0=0x100000002,xxreg1=0x5'],
  ])('"%s" is "%s"', (text, printed) => expect(formatMatch(parseMatch(text))).toBe(printed));
});

describe('actions', () => {
  it('that ovs-ofctl does not know are written in words of their own, and read back', () => {
    const text =
      'copy_ttl_in,copy_ttl_out,push_pbb:0x88e7,pop_pbb,experimenter(id=0x1234,data=0001020304050607),unknown(code=99,raw=00000000)';
    const flow = flowOf(`actions=${text}`);
    expect(formatFlow(flow)).toBe(`actions=${text}`);
    expect(parseActions('drop')).toEqual([]);
  });
});

describe('groups', () => {
  it.each([
    [
      'group_id=1,type=select,bucket=bucket_id:0,weight:5,watch_port:1,actions=output:1',
      'group_id=1,type=select,bucket=weight:5,watch_port:1,actions=output:1',
    ],
    [
      'group_id=2,type=all,bucket=actions=output:1,bucket=output:2,push_vlan:0x8100,set_field:4100->vlan_vid',
      'group_id=2,type=all,bucket=actions=output:1,bucket=actions=output:2,push_vlan:0x8100,set_field:4100->vlan_vid',
    ],
    [
      'group_id=3,type=ff,bucket=watch_port:1,actions=1,bucket=watch_group:4,2',
      'group_id=3,type=ff,bucket=watch_port:1,actions=output:1,bucket=watch_group:4,actions=output:2',
    ],
    ['group_id=4,type=indirect,bucket=actions=drop', 'group_id=4,type=indirect,bucket=actions=drop'],
    ['group_id=7,type=all', 'group_id=7,type=all'],
  ])('%s', (text, printed) => {
    const group = decode(encode(parseGroup(text)));
    if (group.type !== 'GROUP_MOD') throw new Error();
    expect(formatGroup(group)).toBe(printed);
    expect(decode(encode(parseGroup(printed)))).toEqual(group);
  });

  it.each([
    ['type=all', 'no group_id'],
    ['group_id=1', 'no type'],
    ['group_id=1,type=foo', '"foo" at character 17'],
    ['group_id=1,type=all,bucket=weight:x,actions=1', '"x" at character 35'],
    ['group_id=1,type=select,selection_method=hash,bucket=1', 'selection_method'],
  ])('%s is refused: %s', (text, message) => expect(() => parseGroup(text)).toThrow(message));
});

describe('meters', () => {
  it.each([
    [
      'meter=1,kbps,burst,stats,bands=type=drop,rate=100,burst_size=10',
      'meter=1 kbps burst stats bands=\ntype=drop rate=100 burst_size=10',
    ],
    ['meter=2,pktps,band=type=drop rate=5', 'meter=2 pktps bands=\ntype=drop rate=5'],
    [
      'meter=3,bands=type=dscp_remark,rate=5,prec_level=1,type=drop,rate=10',
      'meter=3 kbps bands=\ntype=dscp_remark rate=5 prec_level=1\ntype=drop rate=10',
    ],
    ['meter=controller,pktps,band=type=drop,rate=3', 'meter=controller pktps bands=\ntype=drop rate=3'],
  ])('%s', (text, printed) => {
    const meter = decode(encode(parseMeter(text)));
    if (meter.type !== 'METER_MOD') throw new Error();
    expect(formatMeter(meter)).toBe(printed);
    expect(decode(encode(parseMeter(printed.replace(/ /g, ','))))).toEqual(meter);
  });

  it.each([
    ['kbps,bands=type=drop,rate=1', 'no meter'],
    ['meter=1,kbps,pktps,bands=type=drop,rate=1', 'exclude'],
    ['meter=1,bands=rate=1', '"rate" at character 15'],
    ['meter=1,bands=type=drop', 'rate'],
    ['meter=1,bands=type=drop,rate=1,burst_size=4', 'burst'],
  ])('%s is refused: %s', (text, message) => expect(() => parseMeter(text)).toThrow(message));
});
