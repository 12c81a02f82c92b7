/**
 * What the database asks for and Weft does not do. Open_vSwitch has more columns than Weft acts on; whoever sets one of
 * those must be able to learn so (`weft show --warnings`), rather than wonder. What Weft acts on is declared here; a test
 * sees to it that every column that src/config reads is declared.
 */
import { STATIC_MAC_PREFIX } from './network.js';
import { equalDatums, pairs } from '../ovsdb/index.js';
import type { Atom, Database, Datum, Row } from '../ovsdb/index.js';

export interface Warning {
  readonly table: string;
  /** Of the row; its uuid where the table has no names. */
  readonly name: string;
  /** Column, for maps with the key: `other_config:stp-priority`. */
  readonly column: string;
  readonly value: string;
  readonly message: string;
}

/** The whole column, or the keys of a map; a key that ends in `*` stands for all that begin so. */
type Acted = '*' | readonly string[];

/** Configuration that Weft acts on, by table. Add what you come to act on. */
export const ACTED_ON: Readonly<Record<string, Readonly<Record<string, Acted>>>> = {
  Open_vSwitch: { bridges: '*', manager_options: '*', next_cfg: '*', ssl: '*' },
  SSL: { private_key: '*', certificate: '*', ca_cert: '*', bootstrap_ca_cert: '*' },
  Bridge: {
    name: '*',
    ports: '*',
    controller: '*',
    fail_mode: '*',
    flood_vlans: '*',
    mirrors: '*',
    sflow: '*',
    netflow: '*',
    ipfix: '*',
    flow_tables: '*',
    other_config: [
      'datapath-id',
      'hwaddr',
      'openflow-connection',
      'mac-table-size',
      'mac-aging-time',
      'forward-bpdu',
      `${STATIC_MAC_PREFIX}*`,
    ],
  },
  Port: {
    name: '*',
    interfaces: '*',
    vlan_mode: '*',
    tag: '*',
    trunks: '*',
    cvlans: '*',
    protected: '*',
    bond_mode: '*',
    bond_updelay: '*',
    bond_downdelay: '*',
    lacp: '*',
    qos: '*',
    other_config: [
      ...['priority-tags', 'qinq-ethertype'],
      ...[
        'bond-primary',
        'bond-detect-mode',
        'bond-miimon-interval',
        'bond-rebalance-interval',
        'bond-hash-basis',
      ],
      ...['all-members-active', 'all-slaves-active'],
      ...['lacp-system-id', 'lacp-system-priority', 'lacp-time', 'lacp-fallback-ab'],
    ],
  },
  Flow_Table: { flow_limit: '*', overflow_policy: '*' },
  Interface: {
    name: '*',
    type: '*',
    mac: '*',
    ofport: '*',
    ofport_request: '*',
    mtu_request: '*',
    ingress_policing_rate: '*',
    ingress_policing_burst: '*',
    options: ['peer'],
    other_config: ['lacp-port-id', 'lacp-port-priority', 'lacp-aggregation-key'],
  },
  QoS: { type: '*', queues: '*', other_config: ['max-rate'] },
  Queue: { other_config: ['min-rate', 'max-rate', 'burst', 'priority'] },
  Mirror: {
    ...{ name: '*', select_all: '*', select_src_port: '*', select_dst_port: '*', select_vlan: '*' },
    ...{ output_port: '*', output_vlan: '*', snaplen: '*' },
  },
  sFlow: {
    ...{ targets: '*', agent: '*', header: '*', polling: '*', sampling: '*' },
    external_ids: ['datagrams-per-second'],
  },
  NetFlow: {
    ...{ targets: '*', active_timeout: '*', engine_id: '*', engine_type: '*', add_id_to_interface: '*' },
    external_ids: ['netflow-version', 'interface-numbers', 'sampling', 'datagrams-per-second'],
  },
  IPFIX: {
    ...{ targets: '*', cache_active_timeout: '*', cache_max_flows: '*', sampling: '*' },
    ...{ obs_domain_id: '*', obs_point_id: '*' },
    external_ids: ['datagrams-per-second'],
  },
  Flow_Sample_Collector_Set: { id: '*', bridge: '*', ipfix: '*' },
  Controller: { target: '*' },
  Manager: { target: '*', inactivity_probe: '*', max_backoff: '*' },
};

