/** How `npm start` refuses: one clear line, a non-zero exit, nothing left behind. And several instances at once. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Lab, projectRoot, sh, until } from './lab.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-launch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(args: string[], command: string[] = []): { status: number | null; stderr: string } {
  const words = [...command, process.execPath, join(projectRoot, 'src/launch/start.mjs'), ...args];
  const result = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8', timeout: 60_000 });
  return { status: result.status, stderr: result.stderr };
}

function expectOneLine(result: { status: number | null; stderr: string }, pattern: RegExp): void {
  expect(result.stderr.trim().split('\n')).toHaveLength(1);
  expect(result.stderr).toMatch(pattern);
  expect(result.status).toBe(1);
}

test('without root', () => {
  // The scripts are copied to where an unprivileged user may read them.
  const copy = join(folder, 'copy');
  mkdirSync(join(copy, 'src'), { recursive: true });
  cpSync(join(projectRoot, 'src/launch'), join(copy, 'src/launch'), { recursive: true });
  spawnSync('chmod', ['-R', 'a+rX', folder]);
  const node = process.execPath;
  const readable = join(copy, 'node');
  cpSync(node, readable);
  const result = spawnSync(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', readable, join(copy, 'src/launch/start.mjs')],
    {
      encoding: 'utf8',
      cwd: copy,
    },
  );
  expectOneLine(result, /root is needed/);
});

test('an unknown option', () => {
  expectOneLine(start(['--nonsense']), /--nonsense/);
});

test('a REST port in use', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const result = await new Promise<{ status: number | null; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [
      join(projectRoot, 'src/launch/start.mjs'),
      '--rundir',
      join(folder, 'run'),
      '--db',
      join(folder, 'db'),
      '--http',
      `127.0.0.1:${address.port}`,
    ]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('close', (status) => resolve({ status, stderr }));
  });
  server.close();
  expectOneLine(result, /already in use/);
  expect(readdirSync(folder)).toEqual([]);
});

test('a live Open vSwitch on the run directory', async () => {
  const rundir = join(folder, 'run');
  mkdirSync(rundir);
  await sh('ovsdb-tool', 'create', join(folder, 'ovs.db'), '/usr/share/openvswitch/vswitch.ovsschema');
  const server = spawn(
    'ovsdb-server',
    [
      join(folder, 'ovs.db'),
      `--remote=punix:${rundir}/db.sock`,
      `--pidfile=${rundir}/ovsdb-server.pid`,
      `--unixctl=${folder}/ctl`,
    ],
    {
      stdio: 'ignore',
    },
  );
  try {
    await until('ovsdb-server runs', () => existsSync(`${rundir}/ovsdb-server.pid`));
    const result = start(['--rundir', rundir, '--db', join(folder, 'db'), '--http', `unix:${folder}/api`]);
    expectOneLine(result, /ovsdb-server \(pid \d+\) is running/);
    expect(existsSync(join(folder, 'db'))).toBe(false);
  } finally {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    await ended;
  }
});

test('two instances side by side; a third on the same run directory is refused', async () => {
  const one = await Lab.create();
  const two = await Lab.create();
  try {
    await one.startWeft();
    await two.startWeft();
    await one.must('POST', '/v1/bridges', { name: 'same' });
    await two.must('POST', '/v1/bridges', { name: 'same' });
    await one.inSwitch('ip', 'link', 'show', 'same');
    await two.inSwitch('ip', 'link', 'show', 'same');
    const result = start([
      '--rundir',
      one.rundir,
      '--db',
      join(folder, 'db'),
      '--http',
      `unix:${folder}/api`,
    ]);
    expectOneLine(result, /another Weft \(pid \d+\) is running/);
    expect(await one.stopWeft()).toBe(0);
    expect((await two.rest('GET', '/healthz')).status).toBe(200);
    expect(readdirSync(one.rundir)).toEqual([]);
  } finally {
    await one.close();
    await two.close();
  }
});
