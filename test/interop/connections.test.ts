/**
 * OpenFlow connections of weft-datapath with peers that are not ours: TLS both ways (ovs-ofctl, Node's tls),
 * certificates, probes of inactivity, and how it comes back to controllers that go.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  connect as connectTls,
  createServer as createTlsServer,
  type SecureVersion,
  type TLSSocket,
} from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { datapathBinary, Lab, sh, until } from '../system/lab.js';

const HELLO = 0;
const ECHO_REQUEST = 2;
const ECHO_REPLY = 3;
const FEATURES_REQUEST = 5;
const FEATURES_REPLY = 6;
const header = (type: number, xid = 1): Buffer => Buffer.from([4, type, 0, 8, 0, 0, 0, xid]);

let lab: Lab;
const servers: Server[] = [];
const at = (name: string): string => join(lab.folder, name);

/** As operators of Open vSwitch do it: one authority for switches, another for controllers. */
function certify(): void {
  const pki = (...args: string[]): unknown =>
    execFileSync('ovs-pki', [`--dir=${at('pki')}`, `--log=${at('pki.log')}`, ...args], {
      cwd: lab.folder,
      stdio: 'ignore',
    });
  pki('init');
  pki('req+sign', 'switch', 'switch');
  pki('req+sign', 'controller', 'controller');
  // No controller by its authority.
  pki('req+sign', 'stranger', 'switch');
}

const authority = (of: 'switch' | 'controller'): string => at(`pki/${of}ca/cacert.pem`);
const key = (name: string): string => at(`${name}-privkey.pem`);
const certificate = (name: string): string => at(`${name}-cert.pem`);

/** Messages of one peer, whole ones. */
class Peer {
  readonly seen: Buffer[] = [];
  closed = false;
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      while (this.#rest.length >= 8 && this.#rest.length >= this.#rest.readUInt16BE(2)) {
        const length = this.#rest.readUInt16BE(2);
        this.seen.push(this.#rest.subarray(0, length));
        this.#rest = this.#rest.subarray(length);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
  }

  has(type: number): boolean {
    return this.seen.some((message) => message[1] === type);
  }
}

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** The switch runs beside us: it has no ports, so that it needs no namespace of its own. */
function startSwitch(name: string, ...words: string[]): void {
  const bridge = `name=${name},dpid=${Buffer.from(name).toString('hex').padStart(16, '0')},${words.join(',')}`;
  const ca = ['--ca-cert', authority('controller')];
  const keys = ['--private-key', key('switch'), '--certificate', certificate('switch'), ...ca];
  lab.spawnHere(datapathBinary, ['--rundir', at(name), '--bridge', bridge, ...keys]);
}

/** Options of ovs-ofctl. */
const as = (name: string): string[] => [
  `--private-key=${key(name)}`,
  `--certificate=${certificate(name)}`,
  `--ca-cert=${authority('switch')}`,
];

beforeAll(async () => {
  lab = await Lab.create();
  certify();
});

afterAll(async () => {
  for (const server of servers) server.close();
  await lab?.close();
});

test('pssl: with the certificates of both ends, TLS 1.2 and 1.3 only', async () => {
  const free = createServer();
  const port = await listening(free);
  await new Promise((resolve) => free.close(resolve));
  startSwitch('tls0', 'fail_mode=secure', `listen=pssl:${port}:127.0.0.1`);
  const ofctl = (command: string, keys: string[]): Promise<string> =>
    sh('ovs-ofctl', '-O', 'OpenFlow13', '--timeout=10', ...keys, command, `ssl:127.0.0.1:${port}`);
  await until('ovs-ofctl by TLS', () => ofctl('show', as('controller')));
  expect(await ofctl('show', as('controller'))).toContain('OFPT_FEATURES_REPLY');
  expect(await ofctl('dump-flows', as('controller'))).not.toContain('actions');
  await expect(ofctl('show', as('stranger'))).rejects.toThrow();

  const answers = async (version: SecureVersion): Promise<boolean> => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      key: readFileSync(key('controller')),
      cert: readFileSync(certificate('controller')),
      ca: readFileSync(authority('switch')),
      // As Open vSwitch: it is the authority that counts, not the name.
      checkServerIdentity: () => undefined,
      minVersion: version,
      maxVersion: version,
      ciphers: 'ALL:@SECLEVEL=0',
    });
    const peer = new Peer(socket);
    socket.write(Buffer.concat([header(HELLO), header(FEATURES_REQUEST)]));
    await until('an answer or the end', () => peer.closed || peer.has(FEATURES_REPLY));
    socket.destroy();
    return peer.has(FEATURES_REPLY);
  };
  expect(await answers('TLSv1.3')).toBe(true);
  expect(await answers('TLSv1.2')).toBe(true);
  expect(await answers('TLSv1.1')).toBe(false);
}, 60_000);

