/**
 * Writes docs/reference.md from the declarations, as built in dist/. `--check` compares instead and fails on a difference.
 * Run by `npm run docs` in this folder; test/reference.test.ts holds the file to the source.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { referenceOf } from '../dist/reference.js';

const file = new URL('../docs/reference.md', import.meta.url);
const text = referenceOf();

if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    console.error(
      'openflow/docs/reference.md is not what the declarations say; run `npm run docs` in openflow/',
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
}
