/** The completion scripts in the shells themselves, with names from the real API. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { bundleCli } from '../../src/launch/bundle.mjs';
import { Harness } from '../api/harness.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const run = promisify(execFile);

let api: Harness;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  api = await Harness.create();
  await api.app.listen({ path: join(api.folder, 'api.sock') });
  await api.call('POST', '/v1/bridges', { name: 'br0' });
  await api.call('POST', '/v1/bridges/br0/ports', { name: 'tap2' });
  const bin = join(api.folder, 'bin');
  mkdirSync(bin);
  await bundleCli(join(api.folder, 'weft.cjs'));
  writeFileSync(
    join(bin, 'weft'),
    `#!/bin/sh\nexec ${process.execPath} ${join(api.folder, 'weft.cjs')} "$@"\n`,
  );
  chmodSync(join(bin, 'weft'), 0o755);
  env = {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    HOME: api.folder,
    WEFT_API: `unix:${join(api.folder, 'api.sock')}`,
    LC_ALL: 'C.UTF-8',
  };
});
afterAll(() => api.close());

/** The last of `words` is being typed. */
type Ask = (words: string[]) => Promise<string[]>;

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '')
    .filter((line) => line !== '');
const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');

const shells: Record<string, Ask> = {
  bash: async (words) => {
    // As readline does: "=" is a word of its own.
    const pieces = words
      .flatMap((word) => word.split(/(=)/))
      .filter((piece, i, all) => piece !== '' || i === all.length - 1);
    const script = `source <(weft completion bash)
COMP_WORDS=(weft ${quoted(pieces)}); COMP_CWORD=${pieces.length}; COMP_LINE='weft ${words.join(' ')}'
_weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines((await run('bash', ['--norc', '-c', script], { env })).stdout);
  },
  zsh: async (words) => {
    const script = `compdef() { }
source <(weft completion zsh)
compadd() { print -l -- "\${values[@]}" }
words=(weft ${quoted(words)}); CURRENT=$(( \${#words} )); _weft`;
    return lines((await run('zsh', ['-f', '-c', script], { env })).stdout);
  },
  fish: async (words) => {
    const script = `weft completion fish | source; complete -C "weft ${words.join(' ')}"`;
    return lines((await run('fish', ['--no-config', '-c', script], { env })).stdout);
  },
};

describe.each(Object.entries(shells))('%s', (_shell, ask) => {
  test('commands, options and names', async () => {
    expect(await ask(['br'])).toEqual(['bridge']);
    expect(await ask(['port', 'd'])).toEqual(['del']);
    expect(await ask(['port', 'del', 'br0', 't'])).toEqual(['tap2']);
    expect(await ask(['port', 'add', 'br0', 'x', '--mo'])).toEqual(['--mode']);
    expect(await ask(['bridge', 'add', 'x', '--fail-mode', 's'])).toEqual(
      expect.arrayContaining(['standalone', 'secure']),
    );
  });
});

test('bash replaces only what stands behind "="', async () => {
  expect(await shells['bash']?.(['port', 'add', 'br0', 'x', '--mode=t'])).toEqual(['trunk']);
});

test('in one file it is the same program', async () => {
  const { stdout } = await run('weft', ['port', 'list', 'br0'], { env });
  expect(stdout).toContain('tap2');
});
