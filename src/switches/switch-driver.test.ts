import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { newBridge, type Dpid } from '../domain/index.js';
import { OpenFlowDriver } from './switch-driver.js';

const log = { debug() {}, info() {}, warn() {}, error() {} };

test('who waits for a switch hears at once that it is driven no more', async () => {
  const bridge = newBridge({ name: 'br0', datapathId: '0000000000000001' as Dpid });
  const driver = new OpenFlowDriver({ bridge, rundir: tmpdir(), log });
  const waiting = expect(driver.synced(60_000)).rejects.toThrow('br0 is not driven any more');
  await driver.stop();
  await waiting;
  await expect(driver.synced(60_000)).rejects.toThrow('not driven');
});
