/** Flows, groups and meters, as they go over the REST API. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { BridgeParams, component, orNull, strict, word } from './common.js';

const Owner = orNull(
  Type.Object(
    {
      program: Type.String(),
      table: Type.Optional(Type.String({ description: "The table's name in the program" })),
      kind: Type.Optional(Type.String()),
      reason: Type.String(),
    },
    { description: 'Which program wants it and why; null: a user or another controller' },
  ),
);
const Hex64 = Type.String({
  pattern: '^0x[0-9a-fA-F]{1,16}$',
  description: 'Hexadecimal, since it has 64 bits',
});
const Text = Type.String({ description: 'As ovs-ofctl writes it, without statistics' });
/** OXM fields by name, as node-openflow has them: a value, or `{value, mask}`. */
const Match = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  description: 'OXM fields by name to a value, or to {value, mask}; vlan_vid carries 0x1000 as on the wire',
  examples: [{ in_port: 1, eth_dst: { value: '01:00:00:00:00:00', mask: '01:00:00:00:00:00' } }],
});
const Parts = Type.Array(Type.Any());

export const FlowView = component(
  'Flow',
  Type.Object({
    tableId: Type.Integer(),
    priority: Type.Integer(),
    cookie: Hex64,
    match: Match,
    instructions: Parts,
    idleTimeoutS: Type.Integer(),
    hardTimeoutS: Type.Integer(),
    flags: Type.Array(Type.Any()),
    packets: Type.Integer(),
    bytes: Type.Integer(),
    durationS: Type.Number(),
    owner: Owner,
    text: Text,
  }),
);
export type FlowView = Static<typeof FlowView>;
export const FlowsView = component('Flows', Type.Object({ flows: Type.Array(FlowView) }));
export const FlowLines = Type.String({
  description:
    'A flow a line, as ovs-ofctl dump-flows --names prints them; behind #, whose it is and why. Order: table, priority',
});
export const FlowStream = Type.String({
  description: 'A Flow a line (application/x-ndjson), in the order of the switch, while it is being read',
});

const Table = Type.Integer({ minimum: 0, maximum: 254, description: 'Table' });
const Cookie = Type.String({
  pattern: '^(0x[0-9a-fA-F]{1,16}|[0-9]{1,20})(/(0x[0-9a-fA-F]{1,16}|[0-9]{1,20}|-1))?$',
  description: 'value or value/mask',
  examples: ['0x1/0xff'],
});
const MatchText = Type.String({
  maxLength: 4096,
  description:
    "A match in ovs-ofctl's syntax, with out_port and out_group if wanted: flows at least so specific (strict: exactly so)",
  examples: ['in_port=1,dl_vlan=10'],
});
export const FlowFilter = Type.Object(
  {
    table: Type.Optional(Table),
    cookie: Type.Optional(Cookie),
    match: Type.Optional(MatchText),
    owner: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'user: of users and other controllers; else the name of a program',
        examples: ['user', 'bridge'],
      }),
    ),
  },
  strict,
);
export const FlowSelection = Type.Object(
  {
    table: Type.Optional(Table),
    cookie: Type.Optional(Cookie),
    match: Type.Optional(MatchText),
    strict: Type.Optional(
      Type.Boolean({ default: false, description: 'Exactly this match and priority, as del-flows --strict' }),
    ),
  },
  strict,
);

export const MOST_FLOWS = 100_000;
/** What a dump says beside the flow itself may be repeated, to no effect. */
const repeated = {
  packets: Type.Optional(Type.Any()),
  bytes: Type.Optional(Type.Any()),
  durationS: Type.Optional(Type.Any()),
  owner: Type.Optional(Type.Any()),
  text: Type.Optional(Type.Any()),
};
const Uint16 = { minimum: 0, maximum: 65535 };
const FlowInput = Type.Union(
  [
    Type.String({
      minLength: 1,
      maxLength: 65_535,
      description: "In ovs-ofctl's syntax",
      examples: ['table=0,priority=100,in_port=1,actions=NORMAL'],
    }),
    Type.Object(
      {
        tableId: Type.Optional(Type.Integer({ minimum: 0, maximum: 254, default: 0 })),
        priority: Type.Optional(Type.Integer({ ...Uint16, default: 0x8000 })),
        cookie: Type.Optional(Hex64),
        match: Type.Optional(Match),
        instructions: Type.Optional(Parts),
        idleTimeoutS: Type.Optional(Type.Integer(Uint16)),
        hardTimeoutS: Type.Optional(Type.Integer(Uint16)),
        flags: Type.Optional(Type.Array(Type.Any(), { maxItems: 16 })),
        ...repeated,
      },
      strict,
    ),
  ],
  { description: "A flow: ovs-ofctl's syntax, or an object as dumps have them" },
);
export const FlowsInput = component(
  'FlowsInput',
  Type.Object(
    { flows: Type.Array(FlowInput, { maxItems: MOST_FLOWS }) },
    {
      ...strict,
      examples: [
        {
          flows: [
            'table=0,priority=100,in_port=1,actions=drop',
            {
              priority: 10,
              match: { eth_type: 0x0806 },
              instructions: [{ type: 'APPLY_ACTIONS', actions: [{ type: 'OUTPUT', port: 2 }] }],
            },
          ],
        },
      ],
    },
  ),
);
export const FLOW_COMMANDS = ['add', 'modify', 'modify-strict'] as const;
export const FlowCommand = Type.Object(
  {
    command: Type.Optional(
      word(FLOW_COMMANDS, { default: 'add', description: 'As add-flows, mod-flows and mod-flows --strict' }),
    ),
  },
  strict,
);
export const Accepted = component(
  'Accepted',
  Type.Object({ accepted: Type.Integer({ description: 'Flows, groups or meters that the switch took' }) }),
);
export const Replaced = component(
  'Replaced',
  Type.Object({ added: Type.Integer(), modified: Type.Integer(), deleted: Type.Integer() }),
);

