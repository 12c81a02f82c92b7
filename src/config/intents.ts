/**
 * What can be asked of the configuration, as transactions on the database: the same rows that `ovs-vsctl` would write.
 * A pure part: each intent looks at the database and gives the operations, or throws {@link IntentError}.
 */
import type { PriorityTags, VlanMode } from '../domain/index.js';
import type { Database, Json, Row } from '../ovsdb/index.js';
import { mapOfTexts, textOf, textsOf } from './fields.js';
import { STATIC_MAC_PREFIX } from './network.js';

/** Everything that a user says about a bridge; what is left out is at its default. */
export interface BridgeSpec {
  readonly name: string;
  readonly datapathId?: string;
  readonly mac?: string;
  readonly failMode?: 'standalone' | 'secure';
  readonly controllers?: readonly string[];
  /** Where the switch is, if not on our own datapath: unix:PATH, tcp:HOST:PORT. */
  readonly connection?: string | null;
  readonly macTableSize?: number;
  readonly macAgeingTimeS?: number;
  readonly forwardBpdu?: boolean;
  readonly floodVlans?: readonly number[];
}

export interface PortSpec {
  readonly name: string;
  readonly vlanMode?: VlanMode;
  readonly tag?: number | null;
  readonly trunks?: readonly number[] | null;
  readonly cvlans?: readonly number[] | null;
  readonly priorityTags?: PriorityTags;
  readonly qinqEthertype?: '802.1ad' | '802.1q';
  readonly protected?: boolean;
  readonly type?: 'system' | 'internal';
  readonly ofportRequest?: number | null;
  readonly mac?: string | null;
  readonly mtuRequest?: number | null;
}

export type IntentErrorCode =
  | 'no-such-bridge'
  | 'no-such-port'
  | 'no-such-entry'
  | 'bridge-exists'
  | 'port-exists'
  | 'is-local-port'
  | 'is-a-bond';

export class IntentError extends Error {
  override readonly name = 'IntentError';

  constructor(
    readonly code: IntentErrorCode,
    message: string,
  ) {
    super(message);
  }
}

const set = (items: readonly Json[]): Json => ['set', items];
const optional = (value: Json | undefined): Json => value ?? ['set', []];
const map = (entries: Iterable<readonly [string, string]>): Json => [
  'map',
  [...entries].map(([key, value]) => [key, value]),
];
const byUuid = (row: Row): Json => [['_uuid', '==', ['uuid', row.uuid]]];

/** The keys of `other_config` that the specs own; a replacement leaves others as they are. */
const BRIDGE_KEYS = [
  'datapath-id',
  'hwaddr',
  'openflow-connection',
  'mac-table-size',
  'mac-aging-time',
  'forward-bpdu',
];
const PORT_KEYS = ['priority-tags', 'qinq-ethertype'];

/** With the bridge comes its own port, an internal interface of its name. */
export function addBridge(database: Database, spec: BridgeSpec): Json[] {
  const { name } = spec;
  if (database.find('Bridge', 'name', name))
    throw new IntentError('bridge-exists', `there is a bridge ${name} already`);
  refusePort(database, name);
  const { columns, inserts } = bridgeColumns(spec, new Map());
  return [
    { op: 'insert', table: 'Interface', 'uuid-name': 'local_interface', row: { name, type: 'internal' } },
    {
      op: 'insert',
      table: 'Port',
      'uuid-name': 'local_port',
      row: { name, interfaces: ['named-uuid', 'local_interface'] },
    },
    ...inserts,
    {
      op: 'insert',
      table: 'Bridge',
      'uuid-name': 'bridge',
      row: { name, ports: ['named-uuid', 'local_port'], ...columns },
    },
    {
      op: 'mutate',
      table: 'Open_vSwitch',
      where: [],
      mutations: [['bridges', 'insert', ['named-uuid', 'bridge']]],
    },
  ];
}

