import { expect, test } from 'vitest';
import { megaflowActions, megaflowMatch } from './megaflow.js';

const names = { byName: () => undefined, byNumber: (port: number) => ({ 1: 'p1', 2: 'p2' })[port] };

test('fields in the words of ovs-ofctl', () => {
  const fields = ['in_port=0x1', 'eth_dst=0x20000000001', 'eth_type=0x800', 'ipv4_dst=0xa000000/0xff000000'];
  expect(megaflowMatch(fields, names)).toBe('ip,in_port=p1,dl_dst=02:00:00:00:00:01,nw_dst=10.0.0.0/8');
});

test('what OpenFlow cannot say stays as it is told', () => {
  expect(megaflowMatch(['in_port=0x3', 'ip_dscp=0x1/0x3', 'colour=0x7', '??'], names)).toBe(
    'in_port=3,ip_dscp=0x1/0x3,colour=0x7,??',
  );
  expect(megaflowMatch([])).toBe('');
});

test('actions with names and values', () => {
  const actions = [
    'push_vlan:0x8100',
    'set_field:0x20000000001->eth_dst',
    'clone(pop_vlan,output:1)',
    'output:9',
  ];
  expect(megaflowActions(actions, names)).toBe(
    'push_vlan:0x8100,set_field:02:00:00:00:00:01->eth_dst,clone(pop_vlan,output:p1),output:9',
  );
  expect(megaflowActions(['output:4294967294', 'set_field:0x1/0x3->ip_dscp'])).toBe(
    'output:LOCAL,set_field:0x1/0x3->ip_dscp',
  );
});
