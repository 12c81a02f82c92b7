import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Configuration, addBridge, addPort, removeBridge, removePort, replacePort, textOf } from '../config/index.js';
import { openVSwitchSchema } from '../ovsdb/index.js';
import { Journal } from '../ovsdb/journal.js';
import { Store } from '../ovsdb/store.js';
import type { Bridge } from '../domain/index.js';
import type { SwitchDriver } from '../switches/driver.js';
import { FakeDatapath } from './fake-datapath.test-helper.js';
import { Orchestrator } from './orchestrator.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };
let folder: string;
let datapath: FakeDatapath;
let configuration: Configuration;
let orchestrator: Orchestrator;
let drivers: Map<string, { configured: Bridge[]; stopped: boolean }>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-orchestrator-'));
  datapath = new FakeDatapath(join(folder, 'weft-datapath.sock'));
  const journal = await Journal.open({ path: join(folder, 'conf.db'), schema: openVSwitchSchema, log: () => undefined });
  configuration = await Configuration.open(new Store(journal, randomUUID), { log, statusDelayMs: 5 });
  drivers = new Map();
  orchestrator = new Orchestrator({
    socketPath: datapath.path,
    log,
    createDriver: (bridge) => {
      const record = { configured: [bridge], stopped: false };
      drivers.set(bridge.name, record);
      return {
        bridge: bridge.name,
        start: () => undefined,
        configure: (next: Bridge) => void record.configured.push(next),
        synced: () => Promise.resolve(),
        subscribe: () => () => undefined,
        ports: () => [],
        stop: () => Promise.resolve(void (record.stopped = true)),
      } as unknown as SwitchDriver;
    },
    onStatus: (interfaces, bridges) => configuration.setStatus(interfaces, bridges),
  });
  configuration.subscribe((reading) => orchestrator.configure(reading));
  orchestrator.configure(configuration.reading);
  orchestrator.start();
});

afterEach(async () => {
  await orchestrator.stop();
  await datapath.die().catch(() => undefined);
  await configuration.close();
  rmSync(folder, { recursive: true, force: true });
});

const apply = (intent: Parameters<Configuration['apply']>[0]) => configuration.apply(intent, 'test');
const until = (probe: () => boolean) => vi.waitUntil(probe, { timeout: 10_000 });

test('bridges and ports come, change and go; what is right is not touched', async () => {
  await datapath.start();
  await apply((database) => addBridge(database, { name: 'br0' }));
  await apply((database) => addPort(database, 'br0', { name: 'p1', tag: 10 }));
  await orchestrator.synced(5_000, 'br0');
  expect([...(datapath.bridges.get('br0')?.ports.values() ?? [])].map(({ name, ofport }) => [name, ofport])).toEqual([['br0', 0xfffffffe], ['p1', 1]]);
  expect(drivers.get('br0')?.configured.at(-1)?.ports).toHaveLength(2);
  datapath.calls.length = 0;
  await apply((database) => replacePort(database, 'br0', { name: 'p1', tag: 20 }));
  await orchestrator.synced(5_000, 'br0');
  expect(datapath.calls).toEqual([]);
  expect(drivers.get('br0')?.configured.at(-1)?.ports.find(({ name }) => name === 'p1')?.tag).toBe(20);
  await apply((database) => replacePort(database, 'br0', { name: 'p1', tag: 20, type: 'internal' }));
  await orchestrator.synced(5_000, 'br0');
  expect(datapath.calls).toEqual(['port.remove p1', 'port.ensure p1']);
  await apply((database) => removePort(database, 'br0', 'p1'));
  await orchestrator.synced(5_000, 'br0');
  expect(datapath.bridges.get('br0')?.ports.has('p1')).toBe(false);
  await apply((database) => removeBridge(database, 'br0'));
  await orchestrator.synced(5_000, 'br0');
  expect(datapath.bridges.size).toBe(0);
  expect(drivers.get('br0')?.stopped).toBe(true);
});

test('a datapath that comes back empty is told all again, soon; one that kept its state is only compared', async () => {
  await apply((database) => addBridge(database, { name: 'br0' }));
  await apply((database) => addPort(database, 'br0', { name: 'p1' }));
  await expect(orchestrator.synced(20, 'br0')).rejects.toThrow(/not connected/);
  await datapath.start();
  await orchestrator.synced(5_000, 'br0');
  await datapath.die();
  await until(() => !orchestrator.status().connected);
  const startedMs = Date.now();
  await datapath.start();
  await until(() => datapath.bridges.get('br0')?.ports.size === 2);
  expect(Date.now() - startedMs).toBeLessThan(1_500);
});

test('what nobody wants is removed on connecting', async () => {
  await datapath.start();
  datapath.bridges.set('stray', { params: { name: 'stray', datapathId: '1', failMode: 'secure', controllers: [], listeners: [], programTable: null }, ports: new Map() });
  await apply((database) => addBridge(database, { name: 'br0' }));
  await orchestrator.synced(5_000);
  expect([...datapath.bridges.keys()]).toEqual(['br0']);
});

test('a port that cannot be is told where it is asked for, and does not hold up the others', async () => {
  await datapath.start();
  datapath.refuses.set('bad', 'bad is attached to another bridge');
  await apply((database) => addBridge(database, { name: 'br0' }));
  await apply((database) => addPort(database, 'br0', { name: 'bad' }));
  await apply((database) => addPort(database, 'br0', { name: 'good' }));
  await orchestrator.synced(5_000, 'br0', 'good');
  await expect(orchestrator.synced(5_000, 'br0', 'bad')).rejects.toThrow(/attached to another bridge/);
  const stored = () => configuration.database.find('Interface', 'name', 'bad');
  await until(() => textOf(stored() ?? { uuid: '', version: '', fields: {} }, 'error') === 'bad is attached to another bridge');
  datapath.refuses.clear();
  await until(() => datapath.bridges.get('br0')?.ports.has('bad') === true);
});

test('state of interfaces lands in the database', async () => {
  await datapath.start();
  await apply((database) => addBridge(database, { name: 'br0' }));
  await apply((database) => addPort(database, 'br0', { name: 'p1' }));
  await orchestrator.synced(5_000, 'br0');
  const column = (name: string) => textOf(configuration.database.find('Interface', 'name', 'p1') ?? { uuid: '', version: '', fields: {} }, name);
  await until(() => column('link_state') === 'up');
  const { size } = configuration.store;
  datapath.change('br0', { name: 'p1', linkUp: false });
  await until(() => column('link_state') === 'down');
  expect(column('admin_state')).toBe('up');
  expect(configuration.store.size).toBe(size);
});

test('a thousand ports', async () => {
  await datapath.start();
  await apply((database) => addBridge(database, { name: 'br0' }));
  await Promise.all(Array.from({ length: 1000 }, (_, i) => apply((database) => addPort(database, 'br0', { name: `p${i}`, tag: i }))));
  await orchestrator.synced(20_000, 'br0');
  const numbers = [...(datapath.bridges.get('br0')?.ports.values() ?? [])].map(({ ofport }) => ofport);
  expect(new Set(numbers).size).toBe(1001);
}, 60_000);
