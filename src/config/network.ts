/**
 * From the rows of the Open_vSwitch database to the network they ask for. A setting that makes no sense is reported and
 * taken as absent, as Open vSwitch does; a row that cannot work is reported and left out. All faults are found at once.
 */
import {
  LOCAL_PORT,
  MAC_AGEING_TIME_S,
  MAC_TABLE_SIZE,
  VlanSet,
  isMulticast,
  isVid,
  parseDpid,
  parseMacAddress,
} from '../domain/index.js';
import type {
  Bridge,
  Connection,
  FlowTable,
  Interface,
  InterfaceType,
  LogicalPort,
  MacAddress,
  Network,
  PriorityTags,
  StaticMac,
  VlanMode,
} from '../domain/index.js';
import type { Database, Row } from '../ovsdb/index.js';
import { bondSettings, lacpPortSettings, lacpSettings } from './bonds.js';
import { unicast } from './addresses.js';
import type { Report } from './addresses.js';
import { readExports } from './exports.js';
import { flagOf, mapOfTexts, numberOf, numbersOf, ofportOf, textOf, textsOf } from './fields.js';
import { dpidFromMac, macFromUuid } from './identity.js';
import { readMirrors } from './mirrors.js';
import { policingOf, qosOf } from './qos.js';
import type { Policing, Qos } from './qos.js';

/** OFPP_LOCAL as the 16-bit number that Interface.ofport holds, in Open vSwitch's words. */
export const LOCAL_OFPORT = 65534;

export interface Fault {
  readonly table: 'Bridge' | 'Port' | 'Interface';
  readonly name: string;
  readonly uuid: string;
  /** Column, for maps with the key: `other_config:mac-aging-time`. */
  readonly column: string;
  readonly message: string;
  /** Of an interface that is only waiting for another: it keeps its number. */
  readonly isWaiting?: true;
}

export interface Reading {
  readonly network: Network;
  /** The number that clients have given this configuration (Open_vSwitch.next_cfg). */
  readonly nextCfg: number;
  readonly faults: readonly Fault[];
  /** Settings of interfaces beyond the domain's, which the datapath needs, by interface uuid. */
  readonly interfaces: ReadonlyMap<string, InterfaceSettings>;
}

export interface InterfaceSettings {
  readonly mtuRequest: number | null;
  readonly qos: Qos | null;
  readonly policing: Policing | null;
}

/** @param reserved port numbers of interfaces that do not work at present, by uuid (ofports.ts) */
export function readNetwork(database: Database, reserved: ReadonlyMap<string, number> = new Map()): Reading {
  return new Reader(database, reserved).read();
}

/** One bridge with its ports, as the database has it at this moment; `mac` is that of its own interface. */
export function readBridge(database: Database, row: Row): Bridge & { readonly mac: MacAddress } {
  return new Reader(database, new Map(), true).bridge(row);
}

/** One port, as the database has it at this moment. Null where none of its interfaces can work. */
export function readPort(database: Database, bridge: Row, row: Row): LogicalPort | null {
  return new Reader(database, new Map(), true).port(row, bridge);
}

/** The keys of `other_config` by which Weft remembers static addresses: `static-mac:<vlan>:<mac>` = port. */
export const STATIC_MAC_PREFIX = 'static-mac:';

/** What the words of `Interface.type` mean. */
export const INTERFACE_TYPES: ReadonlyMap<string, InterfaceType> = new Map([
  ['', 'system'],
  ['system', 'system'],
  ['internal', 'internal'],
  ['tap', 'internal'],
  ['patch', 'patch'],
]);

interface KnownPort {
  readonly bridge: string;
  readonly bridgeMac: MacAddress;
  readonly isOurs: boolean;
  /** What it says depends on rows that are not its own. */
  readonly isEntangled: boolean;
  readonly rows: readonly Row[];
  readonly ofports: readonly (number | undefined)[];
  readonly port: LogicalPort | null;
  readonly settings: readonly (readonly [string, InterfaceSettings])[];
  readonly faults: readonly Fault[];
}

/** What was read of a row of Port, which is another object as soon as anything in it changes. */
const knownPorts = new WeakMap<Row, KnownPort>();

/** The columns of Interface that the network depends on, `ofport` aside; those of state change all the time. */
const INTERFACE_COLUMNS = [
  ...['name', 'type', 'mac', 'mtu_request', 'options', 'other_config'],
  ...['ingress_policing_rate', 'ingress_policing_burst'],
];

