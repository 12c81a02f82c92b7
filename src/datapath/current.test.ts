import { expect, test, vi } from 'vitest';
import { Database, openVSwitchSchema } from '../ovsdb/index.js';
import { readNetwork } from '../config/index.js';
import { CurrentReporter } from './current.js';

const reading = (nextCfg: number) => ({ ...readNetwork(new Database(openVSwitchSchema)), nextCfg });

/** Attempts to settle, each ended by the test. */
function setUp() {
  const attempts: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const told: (number | 'status')[] = [];
  const reporter = new CurrentReporter(
    {
      settled: () => new Promise((resolve, reject) => attempts.push({ resolve, reject })),
      hurry: () => undefined,
    },
    {
      flushStatus: () => Promise.resolve(void told.push('status')),
      setCurrent: (nextCfg) => Promise.resolve(void told.push(nextCfg)),
    },
  );
  return { attempts, told, reporter };
}

test('cur_cfg follows once the switch has settled, after the columns of state', async () => {
  const { attempts, told, reporter } = setUp();
  reporter.follow(reading(1));
  expect(told).toEqual([]);
  attempts[0]?.resolve();
  await vi.waitFor(() => expect(told).toEqual(['status', 1]));
  expect(attempts).toHaveLength(1);
});

test('what comes meanwhile is waited for by itself: cur_cfg never says more than is done, and never goes back', async () => {
  const { attempts, told, reporter } = setUp();
  reporter.follow(reading(1));
  reporter.follow(reading(2));
  reporter.follow(reading(3));
  attempts[0]?.resolve();
  await vi.waitFor(() => expect(attempts).toHaveLength(2));
  expect(told).toEqual(['status', 1]);
  attempts[1]?.resolve();
  await vi.waitFor(() => expect(told).toEqual(['status', 1, 'status', 3]));
  reporter.follow(reading(4));
  expect(attempts).toHaveLength(3);
});

test('a switch that is away is waited for', async () => {
  vi.useFakeTimers();
  try {
    const { attempts, told, reporter } = setUp();
    reporter.follow(reading(1));
    attempts[0]?.reject(new Error('away'));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(attempts).toHaveLength(2);
    expect(told).toEqual([]);
    attempts[1]?.resolve();
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(['status', 1]);
    reporter.stop();
  } finally {
    vi.useRealTimers();
  }
});