test('a peer that has OpenFlow 1.0 alone is told so, and others go on', async () => {
  startSwitch('new', 'fail_mode=secure');
  const show = (version: string) => sh('ovs-ofctl', '-O', version, 'show', `unix:${at('new/new.mgmt')}`);
  await until('the switch answers', () => show('OpenFlow13'));
  const refused = await show('OpenFlow10').catch((error: { stderr: string }) => error.stderr);
  expect(refused).toContain(
    'version negotiation failed (we support version 0x01, peer supports version 0x04)',
  );
  expect(refused).toMatch(/^ovs-ofctl: .*: failed to connect to socket/m);

  const socket = connect(at('new/new.mgmt'));
  const peer = new Peer(socket);
  socket.write(Buffer.from('0100000800000001', 'hex'));
  await until('the end', () => peer.closed);
  // OFPET_HELLO_FAILED, OFPHFC_INCOMPATIBLE, with words (OF 1.3.5 §7.5.4).
  const error = peer.seen.find((message) => message[1] === 1);
  expect(error?.readUInt32BE(8)).toBe(0);
  expect(error?.subarray(12).toString()).toContain('the peer offered version 0x01');
  expect(await show('OpenFlow13')).toContain('OFPT_FEATURES_REPLY (OF1.3)');
});

test('ssl: shows its certificate, and refuses a controller of another authority', async () => {
  const peers: Peer[] = [];
  const serve = (name: string): Server =>
    createTlsServer(
      {
        key: readFileSync(key(name)),
        cert: readFileSync(certificate(name)),
        ca: readFileSync(authority('switch')),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (socket: TLSSocket) => {
        expect(socket.getPeerCertificate().subject.CN).toContain('switch id:');
        peers.push(new Peer(socket));
        socket.write(Buffer.concat([header(HELLO), header(FEATURES_REQUEST)]));
      },
    );
  const refusals: string[] = [];
  const good = await listening(serve('controller'));
  const bad = serve('stranger').on('tlsClientError', (error: Error) => refusals.push(error.message));
  const badPort = await listening(bad);
  startSwitch('tls1', `controller=ssl:127.0.0.1:${good}`, `controller=ssl:127.0.0.1:${badPort}`);
  await until('features by TLS', () => peers.some((peer) => peer.has(FEATURES_REPLY)));
  await until('the other is refused', () => refusals.length > 0);
  expect(peers).toHaveLength(1);
  for (const peer of peers) peer.socket.destroy();
}, 60_000);

test('a silent controller is asked for a sign of life and given up; one that is gone is tried again, ever more seldom', async () => {
  const peers: { peer: Peer; atMs: number }[] = [];
  let answers = true;
  const server = createServer((socket) => {
    const peer = new Peer(socket);
    peers.push({ peer, atMs: performance.now() });
    socket.write(header(HELLO));
    socket.on('data', () => {
      const asked = peer.seen.filter((message) => message[1] === ECHO_REQUEST).length;
      if (answers && asked > 0) socket.write(header(ECHO_REPLY, 0));
    });
  });
  const port = await listening(server);
  startSwitch('probe', `controller=tcp:127.0.0.1:${port}`);
  // It answers the first, and so goes on to the second; that it does not answer.
  const first = await until('a connection', () => peers[0]?.peer);
  await until('an echo request', () => first.has(ECHO_REQUEST), 30_000);
  expect(first.closed).toBe(false);
  answers = false;
  await until('given up', () => first.closed, 60_000);
  expect(first.seen.filter((message) => message[1] === ECHO_REQUEST).length).toBeGreaterThan(1);
  const second = await until('and back', () => peers[1]?.peer);
  expect(second.has(HELLO) || second.seen.length === 0).toBe(true);
  // From now on nobody stays: pauses grow.
  server.on('connection', (socket) => socket.destroy());
  second.socket.destroy();
  await until('three more tries', () => peers.length >= 5, 60_000);
  const pauses = peers.slice(2, 5).map(({ atMs }, index) => atMs - peers[index + 1]!.atMs);
  expect(pauses[2]!).toBeGreaterThan(pauses[0]!);
}, 120_000);

test('many controllers at once, each with its own role', async () => {
  const peers: Peer[] = [];
  const ports = await Promise.all(
    Array.from({ length: 12 }, () =>
      listening(
        createServer((socket) => {
          peers.push(new Peer(socket));
          socket.write(Buffer.concat([header(HELLO), header(FEATURES_REQUEST)]));
        }),
      ),
    ),
  );
  startSwitch('many', ...ports.map((port) => `controller=tcp:127.0.0.1:${port}`));
  await until(
    'all are connected',
    () => peers.length === 12 && peers.every((peer) => peer.has(FEATURES_REPLY)),
  );
  // OFPT_ROLE_REQUEST: master, generation 1.
  const master = Buffer.concat([
    header(24, 7),
    Buffer.from([0, 0, 0, 2, 0, 0, 0, 0]),
    Buffer.alloc(7),
    Buffer.from([1]),
  ]);
  master[3] = 24;
  for (const peer of peers.slice(0, 2)) {
    peer.socket.write(master);
    await until('the role', () => peer.has(25));
  }
  // The first is a slave by now: a flow-mod is refused with OFPBRC_IS_SLAVE; the second, the master, is heard.
  const flowMod = Buffer.alloc(56);
  flowMod.set([4, 14, 0, 56, 0, 0, 0, 9]);
  flowMod.fill(0xff, 32, 44);
  flowMod.set([0, 1, 0, 4], 48);
  for (const peer of peers.slice(0, 2)) peer.socket.write(Buffer.concat([flowMod, header(20, 10)]));
  await until('answers', () => peers.slice(0, 2).every((peer) => peer.has(21)));
  const errors = peers.map((peer) =>
    peer.seen
      .find((message) => message[1] === 1)
      ?.subarray(8, 12)
      .toString('hex'),
  );
  expect(errors.slice(0, 2)).toEqual(['0001000a', undefined]);
  for (const peer of peers) peer.socket.destroy();
}, 60_000);
