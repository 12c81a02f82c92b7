/** What the observing routes show: statistics with rates, drops, traces, events, readiness. */
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { InterfaceName } from './schemas.js';

const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const strict = { additionalProperties: false };
const Count = Type.Integer({ minimum: 0 });
const Rate = orNull(
  Type.Number({ minimum: 0, description: 'Over `windowS`; null: not seen for long enough yet' }),
);

const Direction = Type.Object({
  packets: Count,
  bytes: Count,
  dropped: Type.Integer({ minimum: 0, description: 'Frames that the device or its queue lost' }),
  errors: Count,
  packetsPerS: Rate,
  bitsPerS: Rate,
});
export const PortStatistics = Type.Object({
  port: Type.String(),
  ofport: Type.Integer({ description: '65534: the bridge’s own port' }),
  rx: Direction,
  tx: Direction,
  drops: Type.Record(Type.String(), Count, {
    description: 'Frames received here that the tables dropped, by reason',
  }),
  dropsPerS: Rate,
});
export type PortStatistics = Static<typeof PortStatistics>;
export const BridgeStatistics = Type.Object({
  bridge: Type.String(),
  windowS: orNull(
    Type.Number({ description: 'Seconds that the rates are means over; null: there are none yet' }),
  ),
  total: Type.Object({ rx: Direction, tx: Direction, dropsPerS: Rate }),
  ports: Type.Array(PortStatistics),
});
export type BridgeStatistics = Static<typeof BridgeStatistics>;
export const AllStatistics = Type.Object({ bridges: Type.Array(BridgeStatistics) });

const LastDropped = Type.Object({
  frame: Type.String({ description: 'Its first bytes, hexadecimal' }),
  length: Type.Integer({ description: 'Bytes of the whole frame' }),
  agoS: Type.Number(),
  text: Type.String({ description: 'Its headers in the words of ovs-ofctl' }),
});
export const DropCount = Type.Object({
  reason: Type.String({ examples: ['table-miss'] }),
  sentence: Type.String({ description: 'The reason, for people' }),
  remedy: Type.String({ description: 'What to look at or to change' }),
  packets: Count,
  perS: Rate,
});
export const PortDropCount = Type.Intersect([DropCount, Type.Object({ last: orNull(LastDropped) })]);
export const DropsView = Type.Object({
  bridge: Type.String(),
  windowS: orNull(Type.Number()),
  packets: Count,
  reasons: Type.Array(DropCount, { description: 'Of the whole bridge, most frequent first' }),
  ports: Type.Array(
    Type.Object({ port: Type.String(), ofport: Type.Integer(), reasons: Type.Array(PortDropCount) }),
  ),
});
export type DropsView = Static<typeof DropsView>;

const Hex = Type.String({
  pattern: '^([0-9a-fA-F]{2})+$',
  maxLength: 131_072,
  description: 'A frame, hexadecimal, from the destination address on, without FCS',
});
export const TraceRequest = Type.Object(
  {
    inPort: Type.Optional(
      Type.Unsafe<string>({
        ...InterfaceName,
        description: 'The port by name; may be left out where `flow` says in_port=NAME',
      }),
    ),
    flow: Type.Optional(
      Type.String({
        maxLength: 4096,
        description: 'The frame in the words of ovs-appctl ofproto/trace',
        examples: ['in_port=p1,tcp,dl_vlan=10,dl_src=02:00:00:00:00:01,nw_dst=10.0.0.2,tp_dst=80'],
      }),
    ),
    match: Type.Optional(
      Type.Record(Type.String({ maxLength: 64 }), Type.Any(), {
        maxProperties: 64,
        description: 'The frame as exact values of OXM fields: {"eth_type": 2048, "ipv4_dst": "10.0.0.2"}',
      }),
    ),
    frame: Type.Optional(Hex),
    lastDropped: Type.Optional(
      Type.Union([Type.Literal(true), Type.String({ minLength: 1, maxLength: 64 })], {
        description: 'The frame last dropped of those received on the port: true, or for one reason its word',
      }),
    ),
    length: Type.Optional(
      Type.Integer({ minimum: 14, maximum: 65_535, description: 'Bytes of a described frame' }),
    ),
  },
  {
    ...strict,
    description: 'Where it comes in, and one of `flow`, `match`, `frame`, `lastDropped`',
  },
);
export type TraceRequest = Static<typeof TraceRequest>;

