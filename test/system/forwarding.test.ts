/** Hosts in namespaces through a running Weft: reachability, isolation, TCP with the hosts' offloads left on. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { switchKinds } from './kinds.js';
import { Lab, until, type Host } from './lab.js';

describe.each(switchKinds)('on $name', (kind) => {
  let lab: Lab;
  let a: Host, b: Host, c: Host, trunk: Host, trunk20: Host;

  beforeAll(async () => {
    lab = await Lab.create();
    a = await lab.addHost('pa', '10.99.0.1/24');
    b = await lab.addHost('pb', '10.99.0.2/24');
    c = await lab.addHost('pc', '10.99.0.3/24');
    trunk = await lab.addHost('pt', '10.99.0.4/24', 10);
    trunk20 = await lab.addHost('pu', '10.99.0.5/24', 20);
    await kind.start(lab, ['pa', 'pb', 'pc', 'pt', 'pu'], ['int10']);
    for (const host of [a, b, c, trunk, trunk20]) await kind.prepareHost(host);
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pa', vlanMode: 'access', tag: 10 });
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pb', vlanMode: 'access', tag: 10 });
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pc', vlanMode: 'access', tag: 20 });
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pt', vlanMode: 'trunk', trunks: [10, 20] });
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pu', vlanMode: 'trunk' });
    await lab.must('POST', '/v1/bridges/br0/ports', {
      name: 'int10',
      type: 'internal',
      vlanMode: 'access',
      tag: 10,
    });
    await lab.inSwitch('ip', 'link', 'set', 'int10', 'up');
    await lab.inSwitch('ip', 'addr', 'add', '10.99.0.9/24', 'dev', 'int10');
  });

  afterAll(() => lab?.close());

  test('hosts of a VLAN reach each other, through access, trunk and internal ports', async () => {
    await a.reaches('10.99.0.2');
    await a.reaches('10.99.0.4');
    await a.reaches('10.99.0.9');
    await b.reaches('10.99.0.9');
    await c.reaches('10.99.0.5');
    expect(await a.ping('10.99.0.2', 10, 0.01)).toBe(10);
  });

  test('nothing crosses between VLANs', async () => {
    expect(await a.ping('10.99.0.3')).toBe(0);
    expect(await c.ping('10.99.0.1')).toBe(0);
    expect(await c.ping('10.99.0.9')).toBe(0);
    expect(await a.ping('10.99.0.5')).toBe(0);
  });

  test('each address is learned in its VLAN and on its port', async () => {
    const mac = await a.mac();
    const entry = await until('learned', async () => {
      const { body } = await lab.rest('GET', '/v1/bridges/br0/fdb');
      const entries = (Array.isArray(body) ? body : (body as { entries: unknown[] }).entries) as {
        mac: string;
        vlan: number;
        port: string;
      }[];
      return entries.find((each) => each.mac === mac);
    });
    expect(entry).toMatchObject({ vlan: 10, port: 'pa' });
  });

  test.each([
    ['access to access', () => a, '10.99.0.2', () => b],
    ['access to trunk', () => a, '10.99.0.4', () => trunk],
    ['trunk to access', () => trunk, '10.99.0.1', () => a],
  ])('TCP with default offloads arrives whole: %s', async (_name, from, address, to) => {
    const sent = join(lab.folder, 'sent');
    const received = join(lab.folder, 'received');
    writeFileSync(sent, randomBytes(32 << 20));
    const script = `import socket,sys
s=socket.create_server((sys.argv[1],7777)); print("listening",flush=True); c,_=s.accept()
f=open(sys.argv[2],"wb")
while True:
    d=c.recv(1<<20)
    if not d: break
    f.write(d)
f.close()`;
    const receiving = to().run('timeout', '60', 'python3', '-c', script, address, received);
    await until('the receiver listens', async () => (await to().run('ss', '-Hltn')).includes(':7777'));
    await from().run(
      'timeout',
      '60',
      'python3',
      '-c',
      `import socket,sys
s=socket.create_connection((sys.argv[1],7777)); s.sendfile(open(sys.argv[2],"rb")); s.close()`,
      address,
      sent,
    );
    await receiving;
    const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
    expect(digest(received)).toBe(digest(sent));
  });

  test('an internal port exchanges TCP with a host, offloads on', async () => {
    const server = lab.spawnInSwitch('iperf3', ['-s', '-1', '-B', '10.99.0.9']);
    await until('iperf3 listens', async () => (await lab.inSwitch('ss', '-Hltn')).includes(':5201'));
    const report = JSON.parse(await a.run('iperf3', '-c', '10.99.0.9', '-n', '64M', '-J')) as {
      end: { sum_received: { bytes: number } };
    };
    // (What is still on its way when the sender has finished is not in it.)
    expect(report.end.sum_received.bytes).toBeGreaterThanOrEqual(32 << 20);
    await until('the server is done', () => server.exitCode !== null);
  });

  test('a deleted port forwards no more, a new one at once', async () => {
    await lab.must('DELETE', '/v1/bridges/br0/ports/pb');
    expect(await a.ping('10.99.0.2')).toBe(0);
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pb', vlanMode: 'access', tag: 10 });
    await a.reaches('10.99.0.2');
  });
});
