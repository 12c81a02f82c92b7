/**
 * Our database server beside Open vSwitch's own: the same command lines of its tools against both, with equal output
 * but for uuids. `--no-wait`, or nobody waiting, since beside ovsdb-server there is no switch here.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openVSwitchSchema } from '../../src/ovsdb/index.js';
import { Journal } from '../../src/ovsdb/journal.js';
import { OvsdbServer } from '../../src/ovsdb/server/index.js';
import { Listener } from '../../src/ovsdb/server/listener.js';
import { Store } from '../../src/ovsdb/store.js';
import { sh, until } from '../system/lab.js';

const folder = mkdtempSync(join(tmpdir(), 'weft-ovsdb-'));
const sockets = { real: join(folder, 'real.sock'), weft: join(folder, 'weft.sock') };
const children: ChildProcess[] = [];
const warnings: string[] = [];
let listener: Listener;
let store: Store;

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

function run(command: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

/** Uuids by the order of their appearance, so that equal structure is equal text. */
function normalize(text: string): string {
  const seen = new Map<string, string>();
  return text
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (uuid) => {
      if (!seen.has(uuid)) seen.set(uuid, `<uuid ${seen.size}>`);
      return seen.get(uuid) ?? '';
    })
    .replaceAll(/(real|weft)\.sock/g, 'db.sock')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z\|\d+\|/g, '');
}

/** Sets of uuids are in the order of the uuids, which differ: lines are compared sorted. */
function sorted(text: string): string[] {
  return normalize(text)
    .split('\n')
    .map((line) => line.replaceAll(/\[(<uuid[^\]]*)\]/g, '[uuids]').replaceAll(/<uuid \d+>/g, '<uuid>'))
    .sort();
}

async function vsctl(...args: string[]): Promise<[Outcome, Outcome]> {
  return Promise.all([
    run('ovs-vsctl', '--timeout=5', `--db=unix:${sockets.real}`, ...args),
    run('ovs-vsctl', '--timeout=5', `--db=unix:${sockets.weft}`, ...args),
  ]);
}

async function client(command: string, ...args: string[]): Promise<[Outcome, Outcome]> {
  return Promise.all([
    run('ovsdb-client', '--timeout=5', command, `unix:${sockets.real}`, ...args),
    run('ovsdb-client', '--timeout=5', command, `unix:${sockets.weft}`, ...args),
  ]);
}

function expectEqual([real, weft]: [Outcome, Outcome]): void {
  expect(weft.status).toBe(real.status);
  expect(sorted(weft.stdout)).toEqual(sorted(real.stdout));
  expect(sorted(weft.stderr)).toEqual(sorted(real.stderr));
}

beforeAll(async () => {
  const real = join(folder, 'real.db');
  await sh('ovsdb-tool', 'create', real, '/usr/share/openvswitch/vswitch.ovsschema');
  children.push(
    spawn(
      'ovsdb-server',
      [real, `--remote=punix:${sockets.real}`, `--unixctl=${folder}/ctl`, '-vconsole:off'],
      {
        stdio: 'ignore',
        env: { ...process.env, OVS_RUNDIR: folder },
      },
    ),
  );
  const journal = await Journal.open({
    path: join(folder, 'weft.db'),
    schema: openVSwitchSchema,
    log: () => undefined,
  });
  store = new Store(journal, randomUUID);
  const log = { warn: (_: object, text: string) => void warnings.push(text), error: () => undefined };
  const server = new OvsdbServer([store], { newUuid: randomUUID, log });
  listener = await Listener.open(server, { kind: 'unix', path: sockets.weft });
  await until(
    'ovsdb-server',
    async () => (await run('ovsdb-client', 'list-dbs', `unix:${sockets.real}`)).status === 0,
  );
});