/** Gives the bridge these settings, and its defaults for those left out; its ports stay. */
export function replaceBridge(database: Database, spec: BridgeSpec): Json[] {
  const row = bridgeRow(database, spec.name);
  const { columns, inserts } = bridgeColumns(spec, mapOfTexts(row, 'other_config'));
  return [...inserts, { op: 'update', table: 'Bridge', where: byUuid(row), row: columns }];
}

export function removeBridge(database: Database, name: string): Json[] {
  const row = bridgeRow(database, name);
  return [
    {
      op: 'mutate',
      table: 'Open_vSwitch',
      where: [],
      mutations: [['bridges', 'delete', ['uuid', row.uuid]]],
    },
  ];
}

export function addPort(database: Database, bridge: string, spec: PortSpec): Json[] {
  const row = bridgeRow(database, bridge);
  refusePort(database, spec.name);
  const { port, iface } = portColumns(spec, new Map());
  const { name } = spec;
  return [
    { op: 'insert', table: 'Interface', 'uuid-name': 'interface', row: { name, ...iface } },
    {
      op: 'insert',
      table: 'Port',
      'uuid-name': 'port',
      row: { name, interfaces: ['named-uuid', 'interface'], ...port },
    },
    {
      op: 'mutate',
      table: 'Bridge',
      where: byUuid(row),
      mutations: [['ports', 'insert', ['named-uuid', 'port']]],
    },
  ];
}

/** Gives the port these settings, and its defaults for those left out. It keeps its OpenFlow number. */
export function replacePort(database: Database, bridge: string, spec: PortSpec): Json[] {
  const row = portRow(database, bridge, spec.name);
  const interfaces = textsOf(row, 'interfaces');
  const [first] = interfaces;
  if (first === undefined || interfaces.length > 1) {
    throw new IntentError('is-a-bond', `port ${spec.name} is a bond of ${interfaces.length} interfaces`);
  }
  if (spec.name === bridge && spec.type === 'system') {
    throw new IntentError('is-local-port', `port ${bridge} is the bridge's own: its type is internal`);
  }
  const { port, iface } = portColumns(spec, mapOfTexts(row, 'other_config'));
  const type: Json = spec.name === bridge ? 'internal' : (iface['type'] ?? '');
  return [
    { op: 'update', table: 'Port', where: byUuid(row), row: port },
    { op: 'update', table: 'Interface', where: [['_uuid', '==', ['uuid', first]]], row: { ...iface, type } },
  ];
}

export function removePort(database: Database, bridge: string, name: string): Json[] {
  const row = portRow(database, bridge, name);
  if (name === bridge)
    throw new IntentError('is-local-port', `port ${name} is the bridge's own and goes with it`);
  const where = byUuid(bridgeRow(database, bridge));
  return [{ op: 'mutate', table: 'Bridge', where, mutations: [['ports', 'delete', ['uuid', row.uuid]]] }];
}

export function addStaticMac(
  database: Database,
  bridge: string,
  entry: { vlan: number; mac: string; port: string },
): Json[] {
  const row = bridgeRow(database, bridge);
  portRow(database, bridge, entry.port);
  const key = staticMacKey(entry);
  const where = byUuid(row);
  return [
    { op: 'mutate', table: 'Bridge', where, mutations: [['other_config', 'delete', set([key])]] },
    {
      op: 'mutate',
      table: 'Bridge',
      where,
      mutations: [['other_config', 'insert', map([[key, entry.port]])]],
    },
  ];
}

export function removeStaticMac(
  database: Database,
  bridge: string,
  entry: { vlan: number; mac: string },
): Json[] {
  const row = bridgeRow(database, bridge);
  const key = staticMacKey(entry);
  if (!mapOfTexts(row, 'other_config').has(key)) {
    throw new IntentError(
      'no-such-entry',
      `bridge ${bridge} has no static entry for ${entry.mac} in VLAN ${entry.vlan}`,
    );
  }
  return [
    {
      op: 'mutate',
      table: 'Bridge',
      where: byUuid(row),
      mutations: [['other_config', 'delete', set([key])]],
    },
  ];
}

