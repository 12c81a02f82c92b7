/** What is exported, as Debian's collectors (nfdump, nfdump-sflow) and tshark read it. */
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  FlowEndReason,
  FlowExporter,
  SflowAgent,
  counters,
  type ExportProtocol,
  type FlowRecord,
} from '../../src/protocols/index.js';
import { sh, until } from '../system/lab.js';
import { totalsOf, type Totals } from './collectors-lab.js';

const folder = mkdtempSync(join(tmpdir(), 'weft-collectors-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nowMs = Date.now();
const bootMs = nowMs - 3_600_000;

function record(i: number, isIpv6: boolean): FlowRecord {
  const host = [i >> 8, i & 255];
  return {
    source: isIpv6
      ? Uint8Array.of(0xfd, ...Array<number>(13).fill(0), ...host)
      : Uint8Array.of(10, 0, ...host),
    destination: isIpv6 ? new Uint8Array(16).fill(0xfe) : Uint8Array.of(192, 0, 2, 1),
    protocol: i % 2 === 0 ? 6 : 17,
    sourcePort: 1024 + i,
    destinationPort: 80,
    tos: 0xb8,
    tcpFlags: i % 2 === 0 ? 0x1b : 0,
    vlan: 10,
    sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    inputIfIndex: 3,
    outputIfIndex: 4,
    packets: BigInt(i + 1),
    octets: BigInt(100 * (i + 1)),
    firstMs: nowMs - 2000,
    lastMs: nowMs - 1000,
    endReason: FlowEndReason.ACTIVE_TIMEOUT,
  };
}

/** A UDP port of the loopback that is free now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

async function send(socket: Socket, datagrams: readonly Uint8Array[], port: number): Promise<void> {
  for (const datagram of datagrams)
    await new Promise((resolve) => socket.send(datagram, port, '127.0.0.1', resolve));
}

/** Runs the collector, sends it the datagrams, ends it; what it says it got. */
async function collect(collector: 'nfcapd' | 'sfcapd', datagrams: readonly Uint8Array[]): Promise<Totals> {
  const port = await freePort();
  const target = mkdtempSync(join(folder, 'into-'));
  const child = spawn(collector, ['-w', target, '-b', '127.0.0.1', '-p', String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = once(child, 'exit');
  const socket = createSocket('udp4');
  try {
    const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
    await until('the collector listens', () =>
      readFileSync('/proc/net/udp', 'utf8').includes(`:${hexPort} `),
    );
    await send(socket, datagrams, port);
    // What the kernel holds for it has been read once its queue is empty.
    const queue = new RegExp(`:${hexPort} \\S+ \\S+ [0-9A-F]+:([0-9A-F]+)`);
    await until('all is read', () =>
      /^0+$/.test(queue.exec(readFileSync('/proc/net/udp', 'utf8'))?.[1] ?? ''),
    );
  } finally {
    socket.close();
    child.kill('SIGTERM');
    await ended;
  }
  return totalsOf(collector, log);
}

/** Faults that tshark finds, but for what it says of the sampled conversation itself ("Chat"). */
async function faults(datagrams: readonly Uint8Array[], port: number): Promise<string[]> {
  const text = datagrams
    .map((datagram) => {
      const rows = [];
      for (let at = 0; at < datagram.length; at += 16)
        rows.push(
          `${at.toString(16).padStart(6, '0')} ${Buffer.from(datagram.subarray(at, at + 16))
            .toString('hex')
            .replace(/../g, '$& ')}`,
        );
      return rows.join('\n');
    })
    .join('\n\n');
  const [dump, capture] = [join(folder, 'dump.txt'), join(folder, 'dump.pcap')];
  writeFileSync(dump, `${text}\n`);
  await sh('text2pcap', '-q', '-u', `4000,${port}`, dump, capture);
  const output = await sh('tshark', '-r', capture, '-V');
  return output.split('\n').filter((line) => /Malformed|Expert Info \((?!Chat)/.test(line));
}

describe.each<[ExportProtocol, number]>([
  ['netflow5', 2055],
  ['netflow9', 2055],
  ['ipfix', 4739],
])('%s', (protocol, wellKnownPort) => {
  const observer = { engineType: 0, engineId: 1, domainId: 42, samplingInterval: 1, bootMs };
  const records = Array.from({ length: 1000 }, (_, i) => record(i, protocol !== 'netflow5' && i % 4 === 3));
  const datagrams = new FlowExporter({ protocol, observer }).export(records, nowMs);

  test('nfcapd counts every flow, packet and octet', async () => {
    expect(await collect('nfcapd', datagrams)).toEqual({
      flows: 1000,
      packets: 500_500,
      bytes: 50_050_000,
      sequenceErrors: 0,
      bad: 0,
    });
  });

  test('tshark finds nothing wrong, sampled or not', async () => {
    const sampled = new FlowExporter({ protocol, observer: { ...observer, samplingInterval: 100 } });
    expect(await faults(datagrams, wellKnownPort)).toEqual([]);
    expect(await faults(sampled.export(records, nowMs), wellKnownPort)).toEqual([]);
  });
});

describe('sFlow', () => {
  const header = Buffer.from(
    `0200000000020200000000018100a00a08004500003c0001000040060000${'0a000001c0000201'}04d2005000000000000000005002ffff00000000`,
    'hex',
  );
  const flows = Array.from({ length: 50 }, (_, i) => ({
    inputIfIndex: 3,
    outputIfIndexes: [[], [4], [4, 5]][i % 3] ?? [],
    header,
    frameLength: 78,
    sourceVlan: 10,
    sourcePriority: 5,
    destinationVlan: 10,
    destinationPriority: 5,
    samplingRate: 100,
    samplePool: 100 * (i + 1),
    drops: 0,
  }));
  const port = {
    ifIndex: 3,
    records: [counters.openFlowPort({ datapathId: 1n, portNo: 1 }), counters.portName('tap0')],
  };
  const agent = new SflowAgent({ agentAddress: Uint8Array.of(192, 0, 2, 9), subAgentId: 0, bootMs });
  const datagrams = agent.datagrams(flows, [port], nowMs);

  test('sfcapd counts what the samples stand for', async () => {
    // Each stands for a hundred frames of 82 octets, FCS included.
    expect(await collect('sfcapd', datagrams)).toEqual({
      flows: 50,
      packets: 5000,
      bytes: 5000 * 82,
      sequenceErrors: 0,
      bad: 0,
    });
  });

  test('tshark finds nothing wrong', async () => {
    expect(await faults(datagrams, 6343)).toEqual([]);
  });
});
