/**
 * What can be asked of the configuration, as transactions on the database: the same rows that `ovs-vsctl` would write.
 * A pure part: each intent looks at the database and gives the operations, or throws {@link IntentError}.
 */
import type { Database, Json, Row } from '../ovsdb/index.js';
import { mapOfTexts, textOf, textsOf } from './fields.js';
import { dpidFromMac, macFromUuid } from './identity.js';
import { INTERFACE_TYPES, STATIC_MAC_PREFIX } from './network.js';
import { BRIDGE_KEYS, PORT_KEYS, interfaceNamesOf, isNamedKey } from './specs.js';
import type { BridgeSpec, InterfaceSpec, PortSpec, Texts } from './specs.js';

export type IntentErrorCode =
  | 'no-such-bridge'
  | 'no-such-port'
  | 'no-such-entry'
  | 'bridge-exists'
  | 'port-exists'
  | 'is-local-port'
  | 'is-a-bond'
  | 'no-such-interface'
  | 'no-such-mirror'
  | 'no-such-export';

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

/** With the bridge comes its own port, an internal interface of its name. */
export function addBridge(database: Database, spec: BridgeSpec): Json[] {
  const { name } = spec;
  if (database.find('Bridge', 'name', name))
    throw new IntentError('bridge-exists', `there is a bridge ${name} already`);
  refusePort(database, name);
  const { columns, inserts } = bridgeColumns(database, spec, null);
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
  const { columns, inserts } = bridgeColumns(database, withoutDefaults(spec, row), row);
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
  const names = spec.interfaces ?? [spec.name];
  refuseMemberSettings(spec, names);
  for (const name of names) refuseInterface(database, name);
  const { name } = spec;
  return [
    ...names.map((each, i) =>
      insertInterface(each, i, names.length === 1 ? interfaceColumns(spec, null) : {}),
    ),
    {
      op: 'insert',
      table: 'Port',
      'uuid-name': 'port',
      row: {
        name,
        interfaces: set(names.map((_, i) => ['named-uuid', `interface${i}`])),
        ...portColumns(spec, null),
      },
    },
    {
      op: 'mutate',
      table: 'Bridge',
      where: byUuid(row),
      mutations: [['ports', 'insert', ['named-uuid', 'port']]],
    },
  ];
}

/**
 * Gives the port these settings, and its defaults for those left out. Interfaces that stay keep their OpenFlow numbers;
 * the settings of a bond's members stay as they are.
 */
export function replacePort(database: Database, bridge: string, spec: PortSpec): Json[] {
  const row = portRow(database, bridge, spec.name);
  const had = interfaceNamesOf(database, row);
  const names = spec.interfaces ?? had;
  if (spec.name === bridge && (spec.type === 'system' || names.join() !== bridge)) {
    throw new IntentError('is-local-port', `port ${bridge} is the bridge's own: one internal interface`);
  }
  refuseMemberSettings(spec, names);
  const added = names.filter((name) => !had.includes(name));
  for (const name of added) refuseInterface(database, name);
  const kept = names.flatMap((name) => (had.includes(name) ? [interfaceRow(database, row, name)] : []));
  const settings = (iface: Row | null): Record<string, Json> => {
    if (names.length > 1) return {};
    const columns = interfaceColumns(spec, iface);
    return spec.name === bridge ? { ...columns, type: 'internal' } : columns;
  };
  const interfaces = [
    ...kept.map(({ uuid }): Json => ['uuid', uuid]),
    ...added.map((_, i): Json => ['named-uuid', `interface${i}`]),
  ];
  return [
    ...added.map((name, i) => insertInterface(name, i, settings(null))),
    {
      op: 'update',
      table: 'Port',
      where: byUuid(row),
      row: { interfaces: set(interfaces), ...portColumns(spec, row) },
    },
    ...kept.flatMap((iface): Json[] => {
      const columns = settings(iface);
      if (Object.keys(columns).length === 0) return [];
      return [{ op: 'update', table: 'Interface', where: byUuid(iface), row: columns }];
    }),
  ];
}

