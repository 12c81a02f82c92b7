import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DROP_REASONS, explainDrop } from './index.js';

test('the reasons are those that the datapath counts', () => {
  const rust = readFileSync(new URL('../../datapath/pipeline/src/drops.rs', import.meta.url), 'utf8');
  const list = /drop_reasons! \{\n([\s\S]*?)\n\}/.exec(rust)?.[1] ?? '';
  const words = [...list.matchAll(/^\s*\w+ "([a-z-]+)",/gm)].map(([, word]) => word);
  expect(words.length).toBeGreaterThan(10);
  expect(Object.keys(DROP_REASONS).sort()).toEqual(words.sort());
});

test('a reason of a newer datapath has no text', () => {
  expect(explainDrop('toString')).toBeUndefined();
  expect(explainDrop('meter')?.remedy).toContain('weft meters');
});
