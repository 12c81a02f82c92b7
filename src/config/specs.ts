/** What a user says about bridges, ports and interfaces: settings as intents take them, and read back from the rows. */
import type { InterfaceType, PriorityTags, VlanMode } from '../domain/index.js';
import type { Database, Row } from '../ovsdb/index.js';
import { flagOf, mapOfTexts, numberOf, numbersOf, textOf, textsOf } from './fields.js';
import { INTERFACE_TYPES, STATIC_MAC_PREFIX, readBridge, readPort } from './network.js';

export type Texts = Readonly<Record<string, string>>;

/** Columns that every row has. Left out: they stay as they are, since others (libvirt, say) put things there. */
interface Annotations {
  /** Keys of `other_config` that no named setting stands for. */
  readonly otherConfig?: Texts;
  readonly externalIds?: Texts;
}

/** Everything that a user says about a bridge; what is left out is at its default. */
export interface BridgeSpec extends Annotations {
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

export const BOND_MODES = ['active-backup', 'balance-slb', 'balance-tcp'] as const;
export const LACP_MODES = ['active', 'passive', 'off'] as const;
export type BondMode = (typeof BOND_MODES)[number];
export type LacpMode = (typeof LACP_MODES)[number];

/** Settings of the one interface of a port. Those of a bond's members are set member by member. */
interface InterfaceSettingsSpec {
  readonly type?: InterfaceType;
  /** The other end of a patch port. */
  readonly peer?: string | null;
  readonly ofportRequest?: number | null;
  readonly mac?: string | null;
  readonly mtuRequest?: number | null;
}

export interface PortSpec extends Annotations, InterfaceSettingsSpec {
  readonly name: string;
  /** Names; more than one make a bond. Left out: one of the port's own name, or those that the port has. */
  readonly interfaces?: readonly string[];
  readonly vlanMode?: VlanMode;
  readonly tag?: number | null;
  readonly trunks?: readonly number[] | null;
  readonly cvlans?: readonly number[] | null;
  readonly priorityTags?: PriorityTags;
  readonly qinqEthertype?: '802.1ad' | '802.1q';
  readonly protected?: boolean;
  readonly bondMode?: BondMode | null;
  readonly lacp?: LacpMode | null;
  readonly bondUpdelayMs?: number;
  readonly bondDowndelayMs?: number;
}

export interface InterfaceSpec extends Annotations, InterfaceSettingsSpec {
  readonly name: string;
}

/** The keys of `other_config` that named settings stand for. */
export const BRIDGE_KEYS: readonly string[] = [
  'datapath-id',
  'hwaddr',
  'openflow-connection',
  'mac-table-size',
  'mac-aging-time',
  'forward-bpdu',
];
export const PORT_KEYS: readonly string[] = ['priority-tags', 'qinq-ethertype'];

/** Whether a named setting, or a resource of its own, stands for this key of `other_config`. */
export function isNamedKey(table: 'Bridge' | 'Port' | 'Interface', key: string): boolean {
  if (table === 'Bridge') return BRIDGE_KEYS.includes(key) || key.startsWith(STATIC_MAC_PREFIX);
  return table === 'Port' && PORT_KEYS.includes(key);
}

/** The bridge's settings as they are in force: defaults filled in, settings that make no sense at their defaults. */
export function bridgeSpecOf(database: Database, row: Row): Required<BridgeSpec> {
  const bridge = readBridge(database, row);
  return {
    name: bridge.name,
    datapathId: bridge.datapathId,
    mac: bridge.mac,
    failMode: bridge.failMode,
    controllers: bridge.controllers,
    connection: bridge.connection.kind === 'openflow' ? bridge.connection.target : null,
    macTableSize: bridge.macTableSize,
    macAgeingTimeS: bridge.macAgeingTimeS,
    forwardBpdu: bridge.forwardBpdu,
    floodVlans: [...bridge.floodVlans],
    ...annotationsOf('Bridge', row),
  };
}

/** Undefined of a port none of whose interfaces can work. */
export function portSpecOf(database: Database, bridge: Row, row: Row): Required<PortSpec> | undefined {
  const port = readPort(database, bridge, row);
  if (!port) return undefined;
  const [only, second] = textsOf(row, 'interfaces').map((uuid) => database.row('Interface', uuid));
  const list = (column: string) => (numbersOf(row, column).length === 0 ? null : numbersOf(row, column));
  const settings = only && !second ? interfaceSpecOf(only, port.interfaces[0]?.type) : undefined;
  return {
    name: port.name,
    interfaces: interfaceNamesOf(database, row),
    vlanMode: port.vlanMode,
    tag: port.tag,
    trunks: list('trunks'),
    cvlans: list('cvlans'),
    priorityTags: port.priorityTags,
    qinqEthertype: port.qinqEthertype === 0x8100 ? '802.1q' : '802.1ad',
    protected: flagOf(row, 'protected'),
    bondMode: (textOf(row, 'bond_mode') as BondMode | undefined) ?? null,
    lacp: (textOf(row, 'lacp') as LacpMode | undefined) ?? null,
    bondUpdelayMs: Math.max(0, numberOf(row, 'bond_updelay') ?? 0),
    bondDowndelayMs: Math.max(0, numberOf(row, 'bond_downdelay') ?? 0),
    type: port.interfaces[0]?.type ?? 'system',
    peer: settings?.peer ?? null,
    ofportRequest: settings?.ofportRequest ?? null,
    mac: settings?.mac ?? null,
    mtuRequest: settings?.mtuRequest ?? null,
    ...annotationsOf('Port', row),
  };
}

/** @param type as the domain understands it; the row has more words for the same */
export function interfaceSpecOf(row: Row, type?: InterfaceType): Required<InterfaceSpec> {
  const word = textOf(row, 'type') ?? '';
  return {
    name: textOf(row, 'name') ?? '',
    type: type ?? INTERFACE_TYPES.get(word) ?? 'system',
    peer: word === 'patch' ? (mapOfTexts(row, 'options').get('peer') ?? null) : null,
    ofportRequest: numberOf(row, 'ofport_request') ?? null,
    mac: textOf(row, 'mac') ?? null,
    mtuRequest: numberOf(row, 'mtu_request') ?? null,
    ...annotationsOf('Interface', row),
  };
}

/** In order of names. */
export function interfaceNamesOf(database: Database, port: Row): string[] {
  return textsOf(port, 'interfaces')
    .map((uuid) => database.row('Interface', uuid))
    .flatMap((row) => (row ? [textOf(row, 'name') ?? ''] : []))
    .sort();
}

function annotationsOf(table: 'Bridge' | 'Port' | 'Interface', row: Row): Required<Annotations> {
  const texts = (column: string) => [...mapOfTexts(row, column)].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    otherConfig: Object.fromEntries(texts('other_config').filter(([key]) => !isNamedKey(table, key))),
    externalIds: Object.fromEntries(texts('external_ids')),
  };
}
