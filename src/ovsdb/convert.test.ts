import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Json } from './atom.js';
import { Journal } from './journal.js';
import { openVSwitchSchema } from './open-vswitch-schema.js';
import { schemaFromJson, schemaToJson } from './schema.js';
import type { DatabaseSchema } from './schema.js';
import { Store } from './store.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'weft-convert-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Editable = { version: string; tables: Record<string, { columns: Record<string, Json> }> };

/** The schema with changes. */
function changed(change: (schema: Editable) => void): DatabaseSchema {
  const json = structuredClone(schemaToJson(openVSwitchSchema)) as unknown as Editable;
  change(json);
  return schemaFromJson(json);
}

async function open(): Promise<Store> {
  const path = join(folder, 'conf.db');
  const journal = await Journal.open({ path, schema: openVSwitchSchema, log: () => undefined });
  return new Store(journal, randomUUID, openVSwitchSchema);
}

const bridge = [
  { op: 'insert', table: 'Open_vSwitch', row: { bridges: ['named-uuid', 'b'] } },
  { op: 'insert', table: 'Bridge', 'uuid-name': 'b', row: { name: 'br0', flood_vlans: ['set', [3, 7]] } },
];
const named = (store: Store) => store.database.find('Bridge', 'name', 'br0');

test('what fits stays, with its uuids; it is so after a restart, too', async () => {
  const store = await open();
  await store.transact(bridge);
  const before = named(store);
  const wider = changed((schema) => {
    schema.version = '9.0.0';
    schema.tables['Bridge']!.columns['novel'] = { type: { key: 'string', min: 0, max: 1 } };
  });
  await store.convert(wider);
  expect(store.database.schema.version).toBe('9.0.0');
  expect(named(store)?.uuid).toBe(before?.uuid);
  const where = [['name', '==', 'br0']];
  await store.transact([{ op: 'update', table: 'Bridge', where, row: { novel: 'x' } }]);
  await store.close();

  const again = await open();
  expect(again.database.schema.version).toBe('9.0.0');
  expect(named(again)?.fields).toMatchObject({ novel: { keys: ['x'] }, flood_vlans: { keys: [3, 7] } });
  await again.close();
});

test('what the program goes by may not be taken away, what is stored must fit', async () => {
  const store = await open();
  await store.transact(bridge);
  const without = changed((schema) => delete schema.tables['Port']?.columns['qos']);
  await expect(store.convert(without)).rejects.toThrow('cannot do without column qos of table Port');
  const other = schemaFromJson({ name: 'Other', version: '1.0.0', tables: {} });
  await expect(store.convert(other)).rejects.toThrow('cannot do without table');
  expect(store.database.schema).toBe(openVSwitchSchema);
  await store.close();
});

test('a disk that refuses it: all is as before', async () => {
  const store = await open();
  await store.transact(bridge);
  // The new file cannot be made where there is no folder any more.
  rmSync(folder, { recursive: true });
  const wider = changed((schema) => (schema.version = '9.0.0'));
  await expect(store.convert(wider)).rejects.toThrow('I/O error');
  expect(store.database.schema).toBe(openVSwitchSchema);
  expect(named(store)).toBeDefined();
  await store.close();
});
