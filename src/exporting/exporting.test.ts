import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { FlowRecord, ObserverSamples } from 'node-openflow';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { chooseAgentAddress } from './agent-address.js';
import { CollectorLink } from './collector.js';
import { FlowExport } from './flows.js';
import { LiveFlows } from './live.js';
import { PortIdentities } from './ports.js';
import { SampleExport } from './samples.js';

const ports = new PortIdentities();
ports.update([
  [1, { name: 'tap1', ifIndex: 101 }],
  [2, { name: 'tap2', ifIndex: 102 }],
]);
const wordAt = (bytes: Uint8Array | undefined, word: number) =>
  Buffer.from(bytes ?? []).readUInt32BE(word * 4);

const until = (probe: () => boolean) => vi.waitUntil(probe, { timeout: 10_000 });

test('ports stay known when they go, until somebody else has the number', () => {
  const known = new PortIdentities();
  known.update([[5, { name: 'tap5', ifIndex: 7 }]]);
  known.update([[5, { name: 'tap5', ifIndex: null }]]);
  expect(known.ifIndexOf(5)).toBe(7);
  known.update([[5, { name: 'tap9', ifIndex: null }]]);
  expect([known.nameOf(5), known.ifIndexOf(5), known.nameOf(6)]).toEqual(['tap9', 0, null]);
  expect([0xffff_fffe, 3, 0xffff_ffff].map((port) => known.openFlowNumberOf(port))).toEqual([65_534, 3, 0]);
});

describe('samples', () => {
  const entry = {
    outputs: 1,
    inPort: 1,
    outPort: 2,
    domainId: 0,
    pointId: 0,
    frameLength: 60,
    vlanIn: 0,
    vlan: 0x100a,
    vlanOut: 0x1000 | (5 << 13) | 20,
    stripped: 0,
    timeMs: 0n,
    header: new Uint8Array(18),
  };
  const samples = (pool: bigint, drops: number, inPorts: readonly number[]): ObserverSamples => ({
    type: 'WEFT_SAMPLES',
    xid: 0,
    observerId: 1,
    pool,
    drops,
    entries: inPorts.map((inPort) => ({ ...entry, inPort })),
  });

  test('what could have been sampled is shared out among the ports: nothing twice, nothing lost', () => {
    const made = new SampleExport(Uint8Array.of(192, 0, 2, 1), 0, 100);
    made.take(samples(301n, 4, [1, 1, 2]), ports);
    const [datagram] = made.datagrams(1000);
    // Header 7 words; each sample: type, length, then sequence, source, rate, pool, drops, input, output.
    const size = 2 + wordAt(datagram, 8) / 4;
    const at = (sample: number, word: number) => wordAt(datagram, 7 + sample * size + 2 + word);
    expect([at(0, 1), at(1, 1), at(2, 1)]).toEqual([101, 101, 102]);
    expect(at(1, 3) + at(2, 3)).toBe(301);
    expect(at(1, 4) + at(2, 4)).toBe(4);
    made.take(samples(500n, 4, [1]), ports);
    const [next] = made.datagrams(1000);
    expect(wordAt(next, 12) - at(1, 3)).toBe(199);
    // An observer that was set anew counts anew.
    made.take(samples(10n, 0, [1]), ports);
    expect(wordAt(made.datagrams(1000)[0], 12) - wordAt(next, 12)).toBe(10);
    expect(made.counters).toMatchObject({ samples: 5, drops: 4 });
  });

  test('VLANs: the tag, or where there is none the VLAN that the port stands for', () => {
    const made = new SampleExport(Uint8Array.of(192, 0, 2, 1), 0, 100);
    made.take(samples(1n, 0, [1]), ports);
    const [datagram] = made.datagrams(0);
    const words = (datagram?.length ?? 0) / 4;
    // The last four: source VLAN and priority, destination VLAN and priority.
    expect([4, 3, 2, 1].map((back) => wordAt(datagram, words - back))).toEqual([10, 0, 20, 5]);
  });
});

const record = (more: Partial<FlowRecord> = {}): FlowRecord => ({
  source: Uint8Array.of(...Array<number>(12).fill(0), 10, 0, 0, 1),
  destination: Uint8Array.of(...Array<number>(12).fill(0), 10, 0, 0, 2),
  ethSrc: '02:00:00:00:00:0a',
  ethDst: '02:00:00:00:00:0b',
  ethType: 0x0800,
  vlan: 0x100a,
  protocol: 6,
  tos: 0,
  tcpFlags: 0x1b,
  sourcePort: 1000,
  destinationPort: 80,
  inPort: 1,
  outPort: 2,
  outputs: 1,
  endReason: 'IDLE_TIMEOUT',
  domainId: 0,
  pointId: 0,
  packets: 60n,
  octets: 6000n,
  firstMs: 1_700_000_000_000n,
  lastMs: 1_700_000_001_000n,
  ...more,
});

