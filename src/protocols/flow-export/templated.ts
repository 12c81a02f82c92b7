/** Messages of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011), which differ in their headers and in a few numbers. */
import { layout, u16, u32 } from '../layout.js';
import { DATAGRAM_BYTES, sinceBoot, type FlowRecord, type Observer } from './record.js';
import { TEMPLATES, writeRecord, type Template, type Version } from './template.js';

const NetFlow9Header = layout({
  version: u16,
  /** Records of all sets, templates among them (RFC 3954 §5.1). */
  count: u16,
  sysUptimeMs: u32,
  unixSeconds: u32,
  /** Datagrams sent before this. */
  sequence: u32,
  sourceId: u32,
});
const IpfixHeader = layout({
  version: u16,
  length: u16,
  exportSeconds: u32,
  /** Data records sent before these, modulo 2^32 (RFC 7011 §3.1). */
  sequence: u32,
  observationDomainId: u32,
});
const SetHeader = layout({ id: u16, length: u16 });

/** Set ids: NetFlow v9 has 0 and 1, IPFIX 2 and 3. */
const SETS = { netflow9: { templates: 0, options: 1 }, ipfix: { templates: 2, options: 3 } } as const;
const HEADER_BYTES = { netflow9: NetFlow9Header.size, ipfix: IpfixHeader.size } as const;

interface SamplingField {
  readonly type: number;
  readonly bytes: number;
  readonly valueOf: (interval: number) => number;
}

/** The options record that tells how packets were chosen. */
const SAMPLING_TEMPLATE = 258;
/**
 * NetFlow: SAMPLING_INTERVAL, SAMPLING_ALGORITHM (2: random); IPFIX keeps the numbers (elements 34, 35). And the newer words for
 * the same (RFC 5477 §8.2): of so many packets in a row (305) so many are left out after (306). Collectors read the one or the
 * other; nfdump 1.7 takes the newer, and the older where they come first.
 */
const SAMPLING_FIELDS: readonly SamplingField[] = [
  { type: 34, bytes: 4, valueOf: (interval: number) => interval },
  { type: 35, bytes: 1, valueOf: () => RANDOM },
  { type: 305, bytes: 4, valueOf: () => 1 },
  { type: 306, bytes: 4, valueOf: (interval: number) => interval - 1 },
];
const RANDOM = 2;
/** NetFlow v9 scope "system" (RFC 3954 §6.1), IPFIX observationDomainId (149). */
const SCOPE = { netflow9: { type: 1, bytes: 4 }, ipfix: { type: 149, bytes: 4 } } as const;

export interface Sequence {
  /** NetFlow v9: datagrams; IPFIX: data records. */
  readonly sent: number;
}

/** One set of a message, with how many records count for its header. */
interface PackedSet {
  readonly bytes: Uint8Array;
  readonly records: number;
  /** Data records, which IPFIX's sequence counts. */
  readonly dataRecords: number;
}

function set(id: number, content: Uint8Array, records: number, dataRecords = 0): PackedSet {
  // Padding to four bytes is allowed in both, and asked for in NetFlow v9 (RFC 3954 §5.3).
  const length = SetHeader.size + ((content.length + 3) & ~3);
  const bytes = new Uint8Array(length);
  SetHeader.write(bytes, 0, { id, length });
  bytes.set(content, SetHeader.size);
  return { bytes, records, dataRecords };
}

function numbers(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint16(i * 2, value);
  return bytes;
}

function templateSet(version: Version, templates: readonly Template[]): PackedSet {
  const words = templates.flatMap(({ id, fields }) => [
    id,
    fields.length,
    ...fields.flatMap(({ type, bytes }) => [type, bytes]),
  ]);
  return set(SETS[version].templates, numbers(...words), templates.length);
}

