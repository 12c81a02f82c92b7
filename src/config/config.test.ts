import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Database, execute, openVSwitchSchema } from '../ovsdb/index.js';
import type { Json } from '../ovsdb/index.js';
import { LOCAL_PORT } from '../domain/index.js';
import {
  addBridge,
  addPort,
  assignOfports,
  faultyStatus,
  isInterfaceName,
  isConnectionTarget,
  isTarget,
  macFromUuid,
  numberOf,
  readNetwork,
  removePort,
  statusOperations,
} from './index.js';

let counter = 0;
const newUuid = () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`;
let database: Database;
const missing = { uuid: '', version: '', fields: {} };

function run(operations: readonly Json[]): void {
  const { changes, error } = execute(database, operations, { newUuid });
  if (error || !changes) throw error ?? new Error('no changes');
  database.apply(changes);
}
const set = (table: string, name: string, row: Json): Json => ({
  op: 'update',
  table,
  where: [['name', '==', name]],
  row,
});
const map = (entries: Record<string, string>): Json => ['map', Object.entries(entries)];
const faults = () =>
  readNetwork(database).faults.map(({ table, name, column }) => `${table} ${name} ${column}`);
const bridge = () => {
  const [first] = readNetwork(database).network.bridges;
  if (!first) throw new Error('no bridge');
  return first;
};
const port = (name: string) => {
  const found = bridge().ports.find((each) => each.name === name);
  if (!found) throw new Error(`no port ${name}`);
  return found;
};

beforeEach(() => {
  database = new Database(openVSwitchSchema);
  run([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
  run(addBridge(database, { name: 'br0' }));
  run(addPort(database, 'br0', { name: 'p1' }));
});

describe('from rows to the network', () => {
  test('a bridge as ovs-vsctl makes one is at its defaults', () => {
    expect(bridge()).toMatchObject({
      failMode: 'standalone',
      macTableSize: 8192,
      macAgeingTimeS: 300,
      connection: { kind: 'weft' },
      controllers: [],
    });
    expect(bridge().datapathId).toMatch(/^000002/);
    expect(port('br0').interfaces[0]).toMatchObject({
      type: 'internal',
      ofport: LOCAL_PORT,
      mac: macFromUuid(bridge().uuid),
    });
    expect(faults()).toEqual([]);
  });

  test.each<[string, Json, object]>([
    ['no tag', {}, { vlanMode: 'trunk', tag: null, trunks: null }],
    ['a tag', { tag: 10 }, { vlanMode: 'access', tag: 10 }],
    ['access without a tag', { vlan_mode: 'access' }, { vlanMode: 'access', tag: 0 }],
    ['a trunk that ignores its tag', { vlan_mode: 'trunk', tag: 10 }, { vlanMode: 'trunk', tag: null }],
    [
      'native without a tag',
      { vlan_mode: 'native-untagged' },
      { vlanMode: 'native-untagged', tag: 0, trunks: null },
    ],
    [
      'a tunnel',
      { vlan_mode: 'dot1q-tunnel', tag: 3, other_config: map({ 'qinq-ethertype': '802.1q' }) },
      { tag: 3, qinqEthertype: 0x8100 },
    ],
    [
      'priority tags in the old words',
      { other_config: map({ 'priority-tags': 'true' }) },
      { priorityTags: 'if-nonzero' },
    ],
  ])('%s', (_, row, wanted) => {
    run([set('Port', 'p1', row)]);
    expect(port('p1')).toMatchObject(wanted);
  });

  test('a native VLAN is always carried', () => {
    run([set('Port', 'p1', { vlan_mode: 'native-tagged', tag: 10, trunks: ['set', [20]] })]);
    expect([...(port('p1').trunks ?? [])]).toEqual([10, 20]);
  });

  test('all faults are told, and the rest works', () => {
    run([
      set('Bridge', 'br0', {
        other_config: map({
          'datapath-id': 'xyz',
          hwaddr: '01:00:00:00:00:01',
          'mac-aging-time': '5',
          'mac-table-size': 'many',
          'openflow-connection': 'carrier-pigeon:1',
          'static-mac:10:02:00:00:00:00:01': 'nowhere',
          'static-mac:x': 'p1',
        }),
      }),
      set('Port', 'p1', {
        tag: 5,
        trunks: ['set', [1]],
        cvlans: ['set', [2]],
        other_config: map({ 'priority-tags': 'maybe' }),
      }),
      set('Interface', 'p1', { mac: 'nonsense' }),
    ]);
    expect(faults().sort()).toEqual([
      'Bridge br0 other_config:datapath-id',
      'Bridge br0 other_config:hwaddr',
      'Bridge br0 other_config:mac-aging-time',
      'Bridge br0 other_config:mac-table-size',
      'Bridge br0 other_config:openflow-connection',
      'Bridge br0 other_config:static-mac:10:02:00:00:00:00:01',
      'Bridge br0 other_config:static-mac:x',
      'Interface p1 mac',
      'Port p1 cvlans',
      'Port p1 other_config:priority-tags',
      'Port p1 trunks',
    ]);
    expect(bridge()).toMatchObject({ macAgeingTimeS: 15, macTableSize: 8192, connection: { kind: 'weft' } });
    expect(port('p1')).toMatchObject({ vlanMode: 'access', tag: 5, priorityTags: 'never' });
  });

  test('an interface of a type that Weft does not know is left out', () => {
    run([set('Interface', 'p1', { type: 'vxlan' })]);
    expect(bridge().ports.map(({ name }) => name)).toEqual(['br0']);
    expect(faults()).toEqual(['Interface p1 type']);
  });

  test('a patch port is there while its peer names it', () => {
    const patch = (peer: string) => ({ type: 'patch', options: map({ peer }) });
    run(addBridge(database, { name: 'br1' }));
    run(addPort(database, 'br1', { name: 'p2', type: 'patch', peer: 'p1' }));
    expect(readNetwork(database).faults).toMatchObject([
      { name: 'p2', message: "No usable peer 'p1' exists in 'system' datapath.", isWaiting: true },
    ]);
    run([set('Interface', 'p1', patch('p2'))]);
    expect(faults()).toEqual([]);
    expect(port('p1').interfaces).toMatchObject([{ type: 'patch', peer: 'p2' }]);
    // The row of p1 says what it said before; what has changed is the other's.
    run([set('Interface', 'p2', patch('p3'))]);
    expect(faults()).toEqual(['Interface p1 options:peer', 'Interface p2 options:peer']);
    run([set('Interface', 'p2', patch('p1'))]);
    run([set('Bridge', 'br1', { other_config: map({ 'openflow-connection': 'unix:/run/ovs/br1.mgmt' }) })]);
    expect(faults()).toEqual(['Interface p1 options:peer', 'Interface p2 options:peer']);
    run([set('Interface', 'p1', patch('p1'))]);
    expect(readNetwork(database).faults[0]?.message).toBe('p1: patch peer must not be self');
  });

  test('a bridge on a foreign switch: its ports are found by name', () => {
    run([
      set('Bridge', 'br0', {
        other_config: map({ 'openflow-connection': 'unix:/run/ovs/br0.mgmt', 'datapath-id': 'aa' }),
      }),
    ]);
    expect(bridge()).toMatchObject({
      connection: { kind: 'openflow', target: 'unix:/run/ovs/br0.mgmt' },
      datapathId: '00000000000000aa',
    });
    expect(port('p1').interfaces[0]?.ofport).toBeNull();
    expect(assignOfports(database)).toEqual([]);
  });

  test('two bridges of one datapath id', () => {
    run(addBridge(database, { name: 'br1', datapathId: bridge().datapathId }));
    expect(faults()).toEqual(['Bridge br1 other_config:datapath-id']);
  });
});

describe('port numbers', () => {
  const numbers = () =>
    new Map(
      [...database.rows('Interface').values()].map((row) => [
        String(row.fields['name']?.keys[0]),
        numberOf(row, 'ofport'),
      ]),
    );

  test('a number that a move frees goes to the one that waits for it, at once', () => {
    database = new Database(openVSwitchSchema);
    run([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
    run(addBridge(database, { name: 'br0' }));
    for (const [name, ofportRequest] of [
      ['c', null],
      ['b', null],
      ['a', 2],
      ['d', 3],
    ] as const) {
      run(addPort(database, 'br0', { name, ofportRequest }));
      run(assignOfports(database));
    }
    run(removePort(database, 'br0', 'b'));
    run(assignOfports(database));
    expect(numbers()).toEqual(
      new Map([
        ['br0', 65534],
        ['c', 1],
        ['a', 2],
        ['d', 3],
      ]),
    );
    expect(assignOfports(database)).toEqual([]);
  });

  test('whatever comes and goes: unique, stable, requests met where they can be', () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      add: fc.boolean(),
      request: fc.option(fc.integer({ min: 1, max: 6 })),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        database = new Database(openVSwitchSchema);
        run([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
        run(addBridge(database, { name: 'br0' }));
        run(assignOfports(database));
        for (const { name, add, request } of steps) {
          const before = numbers();
          const exists = before.has(name);
          if (add === exists) continue;
          run(
            add
              ? addPort(database, 'br0', { name, ofportRequest: request })
              : removePort(database, 'br0', name),
          );
          run(assignOfports(database));
          const after = numbers();
          expect(new Set(after.values()).size).toBe(after.size);
          for (const [other, number] of before) {
            const wanted = numberOf(database.find('Interface', 'name', other) ?? missing, 'ofport_request');
            // A request that could not be met is met as soon as the number is free, as in Open vSwitch.
            if (other !== name && after.get(other) !== number) expect(after.get(other)).toBe(wanted);
          }
          const isFree = request !== null && ![...before.values()].includes(request);
          if (add && isFree) expect(after.get(name)).toBe(request);
          expect(assignOfports(database)).toEqual([]);
        }
        expect(numbers().get('br0')).toBe(65534);
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});

test('an interface that does not work says -1 and gets its own number back', () => {
  const reserved = new Map<string, number>();
  const number = (name: string) => numberOf(database.find('Interface', 'name', name) ?? missing, 'ofport');
  const working = {
    ifindex: 5,
    mac: null,
    mtu: 1500,
    adminUp: true,
    linkUp: true,
    speedMbps: null,
    error: null,
  };
  run(addPort(database, 'br0', { name: 'p2' }));
  run(assignOfports(database, reserved));
  expect([number('p1'), number('p2')]).toEqual([1, 2]);
  run(statusOperations(database, [faultyStatus('p1', 'No such device')], [], reserved));
  expect(number('p1')).toBe(-1);
  // It is still its number: nobody else gets it, and the switch is told of it.
  run(addPort(database, 'br0', { name: 'p3' }));
  run(assignOfports(database, reserved));
  expect([number('p1'), number('p3')]).toEqual([-1, 3]);
  expect(assignOfports(database, reserved)).toEqual([]);
  const [first] = readNetwork(database, reserved).network.bridges;
  expect(first?.ports.find(({ name }) => name === 'p1')?.interfaces[0]?.ofport).toBe(1);
  run(statusOperations(database, [{ name: 'p1', ofport: null, ...working }], [], reserved));
  expect(number('p1')).toBe(1);
  expect(reserved.size).toBe(0);
});

test('names and targets', () => {
  for (const name of ['br0', 'eth0.10', 'a-b_c', 'x'.repeat(15)]) expect(isInterfaceName(name)).toBe(true);
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a:b', 'x'.repeat(16)])
    expect(isInterfaceName(name)).toBe(false);
  for (const target of ['tcp:127.0.0.1:6653', 'ptcp:6654', 'ptcp:', 'ssl:h:1', 'punix:/x', 'unix:/x'])
    expect(isTarget(target)).toBe(true);
  for (const target of ['', 'http://x', 'tcp:', 'unix:']) expect(isTarget(target)).toBe(false);
  for (const target of ['tcp:127.0.0.1:6653', 'ssl:h:1', 'tcp:[::1]:65535', 'unix:/x'])
    expect(isConnectionTarget(target)).toBe(true);
  for (const target of [
    'tcp:h:0',
    'tcp:h:65536',
    'tcp:h',
    'tcp:::1:6653',
    'tcp:[::1:6653',
    'ptcp:6653',
    'unix:',
  ])
    expect(isConnectionTarget(target)).toBe(false);
});
