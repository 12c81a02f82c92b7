/**
 * What exports have besides IPv4 between two ports: IPv6 with and without extension headers, flows that users sample themselves,
 * members of a bond with LACP. By Debian's collectors and tshark.
 */
import { connect, parseMatch } from 'node-openflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { frameOf } from '../../src/observe/frame.js';
import { BondLab } from '../system/bond-lab.js';
import { Lab, sh, until, type Wire } from '../system/lab.js';
import { Capture, Sniffer, quiet, wirePair } from './collectors-lab.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const PACKETS = 5;
const ETHERNET_BYTES = 14;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('flows', () => {
  let lab: Lab;
  let wire: Wire;
  const vsctl = (...words: string[]) =>
    sh('ovs-vsctl', `--db=unix:${lab.rundir}/db.sock`, '--timeout=20', ...words);
  const frame = (words: string, length: number) =>
    hex(frameOf(parseMatch(`${words},dl_src=${A},dl_dst=${B}`), length));

  /** Sends the frame {@link PACKETS} times; resolves when all have arrived. */
  async function exchange(...frames: string[]): Promise<void> {
    wire.seen.length = 0;
    for (let i = 0; i < PACKETS; i++) for (const each of frames) wire.send('ha', each);
    await until(
      'all have arrived',
      () => wire.seen.filter(({ hex: bytes }) => frames.includes(bytes)).length >= PACKETS * frames.length,
    );
  }

  beforeAll(async () => {
    lab = await Lab.create();
    wire = await wirePair(lab);
    await lab.startWeft();
    await vsctl('add-br', 'br0', '--', 'add-port', 'br0', 'a', '--', 'add-port', 'br0', 'b');
    const hello = hex(frameOf(parseMatch(`dl_src=${B},dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x88b5`), 60));
    await until('B is learned', async () => {
      wire.send('hb', hello);
      const { body } = await lab.rest('GET', '/v1/bridges/br0/fdb');
      return JSON.stringify(body).includes(B);
    });
  }, 120_000);

  afterAll(() => lab?.close());

  /** What is open is told of when the observer goes. */
  async function collected(
    capture: Capture,
    stop: () => Promise<unknown>,
  ): Promise<{ totals: object; records: string[] }> {
    await stop();
    await quiet(lab);
    const totals = await capture.stop();
    return { totals, records: (await capture.records('%sa %da %sp %dp %pr %pkt %byt')).sort() };
  }

  test.each([
    ['netflow', { version: 9 }, 2155],
    ['ipfix', { sampling: 1, activeTimeoutS: 60 }, 2156],
  ] as const)('IPv6 by %s, with extension headers and without', async (kind, settings, port) => {
    const path = `/v1/bridges/br0/${kind}`;
    const capture = await Capture.start(lab, 'nfcapd', port);
    await lab.must('PUT', path, { targets: [`127.0.0.1:${port}`], ...settings });
    type Status = { status: { active: boolean } };
    await until('the switch accounts', async () => ((await lab.must('GET', path)) as Status).status.active);
    const plain = frame('tcp6,ipv6_src=fd00::a,ipv6_dst=fd00::b,tp_src=4000,tp_dst=80,tcp_flags=2', 90);
    const udp = frame('udp6,ipv6_src=fd00::a,ipv6_dst=fd00::b,tp_src=4001,tp_dst=53', 70);
    // A hop-by-hop header of padding (RFC 8200 §4.3) before UDP's.
    const [eth, ip, rest] = [udp.slice(0, 28), udp.slice(28, 108), udp.slice(108)];
    const payload = (Number.parseInt(ip.slice(8, 12), 16) + 8).toString(16).padStart(4, '0');
    const extended = `${eth}${ip.slice(0, 8)}${payload}00${ip.slice(14)}1100010400000000${rest}`;
    await exchange(plain, extended);
    const { totals, records } = await collected(capture, () => lab.must('DELETE', path));
    const octets = (plain.length + extended.length) / 2 - 2 * ETHERNET_BYTES;
    expect(totals).toEqual({
      flows: 2,
      packets: 2 * PACKETS,
      bytes: PACKETS * octets,
      sequenceErrors: 0,
      bad: 0,
    });
    expect(records.map((line) => line.replace(/ +/g, ' '))).toEqual([
      `fd00::a fd00::b 4000 80 TCP ${PACKETS} ${PACKETS * (plain.length / 2 - ETHERNET_BYTES)}`,
      `fd00::a fd00::b 4001 53 UDP ${PACKETS} ${PACKETS * (extended.length / 2 - ETHERNET_BYTES)}`,
    ]);
  });

  test('flows that users sample themselves are told of to their collector set, and no others', async () => {
    const capture = await Capture.start(lab, 'nfcapd', 2157);
    await vsctl(
      ...['--', '--id=@br', 'get', 'bridge', 'br0', '--', '--id=@i', 'create', 'ipfix'],
      ...['targets="127.0.0.1:2157"', 'cache_active_timeout=60'],
      ...['--', 'create', 'flow_sample_collector_set', 'id=9', 'bridge=@br', 'ipfix=@i'],
    );
    const observers = async () => {
      const connection = await connect(`unix:${lab.rundir}/br0.mgmt`);
      const { entries } = await connection.multipart({ type: 'WEFT_OBSERVER_STATS' });
      connection.close();
      return entries.map(({ observerId }) => observerId);
    };
    await until('the switch knows of the set', async () => (await observers()).includes(9));
    const ofctl = (...words: string[]) => sh('ovs-ofctl', '-O', 'OpenFlow13', ...words);
    const sample = 'sample(probability=65535,collector_set_id=9,obs_domain_id=5,obs_point_id=6)';
    await ofctl('add-flow', `unix:${lab.rundir}/br0.mgmt`, `priority=10,udp,actions=${sample},NORMAL`);
    const tcp = frame('tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=4000,tp_dst=80', 90);
    const udp = frame('udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=4001,tp_dst=53', 70);
    await exchange(tcp, udp);
    const { totals, records } = await collected(capture, () =>
      vsctl('--all', 'destroy', 'flow_sample_collector_set'),
    );
    const octets = PACKETS * (udp.length / 2 - ETHERNET_BYTES);
    expect(totals).toMatchObject({ flows: 1, packets: PACKETS, bytes: octets, bad: 0 });
    expect(records.map((line) => line.replace(/ +/g, ' '))).toEqual([
      `10.0.0.1 10.0.0.2 4001 53 UDP ${PACKETS} ${octets}`,
    ]);
    await ofctl('--strict', 'del-flows', `unix:${lab.rundir}/br0.mgmt`, 'priority=10,udp');
  });
});

