import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OFFLOAD_REASONS, explainOffload } from './index.js';

/** Where translations are refused, and in which ways the reason is written there. */
const SOURCES = [
  ...['program', 'headers', 'flows', 'meters', 'observe'].map((name) => `fastpath/src/${name}.rs`),
  ...['cache', 'meter', 'offload', 'trace'].map((name) => `pipeline/src/${name}.rs`),
];
const REASON = /(?:\b(?:Err|ok_or|Some)\(|const \w+: &str = )"([a-zA-Z _-]+)"/g;

test('the reasons are those that the datapath gives', () => {
  const given = SOURCES.flatMap((source) => {
    const rust = readFileSync(new URL(`../../datapath/${source}`, import.meta.url), 'utf8');
    return [...rust.matchAll(REASON)].map(([, reason]) => reason);
  });
  expect(given.length).toBeGreaterThan(30);
  expect(Object.keys(OFFLOAD_REASONS).sort()).toEqual([...new Set(given)].sort());
});

test('a reason of a newer datapath is shown as it is', () => {
  expect(explainOffload('toString').meaning).toContain('toString');
  expect(explainOffload('meter that remarks').meaning).toContain('meter');
});
