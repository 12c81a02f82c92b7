/** weftd as a process: how it starts, refuses, dies and comes back. No datapath is needed for that. */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
// Beside the packages that it imports.
const output = join(root, 'node_modules', '.cache', `weftd-${process.pid}`);
const program = join(output, 'main.mjs');
let folder: string;
let children: ChildProcess[];

beforeAll(async () => {
  mkdirSync(output, { recursive: true });
  const alias = { 'node-openflow': join(root, 'openflow/src/index.ts') };
  const options = {
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
    alias,
  } as const;
  await build({ entryPoints: [join(root, 'src/main.ts')], outfile: program, ...options });
}, 30_000);
afterAll(() => rmSync(output, { recursive: true, force: true }));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weftd-'));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<number | null>;
}

function start(more: Record<string, string> = {}, others: string[] = []): Run {
  const values: Record<string, string> = {
    rundir: join(folder, 'run'),
    db: join(folder, 'conf.db'),
    http: `unix:${folder}/api`,
    ...more,
  };
  const args = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(process.execPath, [program, ...args, ...others], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, out: () => out, err: () => err, ended };
}

async function ready(run: Run): Promise<void> {
  for (const endMs = Date.now() + 30_000; !run.out().includes('"msg":"ready"');) {
    if (Date.now() > endMs || run.child.exitCode !== null)
      throw new Error(`not ready: ${run.out()}${run.err()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function call(
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'content-type': 'application/json' } : {};
    const outgoing = request({ socketPath: join(folder, 'api'), method, path, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: JSON.parse(text || '{}') as Record<string, unknown>,
        }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body && JSON.stringify(body));
  });
}

async function expectOneLine(run: Run, pattern: RegExp): Promise<void> {
  expect(await run.ended).toBe(1);
  expect(run.err().trim().split('\n')).toHaveLength(1);
  expect(run.err()).toMatch(pattern);
}

test('says ready once, answers honestly without a datapath, keeps what it acknowledged over kill -9, stops cleanly', async () => {
  const first = start();
  await ready(first);
  const made = await call('POST', '/v1/bridges', { name: 'br0' });
  expect(made).toMatchObject({
    status: 202,
    body: { name: 'br0', pending: 'weft-datapath is not connected' },
  });
  expect(readFileSync(`/proc/${first.child.pid}/comm`, 'utf8').trim()).toBe('weftd');
  first.child.kill('SIGKILL');
  await first.ended;
  const second = start();
  await ready(second);
  expect(await call('GET', '/v1/bridges/br0')).toMatchObject({
    status: 200,
    body: { datapathId: made.body['datapathId'] },
  });
  expect((await call('GET', '/healthz')).status).toBe(200);
  second.child.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  expect(existsSync(join(folder, 'api'))).toBe(false);
  expect(second.out().match(/"msg":"ready"/g)).toHaveLength(1);
}, 60_000);

test('a database in use', async () => {
  const first = start();
  await ready(first);
  await expectOneLine(start({ http: `unix:${folder}/other` }), /in use by another weftd/);
}, 60_000);

test('a database that is none, or cannot be written', async () => {
  writeFileSync(join(folder, 'text'), 'hello');
  await expectOneLine(start({ db: join(folder, 'text') }), /is no Open vSwitch database/);
  await expectOneLine(start({ db: '/proc/conf.db' }), /\/proc\/conf\.db cannot be used/);
}, 60_000);

test('a REST address in use, unreadable, or open to everybody', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  await expectOneLine(start({ http: `127.0.0.1:${port}` }), /already in use/);
  holder.close();
  await expectOneLine(start({ http: 'nonsense' }), /HOST:PORT, \[V6\]:PORT or unix:PATH is wanted/);
  await expectOneLine(start({ http: '0.0.0.0:8080' }), /is not loopback/);
}, 60_000);

test('options that there are not', async () => {
  await expectOneLine(start({ nonsense: 'x' }), /--nonsense/);
  await expectOneLine(start({ 'log-format': 'xml' }), /pretty, json/);
}, 60_000);

/** Opens a request and gives its answer as soon as that begins. */
function open(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, agent: false }, resolve).on('error', reject);
    if (body === undefined) outgoing.end();
    else outgoing.write(body);
  });
}

test('several listeners, tokens, the audit log; a stop ends streams and does not wait for half a request', async () => {
  const hash = (token: string) => createHash('sha256').update(token).digest('hex');
  const tokens = join(folder, 'tokens');
  writeFileSync(tokens, `ops write ${hash('write-token')}\nprom read ${hash('read-token')}\n`);
  const auditLog = join(folder, 'audit.log');
  const group =
    process.getuid?.() === 0 ? 'daemon' : execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
  const shared = join(folder, 'shared');
  const run = start({ 'http-token-file': tokens, 'audit-log': auditLog }, [
    ...['--http', `unix:${shared},group=${group}`, '--http', '127.0.0.1:0', '--http', '0.0.0.0:0'],
    '--http-insecure',
  ]);
  await ready(run);
  const [loopback = '', everywhere = ''] = run.out().match(/http:\/\/[\d.]+:\d+/g) ?? [];
  const gid = Number(execFileSync('getent', ['group', group], { encoding: 'utf8' }).split(':')[2]);
  expect(statSync(shared)).toMatchObject({ gid });
  expect(statSync(shared).mode & 0o777).toBe(0o660);
  expect(everywhere).toMatch(/^http:\/\/0\.0\.0\.0:/);

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  for (const url of [loopback, everywhere.replace('0.0.0.0', '127.0.0.1')]) {
    const status = async (headers: Record<string, string>) => {
      const answer = await open(`${url}/v1`, 'GET', headers);
      answer.resume();
      return answer.statusCode;
    };
    expect(await status({})).toBe(401);
    expect(await status(bearer('read-token'))).toBe(200);
  }
  expect((await open(`${loopback}/v1/events`, 'GET', {})).resume().statusCode).toBe(401);
  const stream = await open(`${loopback}/v1/events`, 'GET', bearer('read-token'));
  expect(stream.headers['content-type']).toMatch(/^text\/event-stream/);
  let events = '';
  stream.setEncoding('utf8').on('data', (text: string) => (events += text));
  const streamEnded = new Promise<void>((resolve) =>
    stream.once('close', resolve).once('error', () => undefined),
  );

  const json = { 'content-type': 'application/json' };
  const text = '{"name":"br0"}';
  const length = { 'content-length': String(text.length) };
  const made = await open(
    `${loopback}/v1/bridges`,
    'POST',
    { ...bearer('write-token'), ...json, ...length },
    text,
  );
  expect(made.resume().statusCode).toBe(202);
  expect((await call('POST', '/v1/bridges/br0/ports', { name: 'p1', tag: 5 })).status).toBe(202);
  await expect.poll(() => events, { timeout: 20_000 }).toContain('event: config');
  await expect.poll(() => readFileSync(auditLog, 'utf8').split('\n').length, { timeout: 20_000 }).toBe(3);
  const lines = readFileSync(auditLog, 'utf8').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    {
      who: 'ops',
      peer: '127.0.0.1',
      method: 'POST',
      path: '/v1/bridges',
      status: 202,
      asked: { name: 'br0' },
    },
    { who: 'local', peer: null, path: '/v1/bridges/br0/ports', changes: { ports: { to: ['br0', 'p1'] } } },
  ]);
  expect(statSync(auditLog).mode & 0o777).toBe(0o600);

  // It never comes to its end.
  const half = open(
    `${loopback}/v1/bridges`,
    'POST',
    { ...bearer('write-token'), ...json, 'content-length': '99' },
    '{',
  );
  half.catch(() => undefined);
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(0);
  expect(run.out()).toContain('"msg":"stopped"');
  await streamEnded;
  expect(existsSync(shared)).toBe(false);
}, 90_000);
