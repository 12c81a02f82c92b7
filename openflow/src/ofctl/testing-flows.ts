/**
 * Flows in ovs-ofctl's syntax that both ovs-ofctl and we read, chosen so that every word occurs; and generators of
 * more. The interop test holds both readings side by side.
 */
import fc from 'fast-check';

export const FLOWS: readonly string[] = [
  'actions=drop',
  'actions=',
  'priority=0,actions=NORMAL',
  'priority=65535,in_port=LOCAL,actions=1,2,LOCAL,IN_PORT,ALL,FLOOD,TABLE,CONTROLLER:65535',
  'cookie=0x123456789abcdef0,table=5,idle_timeout=5,hard_timeout=6,send_flow_rem,check_overlap,actions=drop',
  'reset_counts,no_packet_counts,no_byte_counts,actions=output:1',
  // VLAN
  'dl_vlan=10,actions=pop_vlan,output:2',
  'dl_vlan=0xffff,actions=normal',
  'dl_vlan=0,dl_vlan_pcp=0,actions=drop',
  'dl_vlan_pcp=5,actions=strip_vlan,1',
  'vlan_vid=0x1000/0x1000,actions=flood',
  'vlan_vid=0x100a,vlan_pcp=3,actions=all',
  'vlan_vid=0x1001/0x1001,actions=drop',
  'vlan_vid=0,actions=drop',
  'vlan_tci=0x1123/0x1fff,actions=in_port',
  'vlan_tci=0x1003/0x1003,actions=drop',
  'vlan_tci=0xf003,actions=drop',
  'actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:3',
  'actions=push_vlan:0x88a8,mod_vlan_vid:7,mod_vlan_pcp:3,1',
  'actions=mod_vlan_vid:5,1',
  'dl_vlan=3,actions=mod_vlan_vid:3,strip_vlan,mod_vlan_pcp:3',
  // Ethernet
  'dl_src=0:1:2:3:4:5,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop',
  'dl_src=ff:ff:ff:ff:ff:ff/00:00:00:00:00:00,dl_type=0x88cc,actions=controller',
  'actions=mod_dl_src:1:2:3:4:5:6,mod_dl_dst:1:2:3:4:5:6,set_field:1:2:3:4:5:6->eth_src',
  'actions=set_field:00:11:22:33:44:55/ff:ff:ff:ff:ff:00->eth_dst',
  // IP
  'ip,nw_src=10.0.0.5/8,nw_dst=1.2.3.4/255.0.255.0,nw_tos=16,nw_ecn=2,nw_ttl=3,actions=dec_ttl,dec_ttl(1,2,3)',
  'ip,nw_proto=3,actions=mod_nw_src:1.2.3.4,mod_nw_dst:1.2.3.5,mod_nw_tos:16,mod_nw_ecn:2,mod_nw_ttl:4',
  'ip,nw_frag=later,actions=drop',
  'ip,ip_frag=not_later,actions=drop',
  'ip,actions=set_field:1.2.3.4/255.255.0.0->ip_src,set_field:4->ip_dscp',
  'ipv6,nw_proto=44,ipv6_label=3/7,ipv6_src=::1/::ff,ipv6_dst=fe80::/64,actions=set_field:1::/16->ipv6_src',
  'ipv6,ipv6_src=::1.2.3.4,ipv6_dst=::ffff:1.2.3.4,actions=set_field:0x5->ipv6_label,set_field:::1->ipv6_dst',
  'tcp,tp_src=4,tp_dst=80/0xfff0,tcp_flags=+syn-ack,actions=mod_tp_src:3,mod_tp_dst:4',
  'tcp6,tcp_flags=syn|ack,actions=set_field:80->tcp_dst',
  'udp,udp_src=0x10/0xf0,actions=set_field:53->udp_dst',
  'udp6,tp_dst=5,actions=drop',
  'sctp,tp_dst=5,actions=set_field:3->sctp_src',
  'sctp6,tp_src=3,actions=drop',
  'icmp,icmp_type=8,icmp_code=0,actions=set_field:3->icmp_type,set_field:4->icmp_code',
  'icmp6,icmp_type=135,icmp_code=0,nd_target=::1,nd_sll=1:2:3:4:5:6,actions=drop',
  'icmp6,icmp_type=136,actions=set_field:::1->nd_target,set_field:1:1:1:1:1:1->nd_tll',
  'arp,arp_op=1,arp_spa=1.2.3.0/24,arp_tpa=2.3.4.5,arp_sha=0:1:2:3:4:5,arp_tha=1:2:3:4:5:6,actions=set_field:2->arp_op',
  'arp,nw_src=1.2.3.4,nw_proto=2,actions=set_field:1.2.3.4->arp_spa,set_field:1:2:3:4:5:6->arp_sha',
  'rarp,arp_op=3,actions=drop',
  // MPLS
  'mpls,mpls_label=1048575,mpls_tc=3,mpls_bos=1,actions=set_mpls_label:4,set_mpls_tc:3,dec_mpls_ttl,pop_mpls:0x0800',
  'mplsm,actions=2',
  'ip,actions=push_mpls:0x8847,set_field:7->mpls_label',
  // Sampling
  'actions=sample(probability=65535,collector_set_id=7,obs_domain_id=2,obs_point_id=3),output:2',
  'actions=sample(probability=1,collector_set_id=4294967295,sampling_port=5)',
  'actions=sample(probability=0x10,collector_set_id=1,sampling_port=LOCAL,egress),sample(probability=5,ingress)',
  // Metadata, registers, tunnels, connection tracking
  'metadata=4/6,tun_id=0xffffffffffffffff,reg0=0,reg1=3/7,reg15=0xffffffff,pkt_mark=3,actions=drop',
  'tun_src=1.2.3.4,tun_dst=3.4.5.0/24,actions=set_tunnel:5,set_tunnel64:6',
  'ct_state=+trk+new,ct_zone=3,ct_mark=5/7,ct_label=0x123/0xfff,ip,actions=ct_clear',
  'actions=set_field:0->reg0,set_field:5/7->reg1,set_field:5/0x55->reg2,set_field:0x5->metadata,set_field:3->pkt_mark',
  'actions=move:NXM_OF_ETH_SRC[0..15]->reg0[16..31],load:5->NXM_NX_REG0[0..3],load:1->reg3[7],load:0xabc->eth_dst[0..11]',
  'actions=push:reg0,pop:reg1[3..4],exit',
  // Output
  'actions=controller,controller:100,controller(max_len=5),controller(reason=no_match,max_len=5,id=3)',
  'actions=controller(userdata=01.02,pause),controller(meter_id=3)',
  'actions=output:reg0[0..15],output:NXM_NX_REG1[],output(port=1,max_len=50)',
  'actions=set_queue:4,output:1,pop_queue,enqueue:1:2',
  'actions=group:5',
  'actions=resubmit:3,resubmit(,2),resubmit(3,),resubmit(3,4),resubmit(LOCAL,3)',
  'actions=note:,note:01.02.03.04.05.06.07',
  'actions=conjunction(5,1/2),conjunction(6,2/3)',
  'conj_id=5,ip,actions=drop',
  'actions=multipath(symmetric_l4,1024,hrw,4,5,NXM_NX_REG0[0..7])',
  'actions=clone(output:1,push_vlan:0x8100,set_field:4097->vlan_vid),output:2',
  'tcp,actions=fin_timeout(),fin_timeout(idle_timeout=5,hard_timeout=6)',
  'actions=learn(table=1)',
  'actions=learn(table=1,hard_timeout=10,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])',
  'actions=learn(table=2,idle_timeout=3,priority=7,cookie=0x55,send_flow_rem,delete_learned,fin_idle_timeout=3,' +
    'NXM_OF_ETH_DST[]=01:02:03:04:05:06,NXM_NX_REG1[3..7]=5,NXM_NX_REG2[0..3]=NXM_NX_REG3[0..3],load:3->NXM_NX_REG0[],' +
    'load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15])',
  'actions=learn(table=1,in_port=99,eth_type=0x800,ip_dst=1.2.3.4,output:reg3[])',
  // Instructions
  'actions=meter:3,output:2,clear_actions,write_actions(output:3,pop_vlan),write_metadata:5/0xff,goto_table:4',
  'table=3,actions=write_metadata:0,goto_table:253',
];

