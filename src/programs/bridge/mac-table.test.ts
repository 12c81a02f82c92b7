import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { macAddress, VlanSet, type MacAddress } from '../../domain/index.js';
import { macKey, MacTable, type MacInput, type MacTableConfig } from './mac-table.js';

const A = macAddress('02:00:00:00:00:0a');
const B = macAddress('02:00:00:00:00:0b');

function config(changes: Partial<MacTableConfig> = {}): MacTableConfig {
  return {
    limit: 100,
    ports: new Map([1, 2, 3].map((port) => [port, VlanSet.all])),
    ownMacs: new Set(),
    staticKeys: new Set(),
    floodVlans: VlanSet.none,
    learnRatePerS: 1000,
    learnBurst: 1000,
    ...changes,
  };
}

const seen = (port: number, mac: MacAddress, vlan = 10): MacInput => ({ kind: 'packetIn', port, vlan, mac });
const numbered = (n: number): MacAddress =>
  macAddress(
    `02:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`,
  );

describe('MacTable', () => {
  it('learns an address once per VLAN', () => {
    const table = new MacTable(config());
    expect(table.step(seen(1, A), 0)).toEqual([
      { kind: 'learned', entry: { vlan: 10, mac: A, port: 1, learnedAtMs: 0 } },
    ]);
    expect(table.step(seen(1, A), 5)).toEqual([]);
    expect(table.step(seen(1, A, 20), 5)).toHaveLength(1);
    expect(table.size).toBe(2);
  });

  it('notices a move, and forgets the old port’s rule only', () => {
    const table = new MacTable(config());
    table.step(seen(1, A), 0);
    expect(table.step(seen(2, A), 10)).toMatchObject([{ kind: 'learned', movedFrom: 1, entry: { port: 2 } }]);
    // The timeout of the rule it moved away from comes late.
    expect(table.step({ kind: 'aged', port: 1, vlan: 10, mac: A }, 20)).toEqual([]);
    expect(table.get(10, A)?.port).toBe(2);
    expect(table.step({ kind: 'aged', port: 2, vlan: 10, mac: A }, 30)).toMatchObject([{ because: 'aged' }]);
    expect(table.size).toBe(0);
  });

  it('sends a rule again when packet-ins go on after it should be there', () => {
    const table = new MacTable(config());
    table.step(seen(1, A), 0);
    expect(table.step(seen(1, A), 999)).toEqual([]);
    expect(table.step(seen(1, A), 1000)).toMatchObject([{ kind: 'learned', refreshed: true }]);
    expect(table.counters.learned).toBe(1);
  });

  it('refuses what is no host’s address on that port', () => {
    const table = new MacTable(
      config({
        ownMacs: new Set([B]),
        staticKeys: new Set([macKey(10, A)]),
        floodVlans: VlanSet.of([30]),
        ports: new Map([[1, VlanSet.of([10, 30])]]),
      }),
    );
    for (const input of [
      seen(1, macAddress('01:00:5e:00:00:01')),
      seen(1, macAddress('ff:ff:ff:ff:ff:ff')),
      seen(1, B),
      seen(1, A),
      seen(7, numbered(1)),
      seen(1, numbered(1), 20),
      seen(1, numbered(1), 30),
    ]) {
      expect(table.step(input, 0)).toEqual([]);
    }
    expect(table.counters.refused).toEqual({
      multicast: 2,
      'own-address': 1,
      'static-entry': 1,
      'unknown-port': 1,
      'vlan-not-carried': 1,
      'learning-disabled': 1,
      'rate-limited': 0,
    });
  });

  it('limits how fast one port’s addresses are learned, without holding up the others', () => {
    const table = new MacTable(config({ learnRatePerS: 10, learnBurst: 5 }));
    for (let i = 0; i < 20; i++) table.step(seen(1, numbered(i)), 0);
    expect(table.size).toBe(5);
    expect(table.step(seen(2, numbered(100)), 0)).toHaveLength(1);
    expect(table.step(seen(1, numbered(50)), 100)).toHaveLength(1);
    expect(table.step(seen(1, numbered(51)), 100)).toHaveLength(0);
    expect(table.counters.refused['rate-limited']).toBe(16);
  });

  it('at its limit evicts the oldest of the port that has most', () => {
    const table = new MacTable(config({ limit: 10 }));
    for (let i = 0; i < 3; i++) table.step(seen(1, numbered(i)), i);
    for (let i = 10; i < 17; i++) table.step(seen(2, numbered(i)), i);
    for (let i = 20; i < 1000; i++) {
      const [evicted] = table.step(seen(2, numbered(i)), i);
      expect(evicted).toMatchObject({ kind: 'forgotten', because: 'evicted', entry: { port: 2 } });
    }
    expect(table.sizeOf(1)).toBe(3);
    expect(table.sizeOf(2)).toBe(7);
    expect(table.get(10, numbered(999))).toBeDefined();
  });

  it('flushes by port, VLAN and address', () => {
    const table = new MacTable(config());
    for (const port of [1, 2]) for (const vlan of [10, 20]) table.step(seen(port, numbered(port), vlan), 0);
    expect(table.step({ kind: 'flush', port: 1, vlan: 20 }, 0)).toHaveLength(1);
    expect(table.step({ kind: 'flush', vlan: 20 }, 0)).toHaveLength(1);
    expect(table.step({ kind: 'flush', mac: numbered(2) }, 0)).toHaveLength(1);
    expect(table.step({ kind: 'flush' }, 0)).toHaveLength(1);
    expect(table.size).toBe(0);
  });

  it('takes over what is installed, once and where it may be', () => {
    const table = new MacTable(config({ ports: new Map([[1, VlanSet.of([10])]]) }));
    const adopt = (port: number, vlan: number, mac: MacAddress): MacInput => ({
      kind: 'adopt',
      port,
      vlan,
      mac,
    });
    expect(table.step(adopt(1, 10, A), 0)).toHaveLength(1);
    expect(table.step(adopt(1, 10, A), 0)).toHaveLength(0);
    expect(table.step(adopt(1, 20, B), 0)).toHaveLength(0);
    expect(table.step(adopt(9, 10, B), 0)).toHaveLength(0);
  });

  it('keeps its promises through any sequence of inputs', () => {
    const port = fc.constantFrom(1, 2, 3);
    const mac = fc.integer({ min: 0, max: 15 }).map(numbered);
    const vlan = fc.constantFrom(10, 20);
    const input: fc.Arbitrary<MacInput> = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('packetIn' as const), port, vlan, mac }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('aged' as const), port, vlan, mac }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const), port }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const), vlan, mac }) },
      {
        weight: 1,
        arbitrary: fc
          .integer({ min: 1, max: 12 })
          .map((limit) => ({ kind: 'configure', config: config({ limit }) }) as const),
      },
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 200 }), (inputs) => {
        const table = new MacTable(config({ limit: 8 }));
        let limit = 8;
        // What the switch would hold if it did as it is told.
        const sources = new Set<string>();
        const destinations = new Map<string, number>();
        for (const [nowMs, each] of inputs.entries()) {
          if (each.kind === 'configure') limit = each.config.limit;
          // The switch reports a timeout of rules that it has, and has then lost them.
          if (each.kind === 'aged' && !sources.delete(`${each.port} ${macKey(each.vlan, each.mac)}`))
            continue;
          for (const output of table.step(each, nowMs)) {
            const { entry } = output;
            const key = macKey(entry.vlan, entry.mac);
            if (output.kind === 'learned') {
              if (output.movedFrom !== undefined) sources.delete(`${output.movedFrom} ${key}`);
              sources.add(`${entry.port} ${key}`);
              destinations.set(key, entry.port);
            } else {
              sources.delete(`${entry.port} ${key}`);
              destinations.delete(key);
            }
          }
          expect(table.size).toBeLessThanOrEqual(limit);
          const entries = [...table.entries()];
          expect(new Set(entries.map((it) => `${it.port} ${macKey(it.vlan, it.mac)}`))).toEqual(sources);
          expect(new Map(entries.map((it) => [macKey(it.vlan, it.mac), it.port]))).toEqual(destinations);
          expect([1, 2, 3].reduce((sum, it) => sum + table.sizeOf(it), 0)).toBe(table.size);
        }
      }),
    );
  });

  it('learns and evicts at a rate that a flood does not slow down', () => {
    const table = new MacTable(config({ limit: 8192, learnRatePerS: 1e9, learnBurst: 1e9 }));
    let outputs = 0;
    for (let i = 0; i < 60_000; i++) outputs += table.step(seen((i % 3) + 1, numbered(i)), i).length;
    expect(outputs).toBe(60_000 + (60_000 - 8192));
  });
});
