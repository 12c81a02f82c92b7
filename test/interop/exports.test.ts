/** A bridge tells Debian's collectors of real frames: set by ovs-vsctl, counted by nfcapd, sfcapd and pmacct, judged by tshark. */
import { parseMatch } from 'node-openflow';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { frameOf } from '../../src/observe/frame.js';
import { Lab, sh, until, type Wire } from '../system/lab.js';
import { Account, Capture, Sniffer, isInstalled, quiet, wirePair } from './collectors-lab.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const FLOWS = 20;
const PACKETS_EACH = 6;
const PACKETS = FLOWS * PACKETS_EACH;
const ETHERNET_BYTES = 14;

let lab: Lab;
let wire: Wire;
let canObserve: 'yes' | 'no' = 'yes';
const hasPmacct = await isInstalled('nfacctd');

const vsctl = (...words: string[]) =>
  sh('ovs-vsctl', `--db=unix:${lab.rundir}/db.sock`, '--timeout=20', ...words);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const frame = (words: string, length: number) => hex(frameOf(parseMatch(words), length));

interface Counted {
  readonly active: boolean;
  readonly refused: string | null;
  readonly counters: Record<string, number>;
  readonly collectors: { target: string; error: string | null; dropped: number; datagrams: number }[];
  readonly agent: { address: string; why: string } | null;
}
async function status(kind: string): Promise<Counted> {
  return ((await lab.must('GET', `/v1/bridges/br0/${kind}`)) as { status: Counted }).status;
}

/** Six packets of each of twenty flows; resolves when they have arrived. @returns octets of the IP packets */
async function exchange(): Promise<number> {
  wire.seen.length = 0;
  let octets = 0;
  for (let packet = 0; packet < PACKETS_EACH; packet++) {
    for (let flow = 0; flow < FLOWS; flow++) {
      const length = 100 + flow;
      octets += length - ETHERNET_BYTES;
      const flags = packet === 0 ? 'syn' : packet === PACKETS_EACH - 1 ? 'fin' : 'ack';
      const bits = { syn: 2, fin: 1, ack: 16 }[flags];
      const words = `tcp,dl_src=${A},dl_dst=${B},nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_src=${1000 + flow},tp_dst=80,tcp_flags=${bits}`;
      wire.send('ha', frame(words, length));
    }
  }
  await until(
    'all have arrived',
    () => wire.seen.filter(({ hex: bytes }) => bytes.startsWith('02000000000b')).length >= PACKETS,
  );
  return octets;
}

beforeAll(async () => {
  lab = await Lab.create();
  await lab.inSwitch('sysctl', '-qw', 'net.ipv6.conf.lo.disable_ipv6=0');
  wire = await wirePair(lab);
  await lab.startWeft();
  await vsctl(
    'add-br',
    'br0',
    '--',
    'add-port',
    'br0',
    'a',
    'tag=10',
    '--',
    'add-port',
    'br0',
    'b',
    'tag=10',
  );
  // Where B is has to be known, lest frames to it be flooded.
  await until('B is learned', async () => {
    wire.send('hb', frame(`dl_src=${B},dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x88b5`, 60));
    const { body } = await lab.rest('GET', '/v1/bridges/br0/fdb');
    return JSON.stringify(body).includes(B);
  });
  await lab.must('PUT', '/v1/bridges/br0/sflow', { targets: ['127.0.0.1'] });
  canObserve = await until('the switch samples, or says why not', async () => {
    const { active, refused } = await status('sflow');
    return active ? 'yes' : refused === null ? null : 'no';
  });
  await lab.must('DELETE', '/v1/bridges/br0/sflow');
}, 120_000);

beforeEach((context) => {
  if (canObserve === 'no') context.skip('this weft-datapath was built without observers');
});

afterAll(async () => {
  await lab?.close();
});

