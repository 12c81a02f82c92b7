import fc from 'fast-check';
import { expect, it } from 'vitest';
import { macAddressAt, macAddressOf, macNumbers, type MacAddress } from '../../domain/index.js';
import { MacEntries } from './mac-entries.js';
import type { MacEntry } from './mac-table.js';

const address = (n: number): MacAddress => macAddressOf(n % 3 === 0 ? 0xfeff : 0x0200, n * 0x01020304);
const keyOf = ({ vlan, mac }: Pick<MacEntry, 'vlan' | 'mac'>): string => `${vlan} ${mac}`;

/** Adds what is not there and removes what is, as the table does: with a map and a list beside it that say the same. */
function play(steps: readonly { n: number; vlan: number; port: number }[], seed: number): void {
  const entries = new MacEntries(seed);
  const model = new Map<string, MacEntry>();
  for (const [at, { n, vlan, port }] of steps.entries()) {
    const entry = { vlan, mac: address(n), port, learnedAtMs: at + 0.5 };
    const known = model.get(keyOf(entry));
    expect(entries.get(vlan, entry.mac)).toEqual(known);
    if (known === undefined) {
      entries.add(entry);
      model.set(keyOf(entry), entry);
    } else {
      entries.remove(known);
      model.delete(keyOf(known));
    }
  }
  const all = [...model.values()];
  expect(entries.size).toBe(all.length);
  const sorted = (some: Iterable<MacEntry>) => [...some].sort((a, b) => a.learnedAtMs - b.learnedAtMs);
  expect(sorted(entries.all())).toEqual(all);
  const ofPort = (port: number) => all.filter((entry) => entry.port === port);
  for (const port of [1, 2, 3]) {
    expect([...entries.of(port)]).toEqual(ofPort(port));
    expect(entries.sizeOf(port)).toBe(ofPort(port).length);
  }
  const largest = Math.max(...[1, 2, 3].map((port) => ofPort(port).length));
  const oldests = [1, 2, 3].map(ofPort).filter(({ length }) => length === largest && length > 0);
  const oldest = entries.oldestOfLargest();
  if (oldests.length === 0) expect(oldest).toBeUndefined();
  else expect(oldests.map(([first]) => first)).toContainEqual(oldest);
}

it('holds what a map would hold, whatever comes and goes', () => {
  const step = fc.record({
    n: fc.integer({ min: 0, max: 40 }),
    vlan: fc.constantFrom(0, 1, 4095),
    port: fc.constantFrom(1, 2, 3),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (steps, seed) =>
      play(steps, seed),
    ),
  );
});

it('grows, and takes places again that were given back', () => {
  const steps = Array.from({ length: 5000 }, (_, n) => ({ n, vlan: 7, port: 1 + (n % 3) }));
  play([...steps, ...steps.slice(1000, 4000), ...steps.slice(500, 6000)], 1);
});

it('forgets entries while they are gone through', () => {
  const entries = new MacEntries(0);
  for (let n = 0; n < 100; n++) entries.add({ vlan: 1, mac: address(n), port: 9, learnedAtMs: n });
  for (const entry of entries.of(9)) if (entry.learnedAtMs < 50) entries.remove(entry);
  for (const entry of entries.all()) entries.remove(entry);
  expect([...entries.all()]).toEqual([]);
  expect(entries.size).toBe(0);
});

it('takes addresses apart and puts them together', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      const mac = macAddressAt(bytes, 0);
      expect(mac).toBe([...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':'));
      const { high, low } = macNumbers(mac);
      expect([high, low]).toEqual([Buffer.from(bytes).readUInt16BE(0), Buffer.from(bytes).readUInt32BE(2)]);
      expect(macAddressOf(high, low)).toBe(mac);
    }),
  );
});
