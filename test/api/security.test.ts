/** Who gets in, by which socket, with which token; and what is written down about what they did. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../src/api/audit.js';
import { Tokens } from '../../src/api/security.js';
import { ListenError, listen, parseListenAddress, policyOf } from '../../src/api/server.js';
import type { ApiListener } from '../../src/api/server.js';
import { Harness } from './harness.js';

const hash = (token: string) => createHash('sha256').update(token).digest('hex');
const file = `# who\nops write ${hash('write-token')}\n\nprom read ${hash('read-token')} # scrapes\n`;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('tokens', () => {
  test('a file of them, or one', () => {
    const tokens = Tokens.parse(file);
    expect(tokens.find('Bearer write-token')).toMatchObject({ name: 'ops', scope: 'write' });
    expect(tokens.find('bearer read-token')).toMatchObject({ name: 'prom', scope: 'read' });
    for (const wrong of [undefined, '', 'Bearer', 'Bearer ', 'Basic write-token', 'Bearer write-token2'])
      expect(tokens.find(wrong)).toBeNull();
    expect(Tokens.parse('0123456789abcdef\n').find('Bearer 0123456789abcdef')).toMatchObject({
      scope: 'write',
    });
  });

  test.each([
    ['', /no token/],
    ['short', /shorter than 16/],
    [`a write ${'0'.repeat(63)}`, /line 1: NAME read\|write SHA256/],
    [`a write ${'0'.repeat(64)}\nb admin ${'0'.repeat(64)}`, /line 2/],
    [`a write ${'0'.repeat(64)}\na read ${'1'.repeat(64)}`, /two tokens named a/],
  ])('a file that is none: %j', (text, message) => {
    expect(() => Tokens.parse(text)).toThrow(message);
  });
});

test('what listeners ask', () => {
  const of = (address: string, options = {}) => policyOf(parseListenAddress(address), options);
  const tls = { key: '', cert: '' };
  expect(of('127.0.0.1:80')).toEqual({ needsToken: false, loopbackOnly: true, isTls: false });
  expect(of('127.0.0.1:80', { hasTokens: true })).toMatchObject({ needsToken: true });
  expect(of('unix:/x', { hasTokens: true })).toMatchObject({ needsToken: false });
  expect(of('0.0.0.0:80', { hasTokens: true, tls })).toMatchObject({ needsToken: true, isTls: true });
  expect(of('http://127.0.0.1:80', { tls })).toMatchObject({ isTls: false });
  expect(of('0.0.0.0:80', { hasTokens: true, insecure: true })).toMatchObject({ isTls: false });
  expect(() => of('0.0.0.0:80', { tls })).toThrow(/is not loopback: .*--http-token-file/);
  expect(() => of('[::]:80', { hasTokens: true })).toThrow(/is not loopback: .*--http-cert/);
  expect(() => of('http://0.0.0.0:80', { hasTokens: true, tls })).toThrow(/in the clear/);
  expect(() => of('https://127.0.0.1:80')).toThrow(/--http-cert/);
});

test('addresses', () => {
  expect(parseListenAddress('[::1]:80')).toEqual({ kind: 'tcp', host: '::1', port: 80, scheme: null });
  expect(parseListenAddress('unix:/a/b')).toMatchObject({ path: '/a/b', mode: 0o600, group: null });
  expect(parseListenAddress('unix:/a,group=adm')).toMatchObject({ path: '/a', mode: 0o660, group: 'adm' });
  expect(parseListenAddress('unix:/a,mode=666')).toMatchObject({ mode: 0o666 });
  for (const wrong of ['8080', '127.0.0.1:70000', 'ftp://127.0.0.1:80', 'unix:/a,mode=9', 'unix:/a,x'])
    expect(() => parseListenAddress(wrong)).toThrow(ListenError);
});

describe('over sockets', () => {
  let harness: Harness;
  let listeners: ApiListener[];
  const entries: AuditEntry[] = [];
  beforeEach(async () => {
    entries.length = 0;
    listeners = [];
    harness = await Harness.create({ tokens: Tokens.parse(file), auditLog: (entry) => entries.push(entry) });
  });
  afterEach(async () => {
    await Promise.all(listeners.map((listener) => listener.close()));
    await harness.close();
  });

  async function open(address: string, options = {}): Promise<string> {
    const listener = await listen(harness.app, parseListenAddress(address), { hasTokens: true, ...options });
    listeners.push(listener);
    return listener.url;
  }

  function call(
    url: string,
    method: string,
    path: string,
    headers = {},
    options = {},
    sentBody = '{}',
  ): Promise<number> {
    const where = url.startsWith('unix:') ? { socketPath: url.slice(5) } : {};
    const target = url.startsWith('unix:') ? 'http://localhost' : url;
    const ask = url.startsWith('https') ? httpsRequest : httpRequest;
    const body = method === 'PUT' || method === 'POST' ? sentBody : '';
    const type = body === '' ? {} : { 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const sent = { method, ...where, ...options, headers: { ...type, ...headers } };
      const outgoing = ask(new URL(path, target), sent, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      outgoing.on('error', reject).end(body);
    });
  }

  test('tokens on TCP, none on a unix socket; scopes; the audit log', async () => {
    const path = join(harness.folder, 'api.sock');
    const tcp = await open('127.0.0.1:0');
    const unix = await open(`unix:${path},mode=640`);
    expect(tcp).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(await call(tcp, 'GET', '/v1')).toBe(401);
    expect(await call(tcp, 'GET', '/v1', bearer('read-token'))).toBe(200);
    expect(await call(tcp, 'PUT', '/v1/bridges/br0', bearer('read-token'))).toBe(403);
    expect(await call(tcp, 'PUT', '/v1/bridges/br0', bearer('write-token'))).toBe(201);
    expect(await call(unix, 'PUT', '/v1/bridges/br0/ports/p1')).toBe(201);
    expect(await call(unix, 'DELETE', '/v1/bridges/br9')).toBe(404);
    // A trace asks and changes nothing.
    expect(await call(tcp, 'POST', '/v1/bridges/br0/trace', bearer('read-token'))).toBe(400);
    await expect.poll(() => entries.length).toBe(4);
    expect(entries).toMatchObject([
      { who: 'prom', status: 403, changes: {} },
      {
        who: 'ops',
        peer: '127.0.0.1',
        method: 'PUT',
        path: '/v1/bridges/br0',
        status: 201,
        changes: { name: { from: null, to: 'br0' } },
      },
      { who: 'local', status: 201, changes: { name: { from: null, to: 'p1' } } },
      { who: 'local', method: 'DELETE', status: 404, changes: {} },
    ]);
    expect(new Set(entries.map(({ requestId }) => requestId)).size).toBe(4);
    const pin = '/v1/bridges/br0/fdb/10/02:00:00:00:00:07';
    expect(await call(unix, 'PUT', pin, {}, {}, '{"port":"p1"}')).toBe(200);
    await call(unix, 'DELETE', '/v1/bridges/br0/fdb?vlan=10');
    await call(unix, 'POST', '/v1/bridges/br0/flows', {}, {}, '{"flows":["priority=7,tcp,actions=drop"]}');
    await call(unix, 'PUT', '/v1/config', {}, {}, '{"bridges":{"br7":{}}}');
    await expect.poll(() => entries.length).toBe(8);
    expect(entries.slice(4)).toMatchObject([
      { path: pin, changes: { port: { from: null, to: 'p1' } }, asked: { port: 'p1' } },
      { path: '/v1/bridges/br0/fdb?vlan=10', asked: null, answered: { flushed: 0 } },
      { asked: { flows: ['priority=7,tcp,actions=drop'] }, answered: { accepted: 1 } },
      {
        path: '/v1/config',
        changes: { bridges: { from: ['br0'], to: ['br7'] } },
        asked: '{"bridges":{"br7":{}}}',
        answered: expect.stringContaining('"changes":[') as string,
      },
    ]);
    await Promise.all(listeners.splice(0).map((listener) => listener.close()));
    expect(existsSync(path)).toBe(false);
  });

  test('TLS, and certificates of clients where they are wanted', async () => {
    const at = (name: string) => join(harness.folder, name);
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...[
          '-subj',
          '/CN=localhost',
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          at('key'),
          '-out',
          at('cert'),
        ],
      ],
      { stdio: 'ignore' },
    );
    const [key, cert] = [readFileSync(at('key'), 'utf8'), readFileSync(at('cert'), 'utf8')];
    const url = await open('127.0.0.1:0', { tls: { key, cert } });
    expect(url).toMatch(/^https:/);
    expect(await call(url, 'GET', '/v1', bearer('read-token'), { ca: cert })).toBe(200);
    const strict = await open('127.0.0.1:0', { tls: { key, cert, ca: cert } });
    await expect(call(strict, 'GET', '/v1', bearer('read-token'), { ca: cert })).rejects.toThrow();
    expect(await call(strict, 'GET', '/v1', bearer('read-token'), { ca: cert, key, cert })).toBe(200);
  });

  test('an address in use, a socket that a dead process left, bytes that are no request', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as AddressInfo;
    await expect(open(`127.0.0.1:${port}`)).rejects.toThrow(/already in use/);
    holder.close();
    const path = join(harness.folder, 'left.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    expect(() => execFileSync(process.execPath, ['-e', script], { stdio: 'ignore' })).toThrow();
    expect(existsSync(path)).toBe(true);
    await open(`unix:${path}`);
    await expect(open(`unix:${path}`)).rejects.toThrow(/already in use/);
  });
});
