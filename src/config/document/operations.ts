/** The operations of one transaction that bring a database from one configuration to another. Rows that stay keep their uuids. */
import { STATIC_MAC_PREFIX } from '../network.js';
import type { Database, Json, Row } from '../../ovsdb/index.js';
import { textOf } from '../fields.js';
import { EXPORTS } from '../export-specs.js';
import { EXPORT_KINDS, MIRROR_MEMBERS, isNamedMirror, membersOf, rowOf } from './attachments.js';
import type { BridgeEntry, Document, PortEntry } from './document.js';
import { referred } from './read.js';
import {
  BRIDGE_SETTINGS,
  CONTROLLER_SETTINGS,
  INTERFACE_SETTINGS,
  PORT_SETTINGS,
  valueText,
} from './settings.js';
import type { Setting, Settings } from './settings.js';

/**
 * @param from what the database holds, as `readDocument` reads it
 * @param to whole, as `merge` gives it
 */
export function documentOperations(database: Database, from: Document, to: Document): Json[] {
  return new Writer(database).write(from, to);
}

type Columns = Record<string, Json>;

const EMPTY: Json = ['set', []];
/** In place of a port that there is not, which is told by the faults: no row has this uuid. */
const NOBODY: Json = ['uuid', '00000000-0000-0000-0000-000000000000'];
const NO_MACS: ReadonlyMap<string, string> = new Map();

class Writer {
  /** Inserts stand before what refers to them. */
  readonly #operations: Json[] = [];
  #count = 0;
  /** Ports that there are or are made, by name. */
  readonly #ports = new Map<string, Json>();

  constructor(private readonly database: Database) {}

  write(from: Document, to: Document): Json[] {
    const [root] = this.database.rows('Open_vSwitch').values();
    const rows = root ? rowsByName(this.database, root, 'bridges', 'Bridge') : new Map<string, Row>();
    const added: Json[] = [];
    for (const [name, bridge] of to.bridges) {
      const row = rows.get(name);
      const old = from.bridges.get(name);
      if (row && old) this.#changeBridge(row, old, bridge);
      else added.push(this.#insertBridge(name, bridge));
    }
    const removed = [...rows].filter(([name]) => !to.bridges.has(name)).map(([, row]) => reference(row));
    this.#changeSet('Open_vSwitch', [], 'bridges', added, removed);
    return this.#operations;
  }

  #insertBridge(name: string, bridge: BridgeEntry): Json {
    const ports = [...bridge.ports].map(([port, entry]) => this.#insertPort(port, entry));
    const controllers = [...bridge.controllers].map(([target, settings]) =>
      this.#insertController(target, settings),
    );
    return this.#insert('Bridge', {
      name,
      ...this.#attachments(bridge, null),
      ports: ['set', ports],
      controller: ['set', controllers],
      ...columnsOf(BRIDGE_SETTINGS, bridge.settings, bridge.staticMacs),
    });
  }

  #changeBridge(row: Row, old: BridgeEntry, bridge: BridgeEntry): void {
    this.#update('Bridge', row, changedColumns(BRIDGE_SETTINGS, old, bridge));
    this.#changeControllers(row, old, bridge);
    const rows = rowsByName(this.database, row, 'ports', 'Port');
    for (const [name, each] of rows) this.#ports.set(name, reference(each));
    const added: Json[] = [];
    for (const [name, port] of bridge.ports) {
      const [portRow, oldPort] = [rows.get(name), old.ports.get(name)];
      if (portRow && oldPort) this.#changePort(portRow, oldPort, port);
      else added.push(this.#insertPort(name, port));
    }
    const removed = [...rows].filter(([name]) => !bridge.ports.has(name)).map(([, each]) => reference(each));
    this.#changeSet('Bridge', whereIs(row), 'ports', added, removed);
    this.#update('Bridge', row, this.#attachments(bridge, row));
  }

  /** The columns of a bridge that refer to mirrors, sFlow, NetFlow and IPFIX; of one that there is, those that change. */
  #attachments(bridge: BridgeEntry, row: Row | null): Columns {
    const columns: Columns = {};
    const portOf = (port: string): Json => this.#ports.get(port) ?? NOBODY;
    for (const kind of EXPORT_KINDS) {
      const { table } = EXPORTS[kind];
      const [old] = row ? referred(this.database, row, kind, table) : [];
      const settings = bridge.exports.get(kind);
      if (settings === undefined) {
        if (old) columns[kind] = EMPTY;
        continue;
      }
      const fields = rowOf(this.database, table, membersOf(kind), settings, old, portOf);
      if (old) this.#update(table, old, fields);
      else columns[kind] = this.#insert(table, fields);
    }
    const all = row ? referred(this.database, row, 'mirrors', 'Mirror') : [];
    const rows = new Map(all.filter(isNamedMirror).map((each) => [textOf(each, 'name') ?? '', each]));
    const others = all.filter((each) => !isNamedMirror(each)).map(reference);
    const mirrors = [...bridge.mirrors].map(([name, settings]): Json => {
      const old = rows.get(name);
      const fields = rowOf(this.database, 'Mirror', MIRROR_MEMBERS, settings, old, portOf);
      if (old === undefined) return this.#insert('Mirror', { name, ...fields });
      this.#update('Mirror', old, fields);
      return ['uuid', old.uuid];
    });
    const isSame = mirrors.length === rows.size && [...rows.keys()].every((name) => bridge.mirrors.has(name));
    if (!isSame) columns['mirrors'] = ['set', [...mirrors, ...others]];
    return columns;
  }

  #changeControllers(row: Row, old: BridgeEntry, bridge: BridgeEntry): void {
    const rows = new Map<string, Row>();
    const removed: Json[] = [];
    for (const each of referred(this.database, row, 'controller', 'Controller')) {
      const target = textOf(each, 'target') ?? '';
      // A second row for one target is of no use.
      if (!bridge.controllers.has(target) || rows.has(target)) removed.push(reference(each));
      else rows.set(target, each);
    }
    const added: Json[] = [];
    for (const [target, settings] of bridge.controllers) {
      const [each, before] = [rows.get(target), old.controllers.get(target)];
      if (each && before)
        this.#update(
          'Controller',
          each,
          changedColumns(CONTROLLER_SETTINGS, { settings: before }, { settings }),
        );
      else added.push(this.#insertController(target, settings));
    }
    this.#changeSet('Bridge', whereIs(row), 'controller', added, removed);
  }

  #insertController(target: string, settings: Settings): Json {
    return this.#insert('Controller', { target, ...columnsOf(CONTROLLER_SETTINGS, settings) });
  }

  #insertPort(name: string, { settings, interfaces }: PortEntry): Json {
    const members = [...interfaces].map(([member, each]) => this.#insertInterface(member, each));
    const made = this.#insert('Port', {
      name,
      interfaces: ['set', members],
      ...columnsOf(PORT_SETTINGS, settings),
    });
    this.#ports.set(name, made);
    return made;
  }

  #changePort(row: Row, old: PortEntry, port: PortEntry): void {
    this.#update('Port', row, changedColumns(PORT_SETTINGS, old, port));
    const rows = rowsByName(this.database, row, 'interfaces', 'Interface');
    const added: Json[] = [];
    for (const [name, settings] of port.interfaces) {
      const [each, before] = [rows.get(name), old.interfaces.get(name)];
      if (each && before)
        this.#update(
          'Interface',
          each,
          changedColumns(INTERFACE_SETTINGS, { settings: before }, { settings }),
        );
      else added.push(this.#insertInterface(name, settings));
    }
    const removed = [...rows]
      .filter(([name]) => !port.interfaces.has(name))
      .map(([, each]) => reference(each));
    this.#changeSet('Port', whereIs(row), 'interfaces', added, removed);
  }

  #insertInterface(name: string, settings: Settings): Json {
    return this.#insert('Interface', { name, ...columnsOf(INTERFACE_SETTINGS, settings) });
  }

  #insert(table: string, row: Columns): Json {
    const name = `row${this.#count++}`;
    this.#operations.push({ op: 'insert', table, 'uuid-name': name, row });
    return ['named-uuid', name];
  }

  #update(table: string, row: Row, columns: Columns): void {
    if (Object.keys(columns).length > 0)
      this.#operations.push({ op: 'update', table, where: whereIs(row), row: columns });
  }

  /** One step, as a set that may not be empty is not empty between two. */
  #changeSet(
    table: string,
    where: Json,
    column: string,
    added: readonly Json[],
    removed: readonly Json[],
  ): void {
    const mutations: Json[] = [];
    if (added.length > 0) mutations.push([column, 'insert', ['set', added]]);
    if (removed.length > 0) mutations.push([column, 'delete', ['set', removed]]);
    if (mutations.length > 0) this.#operations.push({ op: 'mutate', table, where, mutations });
  }
}

