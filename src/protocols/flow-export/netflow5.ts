/**
 * NetFlow version 5, as Cisco's "NetFlow Export Datagram Format" has it: IPv4 only, up to 30 records in a datagram.
 */
import { bytesOf, layout, reserved, u16, u32, u8 } from '../layout.js';
import { sinceBoot, type FlowRecord, type Observer } from './record.js';

const Header = layout({
  version: u16,
  count: u16,
  sysUptimeMs: u32,
  unixSeconds: u32,
  unixNanoseconds: u32,
  /** Records sent before these. */
  flowSequence: u32,
  engineType: u8,
  engineId: u8,
  /** Two bits of mode (1: every nth packet), fourteen of interval. */
  sampling: u16,
});

const Record = layout({
  source: bytesOf(4),
  destination: bytesOf(4),
  _nextHop: reserved(4),
  inputIfIndex: u16,
  outputIfIndex: u16,
  packets: u32,
  octets: u32,
  firstMs: u32,
  lastMs: u32,
  sourcePort: u16,
  destinationPort: u16,
  _pad: reserved(1),
  tcpFlags: u8,
  protocol: u8,
  tos: u8,
  _autonomousSystems: reserved(4),
  _maskLengths: reserved(2),
  _pad2: reserved(2),
});

const MOST_RECORDS = 30;
const MOST_COUNT = 0xffff_ffffn;
const RANDOM_SAMPLING = 0b10;

/** Datagrams of the IPv4 flows among the records, and how many records these have. @param sequence records sent before */
export function encodeNetFlow5(
  records: readonly FlowRecord[],
  observer: Observer,
  sequence: number,
  nowMs: number,
): { datagrams: Uint8Array[]; recordCount: number; left: number } {
  const isIpv4 = ({ source }: FlowRecord) => source.length === 4;
  const rows = records.filter(isIpv4).flatMap(withinCounters);
  const datagrams: Uint8Array[] = [];
  for (let from = 0; from < rows.length; from += MOST_RECORDS) {
    const some = rows.slice(from, from + MOST_RECORDS);
    const datagram = new Uint8Array(Header.size + some.length * Record.size);
    Header.write(datagram, 0, {
      version: 5,
      count: some.length,
      sysUptimeMs: sinceBoot(nowMs, observer.bootMs),
      unixSeconds: Math.floor(nowMs / 1000),
      unixNanoseconds: Math.floor((nowMs % 1000) * 1e6),
      flowSequence: (sequence + from) >>> 0,
      engineType: observer.engineType,
      engineId: observer.engineId,
      sampling:
        observer.samplingInterval > 1
          ? (RANDOM_SAMPLING << 14) | Math.min(observer.samplingInterval, 0x3fff)
          : 0,
    });
    for (const [i, record] of some.entries())
      Record.write(datagram, Header.size + i * Record.size, {
        ...record,
        inputIfIndex: narrow(record.inputIfIndex),
        outputIfIndex: narrow(record.outputIfIndex),
        packets: Number(record.packets),
        octets: Number(record.octets),
        firstMs: sinceBoot(record.firstMs, observer.bootMs),
        lastMs: sinceBoot(record.lastMs, observer.bootMs),
      });
    datagrams.push(datagram);
  }
  return { datagrams, recordCount: rows.length, left: records.length - records.filter(isIpv4).length };
}

/** Counters have 32 bits; what is more goes into further records, so that sums stay exact. */
function withinCounters(record: FlowRecord): FlowRecord[] {
  const { packets, octets } = record;
  const parts = ((packets > octets ? packets : octets) + MOST_COUNT - 1n) / MOST_COUNT;
  if (parts <= 1n) return [record];
  const share = (total: bigint, part: bigint) => (total * (part + 1n)) / parts - (total * part) / parts;
  return Array.from({ length: Number(parts) }, (_, part) => ({
    ...record,
    packets: share(packets, BigInt(part)),
    octets: share(octets, BigInt(part)),
  }));
}

/** ifIndex has 16 bits here; one that does not fit is said to be unknown rather than another's. */
function narrow(ifIndex: number): number {
  return ifIndex > 0xffff ? 0 : ifIndex;
}