function samplingSets(version: Version, { samplingInterval, domainId }: Observer): PackedSet[] {
  const scope = SCOPE[version];
  const fields = SAMPLING_FIELDS.flatMap(({ type, bytes }) => [type, bytes]);
  const declaration =
    version === 'netflow9'
      ? // Lengths in bytes of the scope's and the options' part (RFC 3954 §6.1).
        numbers(SAMPLING_TEMPLATE, 4, SAMPLING_FIELDS.length * 4, scope.type, scope.bytes, ...fields)
      : // Numbers of all fields and of those that are scope (RFC 7011 §3.4.2.2).
        numbers(SAMPLING_TEMPLATE, 1 + SAMPLING_FIELDS.length, 1, scope.type, scope.bytes, ...fields);
  const data = new Uint8Array(SAMPLING_FIELDS.reduce((sum, { bytes }) => sum + bytes, scope.bytes as number));
  const view = new DataView(data.buffer);
  view.setUint32(0, domainId);
  let at: number = scope.bytes;
  for (const { bytes, valueOf } of SAMPLING_FIELDS) {
    if (bytes === 1) view.setUint8(at, valueOf(samplingInterval));
    else view.setUint32(at, valueOf(samplingInterval));
    at += bytes;
  }
  return [set(SETS[version].options, declaration, 1), set(SAMPLING_TEMPLATE, data, 1, 1)];
}

/** Datagrams with all the records; the first begins with the templates where `withTemplates`. */
export function encodeTemplated(
  version: Version,
  records: readonly FlowRecord[],
  observer: Observer,
  sequence: Sequence,
  nowMs: number,
  withTemplates: boolean,
): { datagrams: Uint8Array[]; sequence: Sequence } {
  const templates = TEMPLATES[version];
  const datagrams: Uint8Array[] = [];
  let { sent } = sequence;
  let sets: PackedSet[] = [];
  let used = HEADER_BYTES[version];
  const add = (packed: PackedSet) => {
    sets.push(packed);
    used += packed.bytes.length;
  };
  const close = () => {
    if (sets.length === 0) return;
    datagrams.push(message(version, sets, observer, sent, nowMs));
    sent = (sent + (version === 'ipfix' ? sets.reduce((sum, it) => sum + it.dataRecords, 0) : 1)) >>> 0;
    sets = [];
    used = HEADER_BYTES[version];
  };
  if (withTemplates) {
    add(templateSet(version, templates));
    if (observer.samplingInterval > 1) for (const each of samplingSets(version, observer)) add(each);
  }
  for (const template of templates) {
    const rows = records.filter(template.fits);
    for (let from = 0; from < rows.length;) {
      const room = Math.floor((DATAGRAM_BYTES - used - SetHeader.size - 3) / template.size);
      if (room < 1) {
        close();
        continue;
      }
      const some = rows.slice(from, from + room);
      const content = new Uint8Array(some.length * template.size);
      const view = new DataView(content.buffer);
      for (const [i, record] of some.entries())
        writeRecord(template, record, observer.bootMs, view, i * template.size);
      add(set(template.id, content, some.length, some.length));
      from += some.length;
    }
  }
  close();
  return { datagrams, sequence: { sent } };
}

function message(
  version: Version,
  sets: readonly PackedSet[],
  observer: Observer,
  sequence: number,
  nowMs: number,
): Uint8Array {
  const header = HEADER_BYTES[version];
  const length = header + sets.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const datagram = new Uint8Array(length);
  const seconds = Math.floor(nowMs / 1000);
  if (version === 'netflow9') {
    NetFlow9Header.write(datagram, 0, {
      version: 9,
      count: sets.reduce((sum, { records }) => sum + records, 0),
      sysUptimeMs: sinceBoot(nowMs, observer.bootMs),
      unixSeconds: seconds,
      sequence,
      sourceId: observer.domainId,
    });
  } else {
    const observationDomainId = observer.domainId;
    IpfixHeader.write(datagram, 0, {
      version: 10,
      length,
      exportSeconds: seconds,
      sequence,
      observationDomainId,
    });
  }
  let at = header;
  for (const { bytes } of sets) {
    datagram.set(bytes, at);
    at += bytes.length;
  }
  return datagram;
}
