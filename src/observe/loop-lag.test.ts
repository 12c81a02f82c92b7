import { expect, test, vi } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoopLag } from './loop-lag.js';

test('the loop’s lag is measured from the first look on, and not for ever', async () => {
  const lag = new LoopLag(1_000);
  expect(lag.isMeasuring).toBe(false);
  expect(lag.look()).toEqual({ p50S: 0, p99S: 0, maxS: 0 });
  const block = () => {
    const end = performance.now() + 200;
    while (performance.now() < end);
  };
  await sleep(50);
  block();
  await vi.waitUntil(() => lag.look().maxS > 0.1, { timeout: 5_000 });
  await vi.waitUntil(() => !lag.isMeasuring, { timeout: 5_000 });
  expect(lag.look()).toEqual({ p50S: 0, p99S: 0, maxS: 0 });
});
