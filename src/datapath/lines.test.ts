import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineReader, LineTooLong } from './lines.js';

test('lines, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string().map((text) => text.replaceAll('\n', ' '))), fc.array(fc.nat(200)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const reader = new LineReader();
      const points = [...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort((a, b) => a - b);
      let start = 0;
      const read = points.flatMap((end) => {
        const part = reader.push(bytes.subarray(start, end));
        start = end;
        return part;
      });
      expect(read).toEqual(lines);
    }),
  );
  expect(() => new LineReader(10).push(Buffer.alloc(11))).toThrow(LineTooLong);
});