function saysTheSame(a: Row, b: Row | undefined): boolean {
  return (
    a === b || (a.uuid === b?.uuid && INTERFACE_COLUMNS.every((name) => a.fields[name] === b.fields[name]))
  );
}

class Reader {
  readonly #faults: Fault[] = [];
  readonly #interfaces = new Map<string, InterfaceSettings>();

  constructor(
    private readonly database: Database,
    private readonly reserved: ReadonlyMap<string, number>,
    /** As it is said, not as it works: a patch port without its peer is there. */
    private readonly isAsSaid = false,
  ) {}

  read(): Reading {
    const bridges: Bridge[] = [];
    let nextCfg = 0;
    for (const root of this.database.rows('Open_vSwitch').values()) {
      nextCfg = numberOf(root, 'next_cfg') ?? 0;
      for (const uuid of textsOf(root, 'bridges')) {
        const row = this.database.row('Bridge', uuid);
        if (row) bridges.push(this.#bridge(row));
      }
    }
    bridges.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.#checkDatapathIds(bridges);
    return { network: { bridges }, nextCfg, faults: this.#faults, interfaces: this.#interfaces };
  }

  bridge(row: Row): Bridge & { readonly mac: MacAddress } {
    return { ...this.#bridge(row), mac: this.#bridgeMac(row, () => undefined) };
  }

  port(row: Row, bridge: Row): LogicalPort | null {
    const ignore = () => undefined;
    const connection = this.#connection(
      mapOfTexts(bridge, 'other_config').get('openflow-connection'),
      ignore,
    );
    return this.#port(row, textOf(bridge, 'name') ?? '', this.#bridgeMac(bridge, ignore), connection);
  }

  #bridgeMac(row: Row, fault: Report): MacAddress {
    const given = mapOfTexts(row, 'other_config').get('hwaddr');
    return unicast(given, (message) => fault('other_config:hwaddr', message)) ?? macFromUuid(row.uuid);
  }

  #bridge(row: Row): Bridge {
    const name = textOf(row, 'name') ?? '';
    const other = mapOfTexts(row, 'other_config');
    const fault = this.#reporter('Bridge', row);
    if (!isInterfaceName(name)) fault('name', `"${name}" cannot be the name of a network interface`);

    const mac = this.#bridgeMac(row, fault);
    const wantedDpid = other.get('datapath-id');
    const datapathId = wantedDpid === undefined ? undefined : parseDpid(wantedDpid);
    if (wantedDpid !== undefined && (!datapathId || /^0+$/.test(datapathId))) {
      fault('other_config:datapath-id', `"${wantedDpid}" is not 16 hex digits, some of them not 0`);
    }
    const connection = this.#connection(other.get('openflow-connection'), fault);
    const number = (
      key: string,
      { min, max, default: usual }: { min: number; max: number; default: number },
    ) => {
      const text = other.get(key);
      if (text === undefined) return usual;
      const value = Number(text);
      if (!/^\d+$/.test(text)) fault(`other_config:${key}`, `"${text}" is no number`);
      else if (value < min || value > max)
        fault(`other_config:${key}`, `${text} is outside ${min} to ${max}`);
      else return value;
      return Number.isNaN(value) ? usual : Math.min(Math.max(value, min), max);
    };
    const ports: LogicalPort[] = [];
    for (const uuid of textsOf(row, 'ports')) {
      const portRow = this.database.row('Port', uuid);
      const port = portRow && this.#port(portRow, name, mac, connection);
      if (port) ports.push(port);
    }
    ports.sort((a, b) => (a.name < b.name ? -1 : 1));
    const exports = readExports(this.database, row, fault);
    return {
      name,
      uuid: row.uuid,
      datapathId: datapathId && !/^0+$/.test(datapathId) ? datapathId : dpidFromMac(mac),
      failMode: textOf(row, 'fail_mode') === 'secure' ? 'secure' : 'standalone',
      controllers: this.#controllers(row, fault),
      connection,
      macTableSize: number('mac-table-size', MAC_TABLE_SIZE),
      macAgeingTimeS: number('mac-aging-time', MAC_AGEING_TIME_S),
      forwardBpdu: other.get('forward-bpdu') === 'true',
      floodVlans: VlanSet.of(numbersOf(row, 'flood_vlans')),
      otherConfig: Object.fromEntries(other),
      ports,
      staticMacs: this.#staticMacs(other, ports, fault),
      mirrors: readMirrors(this.database, row, ports, fault),
      ...(exports === undefined ? {} : { exports }),
      flowTables: this.#flowTables(row),
    };
  }

