/**
 * What a document means where there is a configuration already.
 *
 * - A document is the whole of what it can speak of: a bridge, port, controller or pinned address that it does not name
 *   goes, a setting that it does not mention falls to its default. `keep` names the exceptions: bridges and ports that
 *   other programs make (a hypervisor's taps) stay as they are.
 * - `external_ids` belong to everybody: keys that the document names are set, those with null go, others stay.
 * - What it has no words for (queues, managers, columns of state) stays as it is.
 */
import type { BridgeEntry, Document, PortEntry } from './document.js';
import type { Settings, Value } from './settings.js';
import { sortedTexts } from './settings.js';
import type { Written } from './value.js';

/** The whole configuration to come. */
export function merge({ document, keep }: Written, current: Document): Document {
  const isKept = keepTest(keep);
  const bridges = new Map<string, BridgeEntry>();
  const taken = namesOf(document);
  for (const [name, bridge] of document.bridges) {
    const old = current.bridges.get(name);
    bridges.set(
      name,
      mergeBridge(bridge, old, (port, entry) => isKept(port) && isFree(port, entry, taken)),
    );
  }
  for (const [name, bridge] of current.bridges) {
    if (!bridges.has(name) && isKept(name) && !taken.has(name)) bridges.set(name, bridge);
  }
  return { bridges };
}

type Keeps = (name: string, port: PortEntry) => boolean;

function mergeBridge(bridge: BridgeEntry, old: BridgeEntry | undefined, keeps: Keeps): BridgeEntry {
  const ports = new Map<string, PortEntry>();
  for (const [name, port] of bridge.ports) {
    const oldPort = old?.ports.get(name);
    ports.set(name, {
      settings: withSharedTexts(port.settings, oldPort?.settings),
      interfaces: mapValues(port.interfaces, (each, member) =>
        withSharedTexts(each, oldPort?.interfaces.get(member)),
      ),
    });
  }
  for (const [name, port] of old?.ports ?? [])
    if (!ports.has(name) && keeps(name, port)) ports.set(name, port);
  return {
    settings: withSharedTexts(bridge.settings, old?.settings),
    controllers: mapValues(bridge.controllers, (each, target) =>
      withSharedTexts(each, old?.controllers.get(target)),
    ),
    staticMacs: bridge.staticMacs,
    exports: bridge.exports,
    mirrors: bridge.mirrors,
    ports,
  };
}

function withSharedTexts(settings: Settings, old: Settings | undefined): Settings {
  const merged = { ...textsOf(old?.get('externalIds')), ...textsOf(settings.get('externalIds')) };
  const texts = sortedTexts(Object.entries(merged).filter(([, text]) => text !== null));
  const all = new Map(settings);
  if (texts === undefined) all.delete('externalIds');
  else all.set('externalIds', texts);
  return all;
}

function textsOf(value: Value | undefined): Readonly<Record<string, string | null>> {
  return typeof value === 'object' && !Array.isArray(value)
    ? (value as Readonly<Record<string, string | null>>)
    : {};
}

function mapValues<T, U>(map: ReadonlyMap<string, T>, change: (value: T, key: string) => U): Map<string, U> {
  return new Map([...map].map(([key, value]) => [key, change(value, key)]));
}

/** Names of bridges, ports and interfaces; all are names of network devices or of ports, which are unique. */
function namesOf({ bridges }: Document): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [bridge, { ports }] of bridges) {
    names.add(bridge);
    for (const [port, { interfaces }] of ports) {
      names.add(port);
      for (const name of interfaces.keys()) names.add(name);
    }
  }
  return names;
}

function isFree(name: string, { interfaces }: PortEntry, taken: ReadonlySet<string>): boolean {
  return !taken.has(name) && [...interfaces.keys()].every((each) => !taken.has(each));
}

/** `*` stands for any characters, also none. */
function keepTest(patterns: readonly string[]): (name: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('[^]*?')}$`);
  });
  return (name) => expressions.some((expression) => expression.test(name));
}
