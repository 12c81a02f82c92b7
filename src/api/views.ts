/** Bridges and ports as the API shows them: configuration from the database, state from the switch. */
import {
  bridgeRow,
  flagOf,
  macFromUuid,
  mapOfTexts,
  numberOf,
  ofportOf,
  numbersOf,
  portRow,
  textOf,
  textsOf,
} from '../config/index.js';
import { LOCAL_OFPORT } from '../config/index.js';
import { IntentError } from '../config/index.js';
import type { Bridge, LogicalPort } from '../domain/index.js';
import type { Row } from '../ovsdb/index.js';
import type { BridgeView, PortView } from './schemas.js';
import type { Services } from './services.js';

/** @throws IntentError "no-such-bridge" */
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

export function viewBridge(services: Services, bridge: Bridge, pending: string | null = null): BridgeView {
  const row = bridgeRow(services.configuration.database, bridge.name);
  const status = services.switches.driver(bridge.name)?.status();
  return {
    name: bridge.name,
    datapathId: bridge.datapathId,
    mac: mapOfTexts(row, 'other_config').get('hwaddr') ?? macFromUuid(row.uuid),
    failMode: bridge.failMode,
    controllers: [...bridge.controllers],
    connection: bridge.connection.kind === 'openflow' ? bridge.connection.target : null,
    macTableSize: bridge.macTableSize,
    macAgeingTimeS: bridge.macAgeingTimeS,
    forwardBpdu: bridge.forwardBpdu,
    floodVlans: [...bridge.floodVlans],
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
  port: LogicalPort,
  pending: string | null = null,
): PortView {
  const { database } = services.configuration;
  const row = portRow(database, bridge, port.name);
  const [uuid = ''] = textsOf(row, 'interfaces');
  const iface = database.row('Interface', uuid);
  const list = (column: string) => (numbersOf(row, column).length === 0 ? null : numbersOf(row, column));
  return {
    name: port.name,
    bridge,
    type: port.interfaces[0]?.type ?? 'system',
    interfaces: port.interfaces.map(({ name }) => name),
    vlanMode: port.vlanMode,
    tag: port.tag,
    trunks: list('trunks'),
    cvlans: list('cvlans'),
    priorityTags: port.priorityTags,
    qinqEthertype: port.qinqEthertype === 0x8100 ? '802.1q' : '802.1ad',
    protected: flagOf(row, 'protected'),
    ofportRequest: (iface && numberOf(iface, 'ofport_request')) ?? null,
    mac: (iface && textOf(iface, 'mac')) ?? null,
    mtuRequest: (iface && numberOf(iface, 'mtu_request')) ?? null,
    ofport: port.name === bridge ? LOCAL_OFPORT : ((iface && ofportOf(iface, new Map())) ?? null),
    status: viewDevice(services, bridge, port.interfaces[0]?.name ?? port.name, iface),
    ...(pending === null ? {} : { pending }),
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