  #flowTables(row: Row): FlowTable[] {
    return [...mapOfTexts(row, 'flow_tables')].flatMap(([id, uuid]) => {
      const table = this.database.row('Flow_Table', uuid);
      if (!table) return [];
      const flowLimit = numberOf(table, 'flow_limit') ?? null;
      const overflowPolicy = textOf(table, 'overflow_policy') === 'evict' ? 'evict' : 'refuse';
      return [{ id: Number(id), flowLimit, overflowPolicy }];
    });
  }

  #connection(text: string | undefined, fault: Report): Connection {
    if (text === undefined) return { kind: 'weft' };
    if (isConnectionTarget(text)) return { kind: 'openflow', target: text };
    fault(
      'other_config:openflow-connection',
      `"${text}" is neither unix:PATH nor tcp:HOST:PORT nor ssl:HOST:PORT`,
    );
    return { kind: 'weft' };
  }

  #controllers(row: Row, fault: Report): string[] {
    const targets: string[] = [];
    for (const uuid of textsOf(row, 'controller')) {
      const controller = this.database.row('Controller', uuid);
      const target = controller ? textOf(controller, 'target') : undefined;
      if (target === undefined) continue;
      if (isTarget(target)) targets.push(target);
      else fault('controller', `"${target}" is no target for a controller`);
    }
    return targets.sort();
  }

  /** A port whose rows say what they said before is the same object as before: a change of one costs no more than that. */
  #port(row: Row, bridge: string, bridgeMac: MacAddress, connection: Connection): LogicalPort | null {
    const unchanged = knownPorts.get(row);
    if (unchanged?.bridge === bridge && this.#isUntouched(unchanged, bridgeMac, connection)) {
      this.#take(unchanged);
      return unchanged.port;
    }
    const rows = textsOf(row, 'interfaces').flatMap((uuid) => this.database.row('Interface', uuid) ?? []);
    const ofports = rows.map((each) => ofportOf(each, this.reserved));
    const isOurs = connection.kind === 'weft';
    const known = unchanged;
    // What it says of queues is in rows of other tables; a patch port is one if its peer is.
    const isEntangled =
      textsOf(row, 'qos').length > 0 || rows.some((each) => textOf(each, 'type') === 'patch');
    const isKnown =
      !isEntangled &&
      known?.bridge === bridge &&
      known.bridgeMac === bridgeMac &&
      known.isOurs === isOurs &&
      known.rows.length === rows.length &&
      known.rows.every((old, i) => saysTheSame(old, rows[i]) && known.ofports[i] === ofports[i]);
    if (isKnown) {
      this.#take(known);
      knownPorts.set(row, { ...known, rows });
      return known.port;
    }
    const before = this.#faults.length;
    const port = this.#readPort(row, bridge, bridgeMac, connection);
    const settings = rows.flatMap(({ uuid }): [string, InterfaceSettings][] => {
      const found = this.#interfaces.get(uuid);
      return found ? [[uuid, found]] : [];
    });
    const faults = this.#faults.slice(before);
    knownPorts.set(row, { bridge, bridgeMac, isOurs, isEntangled, rows, ofports, port, settings, faults });
    return port;
  }

  /** The rows of its interfaces are the same objects, and their numbers stand in them: the quick answer for most ports. */
  #isUntouched(known: KnownPort, bridgeMac: MacAddress, connection: Connection): boolean {
    return (
      !known.isEntangled &&
      known.bridgeMac === bridgeMac &&
      known.isOurs === (connection.kind === 'weft') &&
      known.rows.length > 0 &&
      known.rows.every((row, i) => {
        const ofport = known.ofports[i];
        return ofport !== undefined && numberOf(row, 'ofport') === ofport && this.#isSame(row);
      })
    );
  }

  #isSame(row: Row): boolean {
    return this.database.row('Interface', row.uuid) === row;
  }

  #take({ faults, settings }: KnownPort): void {
    this.#faults.push(...faults);
    for (const [uuid, each] of settings) this.#interfaces.set(uuid, each);
  }

  #readPort(row: Row, bridge: string, bridgeMac: MacAddress, connection: Connection): LogicalPort | null {
    const name = textOf(row, 'name') ?? '';
    const other = mapOfTexts(row, 'other_config');
    const fault = this.#reporter('Port', row);
    const qos = qosOf(this.database, row, fault);
    const interfaces: Interface[] = [];
    for (const uuid of textsOf(row, 'interfaces')) {
      const interfaceRow = this.database.row('Interface', uuid);
      const each = interfaceRow && this.#interface(interfaceRow, bridge, bridgeMac, connection, qos);
      if (each) interfaces.push(each);
    }
    if (interfaces.length === 0) return null;
    const tag = numberOf(row, 'tag');
    const mode = textOf(row, 'vlan_mode') as VlanMode | undefined;
    const vlanMode: VlanMode = mode ?? (tag === undefined ? 'trunk' : 'access');
    const trunks = VlanSet.of(numbersOf(row, 'trunks'));
    const carriesTrunks = vlanMode === 'trunk' || vlanMode.startsWith('native-');
    if (!carriesTrunks && !trunks.isEmpty) fault('trunks', `is ignored on a port of mode ${vlanMode}`);
    if (vlanMode === 'trunk' && tag !== undefined) fault('tag', 'is ignored on a trunk');
    const cvlans = VlanSet.of(numbersOf(row, 'cvlans'));
    if (vlanMode !== 'dot1q-tunnel' && !cvlans.isEmpty)
      fault('cvlans', `is ignored on a port of mode ${vlanMode}`);
    const ownTag = vlanMode === 'trunk' ? null : (tag ?? 0);
    const lacp = lacpSettings(row, interfaces.length, fault);
    return {
      ...(interfaces.length > 1 ? { bond: bondSettings(row, interfaces, fault) } : {}),
      ...(lacp === undefined ? {} : { lacp }),
      name,
      uuid: row.uuid,
      interfaces: interfaces.sort((a, b) => (a.name < b.name ? -1 : 1)),
      vlanMode,
      tag: ownTag,
      // A native VLAN is always carried.
      trunks: carriesTrunks && !trunks.isEmpty ? (ownTag === null ? trunks : trunks.with(ownTag)) : null,
      cvlans: vlanMode === 'dot1q-tunnel' && !cvlans.isEmpty ? cvlans : null,
      qinqEthertype: qinqEthertype(other.get('qinq-ethertype'), fault),
      priorityTags: priorityTags(other.get('priority-tags'), fault),
      protected: flagOf(row, 'protected'),
    };
  }

  #interface(
    row: Row,
    bridge: string,
    bridgeMac: MacAddress,
    connection: Connection,
    qos: Qos | null,
  ): Interface | null {
    const name = textOf(row, 'name') ?? '';
    const fault = this.#reporter('Interface', row);
    if (!isInterfaceName(name)) {
      fault('name', `"${name}" cannot be the name of a network interface`);
      return null;
    }
    const isLocal = name === bridge;
    const kind = textOf(row, 'type') ?? '';
    const type = isLocal ? 'internal' : INTERFACE_TYPES.get(kind);
    if (type === undefined) {
      fault('type', `"${kind}" is not a type of interface that Weft knows: "" (system), internal or patch`);
      return null;
    }
    const peer = type === 'patch' ? this.#peer(row, name, connection) : undefined;
    if (peer === null) return null;
    if (peer === undefined && mapOfTexts(row, 'options').has('peer'))
      fault('options', 'peer is ignored: only a patch port has one');
    const wanted = unicast(textOf(row, 'mac'), (message) => fault('mac', message));
    this.#interfaces.set(row.uuid, {
      mtuRequest: numberOf(row, 'mtu_request') ?? null,
      qos,
      policing: policingOf(row),
    });
    const isOurs = connection.kind === 'weft';
    const ofport = ofportOf(row, this.reserved);
    const lacp = lacpPortSettings(row, fault);
    return {
      ...(lacp === undefined ? {} : { lacp }),
      ...(peer === undefined ? {} : { peer }),
      name,
      uuid: row.uuid,
      type,
      ofport: !isOurs ? null : isLocal ? LOCAL_PORT : (ofport ?? null),
      mac: wanted ?? (type === 'internal' && isOurs ? (isLocal ? bridgeMac : macFromUuid(row.uuid)) : null),
    };
  }

  /** The other end of a patch port, which has to say the same of this one; null where it cannot be, with Open vSwitch's words. */
  #peer(row: Row, name: string, connection: Connection): string | null {
    const peer = mapOfTexts(row, 'options').get('peer') ?? '';
    const fault = (message: string, more: Partial<Fault> = {}) => {
      const column = 'options:peer';
      this.#faults.push({ table: 'Interface', name, uuid: row.uuid, column, message, ...more });
      return null;
    };
    if (!isInterfaceName(peer)) return fault(`${name}: patch type requires valid 'peer' argument`);
    if (peer === name) return fault(`${name}: patch peer must not be self`);
    if (connection.kind !== 'weft') return fault(`${name}: patch ports are Weft's own datapath's`);
    const other = this.database.find('Interface', 'name', peer);
    const isUsable =
      other !== undefined &&
      textOf(other, 'type') === 'patch' &&
      mapOfTexts(other, 'options').get('peer') === name &&
      !this.#isElsewhere(other);
    // There is one datapath, which Open vSwitch calls so.
    if (!isUsable) fault(`No usable peer '${peer}' exists in 'system' datapath.`, { isWaiting: true });
    return isUsable || this.isAsSaid ? peer : null;
  }

  /** Whether the interface is one of a bridge on a switch that is not ours. */
  #isElsewhere({ uuid }: Row): boolean {
    for (const bridge of this.database.rows('Bridge').values()) {
      const text = mapOfTexts(bridge, 'other_config').get('openflow-connection');
      if (text === undefined || this.#connection(text, () => undefined).kind === 'weft') continue;
      const ports = textsOf(bridge, 'ports').map((each) => this.database.row('Port', each));
      if (ports.some((port) => port && textsOf(port, 'interfaces').includes(uuid))) return true;
    }
    return false;
  }

  #staticMacs(other: Map<string, string>, ports: readonly LogicalPort[], fault: Report): StaticMac[] {
    const list: StaticMac[] = [];
    for (const [key, port] of other) {
      if (!key.startsWith(STATIC_MAC_PREFIX)) continue;
      const [, vlanText, macText] = /^static-mac:(\d{1,4}):(.+)$/.exec(key) ?? [];
      const vlan = Number(vlanText);
      const mac = parseMacAddress(macText ?? '');
      if (!mac || !isVid(vlan) || isMulticast(mac))
        fault(`other_config:${key}`, 'is not static-mac:<vlan>:<unicast address>');
      else if (!ports.some(({ name }) => name === port))
        fault(`other_config:${key}`, `there is no port "${port}"`);
      else list.push({ vlan, mac, port });
    }
    return list;
  }

  #checkDatapathIds(bridges: readonly Bridge[]): void {
    const seen = new Map<string, string>();
    for (const { name, uuid, datapathId } of bridges) {
      const other = seen.get(datapathId);
      if (other !== undefined) {
        const message = `bridge ${other} has the same datapath id ${datapathId}`;
        this.#faults.push({ table: 'Bridge', name, uuid, column: 'other_config:datapath-id', message });
      }
      seen.set(datapathId, name);
    }
  }

  #reporter(table: Fault['table'], row: Row): Report {
    const name = textOf(row, 'name') ?? '';
    return (column, message) => this.#faults.push({ table, name, uuid: row.uuid, column, message });
  }
}

