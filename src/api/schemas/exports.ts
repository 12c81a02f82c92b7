/** Who is told of the traffic (sFlow, NetFlow, IPFIX), mirrors, and the live view, as they go over the REST API. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { MOST_HEADER_BYTES, parseCollector } from '../../config/index.js';
import {
  InterfaceName,
  Pending,
  VlanList,
  component,
  optional,
  orNull,
  patchOf,
  readOnly,
  strict,
  word,
} from './common.js';

const U32 = 0xffff_ffff;

/** `HOST:PORT`, `[IPV6]:PORT` or the host alone; {@link parseCollector} has the last word. */
export const isTarget = (text: string): boolean => parseCollector(text, 1) !== undefined;
const targets = (port: number) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
    minItems: 1,
    maxItems: 32,
    uniqueItems: true,
    description: `Collectors: HOST:PORT, [IPV6]:PORT, or the host alone for port ${port}`,
    examples: [[`192.0.2.1:${port}`]],
  });
const count = (minimum: number, maximum: number, usual: number, description: string) =>
  Type.Integer({ minimum, maximum, default: usual, description });
const datagramsPerS = count(1, 100_000, 2_000, 'Most datagrams a second to each collector');

const sflow = {
  agent: orNull(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description:
        'The address that collectors know this switch by, or the interface that has it; null: that by which the first collector is reached',
    }),
  ),
  sampling: count(0, U32, 400, 'One frame in so many, at random; 0: none'),
  pollingS: count(0, 86_400, 30, 'Seconds between samples of the ports’ counters; 0: none'),
  headerBytes: count(14, MOST_HEADER_BYTES, 128, 'Most bytes of a frame that are sent'),
  datagramsPerS,
};
const netflow = {
  version: Type.Union([Type.Literal(5), Type.Literal(9)], { default: 5 }),
  activeTimeoutS: count(-1, 0x7fff_ffff, 600, 'Long flows are told of so often; -1: when they end only'),
  engineId: orNull(
    Type.Integer({ minimum: 0, maximum: 255, description: 'null: the last byte of the datapath id' }),
  ),
  engineType: orNull(Type.Integer({ minimum: 0, maximum: 255 })),
  addIdToInterface: Type.Boolean({
    default: false,
    description: 'The low seven bits of the engine’s id stand in the upper ones of interface numbers',
  }),
  interfaceNumbers: word(['openflow', 'ifindex'], {
    default: 'openflow',
    description: 'Interfaces are told by their OpenFlow port numbers, as in Open vSwitch, or by ifIndex',
  }),
  sampling: count(1, 16_383, 1, 'One packet in so many is accounted, at random'),
  datagramsPerS,
};
const ipfix = {
  sampling: count(1, U32, 400, 'One packet in so many is accounted, at random'),
  activeTimeoutS: count(0, 4_200, 0, 'Long flows are told of so often; 0: every second'),
  maxFlows: count(0, U32, 0, 'Flows that are watched at once; 0: 131072'),
  domainId: orNull(Type.Integer({ minimum: 0, maximum: U32, description: 'Observation domain; null: 0' })),
  pointId: orNull(Type.Integer({ minimum: 0, maximum: U32, description: 'Observation point; null: 0' })),
  datagramsPerS,
};

const CollectorState = Type.Object({
  target: Type.String({ description: 'As configured' }),
  address: orNull(Type.String({ description: 'What the name stands for; null: not known' })),
  datagrams: Type.Integer({ description: 'Sent' }),
  bytes: Type.Integer(),
  dropped: Type.Integer({
    description: 'Datagrams given up: the queue was full, or it could not be reached',
  }),
  waiting: Type.Integer(),
  error: orNull(Type.String({ description: 'What is wrong at present' })),
});
export const ExportState = Type.Object(
  {
    active: Type.Boolean({ description: 'The switch samples or accounts as asked' }),
    refused: orNull(Type.String({ description: 'Why it does not' })),
    agent: orNull(
      Type.Object({ address: Type.String(), why: Type.String({ description: 'Where that comes from' }) }),
    ),
    counters: Type.Record(Type.String(), Type.Integer(), {
      description: 'Samples or records, and what was lost, since weftd began to export',
    }),
    collectors: Type.Array(CollectorState),
  },
  readOnly,
);
export type ExportState = Static<typeof ExportState>;

const view = <P extends Parameters<typeof Type.Object>[0]>(title: string, settings: P) =>
  component(
    title,
    Type.Object({ ...settings, bridge: Type.String(), status: ExportState, pending: Pending }),
  );
const example = { targets: ['192.0.2.1:6343'] };