const OwnerFilter = Type.Optional(Type.String({ minLength: 1, maxLength: 100, examples: ['user'] }));
export const OwnedFilter = Type.Object({ owner: OwnerFilter }, strict);

export const GroupView = component(
  'Group',
  Type.Object({
    groupId: Type.Integer(),
    type: Type.Any({ description: 'ALL, SELECT, INDIRECT or FF' }),
    buckets: Parts,
    owner: Owner,
    text: Text,
  }),
);
export type GroupView = Static<typeof GroupView>;
export const GroupsView = component('Groups', Type.Object({ groups: Type.Array(GroupView) }));
const GROUP_TYPES = ['ALL', 'SELECT', 'INDIRECT', 'FF'] as const;
const groupSettings = {
  type: word(GROUP_TYPES),
  buckets: Type.Optional(Type.Array(Type.Any(), { maxItems: 4096 })),
  owner: Type.Optional(Type.Any()),
  text: Type.Optional(Type.Any()),
};
const GroupId = Type.Integer({
  minimum: 0,
  maximum: 0xffff_ff00,
  description: 'Programs have those from 0x57000000',
});
const bucketExample = { actions: [{ type: 'OUTPUT', port: 1 }] };
export const GroupSettings = component(
  'GroupSettings',
  Type.Object(
    { groupId: Type.Optional(GroupId), ...groupSettings },
    { ...strict, examples: [{ type: 'ALL', buckets: [bucketExample] }] },
  ),
);
export const GroupsInput = component(
  'GroupsInput',
  Type.Object(
    {
      groups: Type.Array(
        Type.Union([
          Type.String({
            minLength: 1,
            maxLength: 65_535,
            examples: ['group_id=1,type=all,bucket=actions=output:1'],
          }),
          Type.Object({ groupId: GroupId, ...groupSettings }, strict),
        ]),
        { maxItems: 10_000 },
      ),
    },
    { ...strict, examples: [{ groups: ['group_id=1,type=all,bucket=output:1'] }] },
  ),
);
export const GroupParams = Type.Object({ ...BridgeParams.properties, groupId: GroupId });

export const MeterView = component(
  'Meter',
  Type.Object({
    meterId: Type.Integer(),
    flags: Type.Array(Type.Any(), { description: 'KBPS, PKTPS, BURST, STATS' }),
    bands: Parts,
    owner: Owner,
    text: Text,
  }),
);
export type MeterView = Static<typeof MeterView>;
export const MetersView = component('Meters', Type.Object({ meters: Type.Array(MeterView) }));
const meterSettings = {
  flags: Type.Optional(Type.Array(word(['KBPS', 'PKTPS', 'BURST', 'STATS']), { uniqueItems: true })),
  bands: Type.Optional(Type.Array(Type.Any(), { maxItems: 256 })),
  owner: Type.Optional(Type.Any()),
  text: Type.Optional(Type.Any()),
};
const MeterId = Type.Integer({
  minimum: 1,
  maximum: 0xffff_0000,
  description: 'Programs have those from 0x57000000',
});
export const MeterSettings = component(
  'MeterSettings',
  Type.Object(
    { meterId: Type.Optional(MeterId), ...meterSettings },
    { ...strict, examples: [{ flags: ['KBPS'], bands: [{ type: 'DROP', rate: 1000 }] }] },
  ),
);
export const MetersInput = component(
  'MetersInput',
  Type.Object(
    {
      meters: Type.Array(
        Type.Union([
          Type.String({
            minLength: 1,
            maxLength: 65_535,
            examples: ['meter=1,kbps,bands=type=drop,rate=1000'],
          }),
          Type.Object({ meterId: MeterId, ...meterSettings }, strict),
        ]),
        { maxItems: 10_000 },
      ),
    },
    { ...strict, examples: [{ meters: ['meter=1,kbps,bands=type=drop,rate=1000'] }] },
  ),
);
export const MeterParams = Type.Object({ ...BridgeParams.properties, meterId: MeterId });

/** Lines in ovs-ofctl's syntax. Not text/plain, which a page of another origin may send without being asked. */
export const OFCTL_TYPE = 'text/x-ovs-ofctl';
const Lines = Type.String({
  description: "One a line in ovs-ofctl's syntax; blank lines and what follows # are passed over",
});
/** A body in either form. */
export const inEitherForm = (schema: object) => ({
  content: { 'application/json': { schema }, [OFCTL_TYPE]: { schema: Lines } },
});
