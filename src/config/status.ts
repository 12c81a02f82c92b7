/** Columns of state: what the switch says about interfaces and bridges, written where Open vSwitch's tools look for it. */
import { LOCAL_PORT } from '../domain/index.js';
import type { Database, Json, Row } from '../ovsdb/index.js';
import { datumFromJson, equalDatums } from '../ovsdb/index.js';
import { numberOf, ofportOf, textOf } from './fields.js';

/** Null: not known, or there is no such thing. */
export interface InterfaceStatus {
  readonly name: string;
  /** Null: the number that the configuration has for it. -1: the interface does not work. */
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

/** Of an interface that does not work. */
export function faultyStatus(name: string, error: string): InterfaceStatus {
  const unknown = { ifindex: null, mac: null, mtu: null, adminUp: null, linkUp: null, speedMbps: null };
  return { name, ofport: -1, ...unknown, error };
}

const optional = (value: Json): Json => value ?? ['set', []];
const upDown = (isUp: boolean | null): Json => (isUp === null ? ['set', []] : isUp ? 'up' : 'down');

/**
 * The operations that bring the columns up to date; only for what differs.
 * @param reserved see {@link assignOfports}; brought up to date
 */
export function statusOperations(
  database: Database,
  interfaces: Iterable<InterfaceStatus>,
  bridges: Iterable<BridgeStatus>,
  reserved = new Map<string, number>(),
): Json[] {
  const operations: Json[] = [];
  const update = (table: 'Interface' | 'Bridge', row: Row, columns: Record<string, Json>) => {
    const fields = differing(database, table, row, columns);
    if (fields)
      operations.push({ op: 'update', table, where: [['_uuid', '==', ['uuid', row.uuid]]], row: fields });
  };
  for (const status of interfaces) {
    const row = database.find('Interface', 'name', status.name);
    if (!row) continue;
    update('Interface', row, {
      mac_in_use: optional(status.mac),
      ifindex: optional(status.ifindex),
      mtu: optional(status.mtu),
      admin_state: upDown(status.adminUp),
      link_state: upDown(status.linkUp),
      ...linkResets(row, status),
      link_speed: optional(status.speedMbps === null ? null : status.speedMbps * 1_000_000),
      error: optional(status.error),
      ...ofportColumn(row, status, reserved),
    });
  }
  for (const { name, datapathId } of bridges) {
    const row = database.find('Bridge', 'name', name);
    if (row) update('Bridge', row, { datapath_id: datapathId });
  }
  return operations;
}

/** `link_resets` counts how often `link_state` was seen to change. */
function linkResets(row: Row, { linkUp }: InterfaceStatus): { link_resets?: number } {
  if (linkUp === null) return {};
  const [before, resets] = [textOf(row, 'link_state'), numberOf(row, 'link_resets')];
  const hasChanged = before !== undefined && (before === 'up') !== linkUp;
  return { link_resets: (resets ?? 0) + (hasChanged ? 1 : 0) };
}

/** An interface that does not work has -1, and gets its number back when it does. */
function ofportColumn(
  row: Row,
  { ofport }: InterfaceStatus,
  reserved: Map<string, number>,
): { ofport?: number } {
  if (ofport === LOCAL_PORT) return {};
  const number = ofportOf(row, reserved);
  if (ofport === -1) {
    if (number !== undefined) reserved.set(row.uuid, number);
    return { ofport };
  }
  reserved.delete(row.uuid);
  if (ofport !== null) return { ofport };
  return number === undefined ? {} : { ofport: number };
}

/** Of these columns, those whose values differ from the stored ones; null: none. */
export function differing(
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