const byte = fc.nat(255);
const mac = fc
  .tuple(byte, byte, byte, byte, byte, byte)
  .map((b) => b.map((x) => x.toString(16).padStart(2, '0')).join(':'));
const ip = fc.tuple(byte, byte, byte, byte).map((b) => b.join('.'));
const cidr = fc.tuple(ip, fc.integer({ min: 1, max: 32 })).map(([address, prefix]) => `${address}/${prefix}`);
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((g) => g.map((x) => x.toString(16)).join(':'));
const number = (max: number): fc.Arbitrary<string> => fc.nat(max).map(String);
const hexadecimal = (max: number): fc.Arbitrary<string> => fc.nat(max).map((n) => `0x${n.toString(16)}`);
const option = (name: string, value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.option(value, { nil: undefined }).map((text) => (text === undefined ? '' : `${name}=${text}`));
const join = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((words) => words.filter((word) => word !== '').join(','));

const transport = fc.constantFrom('tcp', 'udp', 'sctp', 'tcp6', 'udp6', 'sctp6').chain((name) =>
  join(
    fc.constant(name),
    option('tp_src', number(65535)),
    option(
      'tp_dst',
      fc.tuple(hexadecimal(0xffff), hexadecimal(0xfffe)).map(([v, m]) => (m === '0x0' ? v : `${v}/${m}`)),
    ),
  ),
);
const network = fc.oneof(
  fc.constant(''),
  join(
    fc.constant('ip'),
    option('nw_src', cidr),
    option('nw_dst', ip),
    option(
      'nw_tos',
      fc.nat(63).map((n) => String(n * 4)),
    ),
    option('nw_ecn', number(3)),
  ),
  join(
    fc.constant('ipv6'),
    option('ipv6_src', ipv6),
    option(
      'ipv6_dst',
      fc.tuple(ipv6, fc.integer({ min: 1, max: 128 })).map(([a, p]) => `${a}/${p}`),
    ),
    option('ipv6_label', hexadecimal(0xfffff)),
  ),
  join(
    fc.constant('arp'),
    option('arp_op', number(2)),
    option('arp_spa', cidr),
    option('arp_tpa', ip),
    option('arp_sha', mac),
  ),
  join(fc.constant('icmp'), option('icmp_type', number(255)), option('icmp_code', number(255))),
  transport,
);
const action = fc.oneof(
  number(65278).map((n) => `output:${Number(n) + 1}`),
  fc.constantFrom('NORMAL', 'FLOOD', 'ALL', 'LOCAL', 'IN_PORT', 'CONTROLLER:128'),
  mac.map((m) => `set_field:${m}->eth_src`),
  fc
    .tuple(mac, mac)
    .filter(([, m]) => !/^(00:){5}00$/.test(m))
    .map(([v, m]) => `set_field:${v}/${m}->eth_dst`),
  fc.tuple(hexadecimal(0xffffffff), fc.nat(15)).map(([v, i]) => `set_field:${v}->reg${i}`),
  fc.tuple(fc.nat(0xff), fc.nat(15), fc.nat(24)).map(([v, i, at]) => `load:${v}->reg${i}[${at}..${at + 7}]`),
  number(100).map((n) => `group:${n}`),
  fc.tuple(number(100), number(253)).map(([port, table]) => `resubmit(${port},${table})`),
);
const actions = fc
  .array(action, { maxLength: 5 })
  .map((list) => (list.length === 0 ? 'drop' : list.join(',')));

/** Flows at random, in the syntax. */
export const anyFlow: fc.Arbitrary<string> = join(
  option('table', number(254)),
  option('priority', number(65535)),
  option('cookie', hexadecimal(0x7fffffff)),
  option('idle_timeout', number(65535)),
  option('hard_timeout', number(65535)),
  option('in_port', number(65279)),
  option(
    'metadata',
    fc
      .tuple(hexadecimal(0x7fffffff), hexadecimal(0x7fffffff))
      .map(([v, m]) => (m === '0x0' ? v : `${v}/${m}`)),
  ),
  option('reg3', hexadecimal(0x7fffffff)),
  fc.oneof(
    fc.constant(''),
    number(4095).map((n) => `dl_vlan=${n}`),
    fc.constantFrom('vlan_tci=0x1000/0x1000', 'dl_vlan=0xffff'),
  ),
  option('dl_src', mac),
  option(
    'dl_dst',
    fc.tuple(mac, mac).map(([v, m]) => `${v}/${m}`),
  ),
  network,
  actions.map((text) => `actions=${text}`),
);
