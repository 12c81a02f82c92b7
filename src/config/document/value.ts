/** Between the form that people write and the one that is compared. */
import { EXPORT_KINDS, MIRROR_MEMBERS, membersOf, settingsFrom as attachmentFrom } from './attachments.js';
import type { ExportKind } from '../export-specs.js';
import type { BridgeEntry, Document, PortEntry } from './document.js';
import { pointer } from './document.js';
import {
  BRIDGE_SETTINGS,
  CONTROLLER_SETTINGS,
  INTERFACE_SETTINGS,
  PORT_SETTINGS,
  flatWord,
} from './settings.js';
import type { Setting, Settings, Value } from './settings.js';

/** A document as written, with the names that it leaves alone. */
export interface Written {
  readonly document: Document;
  /** Patterns of bridges and ports that stay although they are not in the document. */
  readonly keep: readonly string[];
}

type Plain = Readonly<Record<string, unknown>>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Own members, in order. Of what is none, nothing. */
function entriesOf(value: unknown): [string, unknown][] {
  return isPlain(value) ? Object.entries(value) : [];
}

function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

/**
 * Takes over what a value says.
 * @param isSound whether what stands at a path is as the schema wants it; what is not is passed over, so that the rest
 *   can be looked at all the same
 */
export function fromValue(value: unknown, isSound: (path: string) => boolean = () => true): Written {
  const bridges = new Map<string, BridgeEntry>();
  const { keep, bridges: given } = isPlain(value) ? value : {};
  for (const [name, bridge] of entriesOf(given)) {
    const path = pointer('bridges', name);
    if (isNamed(path, isSound)) bridges.set(name, bridgeFrom(name, bridge, path, isSound));
  }
  return { document: { bridges }, keep: itemsOf(keep).filter((each) => typeof each === 'string') };
}

type IsSound = (path: string) => boolean;

/** A fault deeper down does not keep an object from being there. */
const isNamed = (path: string, isSound: IsSound): boolean => isSound(`${path}#`);

function bridgeFrom(name: string, value: unknown, path: string, isSound: IsSound): BridgeEntry {
  const given = isPlain(value) ? value : {};
  const controllers = new Map<string, Settings>();
  for (const [i, each] of itemsOf(given['controllers']).entries()) {
    const at = `${path}${pointer('controllers', i)}`;
    const target = isPlain(each) ? each['target'] : each;
    if (typeof target === 'string' && isNamed(at, isSound))
      controllers.set(target, settingsFrom(CONTROLLER_SETTINGS, each, at, isSound));
  }
  const staticMacs = new Map<string, string>();
  for (const [i, each] of itemsOf(given['staticMacs']).entries()) {
    if (!isPlain(each) || !isSound(`${path}${pointer('staticMacs', i)}`)) continue;
    staticMacs.set(`${String(each['vlan'])} ${String(each['mac']).toLowerCase()}`, String(each['port']));
  }
  const ports = new Map<string, PortEntry>();
  for (const [port, each] of entriesOf(given['ports'])) {
    const at = `${path}${pointer('ports', port)}`;
    if (isNamed(at, isSound)) ports.set(port, portFrom(port, each, at, isSound));
  }
  const exports = new Map<ExportKind, Settings>();
  for (const kind of EXPORT_KINDS) {
    const each = given[kind];
    if (isPlain(each) && isSound(path + pointer(kind)))
      exports.set(kind, attachmentFrom(membersOf(kind), each));
  }
  const mirrors = new Map<string, Settings>();
  for (const [mirror, each] of entriesOf(given['mirrors']))
    if (isPlain(each) && isSound(path + pointer('mirrors', mirror)))
      mirrors.set(mirror, attachmentFrom(MIRROR_MEMBERS, each));
  return {
    settings: settingsFrom(BRIDGE_SETTINGS, given, path, isSound),
    controllers,
    staticMacs,
    exports,
    mirrors,
    ports: withOwnPort(name, ports),
  };
}

/** A bridge has a port of its own, whose interface is internal. */
function withOwnPort(bridge: string, ports: Map<string, PortEntry>): ReadonlyMap<string, PortEntry> {
  const own = ports.get(bridge) ?? { settings: new Map(), interfaces: new Map([[bridge, new Map()]]) };
  const [[name, settings] = [bridge, new Map<string, Value>()]] = own.interfaces;
  if (name === bridge && own.interfaces.size === 1) {
    const internal: Settings = new Map([...settings, ['type', 'internal']]);
    ports.set(bridge, { ...own, interfaces: new Map([[bridge, internal]]) });
  }
  return ports;
}

