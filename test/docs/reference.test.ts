/**
 * What docs/ says of commands, routes and drop reasons is what the code says. After a change of those: `npm run docs`.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { DROP_REASONS, OFFLOAD_REASONS } from '../../src/domain/index.js';
import { VERSION } from '../../src/cli/version.js';
import { Harness } from '../api/harness.js';
import { cliReference } from './cli-reference.js';
import { cell } from './markdown.js';
import { restReference } from './rest-reference.js';
import type { OpenApi } from './rest-reference.js';

const file = (name: string) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const formatted = async (text: string) =>
  format(text, { ...(await resolveConfig(file('x.md'))), parser: 'markdown' });

// Formatting takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let api: Harness;
beforeAll(async () => {
  api = await Harness.create();
});
afterAll(() => api.close());

const hint = 'run npm run docs';

test('cli-reference.md', async () => {
  await expect(await formatted(cliReference()), hint).toMatchFileSnapshot(file('cli-reference.md'));
});

test('rest-reference.md', async () => {
  const { body } = await api.call('GET', '/openapi.json');
  await expect(await formatted(restReference(body as OpenApi)), hint).toMatchFileSnapshot(
    file('rest-reference.md'),
  );
});

test('drop-reasons.md', async () => {
  const rows = Object.entries(DROP_REASONS).map(
    ([reason, { meaning, remedy }]) =>
      `| <a id="${reason}"></a>\`${reason}\` | ${cell(meaning)} | ${cell(remedy)} |`,
  );
  const text = [
    '# Why a frame is dropped',
    'Made from `src/domain/drop-reasons.ts`; do not edit, run `npm run docs`. How to find the reason of a frame: [troubleshooting](troubleshooting.md).',
    ['| reason | means | what to do |', '| - | - | - |', ...rows].join('\n'),
  ];
  await expect(await formatted(text.join('\n\n')), hint).toMatchFileSnapshot(file('drop-reasons.md'));
});

test('offload-reasons.md', async () => {
  const rows = Object.entries(OFFLOAD_REASONS).map(
    ([reason, { meaning, remedy }]) => `| \`${reason}\` | ${cell(meaning)} | ${cell(remedy)} |`,
  );
  const text = [
    '# Why the kernel does not forward a flow',
    'Made from `src/domain/offload-reasons.ts`; do not edit, run `npm run docs`. Such frames are forwarded all the same, in user space. Where it is told: [the fast path](fast-path.md).',
    ['| reason | means | what to do |', '| - | - | - |', ...rows].join('\n'),
  ];
  await expect(await formatted(text.join('\n\n')), hint).toMatchFileSnapshot(file('offload-reasons.md'));
});

test('the version is that of package.json', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(VERSION).toBe(manifest.version);
});
