/**
 * Counters and connections in the columns where Open vSwitch's tools look for them (ovs-vswitchd.conf.db(5)): ephemeral
 * ones, which cost the journal nothing and wake no reader of the configuration. A pure part.
 */
import type { Database, Json, Row } from '../ovsdb/index.js';
import { mapOfTexts, textOf, textsOf } from './fields.js';
import { differing } from './status.js';

/** Counters of an interface, by Open vSwitch's names. */
export type InterfaceStatistics = Readonly<Record<string, number>>;

export interface ControllerStatus {
  readonly target: string;
  readonly connected: boolean;
  readonly role: string | null;
  readonly lastError: string | null;
}

/** What the kernel's driver says of a device. */
export interface DeviceFacts {
  /** Name of the driver: `veth`, `tun`, `ixgbe`; null where it does not say. */
  readonly driver: string | null;
  readonly duplex: 'half' | 'full' | null;
}

/** Which member of a bond carries what no other has to. */
export interface ActiveMember {
  /** The port's name. */
  readonly bond: string;
  /** Null while there is none. */
  readonly mac: string | null;
}

/** `other_config:stats-update-interval`: default and minimum, as in Open vSwitch. */
const MIN_INTERVAL_MS = 5_000;
const MAX_INTERVAL_MS = 3_600_000;

/** How often statistics are to be written. */
export function statisticsIntervalMs(database: Database): number {
  const [root] = database.rows('Open_vSwitch').values();
  const asked = Number(root && mapOfTexts(root, 'other_config').get('stats-update-interval'));
  return Number.isFinite(asked)
    ? Math.min(Math.max(asked, MIN_INTERVAL_MS), MAX_INTERVAL_MS)
    : MIN_INTERVAL_MS;
}

/** Brings `Interface.statistics` up to date. @param interfaces by name */
export function statisticsOperations(
  database: Database,
  interfaces: ReadonlyMap<string, InterfaceStatistics>,
): Json[] {
  return [...interfaces].flatMap(([name, counters]) => {
    const row = database.find('Interface', 'name', name);
    return row ? update(database, 'Interface', row, { statistics: mapOf(counters) }) : [];
  });
}

/** A text that is another one when an interface has another device, or its link is another one. */
export function deviceState(database: Database, name: string): string {
  const row = database.find('Interface', 'name', name);
  const columns = ['ifindex', 'link_state', 'link_speed', 'admin_state', 'link_resets'];
  return columns.map((column) => String(row?.fields[column]?.keys[0] ?? '')).join(' ');
}

/** Brings `Interface.status` and `Interface.duplex` up to date. @param devices by name */
export function deviceOperations(database: Database, devices: ReadonlyMap<string, DeviceFacts>): Json[] {
  return [...devices].flatMap(([name, { driver, duplex }]) => {
    const row = database.find('Interface', 'name', name);
    const status = mapOf(driver === null ? {} : { driver_name: driver });
    return row ? update(database, 'Interface', row, { status, duplex: duplex ?? ['set', []] }) : [];
  });
}

/** Brings `Port.bond_active_slave` up to date. */
export function bondOperations(database: Database, active: readonly ActiveMember[]): Json[] {
  return active.flatMap(({ bond, mac }) => {
    const row = database.find('Port', 'name', bond);
    return row ? update(database, 'Port', row, { bond_active_slave: mac ?? ['set', []] }) : [];
  });
}

/** Brings `Mirror.statistics` up to date. @param mirrors by uuid */
export function mirrorOperations(
  database: Database,
  mirrors: ReadonlyMap<string, { readonly packets: number; readonly bytes: number }>,
): Json[] {
  return [...mirrors].flatMap(([uuid, { packets, bytes }]) => {
    const row = database.row('Mirror', uuid);
    const statistics = mapOf({ tx_packets: packets, tx_bytes: bytes });
    return row ? update(database, 'Mirror', row, { statistics }) : [];
  });
}

/** Whether `other_config:enable-statistics` asks for statistics of the machine. */
export function wantsSystemStatistics(database: Database): boolean {
  const [root] = database.rows('Open_vSwitch').values();
  return root !== undefined && mapOfTexts(root, 'other_config').get('enable-statistics') === 'true';
}

/** Brings `Open_vSwitch.statistics` up to date. @param statistics empty where nobody wants them */
export function systemOperations(database: Database, statistics: Readonly<Record<string, string>>): Json[] {
  const [root] = database.rows('Open_vSwitch').values();
  return root ? update(database, 'Open_vSwitch', root, { statistics: mapOf(statistics) }) : [];
}

/** Brings `is_connected`, `role` and `status` of a bridge's controllers up to date. */
export function controllerOperations(
  database: Database,
  bridge: string,
  controllers: readonly ControllerStatus[],
): Json[] {
  const owner = database.find('Bridge', 'name', bridge);
  if (!owner) return [];
  return textsOf(owner, 'controller').flatMap((uuid) => {
    const row = database.row('Controller', uuid);
    const status = row && controllers.find(({ target }) => target === textOf(row, 'target'));
    if (!status) return [];
    const { connected, role, lastError } = status;
    const known = role === 'master' || role === 'slave' ? role : 'other';
    const state = {
      state: connected ? 'ACTIVE' : 'BACKOFF',
      ...(lastError === null ? {} : { last_error: lastError }),
    };
    return update(database, 'Controller', row, {
      is_connected: connected,
      role: connected ? known : ['set', []],
      status: mapOf(state),
    });
  });
}

function update(database: Database, table: string, row: Row, columns: Record<string, Json>): Json[] {
  const fields = differing(database, table, row, columns);
  return fields ? [{ op: 'update', table, where: [['_uuid', '==', ['uuid', row.uuid]]], row: fields }] : [];
}

function mapOf(entries: Readonly<Record<string, Json>>): Json {
  return ['map', Object.entries(entries)];
}