export const SflowSettings = Type.Object(
  { targets: targets(6343), ...optional(sflow) },
  { ...strict, examples: [{ ...example, sampling: 400 }] },
);
export const NetflowSettings = Type.Object(
  { targets: targets(2055), ...optional(netflow) },
  { ...strict, examples: [{ targets: ['192.0.2.1:2055'], version: 9 }] },
);
export const IpfixSettings = Type.Object(
  { targets: targets(4739), ...optional(ipfix) },
  { ...strict, examples: [{ targets: ['192.0.2.1:4739'], sampling: 1 }] },
);
export const EXPORT_SCHEMAS = {
  sflow: {
    settings: SflowSettings,
    patch: patchOf({ targets: targets(6343), ...sflow }, [{ sampling: 100 }]),
    view: view('Sflow', { targets: targets(6343), ...sflow }),
  },
  netflow: {
    settings: NetflowSettings,
    patch: patchOf({ targets: targets(2055), ...netflow }, [{ activeTimeoutS: 60 }]),
    view: view('Netflow', { targets: targets(2055), ...netflow }),
  },
  ipfix: {
    settings: IpfixSettings,
    patch: patchOf({ targets: targets(4739), ...ipfix }, [{ activeTimeoutS: 60 }]),
    view: view('Ipfix', { targets: targets(4739), ...ipfix }),
  },
} as const;

const portNames = (description: string) =>
  Type.Array(InterfaceName, { maxItems: 1024, uniqueItems: true, default: [], description });
const mirror = {
  selectAll: Type.Boolean({ default: false, description: 'Every frame that comes in' }),
  sourcePorts: portNames('Frames that come in by these ports'),
  destinationPorts: portNames('Frames that go out by these ports'),
  vlans: Type.Unsafe<number[]>({
    ...VlanList,
    default: [],
    description: 'Only frames of these VLANs; none: of all',
  }),
  outputPort: orNull(
    Type.Unsafe<string>({
      ...InterfaceName,
      description: 'The port that gets the copies, and nothing else (SPAN)',
    }),
  ),
  outputVlan: orNull(
    Type.Integer({ minimum: 1, maximum: 4095, description: 'The VLAN that the copies go into (RSPAN)' }),
  ),
  snaplen: orNull(
    Type.Integer({ minimum: 14, maximum: 65_535, description: 'Most bytes of a copy; null: all' }),
  ),
};
const mirrorName = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\s/]+$',
  description: 'Name of the mirror, unique on the bridge',
  examples: ['m0'],
});
const mirrorExample = [{ selectAll: true, outputPort: 'tap9' }];
export const MirrorSettings = Type.Object(optional({ name: mirrorName, ...mirror }), {
  ...strict,
  examples: mirrorExample,
});
export const MirrorPatch = patchOf({ name: mirrorName, ...mirror }, [{ vlans: [10] }]);
export const MirrorView = component(
  'Mirror',
  Type.Object({
    name: mirrorName,
    ...mirror,
    bridge: Type.String(),
    statistics: Type.Object(
      { packets: Type.Integer(), bytes: Type.Integer() },
      { ...readOnly, description: 'Copies so far, as of the last round of statistics' },
    ),
    pending: Pending,
  }),
);
export type MirrorView = Static<typeof MirrorView>;
export const MirrorsView = Type.Object({ mirrors: Type.Array(MirrorView) });
export const MirrorParams = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255, description: 'The bridge', examples: ['br0'] }),
  mirror: Type.String({ minLength: 1, maxLength: 255, description: 'The mirror', examples: ['m0'] }),
});

const rates = {
  packetsPerS: Type.Number({ minimum: 0 }),
  bitsPerS: Type.Number({ minimum: 0, description: 'Of IP packets, headers included' }),
};
const Port = orNull(Type.String());
export const TopView = component(
  'Top',
  Type.Object({
    bridge: Type.String(),
    warm: Type.Boolean({
      description:
        'false: nobody looked before, so that accounting has just been switched on; ask again in a second',
    }),
    refused: orNull(Type.String({ description: 'Why the switch does not account' })),
    flowCount: Type.Integer({ minimum: 0, description: 'Flows seen in the last seconds' }),
    flows: Type.Array(
      Type.Object({
        source: Type.String(),
        destination: Type.String(),
        protocol: Type.Integer(),
        sourcePort: Type.Integer(),
        destinationPort: Type.Integer({ description: 'ICMP: type * 256 + code' }),
        vlan: Type.Integer(),
        tos: Type.Integer(),
        inPort: Port,
        outPort: Port,
        outputs: Type.Integer({ description: 'Ports that the last packet went to' }),
        ...rates,
      }),
      { description: 'Busiest first' },
    ),
    macs: Type.Array(Type.Object({ mac: Type.String(), vlan: Type.Integer(), port: Port, ...rates }), {
      description: 'Senders of IP packets, busiest first',
    }),
  }),
);
export type TopView = Static<typeof TopView>;
/** One event of a stream: its fields (WHATWG HTML §9.2.6), of which each is a text. */
export const TopFrame = Type.Object(
  {
    event: Type.Literal('top'),
    data: Type.String({ contentMediaType: 'application/json', contentSchema: TopView }),
  },
  { description: 'What is busy now; comments keep the stream alive in between' },
);
export const TopQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000, description: 'At most so many of each; left out: 20' }),
  ),
});
export const TopStreamQuery = Type.Object({
  ...TopQuery.properties,
  follow: Type.Optional(
    Type.Boolean({ default: true, description: 'false: one event, and then the stream ends' }),
  ),
});