const TableName = Type.Object({
  id: Type.Integer(),
  program: orNull(Type.String({ description: 'Whose table it is; null: a table of users' })),
  name: orNull(Type.String({ description: 'What the program calls it' })),
});
const Verdict = Type.Object({
  reason: Type.String(),
  sentence: Type.String({ description: 'Why, for people' }),
  remedy: Type.String({ description: 'What to look at or to change' }),
});
export const TraceStep = Type.Object({
  kind: Type.Unsafe<string>({
    type: 'string',
    enum: [
      'rule',
      'miss',
      'action',
      'action-set',
      'bucket',
      'meter',
      'output',
      'blocked',
      'controller',
      'drop',
    ],
  }),
  depth: Type.Integer({ description: 'How deeply nested in resubmits, groups and clones' }),
  text: Type.String({ description: 'The step in one line' }),
  table: Type.Optional(TableName),
  rule: Type.Optional(
    Type.Object({
      priority: Type.Integer(),
      cookie: Type.String(),
      match: Type.Record(Type.String(), Type.Any()),
      text: Type.String({ description: 'As ovs-ofctl writes it, ports by name' }),
      reason: orNull(Type.String({ description: 'Why its program wants it; null: a user’s' })),
    }),
  ),
  masks: Type.Optional(Type.Integer({ description: 'Masks tried in this table: each costs a hash lookup' })),
  action: Type.Optional(Type.String()),
  group: Type.Optional(Type.Integer()),
  bucket: Type.Optional(Type.Integer()),
  meter: Type.Optional(Type.Integer()),
  port: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String({ description: 'A reason for dropping, or of the packet-in' })),
});
export type TraceStep = Static<typeof TraceStep>;
const FrameView = Type.Object({
  hex: Type.String(),
  length: Type.Integer(),
  text: Type.String({ description: 'Its headers in the words of ovs-ofctl' }),
});
export const TraceView = Type.Object({
  bridge: Type.String(),
  inPort: Type.String(),
  frame: FrameView,
  steps: Type.Array(TraceStep),
  outputs: Type.Array(
    Type.Object({
      port: Type.String(),
      ofport: Type.Integer(),
      queue: orNull(Type.Integer()),
      frame: FrameView,
    }),
  ),
  packetIns: Type.Array(
    Type.Object({
      to: Type.Unsafe<string>({ type: 'string', enum: ['program', 'controllers'] }),
      reason: Type.String(),
      maxLength: Type.Integer(),
      frame: FrameView,
    }),
  ),
  drop: orNull(Verdict),
  cost: Type.Object({
    tables: Type.Integer({ description: 'Tables walked' }),
    masks: Type.Integer({ description: 'Masks tried in them' }),
    bits: Type.Integer({ description: 'Bits of the frame that the outcome depends on' }),
    fields: Type.Array(Type.String(), { description: 'Those bits, as fields' }),
    cacheable: Type.Boolean({ description: 'The next frame that agrees on those bits takes the fast way' }),
  }),
  fastPath: Type.Object(
    {
      offloaded: Type.Boolean(),
      reason: orNull(Type.String({ description: 'A word for why not', examples: ['packet-in'] })),
      sentence: orNull(Type.String({ description: 'Why not, for people' })),
    },
    { description: 'Whether the kernel forwards frames like it, once the first has passed' },
  ),
  verdict: Type.String({ description: 'The outcome in one sentence' }),
});
export type TraceView = Static<typeof TraceView>;

/** The data of an event of /v1/events; its name is `kind`, its id the number to resume from. */
export const EventView = Type.Object({
  kind: Type.Unsafe<string>({
    type: 'string',
    enum: ['port', 'link', 'learn', 'move', 'age', 'connect', 'config', 'gap'],
  }),
  at: Type.String({ format: 'date-time' }),
  bridge: orNull(Type.String()),
  data: Type.Record(Type.String(), Type.Any()),
});
export type EventView = Static<typeof EventView>;
/** One event of a stream: its fields (WHATWG HTML §9.2.6), of which each is a text. */
export const EventFrame = Type.Object(
  {
    id: Type.String({ description: 'For Last-Event-ID' }),
    event: EventView.properties.kind,
    data: Type.String({ contentMediaType: 'application/json', contentSchema: EventView }),
    retry: Type.Optional(Type.Any({ description: 'Milliseconds to wait before coming back' })),
  },
  { description: 'An event of the stream; comments keep it alive in between' },
);

const Part = Type.Object({ ready: Type.Boolean(), why: orNull(Type.String()) });
export const ReadyView = Type.Object({
  ready: Type.Boolean(),
  database: Part,
  datapath: Part,
  bridges: Type.Array(Type.Intersect([Type.Object({ bridge: Type.String() }), Part])),
});
export type ReadyView = Static<typeof ReadyView>;
