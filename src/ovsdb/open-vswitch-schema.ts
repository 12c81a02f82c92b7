/**
 * The Open_vSwitch database: the tables and columns of Open vSwitch's schema 8.3.1 (ovs-vswitchd.conf.db(5)), so that
 * its tools find what they read and write. A test compares it with the installed original.
 */
import type { BaseType, ColumnType } from './column-type.js';
import { defaultDatum } from './datum.js';
import { tableOf } from './schema.js';
import type { ColumnSchema, DatabaseSchema, TableSchema } from './schema.js';

/** A column before it has a name. */
class Column {
  constructor(
    readonly type: ColumnType,
    readonly isEphemeral = false,
    readonly isMutable = true,
  ) {}

  /** Not kept over a restart: state, not configuration. */
  ephemeral(): Column {
    return new Column(this.type, true, this.isMutable);
  }

  immutable(): Column {
    return new Column(this.type, this.isEphemeral, false);
  }
}

const unlimited = Infinity;
const string: BaseType = { type: 'string' };
const integer: BaseType = { type: 'integer' };
const boolean: BaseType = { type: 'boolean' };
const uint32 = range(0, 0xffffffff);
const vlan = range(0, 4095);

function range(minInteger: number, maxInteger?: number): BaseType {
  return { type: 'integer', minInteger, ...(maxInteger === undefined ? {} : { maxInteger }) };
}

function oneOf(...values: string[]): BaseType {
  return { type: 'string', enum: values.sort() };
}

function ref(refTable: string): BaseType {
  return { type: 'uuid', refTable, refType: 'strong' };
}

function weakRef(refTable: string): BaseType {
  return { type: 'uuid', refTable, refType: 'weak' };
}

const one = (key: BaseType) => new Column({ key, min: 1, max: 1 });
const optional = (key: BaseType) => new Column({ key, min: 0, max: 1 });
const set = (key: BaseType, max = unlimited) => new Column({ key, min: 0, max });
const someOf = (key: BaseType) => new Column({ key, min: 1, max: unlimited });
const map = (key: BaseType, value: BaseType) => new Column({ key, value, min: 0, max: unlimited });
const texts = () => map(string, string);
const counters = () => map(string, integer).ephemeral();
const state = () => texts().ephemeral();

interface TableOptions {
  readonly isRoot?: boolean;
  readonly maxRows?: number;
  readonly indexes?: readonly (readonly string[])[];
}

function table(
  name: string,
  columns: Readonly<Record<string, Column>>,
  options: TableOptions = {},
): TableSchema {
  return tableOf({
    name,
    isRoot: options.isRoot ?? false,
    maxRows: options.maxRows ?? Infinity,
    indexes: options.indexes ?? [],
    columns: new Map(
      Object.entries(columns).map(([columnName, column]): [string, ColumnSchema] => [
        columnName,
        {
          name: columnName,
          type: column.type,
          ephemeral: column.isEphemeral,
          mutable: column.isMutable,
          defaultDatum: defaultDatum(column.type),
        },
      ]),
    ),
  });
}

/** How a manager or a controller is kept in touch with. */
const remote = {
  max_backoff: optional(range(1000)),
  inactivity_probe: optional(integer),
  connection_mode: optional(oneOf('in-band', 'out-of-band')),
  other_config: texts(),
  external_ids: texts(),
  is_connected: one(boolean).ephemeral(),
  status: state(),
};

