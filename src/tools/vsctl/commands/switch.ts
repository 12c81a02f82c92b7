/** `init`, `show`, `emer-reset`. */
import { equalDatums, mapOf, pairs, setOf } from '../../../ovsdb/index.js';
import type { Datum } from '../../../ovsdb/index.js';
import { define } from '../command.js';
import type { Command, Context } from '../command.js';
import { datumText } from '../text.js';

interface Shown {
  /** Column that names a row, null: its uuid. */
  readonly name: string | null;
  readonly columns: readonly string[];
}

/** What `show` tells of each table. */
const SHOWN: Readonly<Record<string, Shown>> = {
  Open_vSwitch: { name: null, columns: ['manager_options', 'bridges', 'ovs_version'] },
  Bridge: { name: 'name', columns: ['controller', 'fail_mode', 'datapath_type', 'ports'] },
  Port: { name: 'name', columns: ['tag', 'trunks', 'interfaces'] },
  Interface: { name: 'name', columns: ['type', 'options', 'error'] },
  Controller: { name: 'target', columns: ['is_connected'] },
  Manager: { name: 'target', columns: ['is_connected'] },
};

export const switchCommands: readonly Command[] = [
  define(
    'init',
    [0, 0],
    [],
    () => undefined,
    () => undefined,
  ),
  define(
    'show',
    [0, 0],
    [],
    (needs) => {
      for (const [table, { name, columns }] of Object.entries(SHOWN)) {
        needs.add(table, ...(name === null ? [] : [name]), ...columns);
      }
    },
    (context) => showRow(context, 'Open_vSwitch', context.root, 0),
  ),
  define(
    'emer-reset',
    [0, 0],
    [],
    (needs) => {
      for (const [table, columns] of Object.entries(RESET)) needs.add(table, ...Object.keys(columns));
    },
    reset,
  ),
];

function showRow(context: Context, table: string, uuid: string, depth: number): void {
  const { txn, schema } = context;
  const shown = SHOWN[table];
  const columns = schema.tables.get(table)?.columns;
  if (!shown || !columns) return;
  const indent = '    '.repeat(depth);
  const type = shown.name === null ? undefined : columns.get(shown.name)?.type;
  const name = type && shown.name !== null ? datumText(txn.get(table, uuid, shown.name), type) : uuid;
  context.print(depth === 0 ? name : `${indent}${table} ${name}`);
  for (const column of shown.columns) {
    const columnSchema = columns.get(column);
    if (!columnSchema) continue;
    const datum = txn.get(table, uuid, column);
    const { refTable } = columnSchema.type.key;
    if (refTable !== undefined && refTable in SHOWN) {
      for (const key of datum.keys) showRow(context, refTable, String(key), depth + 1);
    } else if (!equalDatums(datum, columnSchema.defaultDatum)) {
      context.print(`${indent}    ${column}: ${datumText(datum, columnSchema.type)}`);
    }
  }
}

const NONE = () => setOf([]);
const kept =
  (...keys: readonly string[]) =>
  (datum: Datum) =>
    mapOf(pairs(datum).filter(([key]) => keys.includes(String(key))));

/** What is known to be good for each column, from what is there. */
const RESET: Readonly<Record<string, Readonly<Record<string, (datum: Datum) => Datum>>>> = {
  Open_vSwitch: { manager_options: NONE, ssl: NONE },
  Bridge: {
    controller: NONE,
    fail_mode: NONE,
    mirrors: NONE,
    netflow: NONE,
    sflow: NONE,
    ipfix: NONE,
    flood_vlans: NONE,
    other_config: kept('hwaddr'),
  },
  Port: { other_config: kept() },
  Interface: { ingress_policing_rate: () => setOf([0]), ingress_policing_burst: () => setOf([0]) },
};

function reset({ txn }: Context): void {
  for (const [table, columns] of Object.entries(RESET)) {
    for (const uuid of [...txn.uuids(table)]) {
      for (const [column, good] of Object.entries(columns)) {
        const datum = txn.get(table, uuid, column);
        const wanted = good(datum);
        if (!equalDatums(datum, wanted)) txn.set(table, uuid, column, wanted);
      }
    }
  }
}
