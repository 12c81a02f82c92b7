import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Listener, RemoteError, parsePassiveTarget } from './listener.js';
import { OvsdbServer } from './server.js';

let folder: string;
let listeners: Listener[];
let warnings: string[];
let server: OvsdbServer;
let counter = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-listener-'));
  listeners = [];
  warnings = [];
  server = new OvsdbServer([], {
    newUuid: () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`,
    log: { warn: (_: object, text: string) => void warnings.push(text), error: () => undefined },
  });
});

afterEach(async () => {
  for (const listener of listeners) await listener.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(...args: Parameters<typeof Listener.open>): Promise<Listener> {
  const listener = await Listener.open(...args);
  listeners.push(listener);
  return listener;
}

/** Sends a request and gives the answer. */
function ask(socket: Socket, method: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed')));
    socket.once('data', (chunk) => resolve((JSON.parse(chunk.toString()) as { result: unknown }).result));
    socket.write(JSON.stringify({ method, params: [], id: 1 }));
  });
}

test.each([
  ['punix:/a/b', { kind: 'unix', path: '/a/b' }],
  ['ptcp:', { kind: 'tcp', port: 6640, host: undefined }],
  ['ptcp:6641:127.0.0.1', { kind: 'tcp', port: 6641, host: '127.0.0.1' }],
  ['pssl:6641:[::1]', { kind: 'ssl', port: 6641, host: '::1' }],
  ['ptcp:99999', null],
  ['tcp:127.0.0.1', null],
  ['punix:', null],
])('%s', (text, target) => {
  expect(parsePassiveTarget(text)).toEqual(target);
});

test('a unix socket: for root only; one that a dead process left is replaced, one in use is not', async () => {
  const path = join(folder, 'db.sock');
  const target = { kind: 'unix', path } as const;
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
  expect(statSync(path).isSocket()).toBe(true);
  await open(server, target);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await ask(connect(path), 'list_dbs')).toEqual(['_Server']);
  await expect(Listener.open(server, target)).rejects.toThrow(RemoteError);
  await expect(Listener.open(server, target)).rejects.toThrow(/served by another program/);
  expect(await ask(connect(path), 'list_dbs')).toEqual(['_Server']);
});

test('TCP; a port in use', async () => {
  const listener = await open(server, { kind: 'tcp', port: 0, host: '127.0.0.1' });
  const port = listener.port ?? 0;
  expect(await ask(connect(port, '127.0.0.1'), 'list_dbs')).toEqual(['_Server']);
  await expect(Listener.open(server, { kind: 'tcp', port, host: '127.0.0.1' })).rejects.toThrow(RemoteError);
});

test('TLS: only with a certificate that the CA has signed', async () => {
  const target = { kind: 'ssl', port: 0, host: '127.0.0.1' } as const;
  await expect(Listener.open(server, target)).rejects.toThrow(/private key/);
  const identity = (name: string) => {
    const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const args = [
      'req',
      '-x509',
      ...curve,
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '1',
      '-subj',
      `/CN=${name}`,
    ];
    spawnSync('openssl', args);
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  };
  const [ours, stranger] = [identity('ours'), identity('stranger')];
  const listener = await open(server, target, { ...ours, ca: ours.cert });
  const dial = (client: object) =>
    connectTls({ port: listener.port ?? 0, host: '127.0.0.1', rejectUnauthorized: false, ...client });
  expect(await ask(dial(ours), 'list_dbs')).toEqual(['_Server']);
  await expect(ask(dial(stranger), 'list_dbs')).rejects.toThrow();
  await expect(ask(dial({}), 'list_dbs')).rejects.toThrow();
  expect(warnings.filter((text) => text.includes('no TLS connection'))).toHaveLength(2);
});

test('a client that takes nothing costs no more than what it may leave untaken', async () => {
  const path = join(folder, 'db.sock');
  await open(server, { kind: 'unix', path });
  const socket = connect(path);
  const request = `{"method":"echo","params":["${'x'.repeat(60_000)}"],"id":1}`;
  const count = 500;
  let received = 0;
  for (let i = 0; i < count; i++) socket.write(request);
  // The server stops reading: what it has not taken stays with the client.
  const untaken = async (): Promise<number> => {
    let before = -1;
    while (before !== socket.writableLength) {
      before = socket.writableLength;
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    }
    return before;
  };
  expect(await untaken()).toBeGreaterThan((count * request.length) / 2);
  const done = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      received += chunk.length;
      if (received >= count * 60_000) resolve();
    });
  });
  await done;
});