const tables: readonly TableSchema[] = [
  table(
    'Open_vSwitch',
    {
      bridges: set(ref('Bridge')),
      datapaths: map(string, ref('Datapath')),
      manager_options: set(ref('Manager')),
      ssl: optional(ref('SSL')),
      // Clients raise next_cfg; cur_cfg follows once the switch forwards so.
      next_cfg: one(integer),
      cur_cfg: one(integer),
      ovs_version: optional(string),
      db_version: optional(string),
      system_type: optional(string),
      system_version: optional(string),
      datapath_types: set(string),
      iface_types: set(string),
      dpdk_initialized: one(boolean),
      dpdk_version: optional(string),
      statistics: state(),
      other_config: texts(),
      external_ids: texts(),
    },
    { isRoot: true, maxRows: 1 },
  ),
  table(
    'Bridge',
    {
      name: one(string).immutable(),
      ports: set(ref('Port')),
      controller: set(ref('Controller')),
      fail_mode: optional(oneOf('standalone', 'secure')),
      protocols: set(
        oneOf('OpenFlow10', 'OpenFlow11', 'OpenFlow12', 'OpenFlow13', 'OpenFlow14', 'OpenFlow15'),
      ),
      datapath_type: one(string),
      datapath_version: one(string),
      datapath_id: optional(string).ephemeral(),
      flood_vlans: set(vlan, 4096),
      stp_enable: one(boolean),
      rstp_enable: one(boolean),
      mcast_snooping_enable: one(boolean),
      mirrors: set(ref('Mirror')),
      netflow: optional(ref('NetFlow')),
      sflow: optional(ref('sFlow')),
      ipfix: optional(ref('IPFIX')),
      flow_tables: map(range(0, 254), ref('Flow_Table')),
      auto_attach: optional(ref('AutoAttach')),
      status: state(),
      rstp_status: state(),
      other_config: texts(),
      external_ids: texts(),
    },
    { indexes: [['name']] },
  ),
  table(
    'Port',
    {
      name: one(string).immutable(),
      interfaces: someOf(ref('Interface')),
      vlan_mode: optional(oneOf('access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel')),
      tag: optional(vlan),
      trunks: set(vlan, 4096),
      cvlans: set(vlan, 4096),
      qos: optional(ref('QoS')),
      mac: optional(string),
      bond_mode: optional(oneOf('active-backup', 'balance-slb', 'balance-tcp')),
      bond_active_slave: optional(string),
      bond_fake_iface: one(boolean),
      bond_updelay: one(integer),
      bond_downdelay: one(integer),
      lacp: optional(oneOf('active', 'passive', 'off')),
      // The port is the local one of a "fake" bridge for its VLAN.
      fake_bridge: one(boolean),
      protected: one(boolean),
      status: state(),
      statistics: counters(),
      rstp_status: state(),
      rstp_statistics: counters(),
      other_config: texts(),
      external_ids: texts(),
    },
    { indexes: [['name']] },
  ),
  table(
    'Interface',
    {
      name: one(string).immutable(),
      type: one(string),
      options: texts(),
      mac: optional(string),
      mac_in_use: optional(string).ephemeral(),
      // Kept over restarts, so that numbers in flow rules stay true.
      ofport: optional(integer),
      ofport_request: optional(range(1, 65279)),
      mtu: optional(integer).ephemeral(),
      mtu_request: optional(range(1)),
      ifindex: optional(uint32).ephemeral(),
      admin_state: optional(oneOf('up', 'down')).ephemeral(),
      link_state: optional(oneOf('up', 'down')).ephemeral(),
      link_resets: optional(integer).ephemeral(),
      link_speed: optional(integer).ephemeral(),
      duplex: optional(oneOf('half', 'full')).ephemeral(),
      error: optional(string),
      ingress_policing_rate: one(range(0)),
      ingress_policing_burst: one(range(0)),
      ingress_policing_kpkts_rate: one(range(0)),
      ingress_policing_kpkts_burst: one(range(0)),
      lacp_current: optional(boolean).ephemeral(),
      lldp: texts(),
      bfd: texts(),
      bfd_status: state(),
      cfm_mpid: optional(integer),
      cfm_remote_mpids: set(integer).ephemeral(),
      cfm_flap_count: optional(integer),
      cfm_fault: optional(boolean).ephemeral(),
      cfm_fault_status: set(string).ephemeral(),
      cfm_remote_opstate: optional(oneOf('up', 'down')).ephemeral(),
      cfm_health: optional(range(0, 100)).ephemeral(),
      statistics: counters(),
      status: state(),
      other_config: texts(),
      external_ids: texts(),
    },
    { indexes: [['name']] },
  ),
  table('Controller', {
    target: one(string),
    type: optional(oneOf('primary', 'service')),
    ...remote,
    local_ip: optional(string),
    local_netmask: optional(string),
    local_gateway: optional(string),
    enable_async_messages: optional(boolean),
    controller_queue_size: optional(range(1, 512)),
    controller_rate_limit: optional(range(100)),
    controller_burst_limit: optional(range(25)),
    role: optional(oneOf('other', 'master', 'slave')).ephemeral(),
  }),
  table('Manager', { target: one(string), ...remote }, { indexes: [['target']] }),
  table('Flow_Table', {
    name: optional(string),
    flow_limit: optional(range(0)),
    overflow_policy: optional(oneOf('refuse', 'evict')),
    groups: set(string),
    prefixes: set(string, 3),
    external_ids: texts(),
  }),
  table(
    'QoS',
    { type: one(string), queues: map(uint32, ref('Queue')), other_config: texts(), external_ids: texts() },
    { isRoot: true },
  ),
  table(
    'Queue',
    { dscp: optional(range(0, 63)), other_config: texts(), external_ids: texts() },
    { isRoot: true },
  ),
  table('Mirror', {
    name: one(string),
    select_all: one(boolean),
    select_src_port: set(weakRef('Port')),
    select_dst_port: set(weakRef('Port')),
    select_vlan: set(vlan, 4096),
    output_port: optional(weakRef('Port')),
    output_vlan: optional(range(1, 4095)),
    snaplen: optional(range(14, 65535)),
    statistics: counters(),
    external_ids: texts(),
  }),
  table('NetFlow', {
    targets: someOf(string),
    engine_type: optional(range(0, 255)),
    engine_id: optional(range(0, 255)),
    add_id_to_interface: one(boolean),
    active_timeout: one(range(-1)),
    external_ids: texts(),
  }),
  table('sFlow', {
    targets: someOf(string),
    agent: optional(string),
    sampling: optional(integer),
    polling: optional(integer),
    header: optional(integer),
    external_ids: texts(),
  }),
  table('IPFIX', {
    targets: set(string),
    sampling: optional(range(1, 0xffffffff)),
    obs_domain_id: optional(uint32),
    obs_point_id: optional(uint32),
    cache_active_timeout: optional(range(0, 4200)),
    cache_max_flows: optional(uint32),
    other_config: texts(),
    external_ids: texts(),
  }),
  table(
    'Flow_Sample_Collector_Set',
    { id: one(uint32), bridge: one(ref('Bridge')), ipfix: optional(ref('IPFIX')), external_ids: texts() },
    { isRoot: true, indexes: [['id', 'bridge']] },
  ),
  table('Datapath', {
    datapath_version: one(string),
    ct_zones: map(range(0, 65535), ref('CT_Zone')),
    capabilities: texts(),
    external_ids: texts(),
  }),
  table('CT_Zone', { timeout_policy: optional(ref('CT_Timeout_Policy')), external_ids: texts() }),
  table('CT_Timeout_Policy', {
    timeouts: map(
      oneOf(
        ...[
          'syn_sent',
          'syn_recv',
          'established',
          'fin_wait',
          'close_wait',
          'last_ack',
          'time_wait',
          'close',
        ].map((phase) => `tcp_${phase}`),
        ...['tcp_syn_sent2', 'tcp_retransmit', 'tcp_unack'],
        ...['udp_first', 'udp_single', 'udp_multiple', 'icmp_first', 'icmp_reply'],
      ),
      uint32,
    ),
    external_ids: texts(),
  }),
  table(
    'SSL',
    {
      private_key: one(string),
      certificate: one(string),
      ca_cert: one(string),
      bootstrap_ca_cert: one(boolean),
      external_ids: texts(),
    },
    { maxRows: 1 },
  ),
  table('AutoAttach', {
    system_name: one(string),
    system_description: one(string),
    mappings: map(range(0, 0xffffff), vlan),
  }),
];

export const openVSwitchSchema: DatabaseSchema = {
  name: 'Open_vSwitch',
  version: '8.3.1',
  tables: new Map(tables.map((each) => [each.name, each])),
};