describe('flows', () => {
  const settings = {
    collectors: [],
    datagramsPerS: 100,
    version: 5,
    activeTimeoutS: 600,
    idleTimeoutS: 15,
    engineType: 0,
    engineId: null,
    addIdToInterface: false,
    interfaceNumbers: 'openflow',
    sampling: 1,
  } as const;
  const identity = { datapathId: '0000020000000042', bootMs: 1_700_000_000_000 };
  const interfaces = (exporter: FlowExport, more: Partial<FlowRecord> = {}) => {
    exporter.take({ entries: [record(more)], lost: 0n }, ports);
    const [datagram] = exporter.datagrams(1_700_000_002_000);
    return wordAt(datagram, 6 + 3);
  };

  test('interfaces by OpenFlow number, by ifIndex, or with the engine’s id before them', () => {
    expect(interfaces(FlowExport.netflow(settings, identity))).toBe(0x0001_0002);
    expect(interfaces(FlowExport.netflow({ ...settings, interfaceNumbers: 'ifindex' }, identity))).toBe(
      (101 << 16) | 102,
    );
    const withId = FlowExport.netflow({ ...settings, addIdToInterface: true }, identity);
    expect(interfaces(withId)).toBe(((0x42 << 9) | 1) * 0x1_0000 + ((0x42 << 9) | 2));
    // Dropped, or sent to several: none.
    expect(interfaces(FlowExport.netflow(settings, identity), { outputs: 3 })).toBe(0x0001_0000);
  });

  test('IPFIX has a stream for each observation domain', () => {
    const exporter = FlowExport.ipfix({ sampling: 1 }, 0);
    exporter.take(
      { entries: [record({ domainId: 7 }), record({ domainId: 8, pointId: 3 })], lost: 2n },
      ports,
    );
    const domains = exporter.datagrams(1000).map((datagram) => wordAt(datagram, 3));
    expect(domains).toEqual([7, 8]);
    expect(exporter.counters).toEqual({ datagrams: 2, records: 2, unsupported: 0, lost: 2 });
  });
});

test('the live view: rates over the last seconds, then nothing', () => {
  const live = new LiveFlows();
  live.start(0);
  for (const second of [1, 2, 3, 4])
    live.take([record(), record({ sourcePort: 7, octets: 60n })], second * 1000);
  const [busiest, other] = live.flows(10, ports, 4_500);
  expect(busiest).toMatchObject({
    source: '10.0.0.1',
    inPort: 'tap1',
    outPort: 'tap2',
    vlan: 10,
    packetsPerS: 60,
  });
  expect(busiest?.bitsPerS).toBe(48_000);
  expect(other?.sourcePort).toBe(7);
  expect(live.macs(10, ports, 4_500)).toMatchObject([
    { mac: '02:00:00:00:00:0a', port: 'tap1', packetsPerS: 120 },
  ]);
  expect(live.flows(10, ports, 20_000)).toEqual([]);
});

describe('a collector', () => {
  const links: CollectorLink[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    await Promise.all(links.splice(0).map((link) => link.close(0)));
    for (const socket of sockets.splice(0)) socket.close();
  });
  const link = (host: string, port: number, rate = 1000) => {
    const made = new CollectorLink({ collector: { host, port }, rate, log: () => undefined });
    links.push(made);
    return made;
  };
  async function sink(): Promise<{ port: number; received: Buffer[]; socket: Socket }> {
    const socket = createSocket('udp4');
    const received: Buffer[] = [];
    socket.on('message', (message) => received.push(message));
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    sockets.push(socket);
    return { port: socket.address().port, received, socket };
  }
  const datagrams = (count: number) =>
    Array.from({ length: count }, (_, i) => Uint8Array.of(i >> 8, i & 255));

  test('gets every datagram in order, no faster than the rate; what waits leaves before it closes', async () => {
    const { port, received } = await sink();
    const one = link('localhost', port, 500);
    const startMs = performance.now();
    one.send(datagrams(150));
    await one.close(10_000);
    await until(() => received.length === 150);
    // The first burst is free.
    expect(performance.now() - startMs).toBeGreaterThan(200);
    expect(received.map((each) => each.readUInt16BE(0))).toEqual(Array.from({ length: 150 }, (_, i) => i));
    expect(one.status()).toMatchObject({ datagrams: 150, dropped: 0, waiting: 0, error: null });
  });

  test('that does not listen is shown, and is served again when it does', async () => {
    const { port, socket, received } = await sink();
    sockets.pop();
    socket.close();
    const one = link('127.0.0.1', port);
    await until(() => {
      one.send(datagrams(1));
      return one.status().error !== null;
    });
    expect(one.status().error).toMatch(/port unreachable/);
    const again = createSocket('udp4');
    sockets.push(again);
    again.on('message', (message) => received.push(message));
    again.bind(port, '127.0.0.1');
    await once(again, 'listening');
    one.send(datagrams(1));
    await until(() => received.length > 0);
  });

  test('whose name nobody knows holds what it should get within bounds', async () => {
    const one = link('no-such-host.invalid', 6343);
    one.send(datagrams(30_000));
    await until(() => one.status().error !== null);
    expect(one.status()).toMatchObject({ address: null, waiting: 20_000, dropped: 10_000 });
  });
});

describe('the agent’s address', () => {
  const collectors = [{ host: '127.0.0.1', port: 6343 }];

  test('is what is asked for, as an address of either kind', async () => {
    expect(await chooseAgentAddress('192.0.2.7', collectors, 'br0')).toMatchObject({
      bytes: Uint8Array.of(192, 0, 2, 7),
      why: 'as configured',
    });
    const { bytes } = await chooseAgentAddress('2001:db8::c000:209', collectors, 'br0');
    expect(Buffer.from(bytes).toString('hex')).toBe('20010db80000000000000000c0000209');
  });

  test('or that of the interface asked for; else one that the host has, and it says so', async () => {
    const own = networkInterfaces()['lo']?.find(({ family }) => family === 'IPv4')?.address ?? '127.0.0.1';
    expect(await chooseAgentAddress('lo', collectors, 'br0')).toMatchObject({
      text: own,
      why: 'of lo, as configured',
    });
    const { text, why } = await chooseAgentAddress('not-there', collectors, 'br0');
    expect(text).toMatch(/^[\da-f.:]+$/);
    expect(why).toContain('not-there has no address');
  });
});
