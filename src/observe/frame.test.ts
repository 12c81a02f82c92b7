import fc from 'fast-check';
import { formatMatch, parseMatch } from 'node-openflow';
import { describe, expect, it } from 'vitest';
import { FrameError, frameOf, matchOfFrame } from './frame.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const frame = (text: string, length?: number) => frameOf(parseMatch(text), length);

describe('frameOf', () => {
  it('makes a tagged TCP segment with right sums', () => {
    const bytes = frame(
      'tcp,dl_vlan=10,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80',
    );
    expect(hex(bytes.subarray(0, 18))).toBe('020000000002' + '020000000001' + '8100000a0800');
    expect(bytes).toHaveLength(60);
    // The sum over a header with its checksum is all ones (RFC 1071).
    let sum = 0;
    for (let at = 18; at < 38; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    expect(sum).toBe(0xffff);
  });

  it('is as long as asked', () => {
    expect(frame('udp,nw_dst=10.0.0.2', 1514)).toHaveLength(1514);
    expect(frame('ipv6,nw_proto=17', 1514)).toHaveLength(1514);
    expect(frame('', 14)).toHaveLength(60);
  });

  it('names the field that is at fault', () => {
    expect(() => frame('ip,nw_dst=10.0.0.0/8')).toThrow(/ipv4_dst: a frame has one value/);
    expect(() => frameOf({ tcp_dst: 80 })).toThrow(FrameError);
    expect(() => frameOf({ tcp_dst: 80 })).toThrow(/tcp_dst: such a frame has none/);
    expect(() => frameOf({ eth_dst: 5 } as never)).toThrow(/eth_dst: not an address/);
  });
});

describe('matchOfFrame', () => {
  const words = [
    'in_port=1,dl_dst=02:00:00:00:00:02,dl_type=0x88b5',
    'arp,arp_op=2,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=02:00:00:00:00:01',
    'udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=5,tp_dst=53,nw_ttl=3',
    'tcp6,ipv6_src=fe80::1,ipv6_dst=ff02::1,tp_src=5,tp_dst=443,ipv6_label=0x00abc',
    'sctp,tp_src=7,tp_dst=9',
    'icmp,icmp_type=8,icmp_code=0',
    'icmp6,icmp_type=135,nd_target=fe80::2',
    'mpls,mpls_label=77,mpls_tc=3,mpls_bos=1',
    'ip,nw_proto=17,nw_frag=first',
    'ipv6,nw_proto=6,nw_frag=later',
    'dl_vlan=10,dl_vlan_pcp=5,ip,nw_tos=184',
  ];
  it.each(words)('reads back %s', (text) => {
    const bytes = frame(text);
    const match = matchOfFrame(bytes);
    expect(hex(frameOf(match))).toBe(hex(bytes));
    expect(formatMatch(match)).not.toBe('');
    const {
      in_port: _,
      nxm_ip_tos: __,
      ip_frag: ___,
      ...plain
    } = parseMatch(text) as Record<string, unknown>;
    expect(match).toMatchObject(plain);
  });

  it('takes any bytes', () => {
    const types = ['0800', '86dd', '0806', '8847', '8100', '88a8', '88b5'];
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.uint8Array({ maxLength: 120 }),
        fc.nat(130),
        (type, rest, cut) => {
          const bytes = Buffer.concat([Buffer.alloc(12), Buffer.from(type, 'hex'), rest]).subarray(0, cut);
          expect(formatMatch(matchOfFrame(bytes))).toBeDefined();
        },
      ),
    );
  });
});
