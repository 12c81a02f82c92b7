import { expect, test } from 'vitest';
import { Sheaf } from './sheaf.js';

const whole = (sheaf: Sheaf, between: string) => Buffer.concat([...sheaf.pieces(between)]).toString();

test('texts come back by key, equal keys as they came', () => {
  const sheaf = new Sheaf();
  for (const [key, text] of [
    [2, 'c'],
    [1, 'a'],
    [2, 'd'],
    [1, 'b'],
  ] as const)
    sheaf.add(key, text);
  expect(sheaf.count).toBe(4);
  expect(whole(sheaf, ',')).toBe('a,b,c,d');
});

test('nothing gives nothing', () => {
  expect([...new Sheaf().pieces(',')]).toEqual([]);
});

test('more than a piece, more than there was room for, letters of several bytes', () => {
  const sheaf = new Sheaf();
  const texts = Array.from({ length: 3000 }, (_, i) => `${i}:${'→ü'.repeat(i % 90)}`);
  const long = '…'.repeat(100_000);
  texts.forEach((text, i) => sheaf.add(-i, text));
  sheaf.add(1, long);
  const pieces = [...sheaf.pieces('\n')];
  expect(pieces.length).toBeGreaterThan(5);
  expect(whole(sheaf, '\n')).toBe([...texts.toReversed(), long].join('\n'));
});
