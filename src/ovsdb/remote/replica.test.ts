import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Json } from '../atom.js';
import { Database } from '../database.js';
import type { Change } from '../database.js';
import { datumToJson } from '../datum.js';
import { execute } from '../execute.js';
import { openVSwitchSchema } from '../open-vswitch-schema.js';
import { changeUpdates, initialText } from '../server/monitor.js';
import type { MonitoredTable } from '../server/monitor.js';
import { changesOf, changesTo, guardsOf } from './replica.js';

const ALL = { initial: true, insert: true, delete: true, modify: true };
const TABLES = new Map(
  [...openVSwitchSchema.tables].map(([name, { columns }]): [string, MonitoredTable] => [
    name,
    {
      ...{ name, select: ALL, condition: null },
      columns: [...columns.values()].map((column) => ({ name: column.name, type: column.type, select: ALL })),
    },
  ]),
);

function run(database: Database, ...operations: Json[]): Change[] {
  const { changes, error } = execute(database, operations, { newUuid: randomUUID });
  if (!changes) throw error ?? new Error('it waits');
  database.apply(changes);
  return changes;
}

/** Everything, in an order of its own. */
function contents(database: Database): string[] {
  return [...database.schema.tables.values()]
    .flatMap((table) =>
      [...database.rows(table.name).values()].map(({ uuid, fields }) => {
        const columns = [...table.columns.values()].map(({ name, type, defaultDatum }) => [
          name,
          datumToJson(fields[name] ?? defaultDatum, type),
        ]);
        return JSON.stringify([table.name, uuid, columns]);
      }),
    )
    .sort();
}

const there = () => new Database(openVSwitchSchema);
const root: Json = { op: 'insert', table: 'Open_vSwitch', row: {} };
const bridge = (name: string): Json[] => [
  { op: 'insert', table: 'Bridge', 'uuid-name': 'b', row: { name } },
  {
    op: 'mutate',
    table: 'Open_vSwitch',
    where: [],
    mutations: [['bridges', 'insert', ['set', [['named-uuid', 'b']]]]],
  },
];
const named = (name: string): Json => [['name', '==', name]];

it('follows inserts, differences of sets and maps, and deletions', () => {
  const [server, replica] = [there(), there()];
  const follow = (...operations: Json[]) => {
    const updates = changeUpdates(TABLES, 2, run(server, ...operations));
    replica.apply(changesOf(replica, updates, randomUUID));
    expect(contents(replica)).toEqual(contents(server));
  };
  follow(root);
  follow(...bridge('br0'));
  follow(...bridge('br1'));
  const update = (row: Json): Json => ({ op: 'update', table: 'Bridge', where: named('br0'), row });
  follow(update({ other_config: ['map', [['a', '1'], ['b', '2']]], flood_vlans: ['set', [1, 2, 3]] })); // prettier-ignore
  follow(update({ other_config: ['map', [['b', '3'], ['c', '4']]], flood_vlans: ['set', [3, 4]] })); // prettier-ignore
  follow(update({ datapath_id: '0000000000000001', flood_vlans: ['set', []] }));
  follow(update({ datapath_id: ['set', []] }));
  follow({ op: 'update', table: 'Open_vSwitch', where: [], row: { bridges: ['set', []] } });
});

it('becomes what it is shown as a whole, and says no more than what differs', () => {
  const [server, replica] = [there(), there()];
  run(server, root, ...bridge('br0'));
  const whole = () => JSON.parse(initialText(TABLES, 2, (table) => server.rows(table).values())) as Json;
  replica.apply(changesTo(replica, whole(), randomUUID));
  expect(contents(replica)).toEqual(contents(server));
  expect(changesTo(replica, whole(), randomUUID)).toEqual([]);
  run(server, ...bridge('br1'), { op: 'update', table: 'Open_vSwitch', where: [], row: { next_cfg: 7 } });
  run(server, { op: 'update', table: 'Bridge', where: named('br0'), row: { fail_mode: 'secure' } });
  const changes = changesTo(replica, whole(), randomUUID);
  expect(changes.map(({ table }) => table).sort()).toEqual(['Bridge', 'Bridge', 'Open_vSwitch']);
  replica.apply(changes);
  expect(contents(replica)).toEqual(contents(server));
});

it('guards hold as long as nobody has changed what is to be modified, and no longer', () => {
  const [server, replica] = [there(), there()];
  run(server, root, ...bridge('br0'));
  replica.apply(
    changesTo(
      replica,
      JSON.parse(initialText(TABLES, 2, (table) => server.rows(table).values())) as Json,
      randomUUID,
    ),
  );
  const wanted = [{ op: 'update', table: 'Bridge', where: named('br0'), row: { fail_mode: 'secure' } }];
  const { changes } = execute(replica, wanted, { newUuid: randomUUID });
  const guards = guardsOf(replica, changes ?? []);
  expect(guards).toHaveLength(1);
  const tries = () => execute(server, [...guards, ...wanted], { newUuid: randomUUID }).error?.tag ?? null;
  run(server, { op: 'update', table: 'Bridge', where: named('br0'), row: { stp_enable: true } });
  expect(tries()).toBe(null);
  run(server, { op: 'update', table: 'Bridge', where: named('br0'), row: { fail_mode: 'standalone' } });
  expect(tries()).toBe('timed out');
});