/** Every column at what the settings say, defaults left out. */
function columnsOf(settings: readonly Setting[], values: Settings, staticMacs = NO_MACS): Columns {
  const columns: Columns = {};
  for (const { word, column, key, write } of settings) {
    const value = values.get(word);
    if (value !== undefined && key === undefined && column !== 'other_config') columns[column] = write(value);
  }
  const other = otherConfig(settings, values, staticMacs);
  return other.length === 0 ? columns : { ...columns, other_config: ['map', other] };
}

interface Configured {
  readonly settings: Settings;
  readonly staticMacs?: ReadonlyMap<string, string>;
}

function changedColumns(settings: readonly Setting[], from: Configured, to: Configured): Columns {
  const columns: Columns = {};
  for (const { word, column, key, write } of settings) {
    if (key !== undefined || column === 'other_config') continue;
    const value = to.settings.get(word);
    if (valueText(from.settings.get(word)) !== valueText(value)) columns[column] = write(value);
  }
  const [before, after] = [from, to].map((each) => otherConfig(settings, each.settings, each.staticMacs));
  return JSON.stringify(before) === JSON.stringify(after)
    ? columns
    : { ...columns, other_config: ['map', after ?? []] };
}

/** The whole column: the document has words for all of it. */
function otherConfig(
  settings: readonly Setting[],
  values: Settings,
  staticMacs: ReadonlyMap<string, string> = NO_MACS,
): (readonly [string, string])[] {
  const texts = new Map(Object.entries((values.get('otherConfig') ?? {}) as Record<string, string>));
  for (const { word, key, write } of settings) {
    const value = values.get(word);
    if (key !== undefined && value !== undefined) texts.set(key, write(value) as string);
  }
  for (const [name, port] of staticMacs) texts.set(STATIC_MAC_PREFIX + name.replace(' ', ':'), port);
  return [...texts].sort(([a], [b]) => (a < b ? -1 : 1));
}

function rowsByName(database: Database, row: Row, column: string, table: string): Map<string, Row> {
  return new Map(referred(database, row, column, table).map((each) => [textOf(each, 'name') ?? '', each]));
}

function reference({ uuid }: Row): Json {
  return ['uuid', uuid];
}

function whereIs(row: Row): Json {
  return [['_uuid', '==', reference(row)]];
}