describe('flows', () => {
  const RECORD = /^10\.0\.0\.1 +10\.0\.0\.2 +\d+ +80 TCP +\S*A\S*SF +/;

  test.each([
    [5, 2055],
    [9, 2059],
  ])(
    'NetFlow v%i by ovs-vsctl: neither the first packet is lost nor the last',
    async (version, port) => {
      const capture = await Capture.start(lab, 'nfcapd', port);
      await vsctl(
        ...['--', '--id=@n', 'create', 'netflow', `targets="127.0.0.1:${port}"`, 'active_timeout=60'],
        ...[`external_ids:netflow-version=${version}`, '--', 'set', 'bridge', 'br0', 'netflow=@n'],
      );
      await until('the switch accounts', async () => (await status('netflow')).active);
      const octets = await exchange();
      // What is open is told before the observer goes.
      await vsctl('clear', 'bridge', 'br0', 'netflow');
      await quiet(lab);
      const totals = await capture.stop();
      expect(totals).toEqual({ flows: FLOWS, packets: PACKETS, bytes: octets, sequenceErrors: 0, bad: 0 });
      const lines = await capture.records('%sa %da %sp %dp %pr %flg %in %out %pkt');
      expect(lines).toHaveLength(FLOWS);
      // Interfaces by OpenFlow port numbers, as in Open vSwitch.
      for (const line of lines) expect(line).toMatch(new RegExp(`${RECORD.source}1 +2 +${PACKETS_EACH}$`));
    },
    90_000,
  );

  test('IPFIX to several collectors, over IPv6 too; one that is not there is shown and disturbs nobody', async () => {
    const four = await Capture.start(lab, 'nfcapd', 4739);
    const six = await Capture.start(lab, 'nfcapd', 4740, '::1');
    const pmacct = hasPmacct ? await Account.start(lab, 'nfacctd', 4741) : null;
    const targets = ['127.0.0.1', '[::1]:4740', '127.0.0.1:4742', 'no-such-host.invalid:4739'];
    if (pmacct) targets.push('127.0.0.1:4741');
    const settings = { targets, sampling: 1, activeTimeoutS: 60, domainId: 77, pointId: 5 };
    await lab.must('PUT', '/v1/bridges/br0/ipfix', settings);
    await until('the switch accounts', async () => (await status('ipfix')).active);
    const octets = await exchange();
    await lab.must('PATCH', '/v1/bridges/br0/ipfix', { activeTimeoutS: 61 });
    const errors = await until('both that are not there are told of', async () => {
      const { collectors } = await status('ipfix');
      const wrong = collectors.filter(({ error }) => error !== null);
      return wrong.length === 2 ? new Map(wrong.map(({ target, error }) => [target, error])) : null;
    });
    expect(errors.get('127.0.0.1:4742')).toMatch(/port unreachable/);
    expect(errors.get('no-such-host.invalid:4739')).toMatch(/name/);
    const { body } = await lab.rest('GET', '/v1/warnings');
    expect(JSON.stringify(body)).toContain('port unreachable');
    await quiet(lab);
    for (const capture of [four, six])
      expect(await capture.stop()).toEqual({
        flows: FLOWS,
        packets: PACKETS,
        bytes: octets,
        sequenceErrors: 0,
        bad: 0,
      });
    if (pmacct) {
      await pmacct.stop();
      await until('pmacct has written all', () => pmacct.totals().packets >= PACKETS);
      expect(pmacct.totals()).toMatchObject({ packets: PACKETS, bytes: octets });
    } else console.warn('pmacct is not installed: nfacctd was not asked');
    await lab.must('DELETE', '/v1/bridges/br0/ipfix');
  }, 90_000);

  test('a stop of weftd tells what is open; a port that goes does, too', async () => {
    const capture = await Capture.start(lab, 'nfcapd', 2060);
    await lab.must('PUT', '/v1/bridges/br0/netflow', { targets: ['127.0.0.1:2060'], version: 9 });
    await until('the switch accounts', async () => (await status('netflow')).active);
    const first = await exchange();
    const tag = { vlanMode: 'access', tag: 10 };
    await lab.must('DELETE', '/v1/bridges/br0/ports/a');
    await until('the flows of the port are told', async () => {
      const { counters } = await status('netflow');
      return (counters['records'] ?? 0) >= FLOWS;
    });
    await lab.must('PUT', '/v1/bridges/br0/ports/a', tag);
    const second = await until('frames pass again', exchange, 30_000);
    await lab.stopWeft();
    await quiet(lab);
    const totals = await capture.stop();
    await lab.startWeft();
    await lab.must('DELETE', '/v1/bridges/br0/netflow');
    expect(totals).toMatchObject({ packets: 2 * PACKETS, bytes: first + second, bad: 0 });
  }, 150_000);
});

