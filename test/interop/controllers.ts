/**
 * `npm run interop`: controllers that are not ours run weft-datapath, and what they promise is checked from outside, by
 * hosts that ping each other. Peers are used where they are installed and skipped with a reason where not (README.md).
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { datapathBinary, Lab, projectRoot, sh, until, type Host } from '../system/lab.js';

const CONTROLLER = 'tcp:127.0.0.1:6653';

const MININET_TIMEOUT_MS = 120_000;

const USAGE = `npm run interop -- [options] [peer...]      peers: testcontroller, os-ken, tls, faucet, mininet
  --os-ken PYTHON   a Python that has os-ken
  --faucet PYTHON   a Python that has faucet
  --log             show what the controllers say`;

/** Nothing to test with: said, and not a failure. */
class Skip extends Error {}

interface Peers {
  osKen: string | undefined;
  faucet: string | undefined;
}

type Check = (what: string, work: () => Promise<unknown>) => Promise<void>;

/** A switch with so many hosts, connected to a controller on this lab's 127.0.0.1:6653. */
async function startSwitch(
  lab: Lab,
  count: number,
  { addresses = '192.0.2', controller = CONTROLLER, options = [] as string[] } = {},
): Promise<Host[]> {
  const hosts = [];
  for (let n = 1; n <= count; n += 1) hosts.push(await lab.addHost(`ic${n}`, `${addresses}.${n}/24`));
  const ports = hosts.map(({ port }, index) => `port=${port}:${index + 1}`).join(',');
  const bridge = `name=br0,dpid=0000000000000001,fail_mode=secure,controller=${controller},${ports}`;
  lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge, ...options]);
  return hosts;
}

const isConnected = (lab: Lab) =>
  until('the controller has the switch', () => lab.log.includes('controller connected'), 120_000);

async function allReach(hosts: Host[], addresses = '192.0.2'): Promise<void> {
  for (const [from] of hosts.entries()) {
    for (const [to] of hosts.entries())
      if (from !== to) await hosts[from]!.reaches(`${addresses}.${to + 1}`, 30_000);
  }
}

const flows = (lab: Lab) => sh('ovs-ofctl', '-O', 'OpenFlow13', 'dump-flows', `unix:${lab.rundir}/br0.mgmt`);

async function testcontroller(lab: Lab, check: Check): Promise<void> {
  if (!existsSync('/usr/bin/ovs-testcontroller')) throw new Skip('Debian package openvswitch-testcontroller');
  lab.spawnInSwitch('ovs-testcontroller', ['-O', 'OpenFlow13', '--unixctl=none', 'ptcp:6653:127.0.0.1']);
  const hosts = await startSwitch(lab, 3);
  await isConnected(lab);
  await check('three hosts reach each other', () => allReach(hosts));
  await check('it has installed flows of its own', () =>
    until('flows', async () => /idle_timeout=60.*actions=output/.test(await flows(lab))),
  );
}

async function osKen(lab: Lab, check: Check, { osKen: python }: Peers): Promise<void> {
  if (!python) throw new Skip('--os-ken PYTHON: python3 -m venv DIR && DIR/bin/pip install "os-ken<4"');
  const manager = join(dirname(python), 'osken-manager');
  lab.spawnInSwitch(manager, [
    '--ofp-listen-host=127.0.0.1',
    '--ofp-tcp-listen-port=6653',
    join(projectRoot, 'test/interop/learning_rest.py'),
  ]);
  const hosts = await startSwitch(lab, 3);
  await isConnected(lab);
  await check('three hosts reach each other', () => allReach(hosts));
  await check('it has learned: exact flows', async () => {
    const text = await flows(lab);
    if ((text.match(/priority=1,in_port=.*dl_src=.*dl_dst=.*actions=output/g) ?? []).length < 6)
      throw new Error(text);
  });
  const http = async (path: string, body?: object): Promise<unknown> =>
    JSON.parse(
      await lab.inSwitch(
        'curl',
        '-sS',
        '--max-time',
        '20',
        ...(body ? ['-d', JSON.stringify(body)] : []),
        `http://127.0.0.1:8080${path}`,
      ),
    );
  const drop = { priority: 100, match: { eth_type: 0x0800, ipv4_dst: '192.0.2.2' }, actions: [] };
  await check('a flow added over HTTP stops what it says', async () => {
    await http('/flows', { command: 'add', ...drop });
    await until('dropped', async () => (await hosts[0]!.ping('192.0.2.2', 1)) === 0);
    await hosts[0]!.reaches('192.0.2.3');
  });
  await check('statistics over HTTP count what was dropped', async () => {
    const stats = (await http('/flows')) as Record<string, { priority: number; packet_count: number }[]>;
    const flow = Object.values(stats)
      .flat()
      .find(({ priority }) => priority === 100);
    if (!flow || flow.packet_count < 1) throw new Error(JSON.stringify(stats));
  });
  await check('table, port and description statistics, table features', async () => {
    for (const path of ['/tables', '/ports', '/desc', '/features']) {
      const answer = JSON.stringify(await http(path));
      if (answer.length < 100) throw new Error(`${path}: ${answer}`);
    }
  });
  await check('deleted over HTTP, all flows again', async () => {
    await http('/flows', { command: 'delete', match: drop.match });
    await hosts[0]!.reaches('192.0.2.2');
  });
}

