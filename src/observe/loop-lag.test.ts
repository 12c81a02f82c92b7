import { expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoopLag } from './loop-lag.js';

/** Polls, as nothing may hang on how fast the machine is. */
async function until(holds: () => boolean): Promise<void> {
  for (let left = 500; !holds(); left -= 1) {
    if (left === 0) throw new Error('not within 5 s');
    await sleep(10);
  }
}

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
  await until(() => lag.look().maxS > 0.1);
  await until(() => !lag.isMeasuring);
  expect(lag.look()).toEqual({ p50S: 0, p99S: 0, maxS: 0 });
});
