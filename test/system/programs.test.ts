/** Programs by others: the worked examples of docs/examples in front of the bridge, on a real switch with real TCP. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, projectRoot, until, type Host } from './lab.js';

const examples = join(projectRoot, 'docs/examples');
const VIP = '10.98.0.100';

let lab: Lab;
let client: Host, one: Host, two: Host;

beforeAll(async () => {
  lab = await Lab.create();
  client = await lab.addHost('pc', '10.98.0.1/24');
  one = await lab.addHost('ps1', '10.98.0.11/24');
  two = await lab.addHost('ps2', '10.98.0.12/24');
  const programs = ['acl-firewall.ts', 'load-balancer.ts'].map((file) => `br0=${join(examples, file)}`);
  await lab.startWeft(...programs.flatMap((file) => ['--program', file]));
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  for (const name of ['pc', 'ps1', 'ps2'])
    await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
  await client.reaches('10.98.0.11');
});

afterAll(() => lab?.close());

const configure = (...words: string[]) =>
  lab.inSwitch('ovs-vsctl', `--db=unix:${lab.rundir}/db.sock`, '--timeout=10', ...words);

test('firewall: a rule set in the database works at once, says why it is there, and goes again', async () => {
  await configure('set', 'bridge', 'br0', 'other_config:acl-100="deny icmp,nw_dst=10.98.0.11"');
  expect(await client.ping('10.98.0.11', 2)).toBe(0);
  expect(await client.ping('10.98.0.12', 2)).toBe(2);
  const dump = await lab.rest('GET', '/v1/bridges/br0/flows');
  expect(dump.text).toContain('acl-100: deny icmp,nw_dst=10.98.0.11');
  expect(dump.text).toContain('acl-firewall');
  await configure('remove', 'bridge', 'br0', 'other_config', 'acl-100');
  expect(await client.ping('10.98.0.11', 2)).toBe(2);
});

test('firewall: a rule that cannot be read is told, and what was in force stays', async () => {
  await configure('set', 'bridge', 'br0', 'other_config:acl-100="deny icmp,nw_dst=10.98.0.11"');
  await configure('--no-wait', 'set', 'bridge', 'br0', 'other_config:acl-200=perhaps');
  const health = await until('the fault is told', async () => {
    const { text } = await lab.rest('GET', '/healthz');
    return text.includes('acl-200') && text;
  });
  expect(health).toContain('acl-firewall');
  expect(await client.ping('10.98.0.11', 2)).toBe(0);
  await configure('--no-wait', 'remove', 'bridge', 'br0', 'other_config', 'acl-200', 'acl-100');
  await until('all is well again', () => lab.isHealthy());
  await client.reaches('10.98.0.11');
});

test('load balancer: connections are spread over the servers and answered as the virtual address', async () => {
  for (const server of [one, two]) {
    const folder = join(lab.folder, server.port);
    await mkdir(folder);
    await writeFile(join(folder, 'name'), server.port);
    const words = ['netns', 'exec', server.namespace, 'python3', '-m', 'http.server', '80', '-d', folder];
    lab.spawnInSwitch('ip', words);
    await until(`${server.port} listens`, async () => (await server.run('ss', '-ltnH')).includes(':80'));
  }
  await configure(
    ...['set', 'bridge', 'br0', `other_config:lb-vip="${VIP}:80"`, 'other_config:lb-mac="02:00:00:00:00:64"'],
    `other_config:lb-server-1="10.98.0.11,${await one.mac()}"`,
    `other_config:lb-server-2="10.98.0.12,${await two.mac()}"`,
  );
  const seen = new Map<string, number>();
  for (let i = 0; i < 40; i++) {
    const name = await client.run('curl', '-s', '--max-time', '5', `http://${VIP}/name`);
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
  expect([...seen.keys()].sort()).toEqual(['ps1', 'ps2']);
  await configure('remove', 'bridge', 'br0', 'other_config', 'lb-server-2');
  for (let i = 0; i < 10; i++) {
    expect(await client.run('curl', '-s', '--max-time', '5', `http://${VIP}/name`)).toBe('ps1');
  }
});

test('weftd does not start with programs that cannot be together, or that are none, and says so in a line', async () => {
  const write = async (name: string, text: string) => {
    const path = join(lab.folder, name);
    await writeFile(path, text);
    return path;
  };
  const program = (name: string) => `
    import { defineProgram, NEXT_PROGRAM } from 'weft/program';
    const only = { name: 'only', does: '', match: {}, miss: { kind: 'next', table: NEXT_PROGRAM, reason: '' }, next: [NEXT_PROGRAM] };
    export default defineProgram({ name: '${name}', id: 77, kinds: [], tables: [only], init: () => null, flows: () => ({ flows: [] }) });`;
  const red = await write('red.ts', program('red'));
  const blue = await write('blue.ts', program('blue'));
  const none = await write('none.ts', 'export default 1;');
  const wrong = await write('wrong.ts', 'export default {\n  a: 1,,\n};');
  const fails = async (...files: string[]): Promise<string> => {
    const words = [join(projectRoot, 'dist/weftd/main.js'), '--rundir', join(lab.folder, 'r2')];
    const db = ['--db', join(lab.folder, 'c2.db'), '--http', `unix:${lab.folder}/a2`];
    const child = lab.spawnInSwitch(process.execPath, [
      ...words,
      ...db,
      ...files.flatMap((file) => ['--program', file]),
    ]);
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
    return text;
  };
  expect(await fails(red, blue)).toBe('weftd: programs red and blue share the number 77\n');
  expect(await fails(none)).toContain('has to export by default what defineProgram returns');
  expect(await fails(wrong)).toMatch(/^weftd: the program .*wrong\.ts cannot be built: .*wrong\.ts:2: .*\n$/);
  expect(await fails(join(lab.folder, 'missing.ts'))).toContain('is not there');
});