afterAll(async () => {
  for (const child of children) child.kill('SIGTERM');
  await listener?.close();
  await store?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** One after the other, each building on those before it. */
const commands = `
init
list-br
show
add-br br0
add-br br0
--may-exist add-br br0
add-port br0 eth0
add-port br0 eth1 tag=10
add-port br0 eth2 trunks=10,20
add-port br0 eth3 vlan_mode=native-untagged tag=2 trunk=2,3
add-port br0 int0 tag=2 -- set Interface int0 type=internal
add-port br0 eth0
--may-exist add-port br0 eth0
add-port nobr eth9
--may-exist add-port br0 tap2 tag=2 -- set Interface tap2 external-ids:attached-mac="52:54:00:00:00:01" -- set Interface tap2 external-ids:iface-id="8a8d9d07-3d1a-4c2a-9c4e-0a1e8d1c2b3a" -- set Interface tap2 external-ids:iface-status=active
add-bond br0 bond0 eth4 eth5 bond_mode=balance-slb
--fake-iface add-bond br0 bond1 eth6 eth7
show
list-br
list-ports br0
list-ifaces br0
port-to-br eth1
iface-to-br eth4
port-to-br nothing
br-exists br0
br-exists br9
add-br vlan1 br0 1
add-port vlan1 vnet0
list-br
list-ports vlan1
list-ports br0
br-to-vlan vlan1
br-to-parent vlan1
br-to-vlan br0
iface-to-br vnet0
get port vnet0 tag
get port vlan1 fake_bridge tag
get interface vlan1 type
set-fail-mode br0 secure
get-fail-mode br0
del-fail-mode br0
set-controller br0 tcp:127.0.0.1:6653 ptcp:6654
get-controller br0
del-controller br0
set-manager ptcp:6640
get-manager
del-manager
set bridge br0 stp_enable=true other_config:mac-aging-time=60 other_config:hwaddr="02:00:00:00:00:01"
get bridge br0 stp_enable other_config
get bridge br0 other_config:hwaddr
get bridge br0 other_config:nothing
--if-exists get bridge br0 other_config:nothing
add port eth2 trunks 30
add port eth2 trunks 5000
remove port eth2 trunks 10
get port eth2 trunks
set port eth2 trunks=1,2,3
clear port eth2 trunks
get port eth2 trunks
set port eth1 tag=4096
set port eth1 vlan_mode=nonsense
set port eth1 nothing=1
set port nothing tag=1
--if-exists set port nothing tag=1
set bridge br0 name=br1
--columns=name,tag,trunks,vlan_mode list port
--columns=name,tag list port eth1
--format=csv --columns=name,type list interface
--format=json --columns=name,tag list port eth1
--bare --columns=name find port tag=2
--columns=name find interface type=internal
--columns=name find port tag!=2 trunks!=[]
--columns=name find interface external_ids:iface-status=active
set port tap2 qos=@qos1 external-ids:vm-id="x" -- --id=@qos1 create qos type=linux-htb other_config:min-rate=1000 other_config:burst=10 queues:0=@queue0 -- --id=@queue0 create queue other_config:min-rate=1000
--no-heading --columns=other_config find queue
--columns=type,other_config list qos
set Interface tap2 ingress_policing_rate=8000 ingress_policing_burst=800
get Interface tap2 ingress_policing_rate ingress_policing_burst
set Interface tap2 ingress_policing_rate=-1
clear port tap2 qos
--all destroy qos -- --all destroy queue
list qos
list queue
-- --id=@m create Mirror name=m0 select_all=true -- set bridge br0 mirrors=@m
--columns=name,select_all list mirror
--id=@p get port eth1 -- set mirror m0 output_port=@p
clear bridge br0 mirrors
list mirror
--id=@n create netflow targets="127.0.0.1:5566" -- set bridge br0 netflow=@n
--columns=targets list netflow
create queue
create interface name=orphan
br-set-external-id br0 key value
br-get-external-id br0
br-get-external-id br0 key
br-set-external-id br0 key
set open . external_ids:system-id=abc other_config:vlan-limit=2
get open . external_ids next_cfg
wait-until bridge br0
wait-until bridge br0 fail_mode=[]
--if-exists del-port nothing
del-port nothing
--with-iface del-port eth4
del-port br0 eth2
-- --if-exists del-port tap2 --
-- --if-exists del-br nothing
del-br vlan1
list-ports br0
emer-reset
del-br br0
show
list bridge
list port
list interface
nonsense
`
  .trim()
  .split('\n');

test('ovs-vsctl', async () => {
  const differences: string[] = [];
  for (const line of commands) {
    if (differences.length > 9) break;
    const args = (line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []) as string[];
    const both = await vsctl('--no-wait', ...args);
    try {
      expectEqual(both);
    } catch (error) {
      differences.push(`${line}\n${error instanceof Error ? error.message : String(error)}`);
    }
  }
  expect(differences).toEqual([]);
});

describe('ovsdb-client', () => {
  test('list-dbs, list-tables, list-columns, get-schema', async () => {
    expectEqual(await client('list-dbs'));
    expectEqual(await client('list-tables', 'Open_vSwitch'));
    const [real, weft] = await client('list-columns', 'Open_vSwitch', '-f', 'csv');
    const columns = ({ stdout }: Outcome) => stdout.trim().split('\n').sort();
    expect(columns(weft)).toEqual(columns(real));
    expectEqual(await client('get-schema-version', 'Open_vSwitch'));
    const schemas = (await client('get-schema', 'Open_vSwitch')).map(
      ({ stdout }) => JSON.parse(stdout) as object,
    );
    expect({ ...schemas[1], cksum: undefined }).toEqual({ ...schemas[0], cksum: undefined });
  });

  test.each<[string, unknown[]]>([
    [
      'insert and what refers to it',
      [
        { op: 'insert', table: 'Bridge', 'uuid-name': 'b', row: { name: 'x0', ports: ['named-uuid', 'p'] } },
        {
          op: 'insert',
          table: 'Port',
          'uuid-name': 'p',
          row: { name: 'x0', interfaces: ['named-uuid', 'i'] },
        },
        { op: 'insert', table: 'Interface', 'uuid-name': 'i', row: { name: 'x0' } },
        {
          op: 'mutate',
          table: 'Open_vSwitch',
          where: [],
          mutations: [['bridges', 'insert', ['named-uuid', 'b']]],
        },
        { op: 'select', table: 'Port', where: [['name', '==', 'x0']], columns: ['name', 'tag'] },
      ],
    ],
    ['a name taken', [{ op: 'insert', table: 'Open_vSwitch', row: {} }, { op: 'abort' }]],
    [
      'mutate, then select',
      [
        { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 5]] },
        { op: 'select', table: 'Open_vSwitch', where: [['next_cfg', '>', 3]], columns: ['cur_cfg'] },
      ],
    ],
    [
      'a wait that holds',
      [
        {
          op: 'wait',
          table: 'Port',
          where: [['name', '==', 'x0']],
          columns: ['name'],
          until: '==',
          rows: [{ name: 'x0' }],
          timeout: 0,
        },
      ],
    ],
    [
      'comment, commit',
      [
        { op: 'comment', comment: 'hello' },
        { op: 'commit', durable: true },
      ],
    ],
    ['nothing', []],
  ])('transact: %s', async (_, operations) => {
    expectEqual(await client('transact', JSON.stringify(['Open_vSwitch', ...operations])));
  });

  test('dump and backup', async () => {
    const [real, weft] = await client('dump', 'Open_vSwitch', 'Port', 'name', 'tag', 'trunks');
    expect(weft).toEqual(real);
    expect(weft.stdout).toContain('x0');
    const file = join(folder, 'backup.db');
    await sh('sh', '-c', `ovsdb-client backup unix:${sockets.weft} Open_vSwitch > ${file}`);
    expect(
      await sh(
        'ovsdb-tool',
        'query',
        file,
        '["Open_vSwitch",{"op":"select","table":"Bridge","where":[],"columns":["name"]}]',
      ),
    ).toContain('x0');
  });

  test.each(['monitor', 'monitor-cond', 'monitor-cond-since'])(
    '%s shows the same changes',
    async (command) => {
      const outputs = { real: '', weft: '' };
      const watching = (['real', 'weft'] as const).map((which) => {
        const args = ['-f', 'csv', command, `unix:${sockets[which]}`, 'Open_vSwitch'];
        if (command !== 'monitor') args.push('[["name","!=","zz"]]');
        const child = spawn('ovsdb-client', [...args, 'Bridge', 'name,fail_mode,other_config'], {
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        children.push(child);
        child.stdout.on('data', (chunk: Buffer) => (outputs[which] += chunk.toString()));
        return child;
      });
      await until('the initial rows', () => outputs.real.includes('x0') && outputs.weft.includes('x0'));
      for (const line of [
        'set bridge x0 fail_mode=secure other_config:a=1 other_config:b=2',
        'remove bridge x0 other_config a',
        'set bridge x0 external_ids:unseen=1',
        'add-br y0',
        'add-br zz',
        'del-br y0',
        'del-br zz',
        'clear bridge x0 fail_mode other_config external_ids',
      ]) {
        expectEqual(await vsctl('--no-wait', ...line.split(' ')));
      }
      const lines = (text: string) => normalize(text).replaceAll(/<uuid \d+>/g, '<uuid>');
      await until(
        'the same',
        () => outputs.weft.length >= outputs.real.length && lines(outputs.weft) === lines(outputs.real),
      ).catch(() => expect(lines(outputs.weft)).toBe(lines(outputs.real)));
      expect(outputs.weft).toContain('secure');
      for (const child of watching) child.kill('SIGTERM');
    },
  );

  test('lock, steal', async () => {
    const output = { first: '', thief: '' };
    const start = (which: keyof typeof output, command: string) => {
      const child = spawn('ovsdb-client', [command, `unix:${sockets.weft}`, 'guard'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      children.push(child);
      child.stdout.on('data', (chunk: Buffer) => (output[which] += chunk.toString()));
      return child;
    };
    const first = start('first', 'lock');
    await until('locked', () => output.first.includes('true'));
    const thief = start('thief', 'steal');
    await until('stolen', () => output.first.includes('stolen'));
    thief.kill('SIGKILL');
    await until('given back', () => output.first.includes('locked'));
    first.kill('SIGTERM');
  });

  test('wait', async () => {
    expect((await client('wait', 'Open_vSwitch', 'connected')).map(({ status }) => status)).toEqual([0, 0]);
  });
});

test("python3-openvswitch's IDL keeps a live copy", async () => {
  const script = `
import sys, ovs.poller, ovs.db.idl, ovs.stream
remote = sys.argv[1]
helper = ovs.db.idl.SchemaHelper("/usr/share/openvswitch/vswitch.ovsschema")
helper.register_columns("Bridge", ["name", "other_config", "fail_mode"])
idl = ovs.db.idl.Idl(remote, helper)
shown = None
while True:
    idl.run()
    rows = sorted((r.name, sorted(r.other_config.items()), r.fail_mode) for r in idl.tables["Bridge"].rows.values())
    if idl.has_ever_connected() and rows != shown:
        shown = rows
        print(rows, flush=True)
    poller = ovs.poller.Poller()
    idl.wait(poller)
    poller.block()
`;
  const child = spawn('/usr/bin/python3', ['-c', script, `unix:${sockets.weft}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const shows = (text: string) => until(text, () => output.trim().split('\n').at(-1) === text);
  await vsctl('--no-wait', '--if-exists', 'del-br', 'x0');
  await shows('[]');
  await vsctl(
    '--no-wait',
    'add-br',
    'live0',
    '--',
    'set',
    'bridge',
    'live0',
    'other_config:a=1',
    'other_config:b=2',
  );
  await shows("[('live0', [('a', '1'), ('b', '2')], [])]");
  await vsctl(
    '--no-wait',
    'remove',
    'bridge',
    'live0',
    'other_config',
    'a',
    '--',
    'set-fail-mode',
    'live0',
    'secure',
  );
  await shows("[('live0', [('b', '2')], ['secure'])]");
  await vsctl('--no-wait', 'del-br', 'live0');
  await shows('[]');
  child.kill('SIGTERM');
});

test('a malformed client is cut off, others go on', async () => {
  const socket = connect(sockets.weft);
  socket.on('error', () => undefined);
  socket.resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write('{"method":"echo","params":[],"id":0} }');
  await closed;
  expect(warnings.at(-1)).toMatch(/^unix#\d+: something else than a JSON object begins; connection ended$/);
  expectEqual(await vsctl('--no-wait', 'list-br'));
});