function portFrom(name: string, value: unknown, path: string, isSound: IsSound): PortEntry {
  const given = isPlain(value) ? value : {};
  const settings = settingsFrom(PORT_SETTINGS, given, path, isSound);
  const { interfaces: members } = given;
  const interfaces = new Map<string, Settings>();
  if (Array.isArray(members)) {
    for (const member of members as unknown[])
      if (typeof member === 'string') interfaces.set(member, new Map());
  }
  for (const [member, each] of entriesOf(members)) {
    const at = `${path}${pointer('interfaces', member)}`;
    if (isNamed(at, isSound)) interfaces.set(member, settingsFrom(INTERFACE_SETTINGS, each, at, isSound));
  }
  if (interfaces.size === 0)
    interfaces.set(name, settingsFrom(INTERFACE_SETTINGS, given, path, isSound, flatWord));
  return { settings, interfaces };
}

function settingsFrom(
  settings: readonly Setting[],
  value: unknown,
  path: string,
  isSound: IsSound,
  nameOf = (word: string) => word,
): Settings {
  const found = new Map<string, Value>();
  if (!isPlain(value)) return found;
  for (const { word, normalize } of settings) {
    const name = nameOf(word);
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (given === undefined || given === null || !isSound(path + pointer(name))) continue;
    const normal = normalize(given as Value);
    if (normal !== undefined) found.set(word, normal);
  }
  return found;
}

/** The document as people read it: what is at its default is left out. */
export function toValue({ bridges }: Document): Record<string, unknown> {
  return { bridges: byName(bridges, bridgeValue) };
}

function byName<T>(
  map: ReadonlyMap<string, T>,
  valueOf: (entry: T, name: string) => unknown,
): Record<string, unknown> {
  const names = [...map.keys()].sort();
  return Object.fromEntries(names.map((name) => [name, valueOf(map.get(name) as T, name)]));
}

function bridgeValue(entry: BridgeEntry, bridge: string): unknown {
  const { settings, controllers, staticMacs, exports, mirrors, ports } = entry;
  const own = ports.get(bridge);
  const others = new Map([...ports].filter(([name]) => name !== bridge || !isPlainOwnPort(bridge, own)));
  return {
    ...settingsValue(BRIDGE_SETTINGS, settings),
    ...(controllers.size === 0
      ? {}
      : {
          controllers: [...controllers.keys()].sort().map((target) => {
            const rest = settingsValue(CONTROLLER_SETTINGS, controllers.get(target) ?? new Map());
            return Object.keys(rest).length === 0 ? target : { target, ...rest };
          }),
        }),
    ...(staticMacs.size === 0
      ? {}
      : {
          staticMacs: [...staticMacs.keys()].sort().map((key) => {
            const [vlan, mac] = key.split(' ');
            return { vlan: Number(vlan), mac, port: staticMacs.get(key) };
          }),
        }),
    ...byName(exports, (each) => Object.fromEntries(each)),
    ...(mirrors.size === 0 ? {} : { mirrors: byName(mirrors, (each) => Object.fromEntries(each)) }),
    ports: byName(others, portValue),
  };
}

function isPlainOwnPort(bridge: string, port: PortEntry | undefined): boolean {
  const [type] = port?.interfaces.get(bridge) ?? [];
  return (
    port !== undefined &&
    port.settings.size === 0 &&
    port.interfaces.size === 1 &&
    port.interfaces.get(bridge)?.size === 1 &&
    type?.[0] === 'type'
  );
}

/** Entries that are the same object from one reading to the next are the same value. */
const portValues = new WeakMap<PortEntry, { readonly name: string; readonly value: unknown }>();

function portValue(entry: PortEntry, name: string): unknown {
  let known = portValues.get(entry);
  if (known?.name !== name) portValues.set(entry, (known = { name, value: makePortValue(entry, name) }));
  return known.value;
}

function makePortValue({ settings, interfaces }: PortEntry, name: string): unknown {
  const own = settingsValue(PORT_SETTINGS, settings);
  const single = interfaces.size === 1 ? interfaces.get(name) : undefined;
  if (single) return { ...own, ...settingsValue(INTERFACE_SETTINGS, single, flatWord) };
  const isBare = [...interfaces.values()].every((each) => each.size === 0);
  const members = isBare
    ? [...interfaces.keys()].sort()
    : byName(interfaces, (each) => settingsValue(INTERFACE_SETTINGS, each));
  return { ...own, interfaces: members };
}

function settingsValue(
  settings: readonly Setting[],
  values: Settings,
  nameOf = (word: string) => word,
): Plain {
  return Object.fromEntries(
    settings.flatMap(({ word }) => {
      const value = values.get(word);
      return value === undefined ? [] : [[nameOf(word), value] as const];
    }),
  );
}
