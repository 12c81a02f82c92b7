/**
 * What a user says of sFlow, NetFlow, IPFIX and mirrors: one table says for each setting which column or key holds it; reading
 * rows, writing them and the command line follow from it.
 */
import { datumFromJson, equalDatums, type Database, type Json, type Row } from '../ovsdb/index.js';
import { DATAGRAMS_PER_S, IPFIX_DEFAULTS, NETFLOW_DEFAULTS, SFLOW_DEFAULTS } from './exports.js';
import { flagOf, mapOfTexts, numberOf, numbersOf, textOf, textsOf } from './fields.js';
import { IntentError, bridgeRow, portRow } from './intents.js';

export type ExportKind = 'sflow' | 'netflow' | 'ipfix';
export type Value = string | number | boolean | null | readonly string[] | readonly number[];
export type Spec = Readonly<Record<string, Value>>;

export interface Member {
  readonly column: string;
  /** Of the map `external_ids`, where the setting has no column of its own. */
  readonly key?: string;
  readonly kind: 'text' | 'texts' | 'number' | 'numbers' | 'flag' | 'ports' | 'port';
  /** What holds where nothing is stored. */
  readonly usual: Value;
}

const member = (column: string, kind: Member['kind'], usual: Value): Member => ({ column, kind, usual });
const external = (key: string, kind: Member['kind'], usual: Value): Member => {
  return { column: 'external_ids', key, kind, usual };
};
const datagrams = external('datagrams-per-second', 'number', DATAGRAMS_PER_S.usual);

/** Tables by the column of Bridge that refers to them. */
export const EXPORTS: Readonly<
  Record<
    ExportKind,
    { readonly table: string; readonly title: string; readonly members: Readonly<Record<string, Member>> }
  >
> = {
  sflow: {
    table: 'sFlow',
    title: 'sFlow',
    members: {
      targets: member('targets', 'texts', []),
      agent: member('agent', 'text', null),
      sampling: member('sampling', 'number', SFLOW_DEFAULTS.sampling),
      pollingS: member('polling', 'number', SFLOW_DEFAULTS.polling),
      headerBytes: member('header', 'number', SFLOW_DEFAULTS.header),
      datagramsPerS: datagrams,
    },
  },
  netflow: {
    table: 'NetFlow',
    title: 'NetFlow',
    members: {
      targets: member('targets', 'texts', []),
      version: external('netflow-version', 'number', 5),
      activeTimeoutS: member('active_timeout', 'number', NETFLOW_DEFAULTS.activeTimeoutS),
      engineId: member('engine_id', 'number', null),
      engineType: member('engine_type', 'number', null),
      addIdToInterface: member('add_id_to_interface', 'flag', false),
      interfaceNumbers: external('interface-numbers', 'text', 'openflow'),
      sampling: external('sampling', 'number', 1),
      datagramsPerS: datagrams,
    },
  },
  ipfix: {
    table: 'IPFIX',
    title: 'IPFIX',
    members: {
      targets: member('targets', 'texts', []),
      sampling: member('sampling', 'number', IPFIX_DEFAULTS.sampling),
      activeTimeoutS: member('cache_active_timeout', 'number', 0),
      maxFlows: member('cache_max_flows', 'number', 0),
      domainId: member('obs_domain_id', 'number', null),
      pointId: member('obs_point_id', 'number', null),
      datagramsPerS: datagrams,
    },
  },
};

export const MIRROR_MEMBERS: Readonly<Record<string, Member>> = {
  selectAll: member('select_all', 'flag', false),
  sourcePorts: member('select_src_port', 'ports', []),
  destinationPorts: member('select_dst_port', 'ports', []),
  vlans: member('select_vlan', 'numbers', []),
  outputPort: member('output_port', 'port', null),
  outputVlan: member('output_vlan', 'number', null),
  snaplen: member('snaplen', 'number', null),
};

/** The row that a bridge refers to. @throws IntentError "no-such-bridge" */
export function exportRow(database: Database, bridge: string, kind: ExportKind): Row | undefined {
  const uuid = textOf(bridgeRow(database, bridge), kind);
  return uuid === undefined ? undefined : database.row(EXPORTS[kind].table, uuid);
}

/** All settings, defaults filled in. */
export function exportSpecOf(kind: ExportKind, row: Row): Spec {
  return specOf(EXPORTS[kind].members, row, new Map());
}

/** Gives the bridge these settings, and its defaults for those left out. */
export function putExport(database: Database, bridge: string, kind: ExportKind, spec: Partial<Spec>): Json[] {
  const { table, members } = EXPORTS[kind];
  const row = exportRow(database, bridge, kind);
  const columns = columnsOf(database, table, members, spec, row, () => null);
  if (row !== undefined) return [{ op: 'update', table, where: byUuid(row), row: columns }];
  return [
    { op: 'insert', table, 'uuid-name': 'export', row: columns },
    {
      op: 'update',
      table: 'Bridge',
      where: byUuid(bridgeRow(database, bridge)),
      row: { [kind]: ['named-uuid', 'export'] },
    },
  ];
}

/** @throws IntentError "no-such-export" */
export function removeExport(database: Database, bridge: string, kind: ExportKind): Json[] {
  if (exportRow(database, bridge, kind) === undefined) throw noExport(bridge, kind);
  const where = byUuid(bridgeRow(database, bridge));
  return [{ op: 'update', table: 'Bridge', where, row: { [kind]: ['set', []] } }];
}

export function noExport(bridge: string, kind: ExportKind): IntentError {
  return new IntentError('no-such-export', `bridge ${bridge} has no ${EXPORTS[kind].title}`);
}