/** Both ends show certificates, made as operators of Open vSwitch do it: one authority for switches, one for controllers. */
async function tls(lab: Lab, check: Check, { osKen: python }: Peers): Promise<void> {
  const at = (name: string) => join(lab.folder, name);
  const pki = (...words: string[]) =>
    execFileSync('ovs-pki', [`--dir=${at('pki')}`, `--log=${at('pki.log')}`, ...words], {
      cwd: lab.folder,
      stdio: 'ignore',
    });
  pki('init');
  for (const name of ['switch', 'controller']) pki('req+sign', name, name);
  const files = (name: string, peer: string) => ({
    key: at(`${name}-privkey.pem`),
    certificate: at(`${name}-cert.pem`),
    authority: at(`pki/${peer}ca/cacert.pem`),
  });
  const ours = files('switch', 'controller');
  const theirs = files('controller', 'switch');
  const options = ['--private-key', ours.key, '--certificate', ours.certificate, '--ca-cert', ours.authority];
  const controllers: Record<string, [string, string[]] | undefined> = {
    'ovs-testcontroller': existsSync('/usr/bin/ovs-testcontroller')
      ? [
          'ovs-testcontroller',
          [
            ...['-O', 'OpenFlow13', '--unixctl=none', 'pssl:6653:127.0.0.1', `--private-key=${theirs.key}`],
            ...[`--certificate=${theirs.certificate}`, `--ca-cert=${theirs.authority}`],
          ],
        ]
      : undefined,
    'os-ken': python
      ? [
          join(dirname(python), 'osken-manager'),
          [
            ...['--ofp-listen-host=127.0.0.1', '--ofp-ssl-listen-port=6653', `--ctl-privkey=${theirs.key}`],
            ...[`--ctl-cert=${theirs.certificate}`, `--ca-certs=${theirs.authority}`],
            join(projectRoot, 'test/interop/learning_rest.py'),
          ],
        ]
      : undefined,
  };
  for (const [name, command] of Object.entries(controllers)) {
    if (!command) {
      process.stdout.write(`  skipped: ${name} is not there\n`);
      continue;
    }
    const own = await Lab.create();
    try {
      own.spawnInSwitch(...command);
      const hosts = await startSwitch(own, 3, { controller: 'ssl:127.0.0.1:6653', options });
      await check(`${name}: three hosts reach each other`, async () => {
        await isConnected(own);
        await allReach(hosts);
      });
      if (!own.log.includes('ssl:127.0.0.1:6653')) throw new Error(own.log.slice(-3000));
    } finally {
      await own.close();
    }
  }
}

