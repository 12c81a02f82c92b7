/** What a switch refuses in a match that is well encoded (OF 1.3.5 §7.2.3, §7.4.4.5). */

import { describe, expect, test } from 'vitest';
import {
  checkMatch,
  checkSetField,
  fieldByName,
  headerOf,
  orderMatch,
  oxmFields,
  type Match,
} from '../src/index.js';

const tcp = { eth_type: 0x0800, ip_proto: 6 } as const;

describe('sound matches', () => {
  test.each<[Match]>([
    [{}],
    [{ in_port: 1, in_phy_port: 2 }],
    [{ vlan_vid: 0 }],
    [{ vlan_vid: 0x1005, vlan_pcp: 7 }],
    [{ vlan_vid: { value: 0x1000, mask: 0x1000 }, vlan_pcp: 0 }],
    [{ ...tcp, ipv4_src: { value: '10.0.0.0', mask: '255.0.0.0' }, tcp_dst: 80 }],
    [
      {
        eth_type: 0x86dd,
        ip_proto: 58,
        icmpv6_type: 135,
        ipv6_nd_target: 'fe80::1',
        ipv6_nd_sll: '02:00:00:00:00:01',
      },
    ],
    [{ eth_type: 0x8848, mpls_label: 0xfffff, mpls_bos: 1 }],
    [{ reg0: { value: 1, mask: 3 } }],
  ])('%j', (match) => {
    expect(checkMatch(match)).toBeUndefined();
  });
});

describe('refused matches', () => {
  test.each<[string, string, Match]>([
    ['BAD_FIELD', 'unknown_8000_7e', { unknown_8000_7e: '00' }],
    ['BAD_MASK', 'in_port', { in_port: { value: 1, mask: 1 } }],
    ['BAD_MASK', 'tcp_dst', { ...tcp, tcp_dst: { value: 80, mask: 0xffff } }],
    ['BAD_WILDCARDS', 'eth_dst', { eth_dst: { value: '01:00:00:00:00:01', mask: 'ff:00:00:00:00:00' } }],
    ['BAD_WILDCARDS', 'metadata', { metadata: { value: 3n, mask: 2n } }],
    ['BAD_VALUE', 'vlan_vid', { vlan_vid: 5 }],
    ['BAD_VALUE', 'vlan_vid', { vlan_vid: 0x2000 }],
    ['BAD_VALUE', 'vlan_pcp', { vlan_vid: 0x1001, vlan_pcp: 8 }],
    ['BAD_VALUE', 'ip_dscp', { eth_type: 0x0800, ip_dscp: 64 }],
    ['BAD_VALUE', 'mpls_label', { eth_type: 0x8847, mpls_label: 0x100000 }],
    ['BAD_PREREQ', 'in_phy_port', { in_phy_port: 1 }],
    ['BAD_PREREQ', 'vlan_pcp', { vlan_pcp: 1 }],
    ['BAD_PREREQ', 'vlan_pcp', { vlan_vid: 0, vlan_pcp: 1 }],
    ['BAD_PREREQ', 'ipv4_src', { eth_type: 0x86dd, ipv4_src: '10.0.0.1' }],
    ['BAD_PREREQ', 'tcp_dst', { eth_type: 0x0800, ip_proto: 17, tcp_dst: 80 }],
    // What a field needs must come before it.
    ['BAD_PREREQ', 'ip_proto', { ip_proto: 6, eth_type: 0x0800 }],
    [
      'BAD_PREREQ',
      'ipv6_nd_tll',
      { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 135, ipv6_nd_tll: '02:00:00:00:00:01' },
    ],
  ])('%s %s', (code, field, match) => {
    expect(checkMatch(match)).toMatchObject({ errorType: 'BAD_MATCH', code, field });
  });

  test('Open vSwitch allows masks on ports', () => {
    expect(
      checkMatch({ ...tcp, tcp_dst: { value: 80, mask: 0xfff0 } }, { openVSwitch: true }),
    ).toBeUndefined();
  });
});

test('ordering puts prerequisites first', () => {
  const match: Match = { tcp_dst: 80, reg0: 1, ip_proto: 6, eth_type: 0x0800 };
  expect(Object.keys(orderMatch(match))).toEqual(['eth_type', 'ip_proto', 'tcp_dst', 'reg0']);
  expect(checkMatch(orderMatch(match))).toBeUndefined();
});

test('every prerequisite is a field with a lower number', () => {
  for (const field of Object.values(oxmFields)) {
    for (const { field: needed } of field.prerequisites) {
      expect(fieldByName(needed)).toBeDefined();
      if (field.oxmClass === 0x8000) expect(fieldByName(needed)?.field).toBeLessThan(field.field);
    }
  }
});

test('set-field', () => {
  expect(checkSetField({ eth_dst: '02:00:00:00:00:01' }, {})).toBeUndefined();
  expect(checkSetField({ tcp_dst: 80 }, tcp)).toBeUndefined();
  expect(checkSetField({ in_port: 1 }, {})).toMatchObject({ code: 'BAD_SET_TYPE' });
  expect(
    checkSetField({ eth_dst: { value: '02:00:00:00:00:01', mask: 'ff:ff:ff:ff:ff:ff' } }, {}),
  ).toMatchObject({ code: 'BAD_SET_TYPE' });
  expect(checkSetField({ vlan_pcp: 9 }, { vlan_vid: 0x1001 })).toMatchObject({ code: 'BAD_SET_ARGUMENT' });
  expect(checkSetField({ tcp_dst: 80 }, { eth_type: 0x0800 })).toMatchObject({ code: 'MATCH_INCONSISTENT' });
});

test('headers', () => {
  expect(headerOf(oxmFields.in_port, false)).toBe(0x8000_0004);
  expect(headerOf(oxmFields.eth_dst, true)).toBe(0x8000_070c);
  expect(headerOf(oxmFields.tcp_flags, false)).toBe(0xffff_5406);
  const standard = Object.values(oxmFields).filter(({ oxmClass }) => oxmClass === 0x8000);
  expect(standard.map(({ field }) => field)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});
