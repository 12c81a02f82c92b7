/**
 * What a bridge has beside ports and controllers: mirrors, and who is told of its traffic (sFlow, NetFlow, IPFIX). The words are
 * those of the REST API, the columns those of `export-specs.ts`.
 */
import { Type } from 'typebox';
import type { TProperties, TSchema } from 'typebox';
import type { Database, Json, Row } from '../../ovsdb/index.js';
import {
  EXPORTS,
  MIRROR_MEMBERS,
  columnsOf,
  exportSpecOf,
  mirrorSpecOf,
  type ExportKind,
  type Member,
  type Spec,
} from '../export-specs.js';
import { MOST_HEADER_BYTES, parseCollector } from '../exports.js';
import { textOf } from '../fields.js';
import type { BridgeEntry, DocumentFault } from './document.js';
import { pointer } from './document.js';
import { NAME_PATTERN, vidsOf, vlanList, type Settings, type Value } from './settings.js';

export const EXPORT_KINDS = Object.keys(EXPORTS) as ExportKind[];

const strict = { additionalProperties: false };
const orNull = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()]);

/** Bounds of numbers that the database would not have otherwise; left out: what 32 bits hold. */
const BOUNDS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  headerBytes: [14, MOST_HEADER_BYTES],
  pollingS: [0, 86_400],
  version: [5, 9],
  engineId: [0, 255],
  engineType: [0, 255],
  datagramsPerS: [1, 100_000],
  outputVlan: [1, 4_095],
  snaplen: [14, 65_535],
};

function schemaOf(name: string, { kind }: Member): TSchema {
  const Name = Type.String({ pattern: NAME_PATTERN });
  switch (kind) {
    case 'flag':
      return Type.Boolean();
    case 'number': {
      if (name === 'activeTimeoutS') return Type.Integer({ minimum: -1, maximum: 0x7fff_ffff });
      const [minimum, maximum] = BOUNDS[name] ?? [0, 0xffff_ffff];
      return Type.Integer({ minimum, maximum });
    }
    case 'numbers':
      return Type.Array(
        Type.Union([
          Type.Integer({ minimum: 0, maximum: 4095 }),
          Type.String({ pattern: '^\\d{1,4}-\\d{1,4}$' }),
        ]),
        { maxItems: 4096 },
      );
    case 'ports':
      return Type.Array(Name, { maxItems: 1024, uniqueItems: true });
    case 'port':
      return Name;
    case 'texts':
      return Type.Array(Type.String({ minLength: 1, maxLength: 255 }), {
        minItems: 1,
        maxItems: 32,
        uniqueItems: true,
      });
    case 'text':
      return Type.String({ minLength: 1, maxLength: 64 });
  }
}

function propertiesOf(members: Readonly<Record<string, Member>>): TProperties {
  return Object.fromEntries(
    Object.entries(members).map(([name, each]) => [name, Type.Optional(orNull(schemaOf(name, each)))]),
  );
}

/** Members of a bridge in the document's schema. */
export function attachmentProperties(): TProperties {
  const exports = EXPORT_KINDS.map((kind) => {
    const { title, members } = EXPORTS[kind];
    const description = `Who is told of the traffic by ${title}`;
    return [kind, Type.Optional(orNull(Type.Object(propertiesOf(members), { ...strict, description })))];
  });
  const Mirror = Type.Object(propertiesOf(MIRROR_MEMBERS), strict);
  const names = Type.String({ pattern: MIRROR_NAME.source });
  const mirrors = Type.Record(names, Mirror, { ...strict, description: 'Mirrors (SPAN, RSPAN) by name' });
  return { ...(Object.fromEntries(exports) as TProperties), mirrors: Type.Optional(orNull(mirrors)) };
}

const MIRROR_NAME = /^[^\s/]{1,64}$/;

/** Mirrors that a document can speak of; others stay as they are. */
export function isNamedMirror(row: Row): boolean {
  return MIRROR_NAME.test(textOf(row, 'name') ?? '');
}

