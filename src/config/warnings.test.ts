import { readFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { Database, execute, openVSwitchSchema } from '../ovsdb/index.js';
import type { Datum, Json, Row } from '../ovsdb/index.js';
import { ACTED_ON, addBridge, addPort, readNetwork, readWarnings } from './index.js';

let counter = 0;
let database: Database;
const newUuid = () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`;

function run(operations: readonly Json[]): void {
  const { changes, error } = execute(database, operations, { newUuid });
  if (error || !changes) throw error ?? new Error('no changes');
  database.apply(changes);
}
const update = (table: string, name: string, row: Json): Json => ({
  op: 'update',
  table,
  where: [['name', '==', name]],
  row,
});

beforeEach(() => {
  database = new Database(openVSwitchSchema);
  run([
    { op: 'insert', table: 'Open_vSwitch', row: { ovs_version: '1', external_ids: ['map', [['a', 'b']]] } },
  ]);
  run(addBridge(database, { name: 'br0', controllers: ['tcp:127.0.0.1:6653'], macAgeingTimeS: 60 }));
  run(
    addPort(database, 'br0', {
      name: 'p1',
      vlanMode: 'dot1q-tunnel',
      tag: 5,
      cvlans: [1],
      priorityTags: 'always',
    }),
  );
});

test('what Weft acts on and what asks for nothing is no warning', () => {
  run([
    update('Bridge', 'br0', { protocols: 'OpenFlow13', datapath_type: 'netdev' }),
    update('Interface', 'p1', { external_ids: ['map', [['iface-id', 'x']]], mtu_request: 1400 }),
  ]);
  expect(readWarnings(database)).toEqual([]);
});

test('columns and keys of maps that nothing comes of are named with their values', () => {
  run([
    update('Bridge', 'br0', {
      protocols: ['set', ['OpenFlow10', 'OpenFlow13']],
      other_config: [
        'map',
        [
          ['hwaddr', '02:00:00:00:00:01'],
          ['in-band-queue', '3'],
        ],
      ],
    }),
    update('Interface', 'p1', { options: ['map', [['remote_ip', '192.0.2.1']]] }),
  ]);
  expect(
    readWarnings(database).map(({ table, name, column, value }) => [table, name, column, value]),
  ).toEqual([
    ['Bridge', 'br0', 'other_config:in-band-queue', '3'],
    ['Bridge', 'br0', 'protocols', 'OpenFlow10, OpenFlow13'],
    ['Interface', 'p1', 'options:remote_ip', '192.0.2.1'],
  ]);
});

test('every column that is read is declared as acted on, and only columns that exist', () => {
  const read = new Set<string>();
  const watch = (table: string, row: Row): Row => ({
    ...row,
    fields: new Proxy(row.fields, {
      get(fields: Record<string, Datum>, column: string) {
        read.add(`${table}.${column}`);
        return fields[column];
      },
    }),
  });
  const watched = new Proxy(database, {
    get(target, property) {
      if (property === 'row')
        return (table: string, uuid: string) => {
          const row = target.row(table, uuid);
          return row && watch(table, row);
        };
      if (property === 'rows')
        return (table: string) =>
          new Map([...target.rows(table)].map(([uuid, row]) => [uuid, watch(table, row)]));
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
  readNetwork(watched);
  const isConfiguration = (path: string) => {
    const [table = '', column = ''] = path.split('.');
    return openVSwitchSchema.tables.get(table)?.columns.get(column)?.ephemeral === false;
  };
  const declared = Object.entries(ACTED_ON).flatMap(([table, columns]) =>
    Object.keys(columns).map((column) => `${table}.${column}`),
  );
  expect([...read].filter((path) => isConfiguration(path) && !declared.includes(path))).toEqual([]);
  expect(declared.filter((path) => !isConfiguration(path))).toEqual([]);
});

test('every key of other_config and options that is read is declared as acted on', () => {
  const declared = new Set(
    Object.values(ACTED_ON).flatMap(({ other_config: keys, options }) =>
      [keys, options].flatMap((each) => (Array.isArray(each) ? (each as string[]) : [])),
    ),
  );
  const sources = ['network', 'bonds'].map((name) =>
    readFileSync(new URL(`${name}.ts`, import.meta.url), 'utf8'),
  );
  const read = [...sources.join().matchAll(/\b(?:get|number|integer)\((?:other, )?'([a-z-]+)'/g)].map(
    ([, key]) => key,
  );
  expect(read.length).toBeGreaterThan(10);
  expect(read.filter((key = '') => !declared.has(key))).toEqual([]);
});
