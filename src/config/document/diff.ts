/** What is different between two configurations, object by object. */
import type { ExportKind } from '../export-specs.js';
import type { BridgeEntry, Document, PortEntry } from './document.js';
import { pointer } from './document.js';
import { flatWord, valueText } from './settings.js';
import type { Settings, Value } from './settings.js';

export type ObjectKind = 'bridge' | 'port' | 'interface' | 'controller' | 'staticMac' | 'mirror' | ExportKind;

export interface ObjectChange {
  readonly op: 'add' | 'remove' | 'change';
  readonly kind: ObjectKind;
  /** Its place in a document, as a JSON pointer; controllers and pinned addresses by what identifies them. */
  readonly path: string;
  readonly bridge: string;
  /** Of a port or interface, the port. */
  readonly port?: string;
  readonly name: string;
  readonly fields: readonly FieldChange[];
}

/** Null: at its default. */
export interface FieldChange {
  readonly field: string;
  readonly from: Value | null;
  readonly to: Value | null;
}

const NONE: Settings = new Map();
const NO_BRIDGE: BridgeEntry = {
  settings: NONE,
  controllers: new Map(),
  staticMacs: new Map(),
  exports: new Map(),
  mirrors: new Map(),
  ports: new Map(),
};
const NO_PORT: PortEntry = { settings: NONE, interfaces: new Map() };

/** In the order of names. Nothing: they are the same. */
export function diffDocuments(from: Document, to: Document): ObjectChange[] {
  return pairs(from.bridges, to.bridges).flatMap(([name, before, after]) => diffBridge(name, before, after));
}

function diffBridge(
  bridge: string,
  before: BridgeEntry | undefined,
  after: BridgeEntry | undefined,
): ObjectChange[] {
  const path = pointer('bridges', bridge);
  const [old, now] = [before ?? NO_BRIDGE, after ?? NO_BRIDGE];
  const own = change(
    { kind: 'bridge', path, bridge, name: bridge },
    before,
    after,
    fieldChanges(old.settings, now.settings),
  );
  const controllers = pairs(old.controllers, now.controllers).flatMap(([name, was, is]) => {
    const place = { kind: 'controller', path: path + pointer('controllers', name), bridge, name } as const;
    return change(place, was, is, fieldChanges(was ?? NONE, is ?? NONE));
  });
  const staticMacs = pairs(old.staticMacs, now.staticMacs).flatMap(([name, was, is]) => {
    const place = { kind: 'staticMac', path: path + pointer('staticMacs', name), bridge, name } as const;
    return change(place, was, is, was === is ? [] : [{ field: 'port', from: was ?? null, to: is ?? null }]);
  });
  const ports = pairs(old.ports, now.ports).flatMap(([name, was, is]) => diffPort(bridge, name, was, is));
  const exports = pairs(old.exports, now.exports).flatMap(([name, was, is]) => {
    const kind = name as ExportKind;
    return change(
      { kind, path: path + pointer(kind), bridge, name },
      was,
      is,
      fieldChanges(was ?? NONE, is ?? NONE),
    );
  });
  const mirrors = pairs(old.mirrors, now.mirrors).flatMap(([name, was, is]) => {
    const place = { kind: 'mirror', path: path + pointer('mirrors', name), bridge, name } as const;
    return change(place, was, is, fieldChanges(was ?? NONE, is ?? NONE));
  });
  return [...own, ...controllers, ...ports, ...staticMacs, ...exports, ...mirrors];
}

function diffPort(
  bridge: string,
  port: string,
  before: PortEntry | undefined,
  after: PortEntry | undefined,
): ObjectChange[] {
  const path = pointer('bridges', bridge, 'ports', port);
  const [old, now] = [before ?? NO_PORT, after ?? NO_PORT];
  const fields = fieldChanges(old.settings, now.settings);
  const isSingle = [before, after].every(
    (each) => !each || (each.interfaces.size === 1 && each.interfaces.has(port)),
  );
  if (isSingle) {
    fields.push(
      ...fieldChanges(old.interfaces.get(port) ?? NONE, now.interfaces.get(port) ?? NONE, flatWord),
    );
    return change({ kind: 'port', path, bridge, port, name: port }, before, after, fields);
  }
  const [from, to] = [membersOf(before), membersOf(after)];
  if (JSON.stringify(from) !== JSON.stringify(to)) fields.push({ field: 'interfaces', from, to });
  const own = change({ kind: 'port', path, bridge, port, name: port }, before, after, fields);
  const members = pairs(old.interfaces, now.interfaces).flatMap(([name, was, is]) => {
    const place = {
      kind: 'interface',
      path: path + pointer('interfaces', name),
      bridge,
      port,
      name,
    } as const;
    return change(place, was, is, fieldChanges(was ?? NONE, is ?? NONE));
  });
  return [...own, ...members];
}

function membersOf(port: PortEntry | undefined): string[] | null {
  return port ? [...port.interfaces.keys()].sort() : null;
}

function change(
  place: Omit<ObjectChange, 'op' | 'fields'>,
  before: unknown,
  after: unknown,
  fields: readonly FieldChange[],
): ObjectChange[] {
  if (before !== undefined && after !== undefined)
    return fields.length > 0 ? [{ op: 'change', ...place, fields }] : [];
  return [{ op: before === undefined ? 'add' : 'remove', ...place, fields }];
}

function fieldChanges(from: Settings, to: Settings, nameOf = (word: string) => word): FieldChange[] {
  return pairs(from, to)
    .filter(([, was, is]) => valueText(was) !== valueText(is))
    .map(([word, was, is]) => ({ field: nameOf(word), from: was ?? null, to: is ?? null }));
}

/** What either has, in the order of names. */
function pairs<T>(
  from: ReadonlyMap<string, T>,
  to: ReadonlyMap<string, T>,
): [string, T | undefined, T | undefined][] {
  const names = [...new Set([...from.keys(), ...to.keys()])].sort();
  return names.map((name) => [name, from.get(name), to.get(name)]);
}
