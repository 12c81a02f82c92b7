/** Bridges, as they go over the REST API. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { MAC_AGEING_TIME_S, MAC_TABLE_SIZE } from '../../domain/index.js';
import {
  BridgeName,
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

const Target = Type.String({
  pattern: '^(unix:.+|punix:.+|(tcp|ssl):.+|(ptcp|pssl):([0-9]{1,5})?(:.+)?)$',
  maxLength: 300,
  examples: ['tcp:127.0.0.1:6653', 'ptcp:6654'],
});

const settings = {
  datapathId: Type.String({
    pattern: '^(?!0{16}$)[0-9a-f]{16}$',
    description: 'Default: 0000 and the address of the bridge',
    examples: ['0000020000000001'],
  }),
  mac: Type.Unsafe<string>({
    ...StationMac,
    description: "Address of the bridge's own interface; default: one that stays the same",
  }),
  failMode: word(['standalone', 'secure'], {
    default: 'standalone',
    description: 'Whether the bridge forwards by itself while no controller is there',
  }),
  controllers: Type.Array(Target, {
    maxItems: 64,
    uniqueItems: true,
    description: "Users' OpenFlow controllers and listeners",
  }),
  connection: orNull(
    Type.String({
      pattern: '^(unix:.+|(tcp|ssl):.+:[0-9]{1,5})$',
      maxLength: 300,
      description: 'Where the switch is, if not Weft’s own datapath; null: Weft’s own',
    }),
  ),
  macTableSize: Type.Integer({
    minimum: MAC_TABLE_SIZE.min,
    maximum: MAC_TABLE_SIZE.max,
    default: MAC_TABLE_SIZE.default,
    description: 'Most addresses learned',
  }),
  macAgeingTimeS: Type.Integer({
    minimum: MAC_AGEING_TIME_S.min,
    maximum: MAC_AGEING_TIME_S.max,
    default: MAC_AGEING_TIME_S.default,
    description: 'Seconds after which a silent address is forgotten',
  }),
  forwardBpdu: Type.Boolean({
    default: false,
    description: 'Pass frames to the reserved group addresses on',
  }),
  floodVlans: Type.Array(VlanId, {
    maxItems: 4096,
    uniqueItems: true,
    description: 'VLANs without learning',
  }),
  ...annotations,
};

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
  { ...readOnly, description: 'What the switch says; not settable' },
);

/** What a body may repeat from an answer, to no effect. */
const repeated = { status: Type.Optional(SwitchState), pending: Pending };

const example = { name: 'br0', failMode: 'standalone', macAgeingTimeS: 300 };
export const NewBridge = component(
  'NewBridge',
  Type.Object({ name: BridgeName, ...optional(settings), ...repeated }, { ...strict, examples: [example] }),
);
export const BridgeSettings = component(
  'BridgeSettings',
  Type.Object(
    { name: Type.Optional(BridgeName), ...optional(settings), ...repeated },
    { ...strict, examples: [{ failMode: 'secure', controllers: ['tcp:127.0.0.1:6653'] }] },
  ),
);
export const BridgePatch = component(
  'BridgePatch',
  patchOf({ name: BridgeName, ...settings, status: SwitchState, pending: Type.String() }, [
    { macAgeingTimeS: 600, controllers: null },
  ]),
);
export const BridgeView = component(
  'Bridge',
  Type.Object({ name: Type.String(), ...settings, status: SwitchState, pending: Pending }),
);
export type BridgeView = Static<typeof BridgeView>;
export const BridgesView = component('Bridges', Type.Object({ bridges: Type.Array(BridgeView), next: Next }));
export const BridgeFilter = Type.Object({ name: NamePattern, ...Paging }, strict);