describe('sFlow', () => {
  test('samples and counters by ovs-vsctl, with the agent asked for', async () => {
    const capture = await Capture.start(lab, 'sfcapd', 6343);
    const pmacct = hasPmacct ? await Account.start(lab, 'sfacctd', 6344) : null;
    const targets = ['"127.0.0.1"', ...(pmacct ? ['"127.0.0.1:6344"'] : [])];
    await lab.inSwitch('ip', 'address', 'add', '192.0.2.9/32', 'dev', 'lo');
    await vsctl(
      ...['--', '--id=@s', 'create', 'sflow', 'agent=192.0.2.9', `targets=${targets.join()}`, 'header=128'],
      ...['sampling=1', 'polling=1', '--', 'set', 'bridge', 'br0', 'sflow=@s'],
    );
    await until('the switch samples', async () => (await status('sflow')).active);
    await until(
      'the agent has its address',
      async () => (await status('sflow')).agent?.address === '192.0.2.9',
    );
    await exchange();
    const counted = await until('all are told', async () => {
      const { counters } = await status('sflow');
      const enough = (counters['samples'] ?? 0) >= PACKETS && (counters['counterSamples'] ?? 0) >= 3;
      return enough ? counters : null;
    });
    expect(counted['drops']).toBe(0);
    await lab.must('DELETE', '/v1/bridges/br0/sflow');
    await quiet(lab);
    const totals = await capture.stop();
    expect(totals).toMatchObject({ bad: 0, sequenceErrors: 0 });
    expect(totals.packets).toBeGreaterThanOrEqual(PACKETS);
    if (pmacct) {
      await pmacct.stop();
      // What sfacctd's core has not handed to its plugin when it is ended is lost: sfcapd is the one that counts here.
      await until('pmacct has read samples', () => pmacct.totals().packets > 0);
    } else console.warn('pmacct is not installed: sfacctd was not asked');
  }, 90_000);
});

test('rules are shown with their owner, in ovs-ofctl’s words too; on and off touches no other rule', async () => {
  const before = await lab.openFlowSent('br0');
  await lab.must('PUT', '/v1/bridges/br0/sflow', { targets: ['127.0.0.1'], sampling: 100 });
  const { body } = await lab.rest('GET', '/v1/bridges/br0/flows?owner=bridge');
  expect(JSON.stringify(body)).toContain('sFlow: one packet in 100 is sampled');
  const dump = await sh('ovs-ofctl', '-O', 'OpenFlow13', 'dump-flows', `unix:${lab.rundir}/br0.mgmt`);
  expect(dump).toMatch(
    /sample\(probability=65535,collector_set_id=1459617793,obs_domain_id=0,obs_point_id=0\)/,
  );
  await lab.must('DELETE', '/v1/bridges/br0/sflow');
  const after = await lab.openFlowSent('br0');
  // One rule comes and goes.
  expect((after.get('FLOW_MOD') ?? 0) - (before.get('FLOW_MOD') ?? 0)).toBe(2);
}, 60_000);

test('tshark finds nothing wrong with any of it', async () => {
  const sniffer = await Sniffer.start(lab);
  await lab.must('PUT', '/v1/bridges/br0/sflow', { targets: ['127.0.0.1:6343'], sampling: 2, pollingS: 1 });
  await lab.must('PUT', '/v1/bridges/br0/netflow', { targets: ['127.0.0.1:2055'], version: 9, sampling: 2 });
  await lab.must('PUT', '/v1/bridges/br0/ipfix', { targets: ['127.0.0.1:4739'], sampling: 3 });
  await exchange();
  await until(
    'counters are told',
    async () => ((await status('sflow')).counters['counterSamples'] ?? 0) >= 3,
  );
  for (const kind of ['sflow', 'netflow', 'ipfix']) await lab.must('DELETE', `/v1/bridges/br0/${kind}`);
  await quiet(lab);
  await sniffer.stop();
  const decodes = ['udp.port==6343,sflow', 'udp.port==2055,cflow', 'udp.port==4739,cflow'];
  const faults = await sniffer.faults(decodes);
  // Nobody listens: the host's own ICMP is no fault of ours.
  expect(faults).toEqual([]);
}, 90_000);

test('the live view: flows and senders by rate, switched on by looking', async () => {
  const read = async () =>
    (await lab.must('GET', '/v1/bridges/br0/top')) as {
      flows: { source: string; inPort: string; packetsPerS: number }[];
      macs: { mac: string; port: string }[];
    };
  await read();
  const { flows, macs } = await until('flows are seen', async () => {
    await exchange();
    const view = await read();
    return view.flows.length >= FLOWS ? view : null;
  });
  expect(flows[0]).toMatchObject({ source: '10.0.0.1', destination: '10.0.0.2', inPort: 'a', outPort: 'b' });
  expect(flows[0]?.packetsPerS).toBeGreaterThan(0);
  expect(macs[0]).toMatchObject({ mac: A, port: 'a', vlan: 10 });
  const { status: code, text } = await lab.rest(
    'GET',
    '/v1/bridges/br0/top/events?follow=false&limit=1',
    undefined,
    'text/event-stream',
  );
  expect(code).toBe(200);
  const [, data = ''] = /^event: top\ndata: (.*)\n\n$/.exec(text) ?? [];
  expect(JSON.parse(data)).toMatchObject({ bridge: 'br0', warm: true, flows: [{ source: '10.0.0.1' }] });
}, 60_000);
