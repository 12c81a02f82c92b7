/** docs/reference.md is what the declarations say. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { referenceOf } from '../src/reference.js';

test('docs/reference.md is up to date (else: npm run docs in openflow/)', () => {
  expect(readFileSync(new URL('../docs/reference.md', import.meta.url), 'utf8')).toBe(referenceOf());
});

test('every message, field and error type is in it', () => {
  const text = referenceOf();
  for (const word of [
    '### `FLOW_MOD`',
    '### `NX_LEARN`',
    '`ipv6_exthdr`',
    '`TABLE_FEATURES_FAILED`',
    '### `ofp_port`',
  ]) {
    expect(text).toContain(word);
  }
  expect(text).not.toContain('undefined');
});
