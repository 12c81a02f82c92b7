import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest';
import type { MessageInput } from '../messages/message.js';
import { Client, connect, keepConnected } from './connect.js';
import type { Connection } from './connection.js';
import { listen, type Listener } from './listen.js';
import type { ConnectionOptions } from './options.js';
import { formatTarget, parseTarget } from './target.js';

const open: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'node-openflow-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** A switch that has 2000 flows and refuses flow-mods of priority 7. */
async function fakeSwitch(target: string, options: ConnectionOptions = {}): Promise<Listener> {
  const listener = await listen(target, { ...options, session: { side: 'switch', ...options.session } });
  listener.on('connection', (connection) => {
    connection.on('message', (message) => {
      const { xid } = message;
      if (message.type === 'FEATURES_REQUEST') {
        const rest = { nBuffers: 0, nTables: 1, auxiliaryId: 0, capabilities: [] };
        connection.send({ type: 'FEATURES_REPLY', xid, datapathId: 0xabn, ...rest });
        // Right behind: nobody who awaited the connection may miss it.
        connection.send({
          type: 'PACKET_IN',
          totalLength: 3,
          reason: 'ACTION',
          data: Uint8Array.of(1, 2, 3),
        });
      } else if (message.type === 'BARRIER_REQUEST') connection.send({ type: 'BARRIER_REPLY', xid });
      else if (message.type === 'FLOW_MOD' && message.priority === 7) {
        connection.send({ type: 'ERROR', xid, errorType: 'FLOW_MOD_FAILED', code: 'TABLE_FULL' });
      } else if (message.type === 'MULTIPART_REQUEST' && message.body.type === 'FLOW') {
        for (let from = 0; from < 2000; from += 20) {
          const entries = Array.from({ length: 20 }, (_, i) => ({ tableId: 0, priority: from + i }));
          const flags = from < 1980 ? (['REPLY_MORE'] as const) : [];
          connection.send({ type: 'MULTIPART_REPLY', xid, flags, body: { type: 'FLOW', entries } });
        }
      }
    });
  });
  open.push(() => listener.close());
  return listener;
}

function activeOf(listener: Listener): string {
  const { target } = listener;
  if (target.kind === 'punix') return `unix:${target.path}`;
  return `${target.kind.slice(1)}:127.0.0.1:${target.port}`;
}

async function connected(listener: Listener, options: ConnectionOptions = {}): Promise<Connection> {
  const connection = await connect(activeOf(listener), options);
  open.push(() => connection.close());
  return connection;
}

describe('targets', () => {
  it.each([
    ['tcp:192.0.2.1:6633', { kind: 'tcp', host: '192.0.2.1', port: 6633 }, undefined],
    ['tcp:192.0.2.1', { kind: 'tcp', host: '192.0.2.1', port: 6653 }, 'tcp:192.0.2.1:6653'],
    ['ssl:[2001:db8::1]:6640', { kind: 'ssl', host: '2001:db8::1', port: 6640 }, undefined],
    ['tcp:[::1]', { kind: 'tcp', host: '::1', port: 6653 }, 'tcp:[::1]:6653'],
    ['unix:/run/br0.mgmt', { kind: 'unix', path: '/run/br0.mgmt' }, undefined],
    ['ptcp:6653', { kind: 'ptcp', port: 6653, host: undefined }, undefined],
    ['ptcp:0:127.0.0.1', { kind: 'ptcp', port: 0, host: '127.0.0.1' }, undefined],
    ['ptcp:', { kind: 'ptcp', port: 6653, host: undefined }, 'ptcp:6653'],
    ['pssl:6653:[::]', { kind: 'pssl', port: 6653, host: '::' }, undefined],
    ['punix:/run/x', { kind: 'punix', path: '/run/x' }, undefined],
  ])('%s', (text, target, canonical) => {
    expect(parseTarget(text)).toEqual(target);
    expect(formatTarget(parseTarget(text))).toBe(canonical ?? text);
  });

  it.each([
    '',
    'tcp',
    'tcp:',
    'tcp::1',
    'tcp:::1:6653',
    'tcp:h:0',
    'tcp:h:65536',
    'tcp:h:x',
    'tcp:[::1',
    'udp:h:1',
    'unix:',
  ])('refuses "%s"', (text) => expect(() => parseTarget(text)).toThrow(/^target ".*": /));
});

