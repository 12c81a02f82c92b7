/** What goes over the REST API: one declaration each for validation, types and the OpenAPI document. */
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { MAC_AGEING_TIME_S, MAC_TABLE_SIZE, MAX_REQUESTABLE_PORT } from '../domain/index.js';

/** A string of these; ajv's own `enum`, whose message names the choices. */
function word<const T extends readonly string[]>(choices: T, options: object = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: choices, ...options });
}

const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const readOnly = { readOnly: true };

export const InterfaceName = Type.String({
  pattern: '^[^\\s/:]{1,15}$',
  not: { enum: ['.', '..'] },
  description: 'The name of a Linux network interface: 1 to 15 characters, no blank, slash or colon',
  examples: ['br0'],
});
/** The I/G bit is clear: one station's. */
export const StationMac = Type.String({
  pattern: '^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$',
  description: 'A unicast Ethernet address',
  examples: ['02:00:00:00:00:01'],
});
export const VlanId = Type.Integer({ minimum: 0, maximum: 4095 });
const VlanList = Type.Array(VlanId, { maxItems: 4096, uniqueItems: true });
const Target = Type.String({
  pattern: '^(unix:.+|punix:.+|(tcp|ssl):.+|(ptcp|pssl):([0-9]{1,5})?(:.+)?)$',
  maxLength: 300,
  examples: ['tcp:127.0.0.1:6653', 'ptcp:6654'],
});

export const VLAN_MODES = ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;

const bridgeSettings = {
  datapathId: Type.Optional(
    Type.String({
      pattern: '^(?!0{16}$)[0-9a-f]{16}$',
      description: 'Default: 0000 and the address of the bridge',
    }),
  ),
  mac: Type.Optional(
    Type.Intersect([StationMac], {
      description: "Address of the bridge's own interface; default: one that stays the same",
    }),
  ),
  failMode: Type.Optional(word(['standalone', 'secure'], { default: 'standalone' })),
  controllers: Type.Optional(
    Type.Array(Target, {
      maxItems: 64,
      uniqueItems: true,
      description: "Users' OpenFlow controllers and listeners",
    }),
  ),
  connection: Type.Optional(
    orNull(
      Type.String({
        pattern: '^(unix:.+|(tcp|ssl):.+:[0-9]{1,5})$',
        maxLength: 300,
        description: 'Where the switch is, if not Weft’s own datapath; null: Weft’s own',
      }),
    ),
  ),
  macTableSize: Type.Optional(
    Type.Integer({
      minimum: MAC_TABLE_SIZE.min,
      maximum: MAC_TABLE_SIZE.max,
      default: MAC_TABLE_SIZE.default,
    }),
  ),
  macAgeingTimeS: Type.Optional(
    Type.Integer({
      minimum: MAC_AGEING_TIME_S.min,
      maximum: MAC_AGEING_TIME_S.max,
      default: MAC_AGEING_TIME_S.default,
    }),
  ),
  forwardBpdu: Type.Optional(Type.Boolean({ default: false })),
  floodVlans: Type.Optional(
    Type.Array(VlanId, { maxItems: 4096, uniqueItems: true, description: 'VLANs without learning' }),
  ),
};

const Pending = Type.Optional(
  orNull(
    Type.String({
      ...readOnly,
      description: 'Why the switch does not forward so yet; null or absent: it does',
    }),
  ),
);

const SwitchState = Type.Object(
  {
    connected: Type.Boolean(),
    inSync: Type.Boolean({ description: 'The switch holds every flow that the configuration wants' }),
    target: orNull(Type.String()),
    flows: Type.Integer({ description: 'Flows that Weft wants on the switch' }),
    groups: Type.Integer(),
    macs: Type.Integer({ description: 'Addresses learned' }),
    lastError: orNull(Type.String()),
  },
  readOnly,
);

const readOnlyOfBridge = { status: Type.Optional(SwitchState), pending: Pending };

const strict = { additionalProperties: false };
export const NewBridge = Type.Object({ name: InterfaceName, ...bridgeSettings, ...readOnlyOfBridge }, strict);
export const BridgeSettings = Type.Object(
  { name: Type.Optional(InterfaceName), ...bridgeSettings, ...readOnlyOfBridge },
  strict,
);
export const BridgeView = Type.Object({
  name: Type.String(),
  datapathId: Type.String(),
  mac: Type.String(),
  failMode: word(['standalone', 'secure']),
  controllers: Type.Array(Type.String()),
  connection: orNull(Type.String()),
  macTableSize: Type.Integer(),
  macAgeingTimeS: Type.Integer(),
  forwardBpdu: Type.Boolean(),
  floodVlans: Type.Array(VlanId),
  status: SwitchState,
  pending: Pending,
});
export type BridgeView = Static<typeof BridgeView>;

const portSettings = {
  type: Type.Optional(
    word(['system', 'internal'], {
      default: 'system',
      description: 'internal: an interface of this host that Weft makes',
    }),
  ),
  vlanMode: Type.Optional(
    word(VLAN_MODES, { description: 'Default: access where a tag is given, else trunk' }),
  ),
  tag: Type.Optional(
    orNull(Type.Integer({ minimum: 0, maximum: 4095, description: 'The access, native or service VLAN' })),
  ),
  trunks: Type.Optional(
    orNull(
      Type.Array(VlanId, {
        maxItems: 4096,
        uniqueItems: true,
        description: 'VLANs that a trunk carries; null: all',
      }),
    ),
  ),
  cvlans: Type.Optional(
    orNull(
      Type.Array(VlanId, {
        maxItems: 4096,
        uniqueItems: true,
        description: 'Customer VLANs that a tunnel takes; null: all',
      }),
    ),
  ),
  priorityTags: Type.Optional(word(['never', 'if-nonzero', 'always'], { default: 'never' })),
  qinqEthertype: Type.Optional(word(['802.1ad', '802.1q'], { default: '802.1ad' })),
  protected: Type.Optional(
    Type.Boolean({ default: false, description: 'No traffic to other protected ports' }),
  ),
  ofportRequest: Type.Optional(orNull(Type.Integer({ minimum: 1, maximum: MAX_REQUESTABLE_PORT }))),
  mac: Type.Optional(orNull(StationMac)),
  mtuRequest: Type.Optional(orNull(Type.Integer({ minimum: 68, maximum: 65535 }))),
};

