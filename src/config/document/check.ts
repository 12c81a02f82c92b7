/** Everything that is wrong with a document by itself: what its schema says, and names that do not go together. */
import { Compile } from 'typebox/compile';
import { Settings as TypeBoxSettings } from 'typebox/system';
import type { Validator } from 'typebox/compile';
import type { DocumentFault } from './document.js';
import { pointer } from './document.js';
import { ConfigDocument } from './schema.js';
import { INTERFACE_SETTINGS, SETTINGS, flatWord } from './settings.js';
import { fromValue } from './value.js';
import type { Written } from './value.js';

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

/** Of a file that is wrong throughout, more would help nobody. By default TypeBox stops at eight. */
const MAX_FAULTS = 1000;
TypeBoxSettings.Set({ maxErrors: MAX_FAULTS });

let validator: Validator | null = null;

/** What is sound of a value, and its faults. */
export function checkValue(value: unknown): { written: Written; faults: DocumentFault[] } {
  validator ??= Compile(ConfigDocument);
  const faults = validator.Check(value) ? [] : schemaFaults(validator.Errors(value));
  const names = nameFaults(fromValue(value, soundness(faults)));
  const written = fromValue(value, soundness([...faults, ...names]));
  return { written, faults: [...faults, ...names, ...valueFaults(value)] };
}

/** A setting is not taken if anything in it is wrong; an object (asked for with a #) only if it itself is. */
function soundness(faults: readonly DocumentFault[]): (path: string) => boolean {
  const bad = new Set(faults.map(({ path }) => path));
  const around = [...bad].flatMap((path) =>
    path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/')),
  );
  const unsound = new Set(around);
  return (path) => (path.endsWith('#') ? !bad.has(path.slice(0, -1)) : !unsound.has(path));
}

/** One fault for each place: of a union's failed branches what the user can act on. */
function schemaFaults(errors: readonly SchemaError[]): DocumentFault[] {
  const byPath = new Map<string, string[]>();
  const add = (path: string, message: string) => byPath.set(path, [...(byPath.get(path) ?? []), message]);
  for (const { keyword, instancePath, params, message } of errors) {
    const given = params as {
      requiredProperties?: string[];
      type?: string;
      allowedValues?: unknown[];
      pattern?: string;
    };
    if (keyword === 'anyOf' || keyword === 'additionalProperties') continue;
    if (keyword === 'type' && given.type === 'null') continue;
    if (keyword === 'required')
      for (const name of given.requiredProperties ?? []) add(instancePath + pointer(name), 'is required');
    else if (keyword === 'boolean') add(instancePath, unknownMessage(instancePath));
    else if (keyword === 'enum')
      add(instancePath, `must be one of ${(given.allowedValues ?? []).join(', ')}`);
    else if (keyword === 'pattern') add(instancePath, patternMessage(instancePath));
    else add(instancePath, message);
  }
  return [...byPath].map(([path, messages]) => ({ path, message: [...new Set(messages)].join(', or ') }));
}

function unknownMessage(path: string): string {
  const parts = path.split('/');
  const isName =
    parts.length === 3 || (parts.length === 5 && parts[3] === 'ports') || parts.at(-2) === 'interfaces';
  return isName ? 'cannot be the name of a network interface' : 'is not known here';
}

const PATTERNS: Readonly<Record<string, string>> = {
  mac: 'must be the Ethernet address of one station',
  target: 'must be a connection target: tcp:HOST:PORT, ssl:…, ptcp:PORT, unix:PATH, …',
  connection: 'must be unix:PATH or tcp:HOST:PORT or ssl:HOST:PORT',
  datapathId: 'must be 16 hexadecimal digits, not all 0',
  port: 'cannot be the name of a port',
};

function patternMessage(path: string): string {
  const parts = path.split('/');
  const [parent, last] = [parts.at(-2) ?? '', parts.at(-1) ?? ''];
  if (parent === 'controllers') return PATTERNS['target'] ?? '';
  if (['trunks', 'cvlans', 'floodVlans'].includes(parent)) return 'must be a VLAN or a range like 10-20';
  if (parent === 'interfaces') return 'cannot be the name of a network interface';
  return PATTERNS[last] ?? 'is not of the right form';
}

