import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Configuration, addBridge, mapOfTexts, statisticsIntervalMs, textOf } from '../config/index.js';
import type { ActiveMember } from '../config/index.js';
import type { PortCounters } from '../datapath/protocol.js';
import { openVSwitchSchema } from '../ovsdb/index.js';
import { Journal } from '../ovsdb/journal.js';
import { Store } from '../ovsdb/store.js';
import { Publisher } from './publisher.js';
import { RateWindow } from './sampler.js';

const silent = { info() {}, warn() {}, error() {} };
const counters = (rxPackets: number): PortCounters => ({
  ...{ name: 'br0', ofport: 65534, rxPackets, txPackets: 0, rxBytes: 0, txBytes: 0 },
  ...{ rxDropped: 0, txDropped: 0, rxErrors: 0, txErrors: 0, drops: {} },
});

it('writes statistics and controllers, wakes no reader and leaves the journal as it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-publisher-'));
  const journal = await Journal.open({
    path: join(folder, 'conf.db'),
    schema: openVSwitchSchema,
    log: () => undefined,
  });
  const configuration = await Configuration.open(new Store(journal, randomUUID), { log: silent });
  try {
    const target = 'tcp:127.0.0.1:6653';
    await configuration.apply(
      (database) => addBridge(database, { name: 'br0', controllers: [target] }),
      'test',
    );
    await configuration.flushStatus();
    let [readings, nowMs] = [0, 0];
    let bonds: ActiveMember[] = [];
    configuration.subscribe(() => readings++);
    const { size } = journal;
    const window = new RateWindow(5_000);
    const publisher = new Publisher({
      configuration,
      sampler: { known: () => window },
      controllers: () =>
        Promise.resolve(new Map([['br0', [{ target, connected: true, role: 'equal', lastError: null }]]])),
      devices: () => Promise.resolve(new Map([['br0', { driver: 'tun', duplex: 'full' as const }]])),
      bonds: () => bonds,
      mirrors: () => Promise.resolve(new Map()),
      machine: () => Promise.resolve({ cpu: '2' }),
      nowMs: () => nowMs,
    });
    const column = (table: string, name: string) => {
      const [row] = configuration.database.rows(table).values();
      return row && mapOfTexts(row, name);
    };
    const round = async (atMs: number, packets: number) => {
      nowMs = atMs;
      window.add({
        atMs,
        ports: new Map([['br0', counters(packets)]]),
        drops: {},
        fastPath: { active: false, whyNot: null, bridges: [] },
      });
      await publisher.roundEnded();
      return column('Interface', 'statistics')?.get('rx_packets');
    };
    expect(await round(0, 7)).toBe('7');
    expect(await round(1_000, 8)).toBe('7');
    expect(await round(5_000, 9)).toBe('9');
    const [controller] = configuration.database.rows('Controller').values();
    expect(controller && textOf(controller, 'role')).toBe('other');
    expect(column('Controller', 'status')?.get('state')).toBe('ACTIVE');
    expect(column('Interface', 'status')?.get('driver_name')).toBe('tun');
    const [device] = configuration.database.rows('Interface').values();
    expect(device && textOf(device, 'duplex')).toBe('full');
    expect(column('Open_vSwitch', 'statistics')?.size).toBe(0);
    expect(readings).toBe(0);
    expect(journal.size).toBe(size);
    // That one outlives weftd, as in Open vSwitch.
    bonds = [{ bond: 'br0', mac: '02:00:00:00:00:01' }];
    await round(10_000, 9);
    const [port] = configuration.database.rows('Port').values();
    expect(port && textOf(port, 'bond_active_slave')).toBe('02:00:00:00:00:01');
    expect(statisticsIntervalMs(configuration.database)).toBe(5_000);
    const other = ['map', [['stats-update-interval', '20000']]] as const;
    await configuration.transact([
      { op: 'update', table: 'Open_vSwitch', where: [], row: { other_config: other as never } },
    ]);
    expect(statisticsIntervalMs(configuration.database)).toBe(20_000);
    const enable = async (text: string, atMs: number) => {
      const config = ['map', [['enable-statistics', text]]] as const;
      await configuration.transact([
        { op: 'update', table: 'Open_vSwitch', where: [], row: { other_config: config as never } },
      ]);
      await round(atMs, 9);
      return column('Open_vSwitch', 'statistics')?.get('cpu');
    };
    expect(await enable('true', 30_000)).toBe('2');
    expect(await enable('false', 40_000)).toBeUndefined();
  } finally {
    await configuration.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