const DeviceState = Type.Object(
  {
    present: Type.Boolean({ description: 'The network device exists' }),
    adminUp: orNull(Type.Boolean()),
    linkUp: orNull(Type.Boolean()),
    ifindex: orNull(Type.Integer()),
    mac: orNull(Type.String()),
    mtu: orNull(Type.Integer()),
    speedMbps: orNull(Type.Number()),
    error: orNull(Type.String()),
  },
  readOnly,
);

const readOnlyOfPort = {
  bridge: Type.Optional(Type.String(readOnly)),
  interfaces: Type.Optional(Type.Array(Type.String(), { ...readOnly, description: 'More than one: a bond' })),
  ofport: Type.Optional(
    orNull(Type.Integer({ ...readOnly, description: "OpenFlow port number; 65534: the bridge's own port" })),
  ),
  status: Type.Optional(DeviceState),
  pending: Pending,
};

export const NewPort = Type.Object({ name: InterfaceName, ...portSettings, ...readOnlyOfPort }, strict);
export const PortSettings = Type.Object(
  { name: Type.Optional(InterfaceName), ...portSettings, ...readOnlyOfPort },
  strict,
);
export type PortSettings = Static<typeof PortSettings>;
export const PortView = Type.Object({
  name: Type.String(),
  bridge: Type.String(),
  type: word(['system', 'internal']),
  interfaces: Type.Array(Type.String()),
  vlanMode: word(VLAN_MODES),
  tag: orNull(VlanId),
  trunks: orNull(VlanList),
  cvlans: orNull(VlanList),
  priorityTags: word(['never', 'if-nonzero', 'always']),
  qinqEthertype: word(['802.1ad', '802.1q']),
  protected: Type.Boolean(),
  ofportRequest: orNull(Type.Integer()),
  mac: orNull(Type.String()),
  mtuRequest: orNull(Type.Integer()),
  ofport: orNull(Type.Integer()),
  status: DeviceState,
  pending: Pending,
});
export type PortView = Static<typeof PortView>;

export const FdbEntryView = Type.Object({
  vlan: VlanId,
  mac: Type.String(),
  port: Type.String(),
  kind: word(['learned', 'static', 'own'], {
    description: "own: an address of one of the bridge's internal interfaces",
  }),
  ageS: orNull(Type.Number({ description: 'Seconds since it was learned or moved' })),
  pending: Pending,
});
export const FdbView = Type.Object({ entries: Type.Array(FdbEntryView) });
export const FdbTarget = Type.Object({ port: InterfaceName }, strict);

const Owner = orNull(
  Type.Object(
    {
      program: Type.String(),
      table: Type.Optional(Type.String()),
      kind: Type.Optional(Type.String()),
      reason: Type.String(),
    },
    { description: 'Which program wants it and why; null: a user or another controller' },
  ),
);

export const FlowView = Type.Object({
  tableId: Type.Integer(),
  priority: Type.Integer(),
  cookie: Type.String({ description: 'Hexadecimal, since it has 64 bits' }),
  match: Type.Record(Type.String(), Type.Any()),
  instructions: Type.Array(Type.Any()),
  idleTimeoutS: Type.Integer(),
  hardTimeoutS: Type.Integer(),
  flags: Type.Array(Type.Any()),
  packets: Type.Integer(),
  bytes: Type.Integer(),
  durationS: Type.Number(),
  owner: Owner,
  text: Type.String({ description: 'As ovs-ofctl writes it, without statistics' }),
});
export const FlowsView = Type.Object({ flows: Type.Array(FlowView) });
export const GroupView = Type.Object({
  groupId: Type.Integer(),
  type: Type.Any(),
  buckets: Type.Array(Type.Any()),
  owner: Owner,
  text: Type.String(),
});
export const GroupsView = Type.Object({ groups: Type.Array(GroupView) });

/** RFC 9457. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:weft:problem:<code>' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'JSON pointer into the body, or the parameter' }),
          message: Type.String(),
        }),
      ),
    ),
  },
  { description: 'A problem (RFC 9457)' },
);

export const BridgeParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 255 }) });
export const PortParams = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255 }),
  port: Type.String({ minLength: 1, maxLength: 255 }),
});

const Health = Type.Object({ connected: Type.Boolean(), lastError: orNull(Type.String()) });
export const HealthView = Type.Object({
  status: word(['ok', 'degraded', 'failed'], {
    description: 'degraded: the database is fine, a switch is not in order',
  }),
  database: Type.Object({ ok: Type.Boolean(), bytes: Type.Integer(), error: orNull(Type.String()) }),
  datapath: Type.Intersect([
    Health,
    Type.Object({ pid: orNull(Type.Integer()), version: orNull(Type.String()) }),
  ]),
  switches: Type.Array(
    Type.Intersect([Type.Object({ bridge: Type.String(), inSync: Type.Boolean() }), Health]),
  ),
  faults: Type.Array(
    Type.Object({ table: Type.String(), name: Type.String(), column: Type.String(), message: Type.String() }),
  ),
});
export const RootView = Type.Object({
  name: Type.String(),
  version: Type.String(),
  openapi: Type.String(),
  bridges: Type.String(),
});