/** A name is one port's and one interface's only. */
function nameFaults({ document }: Written): DocumentFault[] {
  const faults: DocumentFault[] = [];
  const ports = new Map<string, string>();
  const interfaces = new Map<string, string>();
  for (const [bridge, { ports: list }] of document.bridges) {
    for (const [port, entry] of list) {
      const path = pointer('bridges', bridge, 'ports', port);
      const other = ports.get(port);
      if (other !== undefined) faults.push({ path, message: `bridge ${other} has a port ${port} too` });
      ports.set(port, bridge);
      for (const name of entry.interfaces.keys()) {
        const owner = interfaces.get(name);
        if (owner !== undefined && owner !== port)
          faults.push({ path, message: `the interface ${name} is in port ${owner} too` });
        interfaces.set(name, port);
      }
    }
  }
  return faults;
}

type Plain = Readonly<Record<string, unknown>>;
const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const members = (value: unknown): [string, unknown][] => (isPlain(value) ? Object.entries(value) : []);

/** What cannot be seen any more once it has been taken over. */
function valueFaults(value: unknown): DocumentFault[] {
  const faults: DocumentFault[] = [];
  for (const [bridge, given] of members(isPlain(value) ? value['bridges'] : undefined)) {
    const path = pointer('bridges', bridge);
    faults.push(...vlanFaults(given, path, ['floodVlans']), ...doubleKeys('Bridge', given, path));
    faults.push(...repeated(given, path));
    for (const [port, each] of members(isPlain(given) ? given['ports'] : undefined)) {
      const at = path + pointer('ports', port);
      faults.push(...vlanFaults(each, at, ['trunks', 'cvlans']), ...doubleKeys('Port', each, at));
      faults.push(...misplaced(bridge, port, each, at));
    }
  }
  return faults;
}

function vlanFaults(given: unknown, path: string, words: readonly string[]): DocumentFault[] {
  const faults: DocumentFault[] = [];
  for (const word of words) {
    const list: unknown = isPlain(given) ? given[word] : undefined;
    if (!Array.isArray(list)) continue;
    for (const [i, item] of (list as unknown[]).entries()) {
      const [, from, to] = /^(\d+)-(\d+)$/.exec(typeof item === 'string' ? item : '') ?? [];
      if (from !== undefined && (Number(from) > Number(to) || Number(to) > 4095))
        faults.push({
          path: path + pointer(word, i),
          message: 'must go from a VLAN up to another, at most 4095',
        });
    }
  }
  return faults;
}

/** A key of otherConfig that has a word of its own may be said in one place only. */
function doubleKeys(table: 'Bridge' | 'Port', given: unknown, path: string): DocumentFault[] {
  if (!isPlain(given)) return [];
  return members(given['otherConfig']).flatMap(([name]) => {
    const word = SETTINGS[table].find(({ key }) => key === name)?.word;
    return word !== undefined && given[word] !== undefined && given[word] !== null
      ? [{ path: path + pointer('otherConfig', name), message: `${word} says this already` }]
      : [];
  });
}

function repeated(given: unknown, path: string): DocumentFault[] {
  if (!isPlain(given)) return [];
  const faults: DocumentFault[] = [];
  const check = (word: string, identify: (item: unknown) => string | undefined) => {
    const seen = new Set<string>();
    const list: unknown = given[word];
    for (const [i, item] of (Array.isArray(list) ? (list as unknown[]) : []).entries()) {
      const name = identify(item);
      if (name === undefined) continue;
      if (seen.has(name)) faults.push({ path: path + pointer(word, i), message: `${name} is there already` });
      seen.add(name);
    }
  };
  check('controllers', (item) => {
    const target = isPlain(item) ? item['target'] : item;
    return typeof target === 'string' ? target : undefined;
  });
  check('staticMacs', (item) =>
    isPlain(item) ? `${String(item['mac']).toLowerCase()} in VLAN ${String(item['vlan'])}` : undefined,
  );
  return faults;
}

/** Settings of an interface beside members, and what the bridge's own port cannot be. */
function misplaced(bridge: string, port: string, given: unknown, path: string): DocumentFault[] {
  if (!isPlain(given)) return [];
  const faults: DocumentFault[] = [];
  if (given['interfaces'] !== undefined && given['interfaces'] !== null) {
    if (port === bridge)
      faults.push({ path: path + pointer('interfaces'), message: "the bridge's own port has none" });
    for (const { word } of INTERFACE_SETTINGS) {
      const name = flatWord(word);
      if (given[name] !== undefined && given[name] !== null)
        faults.push({
          path: path + pointer(name),
          message: 'belongs to a member, as the interfaces are named',
        });
    }
  } else if (port === bridge && ![undefined, null, 'internal'].includes(given['type'] as null)) {
    faults.push({ path: path + pointer('type'), message: "the bridge's own port is internal" });
  }
  return faults;
}
