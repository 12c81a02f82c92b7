import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openVSwitchSchema } from '../ovsdb/index.js';
import { Journal } from '../ovsdb/journal.js';
import { Store } from '../ovsdb/store.js';
import { Configuration, addBridge, addPort, numberOf } from './index.js';
import type { Reading } from './index.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };
let folder: string;
let configuration: Configuration;
let readings: Reading[];

async function open(): Promise<Configuration> {
  const path = join(folder, 'conf.db');
  const journal = await Journal.open({ path, schema: openVSwitchSchema, log: () => undefined });
  return Configuration.open(new Store(journal, randomUUID), { log });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-configuration-'));
  configuration = await open();
  readings = [];
  configuration.subscribe((reading) => readings.push(reading));
  await configuration.apply((database) => addBridge(database, { name: 'br0' }), 'a bridge');
});

afterEach(async () => {
  await configuration.close();
  rmSync(folder, { recursive: true, force: true });
});

const ofport = (name: string) => {
  const row = configuration.database.find('Interface', 'name', name);
  return row ? numberOf(row, 'ofport') : null;
};
const addition = (name: string) => addPort(configuration.database, 'br0', { name });
const ports = () => readings.at(-1)?.network.bridges[0]?.ports.map(({ name }) => name);

test('what a preview has worked out is what is done, numbers of ports included', async () => {
  const prepared = configuration.preview(addition('p1'));
  expect(prepared.error).toBeNull();
  expect(ofport('p1')).toBeNull();
  readings = [];
  await configuration.carryOut(prepared, 'as foretold');
  expect(ofport('p1')).toBe(1);
  expect(readings).toEqual([prepared.reading]);
  expect(readings[0]).toBe(prepared.reading);
  // And on disk, as one transaction.
  await configuration.close();
  configuration = await open();
  expect(ofport('p1')).toBe(1);
  expect(configuration.reading.network).toEqual(prepared.reading.network);
});

test('a preview that somebody was faster than is worked out again', async () => {
  const prepared = configuration.preview(addition('p1'));
  await configuration.apply(() => addition('p0'), 'faster');
  await configuration.carryOut(prepared, 'late');
  expect(ports()).toEqual(['br0', 'p0', 'p1']);
  expect(new Set([ofport('p0'), ofport('p1')])).toEqual(new Set([1, 2]));
});

test('a preview changes nothing, and is refused again where the database refuses it', async () => {
  const before = configuration.database.generation;
  const prepared = configuration.preview([{ op: 'insert', table: 'Interface', row: { name: ['set', []] } }]);
  expect(prepared.error).not.toBeNull();
  expect(prepared.changes).toEqual([]);
  expect(configuration.database.generation).toBe(before);
});

test('what comes between a transaction and its reading is read', async () => {
  const prepared = configuration.preview(addition('p1'));
  await Promise.all([
    configuration.carryOut(prepared, 'first'),
    configuration.apply((database) => addPort(database, 'br0', { name: 'p2' }), 'at once after it'),
  ]);
  expect(ports()).toEqual(['br0', 'p1', 'p2']);
});