/** Of a bridge, by name. @throws IntentError "no-such-bridge" */
export function mirrorRows(database: Database, bridge: string): Row[] {
  return textsOf(bridgeRow(database, bridge), 'mirrors')
    .flatMap((uuid) => database.row('Mirror', uuid) ?? [])
    .sort((a, b) => ((textOf(a, 'name') ?? '') < (textOf(b, 'name') ?? '') ? -1 : 1));
}

/** @throws IntentError "no-such-bridge", "no-such-mirror" */
export function mirrorRow(database: Database, bridge: string, name: string): Row {
  const row = mirrorRows(database, bridge).find((each) => textOf(each, 'name') === name);
  if (row === undefined) throw new IntentError('no-such-mirror', `bridge ${bridge} has no mirror ${name}`);
  return row;
}

export function mirrorSpecOf(database: Database, row: Row): Spec {
  const names = new Map(
    [...database.rows('Port').values()].map((port) => [port.uuid, textOf(port, 'name') ?? '']),
  );
  return { name: textOf(row, 'name') ?? '', ...specOf(MIRROR_MEMBERS, row, names) };
}

/** Makes the mirror, or gives it these settings, and its defaults for those left out. @throws IntentError "no-such-port" */
export function putMirror(database: Database, bridge: string, name: string, spec: Partial<Spec>): Json[] {
  const row = mirrorRows(database, bridge).find((each) => textOf(each, 'name') === name);
  const uuidOf = (port: string): Json => ['uuid', portRow(database, bridge, port).uuid];
  const columns = columnsOf(database, 'Mirror', MIRROR_MEMBERS, spec, row, uuidOf);
  if (row !== undefined) return [{ op: 'update', table: 'Mirror', where: byUuid(row), row: columns }];
  return [
    { op: 'insert', table: 'Mirror', 'uuid-name': 'mirror', row: { name, ...columns } },
    {
      op: 'mutate',
      table: 'Bridge',
      where: byUuid(bridgeRow(database, bridge)),
      mutations: [['mirrors', 'insert', ['named-uuid', 'mirror']]],
    },
  ];
}

/** @throws IntentError "no-such-mirror" */
export function removeMirror(database: Database, bridge: string, name: string): Json[] {
  const { uuid } = mirrorRow(database, bridge, name);
  const where = byUuid(bridgeRow(database, bridge));
  return [{ op: 'mutate', table: 'Bridge', where, mutations: [['mirrors', 'delete', ['uuid', uuid]]] }];
}

const byUuid = (row: Row): Json => [['_uuid', '==', ['uuid', row.uuid]]];
const set = (items: readonly Json[]): Json => ['set', items];

function specOf(
  members: Readonly<Record<string, Member>>,
  row: Row,
  ports: ReadonlyMap<string, string>,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(members).map(([name, each]) => [name, valueOf(each, row, ports)]));
}

function valueOf({ column, key, kind, usual }: Member, row: Row, ports: ReadonlyMap<string, string>): Value {
  if (key !== undefined) {
    const text = mapOfTexts(row, column).get(key);
    if (text === undefined) return usual;
    if (kind !== 'number') return text;
    return /^\d+$/.test(text) ? Number(text) : usual;
  }
  switch (kind) {
    case 'text':
      return textOf(row, column) ?? usual;
    case 'number': {
      const number = numberOf(row, column);
      // NetFlow's timeout has a number for the default.
      return number === undefined || (column === 'active_timeout' && number === 0) ? usual : number;
    }
    case 'flag':
      return flagOf(row, column);
    case 'texts':
      return textsOf(row, column).sort();
    case 'numbers':
      return numbersOf(row, column).sort((a, b) => a - b);
    case 'ports':
      return textsOf(row, column)
        .flatMap((uuid) => ports.get(uuid) ?? [])
        .sort();
    case 'port':
      return ports.get(textsOf(row, column)[0] ?? '') ?? null;
  }
}

/** The columns that differ from what is stored. */
export function columnsOf(
  database: Database,
  table: string,
  members: Readonly<Record<string, Member>>,
  spec: Partial<Spec>,
  row: Row | undefined,
  uuidOf: (port: string) => Json,
): Record<string, Json> {
  const columns: Record<string, Json> = {};
  const ids = row === undefined ? new Map<string, string>() : mapOfTexts(row, 'external_ids');
  for (const [name, { column, key, kind, usual }] of Object.entries(members)) {
    const value = spec[name] ?? usual;
    const isUsual = JSON.stringify(value) === JSON.stringify(usual);
    if (key !== undefined) {
      if (isUsual) ids.delete(key);
      else ids.set(key, String(value));
      columns[column] = ['map', [...ids]];
    } else if (kind === 'ports' || kind === 'texts' || kind === 'numbers') {
      const items = [...new Set(value as readonly (string | number)[])];
      columns[column] = set(kind === 'ports' ? items.map((port) => uuidOf(String(port))) : items);
    } else if (kind === 'port') columns[column] = value === null ? set([]) : uuidOf(value as string);
    else if (kind === 'flag') columns[column] = value;
    else columns[column] = isUsual ? (column === 'active_timeout' ? 0 : set([])) : value;
  }
  if (row === undefined) return columns;
  // A setting that was written out stays so: another word for the same.
  const schema = database.schema.tables.get(table);
  const differs = ([column, json]: [string, Json]) => {
    const [type, stored] = [schema?.columns.get(column)?.type, row.fields[column]];
    // A row that is about to be made is no stored one.
    if (JSON.stringify(json).includes('"named-uuid"')) return true;
    return type !== undefined && stored !== undefined && !equalDatums(datumFromJson(json, type), stored);
  };
  return Object.fromEntries(Object.entries(columns).filter(differs));
}
