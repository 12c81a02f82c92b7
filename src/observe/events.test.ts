import { expect, it } from 'vitest';
import { EventHub } from './events.js';
import type { Event } from './events.js';

const hub = (capacity = 4) => new EventHub({ capacity, run: 'run', nowMs: () => 0 });
const learn = (bridge: string | null, n: number) => ({ kind: 'learn' as const, bridge, data: { n } });
const numbers = (events: readonly Event[]) => events.map(({ data }) => data['n']);

it('tells listeners what passes their filter', () => {
  const events = hub();
  const heard: Event[] = [];
  const { end } = events.subscribe({ bridge: 'br0', kinds: new Set(['learn']) }, null, (event) =>
    heard.push(event),
  );
  events.publish(learn('br0', 1));
  events.publish(learn('br1', 2));
  events.publish(learn(null, 3));
  events.publish({ kind: 'config', bridge: 'br0', data: {} });
  end();
  events.publish(learn('br0', 4));
  expect(numbers(heard)).toEqual([1, 3]);
  expect(events.listeners).toBe(0);
});

it('resumes where a listener was', () => {
  const events = hub();
  for (const n of [1, 2, 3]) events.publish(learn('br0', n));
  const from = (id: string | null) => {
    const { missed, hasGap, end } = events.subscribe({}, id, () => undefined);
    end();
    return [numbers(missed), hasGap];
  };
  expect(from(null)).toEqual([[], false]);
  expect(from('run-1')).toEqual([[2, 3], false]);
  expect(from('run-3')).toEqual([[], false]);
  for (const n of [4, 5, 6]) events.publish(learn('br0', n));
  expect(from('run-2')).toEqual([[3, 4, 5, 6], false]);
  expect(from('run-1')).toEqual([[3, 4, 5, 6], true]);
});

it('says so where it cannot', () => {
  const events = hub();
  events.publish(learn('br0', 1));
  for (const id of ['other-1', 'run-7', 'run--1', 'run-x', 'nonsense', '']) {
    expect(events.subscribe({}, id, () => undefined)).toMatchObject({ missed: [], hasGap: true });
  }
});
