/** What the conformance runner makes of the tester's output. The cases themselves: `npm run conformance`. */
import { describe, expect, it } from 'vitest';
import { categoryOf, isRequired, render, Report } from './conformance.js';

const output = `--- Test start ---
waiting for switches connection...
dpid=0000000000000001 : Join target SW.
action: 00_OUTPUT
    ethernet/ipv4/tcp-->'actions=output:2'                                              OK
action: set_field: 17_SCTP_SRC (IPv4)
    ethernet/vlan/ipv4/sctp(src_port=11111)-->'sctp_src=11111,output:2' ERROR
        Received incorrect packet: sctp(csum=1)
match: 12_IPV4_DST (Mask)
    ethernet/ipv4(dst='192.0.2.1')/tcp-->'ipv4_dst=192.0.2.0(mask=255.255.255.0)'       OK
    ethernet/mpls/ipv4(dst='192.0.2.1')/tcp-->'actions=pop_mpls:0x0800,goto_table:1'    ERROR
        Receiving timeout: no change in tx_packets on target.
---  Test end  ---

--- Test report ---
Received incorrect packet(1)
    action: set_field: 17_SCTP_SRC (IPv4)    ethernet/vlan ERROR
`;

function read(): Report {
  const report = new Report();
  for (const line of output.split('\n')) report.line(line);
  return report;
}

describe('the conformance report', () => {
  it('takes each case once, with its file and its failure', () => {
    const report = read();
    expect(report.ended).toBe(true);
    expect(report.cases.map(({ file, failure }) => [file, failure])).toEqual([
      ['action: 00_OUTPUT', null],
      ['action: set_field: 17_SCTP_SRC (IPv4)', 'Received incorrect packet: sctp(csum=1)'],
      ['match: 12_IPV4_DST (Mask)', null],
      ['match: 12_IPV4_DST (Mask)', 'Receiving timeout: no change in tx_packets on target.'],
    ]);
    expect(report.cases.map(({ file }) => categoryOf(file))).toEqual([
      'action',
      'set_field',
      'match',
      'match',
    ]);
  });

  it('tells what the specification requires from what it does not', () => {
    expect(read().cases.map(isRequired)).toEqual([true, false, true, false]);
    const of = (file: string, description = 'ethernet/ipv4/tcp-->') => isRequired({ file, description });
    expect(of('match: 00_IN_PORT')).toBe(true);
    expect(of('match: 10_IP_PROTO (IPv6)')).toBe(true);
    expect(of('match: 10_IP_PROTO (IPv6)', 'ethernet/itag/ethernet/ipv6/tcp-->')).toBe(false);
    expect(of('match: 06_VLAN_VID')).toBe(false);
    expect(of('match: 17_SCTP_SRC (IPv4)')).toBe(false);
    expect(of('group: 01_SELECT_IP')).toBe(false);
    expect(of('group: 00_ALL')).toBe(true);
  });

  it('counts by category and gives the reason of each failure', () => {
    const text = render(read().cases);
    expect(text).toMatch(/^match +1\/1 +0\/1 +1\/2$/m);
    expect(text).toMatch(/^total +2\/2 +0\/2 +2\/4$/m);
    expect(text).toContain('  Received incorrect packet: sctp(csum=1)\n');
  });
});
