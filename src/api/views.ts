/**
 * Resources as the API shows them: configuration from the rows of the database, each with the tag of just that
 * configuration, and state from the switch. A snapshot is what a transaction left behind: what is shown is what was set,
 * even where others have changed it since.
 */
import {
  IntentError,
  LOCAL_OFPORT,
  bridgeRow,
  bridgeSpecOf,
  interfaceRow,
  interfaceSpecOf,
  numberOf,
  ofportOf,
  portRow,
  portSpecOf,
  textOf,
} from '../config/index.js';
import type { BridgeSpec, InterfaceSpec, PortSpec } from '../config/index.js';
import type { Bridge, LogicalPort } from '../domain/index.js';
import type { Database, Row } from '../ovsdb/index.js';
import { etagOf } from './etag.js';
import type { BridgeView, InterfaceView, PortView } from './schemas.js';
import type { Services } from './services.js';

/** The configuration of one resource at one moment. */
export interface Snapshot<Spec> {
  readonly spec: Required<Spec>;
  readonly etag: string;
}

/** The bridge as the switch is configured. @throws IntentError "no-such-bridge" */
export function bridgeOf({ configuration }: Services, name: string): Bridge {
  const bridge = configuration.reading.network.bridges.find((each) => each.name === name);
  if (!bridge) throw new IntentError('no-such-bridge', `there is no bridge ${name}`);
  return bridge;
}

/** @throws IntentError "no-such-bridge", "no-such-port" */
export function portOf(services: Services, bridge: string, name: string): LogicalPort {
  const port = bridgeOf(services, bridge).ports.find((each) => each.name === name);
  if (!port) throw new IntentError('no-such-port', `bridge ${bridge} has no port ${name}`);
  return port;
}

/** @throws IntentError "no-such-bridge" */
export function bridgeSnapshot(database: Database, name: string): Snapshot<BridgeSpec> {
  const row = bridgeRow(database, name);
  const spec = bridgeSpecOf(database, row);
  return { spec, etag: etagOf(row.uuid, spec) };
}

/** @throws IntentError "no-such-bridge", "no-such-port" */
export function portSnapshot(database: Database, bridge: string, name: string): Snapshot<PortSpec> {
  const row = portRow(database, bridge, name);
  const spec = portSpecOf(database, bridgeRow(database, bridge), row);
  if (!spec) {
    const why = 'none of its interfaces is of a type that Weft knows';
    throw new IntentError('no-such-port', `port ${name} of bridge ${bridge} is not in use: ${why}`);
  }
  return { spec, etag: etagOf(row.uuid, spec) };
}

/** @throws IntentError "no-such-bridge", "no-such-port", "no-such-interface" */
export function interfaceSnapshot(
  database: Database,
  bridge: string,
  port: string,
  name: string,
): Snapshot<InterfaceSpec> {
  const row = interfaceRow(database, portRow(database, bridge, port), name);
  const spec = interfaceSpecOf(row, name === bridge ? 'internal' : undefined);
  return { spec, etag: etagOf(row.uuid, spec) };
}

export function viewBridge(
  services: Services,
  { spec }: Snapshot<BridgeSpec>,
  pending: string | null = null,
): BridgeView {
  const status = services.switches.driver(spec.name)?.status();
  return {
    ...spec,
    controllers: [...spec.controllers],
    floodVlans: [...spec.floodVlans],
    otherConfig: { ...spec.otherConfig },
    externalIds: { ...spec.externalIds },
    status: {
      connected: status?.connected ?? false,
      inSync: status?.inSync ?? false,
      target: status?.target ?? null,
      flows: status?.flowsWanted ?? 0,
      groups: status?.groupsWanted ?? 0,
      macs: status?.macs ?? 0,
      lastError: status?.lastError ?? null,
    },
    ...(pending === null ? {} : { pending }),
  };
}

export function viewPort(
  services: Services,
  bridge: string,
  { spec }: Snapshot<PortSpec>,
  pending: string | null = null,
): PortView {
  const members = spec.interfaces.map((name) => ({ name, ...viewState(services, bridge, name) }));
  const { ofport, status } = members[0] ?? viewState(services, bridge, spec.name);
  return {
    ...spec,
    interfaces: [...spec.interfaces],
    trunks: spec.trunks && [...spec.trunks],
    cvlans: spec.cvlans && [...spec.cvlans],
    otherConfig: { ...spec.otherConfig },
    externalIds: { ...spec.externalIds },
    bridge,
    ofport,
    status,
    members,
    ...(pending === null ? {} : { pending }),
  };
}

export function viewInterface(
  services: Services,
  bridge: string,
  port: string,
  { spec }: Snapshot<InterfaceSpec>,
  pending: string | null = null,
): InterfaceView {
  return {
    ...spec,
    otherConfig: { ...spec.otherConfig },
    externalIds: { ...spec.externalIds },
    bridge,
    port,
    ...viewState(services, bridge, spec.name),
    ...(pending === null ? {} : { pending }),
  };
}

function viewState(
  services: Services,
  bridge: string,
  name: string,
): Pick<InterfaceView, 'ofport' | 'status'> {
  const row = services.configuration.database.find('Interface', 'name', name);
  return {
    ofport: name === bridge ? LOCAL_OFPORT : ((row && ofportOf(row, new Map())) ?? null),
    status: viewDevice(services, bridge, name, row),
  };
}

/** What the datapath said last, which the database hears a little later. */
function viewDevice(
  { switches }: Services,
  bridge: string,
  name: string,
  row: Row | undefined,
): PortView['status'] {
  const info = switches.port(bridge, name);
  if (info?.present) {
    const { adminUp, linkUp, ifindex, mac, mtu, speedMbps, error } = info;
    return { present: true, adminUp, linkUp, ifindex, mac, mtu, speedMbps, error: error ?? null };
  }
  const upDown = (column: string) =>
    row && textOf(row, column) !== undefined ? textOf(row, column) === 'up' : null;
  const speed = row && numberOf(row, 'link_speed');
  return {
    present: info?.present ?? (row !== undefined && textOf(row, 'mac_in_use') !== undefined),
    adminUp: info ? null : upDown('admin_state'),
    linkUp: info ? null : upDown('link_state'),
    ifindex: info ? null : ((row && numberOf(row, 'ifindex')) ?? null),
    mac: info ? null : ((row && textOf(row, 'mac_in_use')) ?? null),
    mtu: info ? null : ((row && numberOf(row, 'mtu')) ?? null),
    speedMbps: info || speed === undefined ? null : speed / 1_000_000,
    error: info ? (info.error ?? 'No such device') : ((row && textOf(row, 'error')) ?? null),
  };
}