/** Columns that ask for nothing: what others note for themselves, and what Weft or the system says of itself. */
const INFORMATIVE: Readonly<Record<string, readonly string[]>> = {
  Open_vSwitch: [
    ...['cur_cfg', 'ovs_version', 'db_version', 'system_type', 'system_version'],
    ...['datapath_types', 'iface_types', 'dpdk_initialized', 'dpdk_version', 'datapaths'],
  ],
  Bridge: ['datapath_version'],
  Interface: ['error', 'cfm_flap_count'],
};

/** Values of a column that ask for what Weft does anyway. */
const HARMLESS: Readonly<Record<string, readonly Atom[]>> = {
  'Bridge.datapath_type': ['', 'system', 'netdev'],
  'Bridge.protocols': ['OpenFlow13'],
  'Controller.connection_mode': ['out-of-band'],
  'Manager.connection_mode': ['out-of-band'],
  'Controller.enable_async_messages': [true],
};

/** Why not, where there is more to say than that. */
const HINTS: Readonly<Record<string, string>> = {
  'Bridge.protocols': 'Weft speaks OpenFlow 1.3 on every bridge',
  'Bridge.datapath_type': 'Weft has one datapath',
  'Interface.options': 'of the types of interface that need options only patch is there',
};

/** Every setting that is not at its default and that Weft does not act on, by table and name. */
export function readWarnings(database: Database): Warning[] {
  const warnings: Warning[] = [];
  for (const [table, acted] of Object.entries(ACTED_ON)) {
    for (const row of database.rows(table).values()) {
      for (const [column, datum] of Object.entries(row.fields)) {
        if (!asksForSomething(database, table, column, datum)) continue;
        const rule = acted[column];
        if (rule === '*') continue;
        const name = nameOf(row);
        for (const [path, value] of rule === undefined
          ? [whole(column, datum)]
          : otherKeys(column, datum, rule)) {
          const hint = HINTS[`${table}.${column}`];
          const message = `is set, and Weft does not act on it${hint === undefined ? '' : `: ${hint}`}`;
          warnings.push({ table, name, column: path, value, message });
        }
      }
    }
  }
  const key = ({ table, name, column }: Warning) => `${table} ${name} ${column}`;
  return warnings.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Whether the column holds configuration that somebody has set to something that matters. */
function asksForSomething(database: Database, table: string, column: string, datum: Datum): boolean {
  const schema = database.schema.tables.get(table)?.columns.get(column);
  if (!schema || schema.ephemeral || equalDatums(datum, schema.defaultDatum)) return false;
  if (column === 'external_ids' || INFORMATIVE[table]?.includes(column)) return false;
  const harmless = HARMLESS[`${table}.${column}`];
  return harmless === undefined || !datum.keys.every((atom) => harmless.includes(atom));
}

function whole(column: string, datum: Datum): [path: string, value: string] {
  const value = datum.values ? pairs(datum).map(([key, each]) => `${key}=${each}`) : datum.keys.map(String);
  return [column, value.join(', ')];
}

function otherKeys(column: string, datum: Datum, acted: readonly string[]): [path: string, value: string][] {
  const isActedOn = (key: string) =>
    acted.some((each) => (each.endsWith('*') ? key.startsWith(each.slice(0, -1)) : key === each));
  return pairs(datum)
    .filter(([key]) => !isActedOn(String(key)))
    .map(([key, value]) => [`${column}:${key}`, String(value)]);
}

function nameOf(row: Row): string {
  const [name] = row.fields['name']?.keys ?? row.fields['target']?.keys ?? [];
  return typeof name === 'string' && name !== '' ? name : row.uuid;
}
