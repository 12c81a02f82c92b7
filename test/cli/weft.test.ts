/** `weft` against the real API over a unix socket: what it prints, and how it ends. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { run } from '../../src/cli/run.js';
import { Harness, learned } from '../api/harness.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

let api: Harness;
let address: string;
beforeEach(async () => {
  api = await Harness.create();
  address = `unix:${join(api.folder, 'api.sock')}`;
  await api.app.listen({ path: join(api.folder, 'api.sock') });
});
afterEach(() => api.close());

async function weft(...words: string[]) {
  const texts = { out: '', err: '' };
  const stream = (name: 'out' | 'err') =>
    new PassThrough().on('data', (chunk: Buffer) => (texts[name] += chunk.toString()));
  const status = await run(['--api', address, ...words], {
    stdout: stream('out'),
    stderr: stream('err'),
    env: {},
    signal: new AbortController().signal,
    now: () => 0,
  });
  await new Promise(setImmediate);
  return { status, ...texts };
}

test('bridges and ports: added, set, listed, removed', async () => {
  expect(await weft('bridge', 'add', 'br0', '--fail-mode', 'secure')).toEqual({
    status: 0,
    out: 'bridge br0 added\n',
    err: '',
  });
  expect((await weft('port', 'add', 'br0', 'tap2', 'tag=10')).status).toBe(0);
  expect((await weft('port', 'add', 'br0', 'eth1', '--trunks', '10,20-22')).status).toBe(0);
  const { out } = await weft('port', 'list', 'br0');
  expect(out).toMatch(/^PORT +OFPORT +TYPE/);
  expect(out).toMatch(/eth1 .* trunk 10,20-22 /);
  expect(out).toMatch(/tap2 .* access 10 /);
  expect((await weft('port', 'set', 'br0', 'tap2', '--tag', '20', '--protected', 'yes')).status).toBe(0);
  expect((await weft('port', 'set', 'br0', 'eth1', '--trunks', 'none')).status).toBe(0);
  const ports = JSON.parse((await weft('port', 'list', 'br0', '--json')).out) as object[];
  expect(ports).toMatchObject([
    { name: 'br0' },
    { name: 'eth1', trunks: null },
    { name: 'tap2', tag: 20, protected: true },
  ]);
  expect((await weft('port', 'add', 'br0', 'tap2', '--may-exist', '--tag', '30')).out).toBe(
    'port tap2 of br0 set\n',
  );
  expect((await weft('port', 'del', 'br0', 'tap2', 'eth1')).status).toBe(0);
  expect((await weft('port', 'del', 'br0', 'tap2', '--if-exists')).status).toBe(0);
  expect((await weft('bridge', 'del', 'br0')).status).toBe(0);
  expect((await weft('bridge')).out).toContain('no bridges');
});

test.each([
  [1000, 0, 'first packets: no limit\n'],
  [1000, 7, 'first packets: no limit now; 7 frames refused while there was one\n'],
  [120, 1, 'first packets: limited to 12 % of one processor, 1 frame refused\n'],
])('first packets with %i thousandths of a processor', async (puntShare, puntsRefused, said) => {
  await weft('bridge', 'add', 'br0');
  const limits = { flows: 65_536, masks: 48 };
  const kernel = { active: true, whyNot: null, limits, puntShare, puntsRefused, bridges: [] };
  Object.assign(api.switches.answers, { drops: {}, 'port.stats': [], 'fastpath.show': kernel });
  for (const command of ['show', 'stats']) expect((await weft('fastpath', command)).out).toContain(said);
});

test('bonds and patch ports', async () => {
  await weft('bridge', 'add', 'br0');
  const options = ['--lacp', 'active', '--bond-mode', 'balance-tcp', '--bond-updelay', '100'];
  expect((await weft('port', 'add', 'br0', 'bond0', '--bond', 'eth0,eth1', ...options)).status).toBe(0);
  const shown = async (name: string) =>
    JSON.parse((await weft('port', 'show', 'br0', name, '--json')).out) as object;
  const bond = { interfaces: ['eth0', 'eth1'], lacp: 'active', bondMode: 'balance-tcp' };
  expect(await shown('bond0')).toMatchObject({ ...bond, bondUpdelayMs: 100, bondDowndelayMs: 0 });
  expect((await weft('port', 'set', 'br0', 'bond0', 'bond-mode=active-backup', 'lacp=off')).status).toBe(0);
  expect(await shown('bond0')).toMatchObject({ bondMode: 'active-backup', lacp: 'off', bondUpdelayMs: 100 });
  for (const [option, value, said] of [
    ['--bond-mode', 'round-robin', 'balance-slb'],
    ['--lacp', 'fast', 'passive'],
    ['--bond-updelay', 'soon', '--bond-updelay'],
    ['--mac', '02:00:00:00:00:01', 'a bond has none'],
  ] as const) {
    const { status, err } = await weft('port', 'set', 'br0', 'bond0', option, value);
    expect({ option, fails: status > 0 }).toEqual({ option, fails: true });
    expect(err).toContain(said);
  }

  const patch = ['--type', 'patch', '--peer', 'patch1'];
  expect((await weft('port', 'add', 'br0', 'patch0', ...patch)).status).toBe(0);
  expect(await shown('patch0')).toMatchObject({ type: 'patch', peer: 'patch1' });
  expect((await weft('port', 'add', 'br0', 'p', '--type', 'patch')).err).toContain('--peer is required');
  expect((await weft('port', 'add', 'br0', 'p', '--peer', 'q')).err).toContain('only a patch port has one');
});

test('every fault of a request in one line, in the words of the command line', async () => {
  await weft('bridge', 'add', 'br0');
  const { status, out, err } = await weft(
    'port',
    'add',
    'br0',
    'x',
    '--mode',
    'access',
    '--trunks',
    '10',
    '--mtu',
    '3',
  );
  expect({ status, out }).toEqual({ status: 1, out: '' });
  expect(err.split('\n')).toHaveLength(2);
  for (const part of ['--mtu must be >= 68', '--tag is required', '--trunks']) expect(err).toContain(part);
  expect(await weft('port', 'list', 'br7')).toEqual({
    status: 1,
    out: '',
    err: 'weft: there is no bridge br7\n',
  });
});

test('a wrong command line asks nothing and ends with 2', async () => {
  for (const words of [
    ['brigde'],
    ['port', 'add', 'br0'],
    ['port', 'add', 'br0', 'x', '--tag', 'ten'],
    ['port', 'set', 'br0', 'x'],
    ['show', '--watch', '0'],
    ['--api', 'ftp://x', 'show'],
  ]) {
    const { status, out, err } = await weft(...words);
    expect({ words, status, out, lines: err.split('\n').length }).toEqual({
      words,
      status: 2,
      out: '',
      lines: 2,
    });
    expect(err).toMatch(/^weft: /);
  }
  expect((await weft('brigde')).err).toContain('Did you mean bridge?');
});

test('weftd out of reach is 3, a change that is not in force yet is 4', async () => {
  expect((await weft('--api', 'unix:/nowhere', 'show')).status).toBe(3);
  api.switches.pending = 'the switch of br0 is not connected';
  const { status, out, err } = await weft('bridge', 'add', 'br0');
  expect({ status, out }).toEqual({ status: 4, out: 'bridge br0 added\n' });
  expect(err).toContain('does not forward so yet: the switch of br0 is not connected');
});

test('addresses', async () => {
  await weft('bridge', 'add', 'br0');
  api.switches.fdb = [learned(10, '02:00:00:00:00:01', 'br0')];
  expect((await weft('fdb', 'br0')).out).toMatch(/ {2}10 {2}02:00:00:00:00:01 {2}br0 +learned {2}3s/);
  expect((await weft('fdb', 'flush')).out).toBe('1 address forgotten\n');
  expect((await weft('fdb', 'add', 'br0', '10', '02:00:00:00:00:02', 'br0')).status).toBe(0);
  expect((await weft('fdb', 'add', 'br0', '5000', '02:00:00:00:00:02', 'br0')).status).toBe(1);
});

test('the configuration as a document: what differs, applied, and back', async () => {
  await weft('bridge', 'add', 'br0');
  const file = join(api.folder, 'network.yaml');
  writeFileSync(file, (await weft('config', 'export')).out);
  expect(await weft('config', 'diff', file)).toMatchObject({ status: 0, out: 'no difference\n' });
  writeFileSync(file, 'bridges:\n  br0:\n    ports:\n      tap2:\n        tag: 10\n');
  const { status, out } = await weft('config', 'diff', file);
  expect(status).toBe(1);
  expect(out).toContain('+ port tap2 of br0');
  expect((await weft('config', 'apply', file, '--dry-run')).out).toContain('not made');
  expect((await weft('port', 'list', 'br0')).out).not.toContain('tap2');
  expect((await weft('config', 'apply', file)).status).toBe(0);
  expect((await weft('port', 'list', 'br0')).out).toContain('tap2');
  writeFileSync(file, 'bridges:\n  br0:\n    ports:\n      tap2:\n        tag: ten\n');
  const refused = await weft('config', 'apply', file);
  expect(refused.status).toBe(1);
  expect(refused.err).toContain('line 5');
});

test('colours only where they are wanted', async () => {
  expect((await weft('bridge', 'list', '--color', 'always')).out).not.toContain('\u001b[1m');
  await weft('bridge', 'add', 'br0');
  expect((await weft('bridge', 'list')).out).not.toContain('\u001b');
  expect((await weft('bridge', 'list', '--color', 'always')).out).toContain('\u001b[1mBRIDGE');
});

test('settings that nothing comes of', async () => {
  expect((await weft('show', '--warnings')).out).toBe('every setting of the database is acted on\n');
  await api.configuration.transact([
    { op: 'update', table: 'Open_vSwitch', where: [], row: { other_config: ['map', [['max-idle', '5']]] } },
  ]);
  expect((await weft('show', '--warnings')).out).toMatch(
    /Open_vSwitch .* other_config +max-idle=5 +is set, and Weft does not act on it/,
  );
  expect((await weft('show')).out).toContain('1 setting without effect');
});

test('what can come next', async () => {
  await weft('bridge', 'add', 'br0');
  await weft('port', 'add', 'br0', 'tap2');
  const next = async (...words: string[]) =>
    (await weft('__complete', '--', ...words)).out
      .split('\n')
      .map((line) => line.split('\t')[0])
      .filter(Boolean);
  expect(await next('br')).toEqual(['bridge']);
  expect(await next('port', 'd')).toEqual(['del']);
  expect(await next('port', 'del', '')).toEqual(['br0']);
  expect(await next('port', 'del', 'br0', 't')).toEqual(['tap2']);
  expect(await next('port', 'del', 'br0', 'tap2', '')).toEqual(['br0', 'tap2']);
  expect(await next('port', 'add', 'br0', 'x', '--mo')).toEqual(['--mode']);
  expect(await next('port', 'add', 'br0', 'x', '--mode', 'n')).toEqual(['native-tagged', 'native-untagged']);
  expect(await next('port', 'add', 'br0', 'x', '--mode=t')).toEqual(['--mode=trunk']);
  expect(await next('fdb', 'br0', '--port', '')).toEqual(['br0', 'tap2']);
  expect(await next('config', 'apply', '')).toEqual([':files']);
  expect(await next('completion', '')).toEqual(['bash', 'zsh', 'fish']);
});