test('sFlow tells LACP’s state and counters of each member of a bond', async () => {
  const fast = 'other_config:lacp-time=fast';
  const bond = await BondLab.create({
    links: 2,
    ours: ['lacp=active', 'bond_mode=balance-slb', fast],
    theirs: ['lacp=active', 'bond_mode=balance-tcp', fast],
  });
  try {
    const { lab } = bond;
    await bond.up();
    const sniffer = await Sniffer.start(lab);
    await lab.must('PUT', '/v1/bridges/vswitch/sflow', {
      targets: ['127.0.0.1:6343'],
      sampling: 0,
      pollingS: 1,
    });
    type Status = { status: { counters: Record<string, number> } };
    await until('every interface has been told of twice', async () => {
      const { status } = (await lab.must('GET', '/v1/bridges/vswitch/sflow')) as Status;
      return (status.counters['counterSamples'] ?? 0) >= 8;
    });
    await sniffer.stop();
    const text = await sniffer.text(['udp.port==6343,sflow']);
    const values = (name: string) =>
      [...text.matchAll(new RegExp(`${name}: (\\S+)`, 'g'))].map(([, value = '']) => value);
    const [, partner = ''] = /sys_id: (\S+)/.exec(await bond.lacpThere()) ?? [];
    const state = values('State').filter((value) => value.startsWith('0x'));
    expect(new Set(values('Partner Oper System ID'))).toEqual(new Set([partner]));
    // Active, short timeout, aggregatable, in sync, collecting, distributing: each of four octets.
    expect(new Set(state)).toEqual(new Set(['0x3f3f3f3f,']));
    expect(state.length).toBeGreaterThanOrEqual(2);
    const [attached, received, sent] = ['Port Attached Agg ID', 'LACPDUs Rx', 'LACPDUs Tx'].map(values);
    for (const list of [attached, received, sent]) {
      expect(list).toHaveLength(state.length);
      for (const value of list ?? []) expect(Number(value)).toBeGreaterThan(0);
    }
  } finally {
    await bond.lab.close();
  }
}, 120_000);
