/** Columns of state: what the switch says about interfaces and bridges, written where Open vSwitch's tools look for it. */
import { LOCAL_PORT } from '../domain/index.js';
import type { Database, Json, Row } from '../ovsdb/index.js';
import { datumFromJson, equalDatums } from '../ovsdb/index.js';

/** Null: not known, or there is no such thing. */
export interface InterfaceStatus {
  readonly name: string;
  readonly ofport: number | null;
  readonly ifindex: number | null;
  readonly mac: string | null;
  readonly mtu: number | null;
  readonly adminUp: boolean | null;
  readonly linkUp: boolean | null;
  readonly speedMbps: number | null;
  readonly error: string | null;
}

export interface BridgeStatus {
  readonly name: string;
  readonly datapathId: string;
}

const optional = (value: Json): Json => value ?? ['set', []];
const upDown = (isUp: boolean | null): Json => (isUp === null ? ['set', []] : isUp ? 'up' : 'down');

/** The operations that bring the columns up to date; only for what differs. */
export function statusOperations(
  database: Database,
  interfaces: Iterable<InterfaceStatus>,
  bridges: Iterable<BridgeStatus>,
): Json[] {
  const operations: Json[] = [];
  const update = (table: 'Interface' | 'Bridge', name: string, columns: Record<string, Json>) => {
    const row = database.find(table, 'name', name);
    const fields = row && differing(database, table, row, columns);
    if (fields) operations.push({ op: 'update', table, where: [['name', '==', name]], row: fields });
  };
  for (const status of interfaces) {
    update('Interface', status.name, {
      mac_in_use: optional(status.mac),
      ifindex: optional(status.ifindex),
      mtu: optional(status.mtu),
      admin_state: upDown(status.adminUp),
      link_state: upDown(status.linkUp),
      link_speed: optional(status.speedMbps === null ? null : status.speedMbps * 1_000_000),
      error: optional(status.error),
      ...(status.ofport === null || status.ofport === LOCAL_PORT ? {} : { ofport: status.ofport }),
    });
  }
  for (const { name, datapathId } of bridges) update('Bridge', name, { datapath_id: datapathId });
  return operations;
}

function differing(
  database: Database,
  table: string,
  row: Row,
  columns: Record<string, Json>,
): Record<string, Json> | null {
  const schema = database.schema.tables.get(table);
  const entries = Object.entries(columns).filter(([name, value]) => {
    const type = schema?.columns.get(name)?.type;
    const stored = row.fields[name];
    return type && stored && !equalDatums(datumFromJson(value, type), stored);
  });
  return entries.length === 0 ? null : Object.fromEntries(entries);
}