// ---------------------------------------------------------------------------------------------------------------

export function bridgeRow(database: Database, name: string): Row {
  const row = database.find('Bridge', 'name', name);
  if (!row) throw new IntentError('no-such-bridge', `there is no bridge ${name}`);
  return row;
}

export function portRow(database: Database, bridge: string, name: string): Row {
  const ports = textsOf(bridgeRow(database, bridge), 'ports');
  const row = database.find('Port', 'name', name);
  if (!row || !ports.includes(row.uuid))
    throw new IntentError('no-such-port', `bridge ${bridge} has no port ${name}`);
  return row;
}

/** The bridge that has this port, for messages. */
export function bridgeOfPort(database: Database, port: Row): string | undefined {
  for (const bridge of database.rows('Bridge').values()) {
    if (textsOf(bridge, 'ports').includes(port.uuid)) return textOf(bridge, 'name');
  }
  return undefined;
}

function refusePort(database: Database, name: string): void {
  const port = database.find('Port', 'name', name);
  if (port) {
    throw new IntentError(
      'port-exists',
      `there is a port ${name} already, on bridge ${bridgeOfPort(database, port) ?? '?'}`,
    );
  }
  if (database.find('Interface', 'name', name)) {
    throw new IntentError('port-exists', `the interface ${name} is a member of a bond already`);
  }
}

function staticMacKey({ vlan, mac }: { vlan: number; mac: string }): string {
  return `${STATIC_MAC_PREFIX}${vlan}:${mac}`;
}

function bridgeColumns(
  spec: BridgeSpec,
  otherConfig: Map<string, string>,
): { columns: Record<string, Json>; inserts: Json[] } {
  for (const key of BRIDGE_KEYS) otherConfig.delete(key);
  const other = (key: string, value: string | number | boolean | null | undefined) => {
    if (value !== undefined && value !== null) otherConfig.set(key, String(value));
  };
  other('datapath-id', spec.datapathId);
  other('hwaddr', spec.mac);
  other('openflow-connection', spec.connection);
  other('mac-table-size', spec.macTableSize);
  other('mac-aging-time', spec.macAgeingTimeS);
  if (spec.forwardBpdu === true) other('forward-bpdu', true);
  const inserts = (spec.controllers ?? []).map((target, i): Json => {
    return { op: 'insert', table: 'Controller', 'uuid-name': `controller${i}`, row: { target } };
  });
  return {
    inserts,
    columns: {
      fail_mode: optional(spec.failMode),
      controller: set(inserts.map((_, i) => ['named-uuid', `controller${i}`])),
      flood_vlans: set([...new Set(spec.floodVlans ?? [])]),
      other_config: map(otherConfig),
    },
  };
}

function portColumns(
  spec: PortSpec,
  otherConfig: Map<string, string>,
): { port: Record<string, Json>; iface: Record<string, Json> } {
  for (const key of PORT_KEYS) otherConfig.delete(key);
  if (spec.priorityTags !== undefined && spec.priorityTags !== 'never')
    otherConfig.set('priority-tags', spec.priorityTags);
  if (spec.qinqEthertype !== undefined) otherConfig.set('qinq-ethertype', spec.qinqEthertype);
  return {
    port: {
      vlan_mode: optional(spec.vlanMode),
      tag: optional(spec.tag),
      trunks: set([...new Set(spec.trunks ?? [])]),
      cvlans: set([...new Set(spec.cvlans ?? [])]),
      protected: spec.protected ?? false,
      other_config: map(otherConfig),
    },
    iface: {
      type: spec.type === 'internal' ? 'internal' : '',
      mac: optional(spec.mac),
      ofport_request: optional(spec.ofportRequest),
      mtu_request: optional(spec.mtuRequest),
    },
  };
}
