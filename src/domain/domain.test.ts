import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isMulticast,
  macAddress,
  macAddressAt,
  macAddressBytes,
  newPort,
  parseDpid,
  parseMacAddress,
  VlanSet,
} from './index.js';

describe('VlanSet', () => {
  const vids = fc.uniqueArray(fc.integer({ min: 0, max: 4095 }), { maxLength: 300 });

  it('breaks into masked values that cover it exactly, none twice', () => {
    fc.assert(
      fc.property(vids, (list) => {
        const set = VlanSet.of(list);
        const covered = new Map<number, number>();
        for (const { value, mask } of set.maskedVids()) {
          expect(value & ~mask).toBe(0);
          for (let vid = 0; vid < 4096; vid++) {
            if ((vid & mask) === value) covered.set(vid, (covered.get(vid) ?? 0) + 1);
          }
        }
        expect([...covered.keys()].sort((a, b) => a - b)).toEqual([...set]);
        expect([...covered.values()].every((times) => times === 1)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('is a set', () => {
    fc.assert(
      fc.property(vids, vids, (left, right) => {
        const [a, b] = [VlanSet.of(left), VlanSet.of(right)];
        const sorted = (list: Iterable<number>): number[] => [...new Set(list)].sort((x, y) => x - y);
        expect([...a.union(b)]).toEqual(sorted([...left, ...right]));
        expect([...a.intersection(b)]).toEqual(sorted(left.filter((vid) => right.includes(vid))));
        expect([...a.difference(b)]).toEqual(sorted(left.filter((vid) => !right.includes(vid))));
        expect(a.size).toBe(left.length);
        expect(a.isEmpty).toBe(left.length === 0);
        expect(a.key === b.key).toBe(JSON.stringify([...a]) === JSON.stringify([...b]));
      }),
    );
  });

  it('needs few masked values for wide ranges', () => {
    expect(VlanSet.all.maskedVids()).toEqual([{ value: 0, mask: 0 }]);
    expect(VlanSet.of(Array.from({ length: 4000 }, (_, i) => i + 1)).maskedVids().length).toBeLessThan(20);
    expect(VlanSet.of([1, 2, 3, 7]).toString()).toBe('1-3,7');
    expect(() => VlanSet.of([4096])).toThrow(RangeError);
  });
});

describe('addresses and identifiers', () => {
  it('reads addresses in any usual spelling, and nothing else', () => {
    expect(parseMacAddress('AA-bb-cc-00-11-22')).toBe('aa:bb:cc:00:11:22');
    for (const text of ['', 'aa:bb:cc:dd:ee', 'aa:bb:cc:dd:ee:fg', 'aabbccddeeff', 'aa:bb:cc:dd:ee:ff:00']) {
      expect(parseMacAddress(text)).toBeUndefined();
    }
    const mac = macAddress('01:80:c2:00:00:0e');
    expect(isMulticast(mac)).toBe(true);
    expect(macAddressAt(macAddressBytes(mac), 0)).toBe(mac);
  });

  it('pads datapath ids', () => {
    expect(parseDpid('0xAB')).toBe('00000000000000ab');
    expect(parseDpid('00:00:00:00:00:00:00:01')).toBe('0000000000000001');
    expect(parseDpid('x')).toBeUndefined();
    expect(parseDpid('12345678901234567')).toBeUndefined();
  });

  it('chooses a port’s mode as Open vSwitch does', () => {
    expect(newPort({ name: 'p', tag: 5 }).vlanMode).toBe('access');
    expect(newPort({ name: 'p' }).vlanMode).toBe('trunk');
  });
});