describe('connections', () => {
  it('shake hands, and lose nothing that comes right behind', async () => {
    const connection = await connected(await fakeSwitch('ptcp:0:127.0.0.1'));
    expect(connection.datapathId).toBe('00000000000000ab');
    const packet = await new Promise<Uint8Array>((resolve) =>
      connection.on('packetIn', ({ data }) => resolve(data)),
    );
    expect([...packet]).toEqual([1, 2, 3]);
  });

  it('join multipart answers, or hand out their parts', async () => {
    const connection = await connected(await fakeSwitch(`punix:${join(dir, 'parts')}`));
    const whole = await connection.multipart({ type: 'FLOW' });
    expect(whole.entries.map((flow) => flow.priority)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    const seen: number[] = [];
    for await (const part of connection.multipartParts({ type: 'FLOW' }))
      seen.push(...part.entries.map((f) => f.priority));
    expect(seen).toEqual(whole.entries.map((flow) => flow.priority));
    for await (const part of connection.multipartParts({ type: 'FLOW' })) {
      expect(part.entries).toHaveLength(20);
      break;
    }
    await connection.barrier();
  });

  it('hold back a switch whose answer is consumed slowly, however long that takes', async () => {
    const session = { echoIntervalMs: 20, echoTimeoutMs: 20, requestTimeoutMs: 100 };
    const connection = await connected(await fakeSwitch(`punix:${join(dir, 'lag')}`, { session: {} }), {
      session,
    });
    let count = 0;
    for await (const part of connection.multipartParts({ type: 'FLOW' })) {
      count += part.entries.length;
      if (count === 20) await sleep(300);
    }
    expect(count).toBe(2000);
    connection.pause();
    await sleep(100);
    connection.resume();
    await connection.barrier();
  });

  it('commit batches and tell what was refused', async () => {
    const connection = await connected(await fakeSwitch('ptcp:0:127.0.0.1'));
    const messages = Array.from({ length: 10 }, (_, priority): MessageInput => ({
      type: 'FLOW_MOD',
      command: 'ADD',
      priority,
    }));
    expect(await connection.commit(messages)).toMatchObject([{ index: 7, error: { code: 'TABLE_FULL' } }]);
    await connection.barrier();
  });

  it('hold back a sender whose peer does not read', async () => {
    const listener = await fakeSwitch(`punix:${join(dir, 'slow')}`);
    const session = { highWaterBytes: 64 * 1024, lowWaterBytes: 16 * 1024 };
    const connection = await connected(listener, { session });
    const [peer] = listener.connections;
    peer?.pause();
    let received = 0;
    peer?.on('message', () => (received += 1));
    let sent = 0;
    const data = new Uint8Array(8000);
    const message: MessageInput = { type: 'PACKET_OUT', actions: [], data };
    for (; connection.isWritable && sent < 10_000; sent++) {
      connection.send(message);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(connection.isWritable).toBe(false);
    const drained = connection.drained();
    peer?.resume();
    await drained;
    await connection.barrier();
    expect(received).toBeGreaterThanOrEqual(sent);
  });

  it('fail requests when the peer goes away', async () => {
    const listener = await listen('ptcp:0:127.0.0.1', { session: { side: 'switch' } });
    open.push(() => listener.close());
    listener.on('connection', (peer) =>
      peer.on('message', (message) => {
        if (message.type !== 'FEATURES_REQUEST') return peer.close();
        const rest = { nBuffers: 0, nTables: 1, auxiliaryId: 0, capabilities: [] };
        peer.send({ type: 'FEATURES_REPLY', xid: message.xid, datapathId: 1n, ...rest });
      }),
    );
    const connection = await connected(listener);
    await expect(connection.barrier()).rejects.toMatchObject({ name: 'RequestError', kind: 'closed' });
    await expect(connection.barrier()).rejects.toMatchObject({ kind: 'closed' });
    await expect(connection.drained()).rejects.toMatchObject({ kind: 'closed' });
  });

  it('survive a peer that talks nonsense, and keep the others', async () => {
    const listener = await fakeSwitch('ptcp:0:127.0.0.1');
    const good = await connected(listener);
    const rejected = new Promise<string>((resolve) =>
      listener.once('rejected', (_peer, reason) => resolve(reason)),
    );
    const bad = net.connect(Number(activeOf(listener).split(':')[2]), '127.0.0.1');
    bad.write('GET / HTTP/1.1\r\n\r\n');
    expect(await rejected).toMatch(/not HELLO|length/);
    bad.destroy();
    await good.barrier();
  });

  it('say clearly why they cannot be made', async () => {
    await expect(connect(`unix:${join(dir, 'nobody')}`)).rejects.toThrow(/ENOENT/);
    await expect(connect('ptcp:1')).rejects.toThrow(/passive/);
    const listener = await fakeSwitch('ptcp:0:127.0.0.1');
    await expect(listen(formatTarget(listener.target))).rejects.toThrow(/EADDRINUSE/);
  });
});

describe('keepConnected', () => {
  it('comes back when the listener does', async () => {
    const target = `punix:${join(dir, 'again')}`;
    const client: Client = keepConnected(target.slice(1), {
      reconnect: { minBackoffMs: 10, maxBackoffMs: 40 },
    });
    open.push(() => client.close());
    const ups: Connection[] = [];
    client.on('connection', (connection) => ups.push(connection));
    const reason = await new Promise<string>((resolve) => client.once('disconnected', (why) => resolve(why)));
    expect(reason).toMatch(/ENOENT/);
    const first = await fakeSwitch(target);
    const until = async (done: () => boolean): Promise<void> => {
      for (const endMs = Date.now() + 5000; !done(); await sleep(5))
        if (Date.now() > endMs) throw new Error('waited too long');
    };
    await until(() => ups.length === 1);
    await client.connection?.barrier();
    await first.close();
    await until(() => client.connection === undefined);
    await fakeSwitch(target);
    await until(() => ups.length === 2);
    await client.connection?.barrier();
    client.close();
    await until(() => ups[1]?.closeReason !== undefined);
    expect(client.state).toBe('idle');
  });
});

describe('TLS', () => {
  const pem = (name: string): Buffer => readFileSync(join(dir, name));
  beforeAll(() => {
    const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    for (const name of ['ca', 'other']) {
      run('req', '-x509', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`);
    }
    run('req', ...key.slice(0, 5), '-subj', '/CN=peer', '-keyout', 'peer.key', '-out', 'peer.csr');
    run(
      'x509',
      '-req',
      '-in',
      'peer.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-out',
      'peer.pem',
    );
  });

  it('serves ssl: and pssl: with certificates of a common CA, and refuses others', async () => {
    const tls = { key: pem('peer.key'), cert: pem('peer.pem'), ca: pem('ca.pem') };
    const listener = await fakeSwitch('pssl:0:127.0.0.1', { tls });
    await (await connected(listener, { tls })).barrier();
    await expect(connect(activeOf(listener), { tls: { ...tls, ca: pem('other.pem') } })).rejects.toThrow(
      /verify|certificate/,
    );
    const stranger = { key: pem('other.key'), cert: pem('other.pem'), ca: pem('ca.pem') };
    await expect(connect(activeOf(listener), { tls: stranger })).rejects.toThrow();
  });
});
