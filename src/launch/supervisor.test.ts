import { expect, test } from 'vitest';
import { restartDelays } from './supervisor.mjs';

/** Delays before each restart of a daemon that runs so long every time. */
function delays(ranMs: number, times: number): number[] {
  let waiting = 50;
  return Array.from({ length: times }, () => {
    const { nowMs, nextMs } = restartDelays(ranMs, waiting);
    waiting = nextMs;
    return nowMs;
  });
}

test('who is killed every few seconds is back at once each time', () => {
  expect(delays(4_500, 100)).toEqual(Array(100).fill(50));
});

test('who dies as soon as it is there is started ever later, up to five seconds', () => {
  expect(delays(300, 9)).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test('having run well once, it is forgiven what was before', () => {
  expect(restartDelays(2_100, 5_000)).toEqual({ nowMs: 50, nextMs: 100 });
});
