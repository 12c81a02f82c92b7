import { beforeEach, expect, test } from 'vitest';
import { Database, execute, openVSwitchSchema } from '../ovsdb/index.js';
import type { Json } from '../ovsdb/index.js';
import { addBridge, addPort, readNetwork } from './index.js';

let counter = 0;
let database: Database;

function run(operations: readonly Json[]): void {
  const newUuid = () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`;
  const { changes, error } = execute(database, operations, { newUuid });
  if (error || !changes) throw error ?? new Error('no changes');
  database.apply(changes);
}

const map = (entries: Record<string, string>): Json => ['map', Object.entries(entries)];
const onP1 = (table: string, row: Json): Json => ({
  op: 'update',
  table,
  where: [['name', '==', 'p1']],
  row,
});

/** As libvirt sets up a guest's interface (`ovs-vsctl … create qos … -- create queue …`). */
function setQos(type: string, qos: Record<string, string>, queue: Record<string, string>): void {
  run([
    { op: 'insert', table: 'Queue', 'uuid-name': 'q0', row: { other_config: map(queue) } },
    {
      op: 'insert',
      table: 'QoS',
      'uuid-name': 'qos1',
      row: { type, other_config: map(qos), queues: ['map', [[3, ['named-uuid', 'q0']]]] },
    },
    onP1('Port', { qos: ['named-uuid', 'qos1'] }),
  ]);
}

const settings = () =>
  [...readNetwork(database).interfaces.values()].find(({ qos, policing }) => qos ?? policing);
const faults = () => readNetwork(database).faults.map(({ column, message }) => `${column}: ${message}`);

beforeEach(() => {
  database = new Database(openVSwitchSchema);
  run([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
  run(addBridge(database, { name: 'br0' }));
  run(addPort(database, 'br0', { name: 'p1' }));
});

test('queues are those of the port', () => {
  setQos(
    'linux-htb',
    { 'max-rate': '8000000' },
    { 'min-rate': '1000', 'max-rate': '2000', burst: '5', priority: '1' },
  );
  expect(settings()?.qos).toEqual({
    maxRate: 8_000_000,
    queues: [{ id: 3, minRate: 1000, maxRate: 2000, burst: 5, priority: 1 }],
  });
  expect(faults()).toEqual([]);
});

test('what makes no sense is said and left out', () => {
  setQos('linux-htb', { 'max-rate': '8M' }, { 'min-rate': '-1' });
  expect(settings()?.qos).toEqual({ queues: [{ id: 3 }] });
  expect(faults()).toEqual([
    'qos: queue 3: min-rate "-1" is not a whole number',
    'qos: QoS: max-rate "8M" is not a whole number',
  ]);
});

test('other disciplines are refused, none is none', () => {
  setQos('linux-hfsc', {}, {});
  expect(faults()).toEqual(['qos: is of type "linux-hfsc"; Weft has linux-htb']);
  setQos('linux-noop', {}, {});
  expect([settings(), ...faults()]).toEqual([undefined]);
});

test('an interface may be limited in what it sends', () => {
  run([onP1('Interface', { ingress_policing_rate: 8000, ingress_policing_burst: 800 })]);
  expect(settings()?.policing).toEqual({ rateKbps: 8000, burstKbits: 800 });
});