/** What is said of a row: what is at its default is not. */
function settingsOf(members: Readonly<Record<string, Member>>, spec: Spec): Settings {
  const settings = new Map<string, Value>();
  for (const [name, { kind, usual }] of Object.entries(members)) {
    const value = spec[name] ?? null;
    if (value === null || JSON.stringify(value) === JSON.stringify(usual)) continue;
    settings.set(name, kind === 'numbers' ? (vlanList(value as readonly number[]) ?? []) : value);
  }
  return settings;
}

export function readExports(row: (kind: ExportKind) => Row | undefined): Map<ExportKind, Settings> {
  return new Map(
    EXPORT_KINDS.flatMap((kind) => {
      const found = row(kind);
      return found ? [[kind, settingsOf(EXPORTS[kind].members, exportSpecOf(kind, found))] as const] : [];
    }),
  );
}

export function readMirrors(database: Database, rows: readonly Row[]): Map<string, Settings> {
  return new Map(
    rows
      .filter(isNamedMirror)
      .map((row) => [textOf(row, 'name') ?? '', settingsOf(MIRROR_MEMBERS, mirrorSpecOf(database, row))]),
  );
}

/** The settings that a value says, in the form in which they are compared. */
export function settingsFrom(
  members: Readonly<Record<string, Member>>,
  value: Readonly<Record<string, unknown>>,
): Settings {
  const spec: Record<string, Spec[string]> = {};
  for (const [name, { kind }] of Object.entries(members)) {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (given === undefined || given === null) continue;
    if (!Array.isArray(given)) spec[name] = given as Spec[string];
    else if (kind === 'numbers')
      spec[name] = [...new Set(vidsOf(given as (string | number)[]))].sort((a, b) => a - b);
    else spec[name] = [...new Set(given as string[])].sort();
  }
  return settingsOf(members, spec);
}

export const membersOf = (kind: ExportKind) => EXPORTS[kind].members;
export { MIRROR_MEMBERS };

/** The columns of a row with these settings; of a row that there is, those that differ. */
export function rowOf(
  database: Database,
  table: string,
  members: Readonly<Record<string, Member>>,
  settings: Settings,
  row: Row | undefined,
  reference: (port: string) => Json,
): Record<string, Json> {
  const spec = Object.fromEntries(
    [...settings].map(([name, value]) => [
      name,
      members[name]?.kind === 'numbers' ? [...vidsOf(value as readonly (string | number)[])] : value,
    ]),
  ) as Spec;
  return columnsOf(database, table, members, spec, row, reference);
}

/** What a schema cannot say: targets that are none, mirrors without an output or of ports that the bridge has not. */
export function attachmentFaults(bridge: string, { exports, mirrors, ports }: BridgeEntry): DocumentFault[] {
  const faults: DocumentFault[] = [];
  const path = pointer('bridges', bridge);
  for (const [kind, settings] of exports) {
    const targets = (settings.get('targets') ?? []) as readonly string[];
    if (targets.length === 0) faults.push({ path: path + pointer(kind, 'targets'), message: 'is required' });
    for (const target of targets)
      if (parseCollector(target, 1) === undefined)
        faults.push({
          path: path + pointer(kind, 'targets'),
          message: `"${target}" is none: HOST:PORT or [IPV6]:PORT`,
        });
  }
  for (const [name, settings] of mirrors) {
    const at = path + pointer('mirrors', name);
    const outputs = ['outputPort', 'outputVlan'].filter((word) => settings.has(word));
    if (outputs.length !== 1)
      faults.push({ path: at, message: 'needs an outputPort or an outputVlan, one of them' });
    for (const word of ['sourcePorts', 'destinationPorts', 'outputPort']) {
      const named = [settings.get(word) ?? []].flat() as string[];
      const missing = named.filter((port) => !ports.has(port));
      if (missing.length > 0)
        faults.push({
          path: at + pointer(word),
          message: `bridge ${bridge} has no port ${missing.join(', ')}`,
        });
    }
  }
  return faults;
}
