/** Ports and their interfaces, as they go over the REST API. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { BOND_MODES, LACP_MODES } from '../../config/index.js';
import { MAX_REQUESTABLE_PORT } from '../../domain/index.js';
import {
  INTERFACE_NAME,
  InterfaceName,
  NamePattern,
  Next,
  Paging,
  Pending,
  StationMac,
  VlanId,
  annotations,
  component,
  optional,
  orNull,
  patchOf,
  readOnly,
  strict,
  word,
} from './common.js';

export const VLAN_MODES = ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;
export const INTERFACE_TYPES = ['system', 'internal', 'patch'] as const;

/** Of the port's one interface; the members of a bond have their own. */
const interfaceSettings = {
  type: word(INTERFACE_TYPES, {
    default: 'system',
    description:
      'internal: an interface of this host that Weft makes; patch: one end of a cable to another bridge',
  }),
  peer: orNull(
    Type.String({
      pattern: INTERFACE_NAME,
      description: 'The port at the other end of a patch port, which has to name this one',
      examples: ['patch1'],
    }),
  ),
  ofportRequest: orNull(
    Type.Integer({
      minimum: 1,
      maximum: MAX_REQUESTABLE_PORT,
      description: 'The OpenFlow port number wished for',
    }),
  ),
  mac: orNull(StationMac),
  mtuRequest: orNull(Type.Integer({ minimum: 68, maximum: 65535 })),
};

const vlanList = (description: string) =>
  orNull(Type.Array(VlanId, { maxItems: 4096, uniqueItems: true, description }));
const delayMs = (description: string) =>
  Type.Integer({ minimum: 0, maximum: 0x7fff_ffff, default: 0, description });

const settings = {
  interfaces: Type.Array(InterfaceName, {
    minItems: 1,
    maxItems: 64,
    uniqueItems: true,
    description: "More than one: a bond. Default: one of the port's own name; left out of a PUT: as they are",
    examples: [['eth1', 'eth2']],
  }),
  vlanMode: word(VLAN_MODES, { description: 'Default: access where a tag is given, else trunk' }),
  tag: orNull(Type.Integer({ minimum: 0, maximum: 4095, description: 'The access, native or service VLAN' })),
  trunks: vlanList('VLANs that a trunk carries; null: all'),
  cvlans: vlanList('Customer VLANs that a tunnel takes; null: all'),
  priorityTags: word(['never', 'if-nonzero', 'always'], { default: 'never' }),
  qinqEthertype: word(['802.1ad', '802.1q'], { default: '802.1ad' }),
  protected: Type.Boolean({ default: false, description: 'No traffic to other protected ports' }),
  bondMode: orNull(word(BOND_MODES, { description: 'How a bond spreads traffic; null: active-backup' })),
  lacp: orNull(word(LACP_MODES, { description: 'null: off' })),
  bondUpdelayMs: delayMs('How long a link must be up before a bond uses it'),
  bondDowndelayMs: delayMs('How long a link must be down before a bond gives it up'),
  ...interfaceSettings,
  ...annotations,
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
  { ...readOnly, description: 'The device of the (first) interface; not settable' },
);
const OfPort = orNull(
  Type.Integer({ ...readOnly, description: "OpenFlow port number; 65534: the bridge's own port" }),
);
const Member = Type.Object({ name: Type.String(), ofport: OfPort, status: DeviceState });
const Members = Type.Array(Member, { ...readOnly, description: 'The interfaces, each with its state' });

const state = {
  bridge: Type.String(readOnly),
  ofport: OfPort,
  status: DeviceState,
  members: Members,
};
/** What a body may repeat from an answer, to no effect. */
const repeated = { ...optional(state), pending: Pending };

export const NewPort = component(
  'NewPort',
  Type.Object(
    { name: InterfaceName, ...optional(settings), ...repeated },
    {
      ...strict,
      examples: [
        { name: 'tap2', tag: 10 },
        {
          name: 'bond0',
          interfaces: ['eth1', 'eth2'],
          lacp: 'active',
          bondMode: 'balance-tcp',
          trunks: [10, 20],
        },
      ],
    },
  ),
);
export const PortSettings = component(
  'PortSettings',
  Type.Object(
    { name: Type.Optional(InterfaceName), ...optional(settings), ...repeated },
    { ...strict, examples: [{ vlanMode: 'trunk', trunks: [10, 20] }] },
  ),
);
export const PortPatch = component(
  'PortPatch',
  patchOf({ name: InterfaceName, ...settings, ...state, pending: Type.String() }, [
    { tag: 20 },
    { vlanMode: 'trunk', tag: null, trunks: [10, 20] },
  ]),
);
export const PortView = component(
  'Port',
  Type.Object({ name: Type.String(), ...settings, ...state, mac: orNull(Type.String()), pending: Pending }),
);
export type PortView = Static<typeof PortView>;
export const PortsView = component('Ports', Type.Object({ ports: Type.Array(PortView), next: Next }));
export const PortFilter = Type.Object(
  {
    name: NamePattern,
    vlanMode: Type.Optional(word(VLAN_MODES)),
    vlan: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 4095, description: 'Only ports that carry this VLAN' }),
    ),
    type: Type.Optional(word(INTERFACE_TYPES)),
    linkUp: Type.Optional(Type.Boolean({ description: 'Only ports whose (first) link is, or is not, up' })),
    ...Paging,
  },
  strict,
);

const interfaceState = {
  bridge: Type.String(readOnly),
  port: Type.String(readOnly),
  ofport: OfPort,
  status: DeviceState,
};
export const InterfaceBody = component(
  'InterfaceSettings',
  Type.Object(
    {
      name: Type.Optional(InterfaceName),
      ...optional({ ...interfaceSettings, ...annotations }),
      ...optional(interfaceState),
      pending: Pending,
    },
    { ...strict, examples: [{ mtuRequest: 9000, otherConfig: { 'lacp-port-priority': '1' } }] },
  ),
);
export const InterfacePatch = component(
  'InterfacePatch',
  patchOf(
    { name: InterfaceName, ...interfaceSettings, ...annotations, ...interfaceState, pending: Type.String() },
    [{ mtuRequest: 9000 }],
  ),
);
export const InterfaceView = component(
  'Interface',
  Type.Object({
    name: Type.String(),
    ...interfaceSettings,
    ...annotations,
    ...interfaceState,
    mac: orNull(Type.String()),
    pending: Pending,
  }),
);
export type InterfaceView = Static<typeof InterfaceView>;
export const InterfacesView = component('Interfaces', Type.Object({ interfaces: Type.Array(InterfaceView) }));
