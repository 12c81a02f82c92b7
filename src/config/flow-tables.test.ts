import { expect, test } from 'vitest';
import { Database, execute, openVSwitchSchema } from '../ovsdb/index.js';
import type { Json } from '../ovsdb/index.js';
import { addBridge, readNetwork } from './index.js';
import { desiredBridge } from '../datapath/desired.js';

test('limits of tables, as ovs-vsctl writes them, reach the switch', () => {
  const database = new Database(openVSwitchSchema);
  let counter = 0;
  const newUuid = () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`;
  const run = (operations: readonly Json[]): void => {
    const { changes, error } = execute(database, operations, { newUuid });
    if (error || !changes) throw error ?? new Error('no changes');
    database.apply(changes);
  };
  const ofBridge = () => {
    const { network, interfaces } = readNetwork(database);
    return desiredBridge(network.bridges[0]!, interfaces).params.flowTables;
  };
  run([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
  run(addBridge(database, { name: 'br0' }));
  expect(ofBridge()).toBeUndefined();
  // ovs-vsctl -- --id=@ft create Flow_Table flow_limit=100 overflow_policy=evict -- set bridge br0 flow_tables:0=@ft
  run([
    {
      op: 'insert',
      table: 'Flow_Table',
      'uuid-name': 'ft',
      row: { flow_limit: 100, overflow_policy: 'evict' },
    },
    { op: 'insert', table: 'Flow_Table', 'uuid-name': 'other', row: { name: 'filter' } },
    {
      op: 'update',
      table: 'Bridge',
      where: [['name', '==', 'br0']],
      row: {
        flow_tables: [
          'map',
          [
            [0, ['named-uuid', 'ft']],
            [3, ['named-uuid', 'other']],
          ],
        ],
      },
    },
  ]);
  expect(ofBridge()).toEqual([
    { id: 0, flowLimit: 100, overflowPolicy: 'evict' },
    { id: 3, overflowPolicy: 'refuse' },
  ]);
});