/** Gives one interface of a port, of a bond too, these settings, and its defaults for those left out. */
export function replaceInterface(
  database: Database,
  bridge: string,
  port: string,
  spec: InterfaceSpec,
): Json[] {
  const row = interfaceRow(database, portRow(database, bridge, port), spec.name);
  if (spec.name === bridge && spec.type === 'system') {
    throw new IntentError('is-local-port', `interface ${bridge} is the bridge's own: its type is internal`);
  }
  const columns = {
    ...interfaceColumns(spec, row),
    ...texts('other_config', spec.otherConfig),
    ...texts('external_ids', spec.externalIds),
    ...(spec.name === bridge ? { type: 'internal' } : {}),
  };
  return [{ op: 'update', table: 'Interface', where: byUuid(row), row: columns }];
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

export function interfaceRow(database: Database, port: Row, name: string): Row {
  const row = database.find('Interface', 'name', name);
  if (!row || !textsOf(port, 'interfaces').includes(row.uuid)) {
    throw new IntentError('no-such-interface', `port ${textOf(port, 'name') ?? ''} has no interface ${name}`);
  }
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
  refuseInterface(database, name);
}

function refuseInterface(database: Database, name: string): void {
  const row = database.find('Interface', 'name', name);
  if (!row) return;
  const port = [...database.rows('Port').values()].find((each) =>
    textsOf(each, 'interfaces').includes(row.uuid),
  );
  const where = port
    ? `port ${textOf(port, 'name') ?? '?'} of bridge ${bridgeOfPort(database, port) ?? '?'}`
    : 'a port';
  throw new IntentError('port-exists', `there is an interface ${name} already, in ${where}`);
}

/** What is said of "the" interface of a bond would be said of nobody. */
function refuseMemberSettings(spec: PortSpec, interfaces: readonly string[]): void {
  const { type = 'system', peer = null, mac = null, ofportRequest = null, mtuRequest = null } = spec;
  if (interfaces.length < 2) return;
  if (type === 'system' && [peer, mac, ofportRequest, mtuRequest].every((each) => each === null)) return;
  throw new IntentError(
    'is-a-bond',
    `port ${spec.name} is a bond: type, peer, mac, ofportRequest and mtuRequest are its interfaces' own`,
  );
}

function staticMacKey({ vlan, mac }: { vlan: number; mac: string }): string {
  return `${STATIC_MAC_PREFIX}${vlan}:${mac}`;
}

/** What the bridge would be called anyway need not be pinned: PUT of what GET shows changes nothing. */
function withoutDefaults(spec: BridgeSpec, row: Row): BridgeSpec {
  const { mac, datapathId, ...rest } = spec;
  const usual = macFromUuid(row.uuid);
  const ownMac = mac === undefined || mac === usual ? undefined : mac;
  const ownId = datapathId === dpidFromMac((ownMac ?? usual) as typeof usual) ? undefined : datapathId;
  return {
    ...rest,
    ...(ownMac === undefined ? {} : { mac: ownMac }),
    ...(ownId === undefined ? {} : { datapathId: ownId }),
  };
}

/** @param row what there is; null for a bridge that is made */
function bridgeColumns(
  database: Database,
  spec: BridgeSpec,
  row: Row | null,
): { columns: Record<string, Json>; inserts: Json[] } {
  const otherConfig = keptConfig('Bridge', row, spec.otherConfig, BRIDGE_KEYS);
  const other = (key: string, value: string | number | boolean | null | undefined) => {
    if (value !== undefined && value !== null) otherConfig.set(key, String(value));
  };
  other('datapath-id', spec.datapathId);
  other('hwaddr', spec.mac);
  other('openflow-connection', spec.connection);
  other('mac-table-size', spec.macTableSize);
  other('mac-aging-time', spec.macAgeingTimeS);
  if (spec.forwardBpdu === true) other('forward-bpdu', true);
  // A controller that stays keeps its row, and what is known of its connection.
  const had = (row ? textsOf(row, 'controller') : []).map((uuid) => database.row('Controller', uuid));
  const inserts: Json[] = [];
  const controllers = (spec.controllers ?? []).map((target, i): Json => {
    const kept = had.find((each) => each && textOf(each, 'target') === target);
    if (kept) return ['uuid', kept.uuid];
    inserts.push({ op: 'insert', table: 'Controller', 'uuid-name': `controller${i}`, row: { target } });
    return ['named-uuid', `controller${i}`];
  });
  return {
    inserts,
    columns: {
      fail_mode: optional(spec.failMode),
      controller: set(controllers),
      flood_vlans: set([...new Set(spec.floodVlans ?? [])]),
      other_config: map(otherConfig),
      ...texts('external_ids', spec.externalIds),
    },
  };
}

function portColumns(spec: PortSpec, row: Row | null): Record<string, Json> {
  const otherConfig = keptConfig('Port', row, spec.otherConfig, PORT_KEYS);
  if (spec.priorityTags !== undefined && spec.priorityTags !== 'never')
    otherConfig.set('priority-tags', spec.priorityTags);
  if (spec.qinqEthertype !== undefined) otherConfig.set('qinq-ethertype', spec.qinqEthertype);
  return {
    vlan_mode: optional(spec.vlanMode),
    tag: optional(spec.tag),
    trunks: set([...new Set(spec.trunks ?? [])]),
    cvlans: set([...new Set(spec.cvlans ?? [])]),
    protected: spec.protected ?? false,
    bond_mode: optional(spec.bondMode),
    lacp: optional(spec.lacp),
    bond_updelay: spec.bondUpdelayMs ?? 0,
    bond_downdelay: spec.bondDowndelayMs ?? 0,
    other_config: map(otherConfig),
    ...texts('external_ids', spec.externalIds),
  };
}

function interfaceColumns(
  spec: Pick<InterfaceSpec, 'type' | 'peer' | 'mac' | 'ofportRequest' | 'mtuRequest'>,
  row: Row | null,
): Record<string, Json> {
  // Where `system` and `tap` were written out they stay: other words for the same.
  const word = row ? textOf(row, 'type') : undefined;
  const { type = 'system' } = spec;
  const isSame = word !== undefined && INTERFACE_TYPES.get(word) === type;
  const options = row ? mapOfTexts(row, 'options') : new Map<string, string>();
  options.delete('peer');
  if (spec.peer !== undefined && spec.peer !== null) options.set('peer', spec.peer);
  return {
    type: isSame ? word : type === 'system' ? '' : type,
    options: map(options),
    mac: optional(spec.mac),
    ofport_request: optional(spec.ofportRequest),
    mtu_request: optional(spec.mtuRequest),
  };
}

function insertInterface(name: string, i: number, columns: Record<string, Json>): Json {
  return { op: 'insert', table: 'Interface', 'uuid-name': `interface${i}`, row: { name, ...columns } };
}

/** `other_config` without the keys that named settings are about to fill in. @param given for the keys without a name */
function keptConfig(
  table: 'Bridge' | 'Port',
  row: Row | null,
  given: Texts | undefined,
  named: readonly string[],
): Map<string, string> {
  const kept = row ? mapOfTexts(row, 'other_config') : new Map<string, string>();
  for (const key of named) kept.delete(key);
  if (given === undefined) return kept;
  for (const key of kept.keys()) if (!isNamedKey(table, key)) kept.delete(key);
  for (const [key, value] of Object.entries(given)) if (!isNamedKey(table, key)) kept.set(key, value);
  return kept;
}

/** A column of texts, where something is said of it. */
function texts(column: string, given: Texts | undefined): Record<string, Json> {
  return given === undefined ? {} : { [column]: map(Object.entries(given)) };
}
