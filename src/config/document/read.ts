/** The configuration that a database holds, as a document. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Validator } from 'typebox/compile';
import { STATIC_MAC_PREFIX } from '../network.js';
import { mapOfTexts, textOf, textsOf } from '../fields.js';
import type { Database, Row } from '../../ovsdb/index.js';
import { readExports, readMirrors } from './attachments.js';
import { EXPORTS } from '../export-specs.js';
import type { BridgeEntry, Document, PortEntry } from './document.js';
import {
  BRIDGE_SETTINGS,
  CONTROLLER_SETTINGS,
  INTERFACE_SETTINGS,
  PORT_SETTINGS,
  sortedTexts,
} from './settings.js';
import type { Setting, Settings, Value } from './settings.js';

export function readDocument(database: Database): Document {
  const bridges = new Map<string, BridgeEntry>();
  for (const root of database.rows('Open_vSwitch').values()) {
    for (const row of referred(database, root, 'bridges', 'Bridge'))
      bridges.set(nameOf(row), readBridge(database, row));
  }
  return { bridges };
}

function readBridge(database: Database, row: Row): BridgeEntry {
  const controllers = new Map<string, Settings>();
  for (const each of referred(database, row, 'controller', 'Controller'))
    controllers.set(textOf(each, 'target') ?? '', readSettings(CONTROLLER_SETTINGS, each));
  const ports = new Map<string, PortEntry>();
  for (const each of referred(database, row, 'ports', 'Port'))
    ports.set(nameOf(each), readPort(database, each, nameOf(row)));
  const staticMacs = new Map<string, string>();
  for (const [key, port] of mapOfTexts(row, 'other_config')) {
    const name = staticMacName(key);
    if (name !== null) staticMacs.set(name, port);
  }
  const exports = readExports((kind) => referred(database, row, kind, EXPORTS[kind].table)[0]);
  const mirrors = readMirrors(database, referred(database, row, 'mirrors', 'Mirror'));
  return { settings: readSettings(BRIDGE_SETTINGS, row), controllers, staticMacs, exports, mirrors, ports };
}

interface KnownPort {
  readonly bridge: string;
  readonly members: readonly Row[];
  readonly entry: PortEntry;
}

/** What was read of a row of Port, which is another object as soon as anything in it changes. */
const knownPorts = new WeakMap<Row, KnownPort>();

/** Columns that documents have words for; those of state change all the time. */
const INTERFACE_COLUMNS = [
  ...new Set(['name', 'other_config', ...INTERFACE_SETTINGS.map(({ column }) => column)]),
];

function saysTheSame(a: Row, b: Row | undefined): boolean {
  return (
    a === b || (a.uuid === b?.uuid && INTERFACE_COLUMNS.every((name) => a.fields[name] === b.fields[name]))
  );
}

/** A port whose rows say what they said before is the same object as before. */
function readPort(database: Database, row: Row, bridge: string): PortEntry {
  const members = referred(database, row, 'interfaces', 'Interface');
  const known = knownPorts.get(row);
  const isKnown =
    known?.bridge === bridge &&
    known.members.length === members.length &&
    known.members.every((old, i) => saysTheSame(old, members[i]));
  if (isKnown) return known.entry;
  const entry = portEntry(row, members, bridge);
  knownPorts.set(row, { bridge, members, entry });
  return entry;
}

function portEntry(row: Row, members: readonly Row[], bridge: string): PortEntry {
  const interfaces = new Map<string, Settings>();
  for (const each of members) {
    const settings = readSettings(INTERFACE_SETTINGS, each);
    // The bridge's own is internal, whatever the column says.
    const isOwn = nameOf(each) === bridge && nameOf(row) === bridge;
    interfaces.set(nameOf(each), isOwn ? new Map([...settings, ['type', 'internal']]) : settings);
  }
  return { settings: readSettings(PORT_SETTINGS, row), interfaces };
}

const validators = new WeakMap<TSchema, Validator>();

/**
 * Whether a document may hold the value. A text in the database that means nothing (`mac=foo`) is of no effect, and would
 * make the document one that cannot be applied: it is left out, and what a document leaves out this way stays.
 */
function isSayable(value: Value, schema: TSchema): boolean {
  if (typeof value !== 'string') return true;
  let validator = validators.get(schema);
  if (validator === undefined) validators.set(schema, (validator = Compile(schema)));
  return validator.Check(value);
}

/** What other words say of `other_config` is not said a second time. */
function readSettings(settings: readonly Setting[], row: Row): Settings {
  const found = new Map<string, Value>();
  const said = new Set<string>();
  for (const { word, key, schema, read } of settings) {
    const value = read(row);
    if (value === undefined || !isSayable(value, schema)) continue;
    found.set(word, value);
    if (key !== undefined) said.add(key);
  }
  const other = mapOfTexts(row, 'other_config');
  const rest = [...other].filter(([key]) => !said.has(key) && staticMacName(key) === null);
  const texts = sortedTexts(rest);
  if (texts === undefined) found.delete('otherConfig');
  else found.set('otherConfig', texts);
  return found;
}

/** `<vlan> <mac>` of a key that pins an address; null for any other key. */
export function staticMacName(key: string): string | null {
  if (!key.startsWith(STATIC_MAC_PREFIX)) return null;
  const [, vlan, mac] = /^static-mac:(\d{1,4}):([0-9a-f]{2}(?::[0-9a-f]{2}){5})$/.exec(key) ?? [];
  return vlan === undefined || mac === undefined || Number(vlan) > 4095 ? null : `${Number(vlan)} ${mac}`;
}

export function referred(database: Database, row: Row, column: string, table: string): Row[] {
  return textsOf(row, column).flatMap((uuid) => database.row(table, uuid) ?? []);
}

function nameOf(row: Row): string {
  return textOf(row, 'name') ?? '';
}
