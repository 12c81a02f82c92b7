/** Managers: who configures the switch from elsewhere (ovs-vswitchd.conf.db(5), "Manager TABLE"). */
import type { Database, Json, Row } from '../ovsdb/index.js';
import { datumFromJson, equalDatums } from '../ovsdb/index.js';
import { REMOTE_DEFAULTS } from '../ovsdb/server/remotes.js';
import type { RemoteOptions, RemoteStatus } from '../ovsdb/server/remotes.js';
import { numberOf, textOf, textsOf } from './fields.js';

/** Less would be noise on the line. */
const LEAST_BACKOFF_MS = 1_000;

/** Targets that the root row names, with their settings. */
export function readManagers(database: Database): Map<string, RemoteOptions> {
  const targets = new Map<string, RemoteOptions>();
  for (const row of managerRows(database)) {
    const target = textOf(row, 'target');
    if (target === undefined) continue;
    targets.set(target, {
      probeMs: Math.max(0, numberOf(row, 'inactivity_probe') ?? REMOTE_DEFAULTS.probeMs),
      maxBackoffMs: Math.max(LEAST_BACKOFF_MS, numberOf(row, 'max_backoff') ?? REMOTE_DEFAULTS.maxBackoffMs),
    });
  }
  return targets;
}

/** The operations that bring `is_connected` and `status` up to date. */
export function managerStatusOperations(
  database: Database,
  statuses: readonly RemoteStatus[],
  nowMs: number,
): Json[] {
  const byTarget = new Map(statuses.map((status) => [status.target, status]));
  const columns = database.schema.tables.get('Manager')?.columns;
  return managerRows(database).flatMap((row): Json[] => {
    const status = byTarget.get(textOf(row, 'target') ?? '');
    const type = columns?.get('status')?.type;
    const stored = row.fields['status'];
    if (!status || !type || !stored) return [];
    const json = statusColumn(status, nowMs);
    const isSame =
      equalDatums(stored, datumFromJson(json, type)) &&
      row.fields['is_connected']?.keys[0] === status.isConnected;
    if (isSame) return [];
    return [
      {
        op: 'update',
        table: 'Manager',
        where: [['_uuid', '==', ['uuid', row.uuid]]],
        row: { is_connected: status.isConnected, status: json },
      },
    ];
  });
}

function managerRows(database: Database): Row[] {
  const [root] = database.rows('Open_vSwitch').values();
  const uuids = root ? textsOf(root, 'manager_options') : [];
  return uuids.flatMap((uuid) => database.row('Manager', uuid) ?? []);
}

function statusColumn(status: RemoteStatus, nowMs: number): Json {
  const seconds = (sinceMs: number | null) =>
    sinceMs === null ? null : String(Math.floor((nowMs - sinceMs) / 1000));
  const entries: [string, string | null][] = [
    ['bound_port', status.boundPort === null ? null : String(status.boundPort)],
    ['n_connections', status.state === null && status.connections > 1 ? String(status.connections) : null],
    ['state', status.state],
    ['last_error', status.lastError],
    ['sec_since_connect', seconds(status.connectedAtMs)],
    ['sec_since_disconnect', seconds(status.disconnectedAtMs)],
  ];
  return ['map', entries.filter(([, value]) => value !== null)];
}