/** What Linux takes as the name of an interface (dev_valid_name). */
export function isInterfaceName(name: string): boolean {
  return /^[^\s/:]{1,15}$/.test(name) && name !== '.' && name !== '..';
}

/** A switch that can be connected to. node-openflow takes no others, and throws. */
export function isConnectionTarget(text: string): boolean {
  if (/^unix:.+$/.test(text)) return true;
  const port = /^(?:tcp|ssl):(?:[^:[\]]+|\[[^[\]]+\]):(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) > 0 && Number(port) <= 65535;
}

/** Active and passive connections in Open vSwitch's words (ovsdb(7), "Connection Methods"). */
export function isTarget(text: string): boolean {
  return /^((p?unix):.+|(tcp|ssl):.+|(ptcp|pssl):(\d{1,5})?(:.+)?)$/.test(text);
}

function qinqEthertype(text: string | undefined, fault: Report): 0x8100 | 0x88a8 {
  if (text === '802.1q') return 0x8100;
  if (text !== undefined && text !== '802.1ad')
    fault('other_config:qinq-ethertype', `"${text}" is neither 802.1ad nor 802.1q`);
  return 0x88a8;
}

function priorityTags(text: string | undefined, fault: Report): PriorityTags {
  switch (text) {
    case 'true':
    case 'if-nonzero':
      return 'if-nonzero';
    case 'always':
      return 'always';
    case undefined:
    case 'false':
    case 'never':
    case 'no':
      return 'never';
  }
  fault('other_config:priority-tags', `"${text}" is neither never nor if-nonzero nor always`);
  return 'never';
}
