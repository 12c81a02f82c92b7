import { describe, expect, it } from 'vitest';
import { isMeterOf, metersWithin, PROGRAM_METERS } from './numbers.js';

describe('meter ids', () => {
  it('are those from 0x57000000 where the switch takes them', () => {
    expect(metersWithin(0xffff0000)).toEqual(PROGRAM_METERS);
    expect(isMeterOf(PROGRAM_METERS, 0x57000000)).toBe(true);
    expect(isMeterOf(PROGRAM_METERS, 0x58000000)).toBe(false);
  });

  it.each([1, 2, 3, 64, 65_536, 0x57ffffff])(
    'are valid, and leave others some, with a maximum of %d',
    (max) => {
      const { first, count } = metersWithin(max);
      expect(first).toBeGreaterThanOrEqual(1);
      expect(first + count).toBeLessThanOrEqual(max);
      expect(count).toBeGreaterThanOrEqual(max > 1 ? 1 : 0);
    },
  );

  it('are none on a switch without meters', () => {
    expect(metersWithin(0).count).toBe(0);
  });
});
