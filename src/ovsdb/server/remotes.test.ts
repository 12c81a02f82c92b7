/** Managers over TLS: with the CA of the SSL row, and with one that the first manager brings (bootstrap). */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import type { Server } from 'node:tls';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { OvsdbServer } from './server.js';
import { REMOTE_DEFAULTS, Remotes } from './remotes.js';
import type { TlsIdentity } from './listener.js';

let folder: string;
const pem = (name: string) => readFileSync(join(folder, name), 'utf8');
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

/** A CA, and a key with a certificate of it. */
function makePki(ca: string, name: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(...['req', '-x509', ...key, '-keyout', `${ca}.key`, '-out', `${ca}.pem`, '-subj', `/CN=${ca}`]);
  openssl(...['req', ...key, '-keyout', `${name}.key`, '-out', `${name}.req`, '-subj', `/CN=${name}`]);
  const signed = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-out', `${name}.pem`];
  openssl('x509', '-req', '-in', `${name}.req`, ...signed);
  // What a manager sends whose CA may be learned from it.
  writeFileSync(join(folder, `${name}.chain`), pem(`${name}.pem`) + pem(`${ca}.pem`));
}

const log = { warn: () => undefined, error: () => undefined };
const newServer = () => new OvsdbServer([], { newUuid: () => 'u', log });
let manager: Server;
let managerPort: number;
let heard: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-remotes-'));
  makePki('ca', 'one');
  makePki('otherca', 'two');
  const theirs = { key: pem('one.key'), cert: pem('one.chain'), ca: pem('ca.pem') };
  // Who is only being looked at shows a certificate too, so that a manager can tell who is there.
  manager = createServer({ ...theirs, requestCert: true, rejectUnauthorized: true }, (socket) => {
    socket.write('{"id":1,"method":"echo","params":["are you there"]}');
    socket.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => manager.listen(0, '127.0.0.1', resolve));
  managerPort = (manager.address() as AddressInfo).port;
}, 60_000);
afterAll(() => {
  manager.close();
  rmSync(folder, { recursive: true, force: true });
});

const wanted = () => new Map([[`ssl:127.0.0.1:${managerPort}`, REMOTE_DEFAULTS]]);
const mine = (ca: string): TlsIdentity => ({ key: pem('one.key'), cert: pem('one.pem'), ca: pem(ca) });

test('a manager of the CA is served, one of another is not', async () => {
  heard = [];
  const remotes = new Remotes(newServer(), { identity: mine('otherca.pem') });
  await remotes.configure(wanted());
  await vi.waitFor(() => expect(remotes.status()[0]?.lastError).toMatch(/self.signed/), 10_000);
  expect(heard).toEqual([]);
  // Another identity: the connection is made anew with it.
  await remotes.configure(wanted(), { identity: mine('ca.pem') });
  await vi.waitFor(() => expect(heard.join('')).toContain('are you there'), 10_000);
  expect(remotes.status()[0]).toMatchObject({ isConnected: true, state: 'ACTIVE' });
  await remotes.close();
});

test('bootstrap: the CA of the first manager is kept, and nothing is said before it is believed', async () => {
  heard = [];
  let kept = '';
  const { key, cert } = mine('ca.pem');
  const keep = (ca: string) => {
    kept = ca;
    return Promise.resolve();
  };
  const remotes = new Remotes(newServer(), { bootstrap: { key, cert, keep } });
  await remotes.configure(wanted());
  await vi.waitFor(() => expect(kept.trim()).toBe(pem('ca.pem').trim()), 10_000);
  expect(heard).toEqual([]);
  await remotes.configure(wanted(), { identity: { key, cert, ca: kept } });
  await vi.waitFor(() => expect(heard.join('')).toContain('are you there'), 10_000);
  await remotes.close();
});

test('what is missing is told in the status', async () => {
  const remotes = new Remotes(newServer(), { fault: 'needs a private key' });
  await remotes.configure(new Map([...wanted(), ['pssl:0', REMOTE_DEFAULTS]]));
  expect(remotes.status().map(({ lastError }) => lastError)).toEqual([
    'ssl: needs a private key',
    'pssl: needs a private key',
  ]);
  await remotes.close();
});
