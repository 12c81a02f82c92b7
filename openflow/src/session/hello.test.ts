import { describe, expect, it } from 'vitest';
import { negotiate, readHello, writeHello, writeHelloFailed } from './hello.js';

describe('version negotiation (OF 1.3.5 §6.3.1)', () => {
  it.each<[ours: number[], theirs: { version: number; bitmap?: number[] }, agreed: number | undefined]>([
    [[4], { version: 4 }, 4],
    [[4], { version: 4, bitmap: [4] }, 4],
    // Without a bitmap on either side: the smaller header version, if we have it.
    [[4], { version: 1 }, undefined],
    [[4], { version: 3 }, undefined],
    [[4], { version: 6 }, 4],
    [[1, 4], { version: 1 }, 1],
    [[1, 4], { version: 2 }, undefined],
    // With bitmaps: the highest common version, whatever the header says.
    [[4], { version: 6, bitmap: [1, 4, 6] }, 4],
    [[4], { version: 6, bitmap: [1, 6] }, undefined],
    [[1, 4, 5], { version: 6, bitmap: [1, 4, 6] }, 4],
    [[4], { version: 1, bitmap: [1, 4] }, 4],
    [[4], { version: 4, bitmap: [] }, undefined],
  ])('%j meets %j: %s', (ours, theirs, agreed) => {
    expect(negotiate(ours, { version: theirs.version, bitmap: theirs.bitmap })).toBe(agreed);
  });

  it('is symmetric when both sides send bitmaps', () => {
    const sets = [[1], [4], [1, 4], [4, 5, 6], [1, 6]];
    for (const a of sets) {
      for (const b of sets) {
        const one = negotiate(a, readHello(writeHello(b, 1)));
        expect(one).toBe(negotiate(b, readHello(writeHello(a, 1))));
      }
    }
  });
});

describe('HELLO', () => {
  it('is written with header version and bitmap', () => {
    expect(Buffer.from(writeHello([4], 7)).toString('hex')).toBe('0400001000000007' + '0001000800000010');
    expect(readHello(writeHello([1, 4], 7))).toEqual({ version: 4, xid: 7, bitmap: [1, 4] });
  });

  it.each([
    ['no elements', '0400000800000001', undefined],
    [
      'an unknown element first, padded',
      '04000020' + '00000001' + '00090005aa000000' + '0001000800000012',
      [1, 4],
    ],
    ['an element whose length is wrong', '0400001000000001' + '0001ffff00000010', undefined],
    ['an element of length 0', '0400001000000001' + '0001000000000010', undefined],
    [
      'a bitmap of two words',
      '0400001800000001' + '0001000c' + '00000010' + '00000001' + '00000000',
      [4, 32],
    ],
    ['OpenFlow 1.0 with bytes of its own', '0100000b00000001' + 'ffffff', undefined],
  ])('is read with %s', (_, hex, bitmap) => {
    expect(readHello(Buffer.from(hex, 'hex')).bitmap).toEqual(bitmap);
  });

  it('is refused in a version the peer can read, under its xid', () => {
    const failed = writeHelloFailed([4], { version: 1, xid: 0x55, bitmap: undefined });
    expect(Buffer.from(failed.subarray(0, 2)).toString('hex')).toBe('0101');
    expect(new DataView(failed.buffer).getUint16(2)).toBe(failed.length);
    expect(new DataView(failed.buffer).getUint32(4)).toBe(0x55);
    expect([...failed.subarray(8, 12)]).toEqual([0, 0, 0, 0]);
    expect(Buffer.from(failed.subarray(12)).toString('ascii')).toMatch(/OpenFlow 1\.3.*1\.0/);
  });
});
