import { describe, expect, test } from 'vitest';
import {
  DATAGRAM_BYTES,
  FlowEndReason,
  FlowExporter,
  type ExportProtocol,
  type FlowRecord,
} from './index.js';

const bootMs = 1_700_000_000_000;
const nowMs = bootMs + 3_600_500;
const observer = { engineType: 3, engineId: 7, domainId: 42, samplingInterval: 1, bootMs };

function record(i: number, more: Partial<FlowRecord> = {}): FlowRecord {
  return {
    source: Uint8Array.of(10, 0, i >> 8, i & 255),
    destination: Uint8Array.of(192, 0, 2, 1),
    protocol: 6,
    sourcePort: 1024 + i,
    destinationPort: 80,
    tos: 0xb8,
    tcpFlags: 0x1b,
    vlan: 10,
    sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
    destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
    inputIfIndex: 3,
    outputIfIndex: 4,
    packets: BigInt(i + 1),
    octets: BigInt(100 * (i + 1)),
    firstMs: nowMs - 2000,
    lastMs: nowMs - 1000,
    endReason: FlowEndReason.IDLE_TIMEOUT,
    ...more,
  };
}
const ipv6 = {
  source: Uint8Array.from({ length: 16 }, (_, i) => i),
  destination: Uint8Array.from({ length: 16 }, (_, i) => 255 - i),
};
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex');
const exporterOf = (protocol: ExportProtocol, samplingInterval = 1) =>
  new FlowExporter({ protocol, observer: { ...observer, samplingInterval } });

describe('NetFlow v5', () => {
  test('header and record, byte for byte', () => {
    const exporter = exporterOf('netflow5', 100);
    const [datagram] = exporter.export([record(0)], nowMs);
    // version, count, sysUptime 3,600,500, 1,700,003,600 s, 500,000,000 ns, sequence, engine 3/7, random 1 in 100.
    expect(hex(datagram?.subarray(0, 24))).toBe('000500010036f0746553ff101dcd65000000000003078064');
    expect(hex(datagram?.subarray(24))).toBe(
      '0a000000' +
        'c0000201' +
        '00000000' +
        '00030004' +
        '00000001' +
        '00000064' + // addresses, next hop, interfaces, counts
        '0036e8a4' +
        '0036ec8c' +
        '04000050' +
        '001b06b8' +
        '00000000' +
        '00000000', // first, last, ports, flags/protocol/ToS
    );
  });

  test('thirty records in a datagram; the sequence counts records', () => {
    const exporter = exporterOf('netflow5');
    const datagrams = exporter.export(
      Array.from({ length: 70 }, (_, i) => record(i)),
      nowMs,
    );
    expect(datagrams.map((it) => Buffer.from(it).readUInt16BE(2))).toEqual([30, 30, 10]);
    const [next] = exporter.export([record(1)], nowMs);
    expect([...datagrams, next!].map((it) => Buffer.from(it).readUInt32BE(16))).toEqual([0, 30, 60, 70]);
  });

  test('more than 32 bits count: several records whose sum is exact', () => {
    const packets = 5_000_000_000n;
    const octets = 300_000_000_001n;
    let sums = [0n, 0n];
    for (const datagram of exporterOf('netflow5').export([record(0, { packets, octets })], nowMs)) {
      const bytes = Buffer.from(datagram);
      for (let at = 24; at < bytes.length; at += 48)
        sums = [
          sums[0]! + BigInt(bytes.readUInt32BE(at + 16)),
          sums[1]! + BigInt(bytes.readUInt32BE(at + 20)),
        ];
    }
    expect(sums).toEqual([packets, octets]);
  });

  test('IPv6 has no form in it, and is counted', () => {
    const exporter = exporterOf('netflow5');
    expect(exporter.export([record(0, ipv6)], nowMs)).toEqual([]);
    expect(exporter.counters).toEqual({ datagrams: 0, records: 0, unsupported: 1 });
  });
});

describe.each(['netflow9', 'ipfix'] as const)('%s', (protocol) => {
  const many = Array.from({ length: 200 }, (_, i) => record(i, i % 3 === 0 ? ipv6 : {}));

  test('datagrams stay within their size, in whole words', () => {
    for (const datagram of exporterOf(protocol, 10).export(many, nowMs)) {
      expect(datagram.length).toBeLessThanOrEqual(DATAGRAM_BYTES);
      expect(datagram.length % 4).toBe(0);
    }
  });

  test('the sequence counts datagrams (v9) or data records (IPFIX)', () => {
    const exporter = exporterOf(protocol);
    const sequences = [...exporter.export(many, nowMs), ...exporter.export([record(0)], nowMs)].map((it) =>
      Buffer.from(it).readUInt32BE(protocol === 'netflow9' ? 12 : 8),
    );
    expect(sequences[0]).toBe(0);
    const last = sequences.at(-1);
    expect(last).toBe(protocol === 'netflow9' ? sequences.length - 1 : many.length);
  });

  test('templates come first, and again after a time or a number of datagrams', () => {
    const exporter = new FlowExporter({
      protocol,
      observer,
      templateIntervalMs: 1000,
      templateDatagrams: 3,
    });
    const hasTemplates = (afterMs: number) => {
      const [datagram] = exporter.export([record(0)], nowMs + afterMs);
      return Buffer.from(datagram!).readUInt16BE(protocol === 'netflow9' ? 20 : 16) < 4;
    };
    expect([0, 1, 2, 3, 4, 1003].map(hasTemplates)).toEqual([true, false, false, true, false, true]);
  });
});