async function faucet(lab: Lab, check: Check, { faucet: python }: Peers): Promise<void> {
  if (!python) throw new Skip('--faucet PYTHON: python3 -m venv DIR && DIR/bin/pip install faucet');
  for (const hardware of ['Generic', 'GenericTFM', 'Open vSwitch']) {
    const own = await Lab.create();
    try {
      await runFaucet(own, check, python, hardware);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${own.log.slice(-3000)}`);
    } finally {
      await own.close();
    }
  }
}

async function runFaucet(lab: Lab, check: Check, python: string, hardware: string): Promise<void> {
  const folder = join(lab.folder, 'faucet');
  mkdirSync(folder);
  const config = join(folder, 'faucet.yaml');
  writeFileSync(
    config,
    `vlans:
  office: { vid: 100 }
  guests: { vid: 200 }
dps:
  sw1:
    dp_id: 1
    hardware: '${hardware}'
    interfaces:
      1: { native_vlan: office }
      2: { native_vlan: office }
      3: { native_vlan: guests }
`,
  );
  const env = {
    // It looks for os-ken's manager there.
    PATH: `${dirname(python)}:${process.env['PATH'] ?? ''}`,
    FAUCET_CONFIG: config,
    FAUCET_LOG: join(folder, 'faucet.log'),
    FAUCET_EXCEPTION_LOG: join(folder, 'exception.log'),
    FAUCET_PROMETHEUS_ADDR: '127.0.0.1',
  };
  lab.spawnInSwitch(
    python,
    [join(dirname(python), 'faucet'), '--ryu-ofp-listen-host=127.0.0.1', '--ryu-ofp-tcp-listen-port=6653'],
    env,
  );
  const [a, b, guest] = (await startSwitch(lab, 3)) as [Host, Host, Host];
  await isConnected(lab);
  await check(`${hardware}: two hosts of a VLAN reach each other`, async () => {
    await a.reaches('192.0.2.2', 60_000);
    await b.reaches('192.0.2.1', 60_000);
  });
  await check(`${hardware}: the one of another VLAN is not reached`, async () => {
    if ((await a.ping('192.0.2.3', 3)) > 0 || (await guest.ping('192.0.2.1', 3)) > 0)
      throw new Error('reached');
  });
  await check(`${hardware}: FAUCET holds the switch for up, without errors`, async () => {
    const metrics = await lab.inSwitch('curl', '-sS', 'http://127.0.0.1:9302/');
    if (!/^dp_status\{.*\} 1\.0$/m.test(metrics)) throw new Error('dp_status is not 1');
    const errors = /^of_errors_total\{.*\} (\d+)/m.exec(metrics)?.[1] ?? '0';
    if (Number(errors) > 0) {
      const log = readFileSync(env.FAUCET_LOG, 'utf8').split('\n');
      throw new Error(`${errors} errors: ${log.filter((line) => line.includes('OFError')).join('\n')}`);
    }
  });
}

async function mininet(lab: Lab, check: Check): Promise<void> {
  if (!existsSync('/usr/bin/mn')) throw new Skip('Debian package mininet');
  lab.spawnInSwitch(process.execPath, ['openflow/examples/learning-switch.mjs', 'ptcp:6653:127.0.0.1']);
  await until('the controller listens', () => lab.log.includes('listening on port 6653'));
  const mn = async (...args: string[]): Promise<void> => {
    // Its cleanup kills by name: it sees no processes but its own.
    const child: ChildProcess = spawn(
      'ip',
      [
        ...[
          'netns',
          'exec',
          lab.switchNamespace,
          'unshare',
          '--pid',
          '--fork',
          '--mount-proc',
          '--kill-child',
        ],
        ...[
          '/usr/bin/mn',
          '--custom',
          join(projectRoot, 'contrib/mininet/weft.py'),
          '--switch',
          'weft',
          ...args,
        ],
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, PATH: `/usr/bin:/usr/sbin:/bin:/sbin`, WEFT_DATAPATH: datapathBinary },
      },
    );
    const timer = setTimeout(() => child.kill('SIGKILL'), MININET_TIMEOUT_MS);
    let output = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    const result = /Results: (.*)/.exec(output)?.[1];
    if (code !== 0 || !result?.startsWith('0% dropped')) throw new Error(`status ${String(code)}\n${output}`);
    process.stdout.write(`    ${result}\n`);
  };
  const remote = ['--controller', 'remote,ip=127.0.0.1,port=6653'];
  await check('pingall on tree,2,3 with a remote controller', () =>
    mn('--topo', 'tree,2,3', ...remote, '--test', 'pingall'),
  );
  await check('pingall on single,3, stand-alone, without any', () =>
    mn(
      '--topo',
      'single,3',
      '--controller',
      'none',
      '--switch',
      'weft,failMode=standalone',
      '--test',
      'pingall',
    ),
  );
}

const peers = { testcontroller, 'os-ken': osKen, tls, faucet, mininet };

export async function runInterop(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      'os-ken': { type: 'string' },
      faucet: { type: 'string' },
      log: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  const unknown = positionals.filter((name) => !(name in peers));
  if (values.help || unknown.length > 0) {
    process.stdout.write(`${unknown.map((name) => `no peer ${name}\n`).join('')}${USAGE}\n`);
    return unknown.length > 0 ? 2 : 0;
  }
  let failed = 0;
  for (const [name, run] of Object.entries(peers)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    process.stdout.write(`${name}\n`);
    const lab = await Lab.create();
    const check: Check = async (what, work) => {
      try {
        await work();
        process.stdout.write(`  ok: ${what}\n`);
      } catch (error) {
        failed += 1;
        process.stdout.write(`  FAILED: ${what}: ${(error as Error).message}\n`);
      }
    };
    try {
      await run(lab, check, { osKen: values['os-ken'], faucet: values.faucet });
    } catch (error) {
      if (error instanceof Skip) process.stdout.write(`  skipped, as there is no ${error.message}\n`);
      else {
        failed += 1;
        process.stdout.write(`  FAILED: ${(error as Error).message}\n`);
      }
    } finally {
      if (values.log) process.stdout.write(lab.log);
      await lab.close();
    }
  }
  return failed === 0 ? 0 : 1;
}
