/**
 * The first tutorial: a KVM hypervisor with four network cards bonded by LACP to a switch, VLANs 1 and 2, VMs A and B,
 * and hosts C to F beyond the trunk. Each command as it is printed there.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Lab, projectRoot, sh, until, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { createShell, type Tools } from './shell.js';
import { play, type Step } from './step.js';

const run = promisify(execFile);
const CARDS = ['eth0', 'eth1', 'eth4', 'eth8'];
const OPEN_VSWITCH = 'installs Open vSwitch or its kernel module; Weft is there instead, and needs no module';

/** VLAN and address of each host; all in one subnet, so that nothing but VLANs keeps them apart. */
const HOSTS = {
  A: { vlan: 1, port: 'vnet0', address: '10.9.0.1' },
  B: { vlan: 2, port: 'vnet1', address: '10.9.0.2' },
  C: { vlan: 1, port: 'to-c', address: '10.9.0.3' },
  D: { vlan: 2, port: 'to-d', address: '10.9.0.4' },
  E: { vlan: 1, port: 'to-e', address: '10.9.0.5' },
  F: { vlan: 2, port: 'to-f', address: '10.9.0.6' },
} as const;
type Name = keyof typeof HOSTS;
const NAMES = Object.keys(HOSTS) as Name[];

const bridge = (...ports: string[]): string =>
  [
    'f5050003-57de-4e68-831b-83277b329fe5',
    '    Bridge vswitch',
    ...ports.map((port) => port.replace(/^/gm, '        ')),
    '    ovs_version: "1.4.2"',
  ].join('\n');
const VSWITCH = 'Port vswitch\n    Interface vswitch\n        type: internal';
const BOND = `Port "bond0"\n    trunks: [1, 2]\n${['eth8', 'eth0', 'eth1', 'eth4'].map((card) => `    Interface "${card}"`).join('\n')}`;
const fakeBridge = (vlan: number): string =>
  `Port "vlan${vlan}"\n    tag: ${vlan}\n    Interface "vlan${vlan}"\n        type: internal`;
const vm = (name: string, vlan: number): string =>
  `Port "${name}"\n    tag: ${vlan}\n    Interface "${name}"`;

/** Plays it with the given tools. @returns how many steps were not as they should be */
export async function playFirst(tools: Tools): Promise<number> {
  const lab = await Lab.create();
  try {
    const hosts = new Map<Name, Host>();
    for (const name of NAMES) {
      const { port, address } = HOSTS[name];
      hosts.set(name, await lab.addHost(port, `${address}/24`));
    }
    for (const [i, card] of CARDS.entries()) {
      await lab.inSwitch('ip', 'link', 'add', card, 'type', 'veth', 'peer', 'name', `p${i}`);
      for (const name of [card, `p${i}`]) await lab.inSwitch('ip', 'link', 'set', name, 'up');
    }
    const partner = await OpenVSwitch.start(lab);
    await partner.addBridge('ps');
    const links = CARDS.map((_, i) => `p${i}`);
    await partner.vsctl(
      'add-bond',
      'ps',
      'pb',
      ...links,
      'lacp=active',
      'bond_mode=balance-tcp',
      'trunks=1,2',
    );
    for (const name of ['C', 'D', 'E', 'F'] as const)
      await partner.vsctl('add-port', 'ps', HOSTS[name].port, `tag=${HOSTS[name].vlan}`);
    await lab.startWeft();
    return await play(steps(lab, hosts, partner), createShell(lab, tools));
  } catch (error) {
    process.stderr.write(lab.log.slice(-4000));
    throw error;
  } finally {
    await lab.close();
  }
}

function steps(lab: Lab, hosts: ReadonlyMap<Name, Host>, partner: OpenVSwitch): Step[] {
  const host = (name: Name): Host => hosts.get(name) as Host;
  const everyone = bridge(VSWITCH, BOND, fakeBridge(1), fakeBridge(2), vm('vnet0', 1), vm('vnet1', 2));
  return [
    {
      command: 'apt-get install -t testing openvswitch-switch openvswitch-datapath-source',
      instead: OPEN_VSWITCH,
    },
    { command: 'apt-get install -t testing linux-headers-$(uname -r)', instead: OPEN_VSWITCH },
    { command: 'apt-get install -t testing module-assistant', instead: OPEN_VSWITCH },
    { command: 'm-a build -f openvswitch-datapath', instead: OPEN_VSWITCH },
    { command: 'dpkg -i /usr/src/openvswitch-datapath-module-$(uname -r)_*.deb', instead: OPEN_VSWITCH },
    { command: 'rmmod bridge', instead: 'Weft and the bridge module get along' },
    { command: 'cat /etc/modprobe.d/bridge-blacklist.conf', instead: 'Weft and the bridge module get along' },
    { command: '/etc/init.d/openvswitch-switch start', instead: 'npm start, or systemctl start weft' },

    { command: 'ovs-vsctl add-br vswitch' },
    { command: 'ovs-vsctl show', shows: bridge(VSWITCH) },
    { command: 'ip link show vswitch', has: ['…: vswitch: <BROADCAST,MULTICAST…'] },

    { command: 'ovs-vsctl add-bond vswitch bond0 eth0 eth1 eth4 eth8 lacp=active trunks=1,2' },
    { command: 'ovs-vsctl show', shows: bridge(VSWITCH, BOND) },
    {
      // Today's default is active-backup, as today's Open vSwitch has it; the tutorial's was balance-slb.
      command: 'ovs-vsctl set port bond0 bond_mode=balance-slb',
    },
    {
      command: 'ovs-appctl bond/show bond0',
      has: [
        'bond_mode: balance-slb',
        'bond-hash-basis: 0',
        'updelay: 0 ms',
        'downdelay: 0 ms',
        'next rebalance: … ms',
        'lacp_negotiated: true',
        ...CARDS.map((card) => `… ${card}: enabled`),
        'may_enable: true',
      ],
    },

    { command: 'ovs-vsctl add-br vlan1 vswitch 1' },
    { command: 'ovs-vsctl add-br vlan2 vswitch 2' },
    { command: 'ovs-vsctl show', shows: bridge(VSWITCH, BOND, fakeBridge(1), fakeBridge(2)) },
    { command: 'ip link show vlan1', has: ['…: vlan1: <BROADCAST,MULTICAST…'] },
    { command: 'ip link show vlan2', has: ['…: vlan2: <BROADCAST,MULTICAST…'] },

    { command: 'ovs-vsctl add-port vlan1 vnet0' },
    { command: 'ovs-vsctl add-port vlan2 vnet1' },
    { command: 'ovs-vsctl show', shows: everyone },
    { command: 'ovs-vsctl del-port vnet0' },
    { command: 'ovs-vsctl del-port vnet1' },
    { command: 'ovs-vsctl add-port vswitch vnet0 tag=1' },
    { command: 'ovs-vsctl add-port vswitch vnet1 tag=2' },
    { command: 'ovs-vsctl show', shows: everyone },

    {
      claim: 'A, C and E talk to each other in VLAN 1, B, D and F in VLAN 2, and nothing crosses',
      check: () => checkPairs(host),
    },
    {
      claim: 'an address on vlan1 is reached in VLAN 1, and in VLAN 1 only',
      check: async () => {
        await lab.inSwitch('ip', 'link', 'set', 'vlan1', 'up');
        await lab.inSwitch('ip', 'addr', 'add', '10.9.0.11/24', 'dev', 'vlan1');
        await host('E').reaches('10.9.0.11');
        await host('A').reaches('10.9.0.11');
        if ((await host('D').ping('10.9.0.11')) > 0) throw new Error('D, in VLAN 2, reaches it too');
      },
    },

    {
      claim: 'some traffic, for the bond to tell of',
      check: async () => {
        await host('A').run('ping', '-q', '-c', '200', '-i', '0.01', '-s', '1400', HOSTS.C.address);
      },
    },
    {
      command: 'ovs-appctl fdb/show vswitch',
      prints: ' port  VLAN  MAC                Age\n…\n…  1  …:…:…:…:…:…  …\n…',
    },
    { command: 'ovs-appctl bond/show bond0', has: ['lacp_negotiated: true', '…hash …: …kB load'] },

    {
      command: 'cat /etc/udev/rules.d/openvswitch.rules',
      instead: 'shipped in /usr/share/doc/weft/examples; systemd’s ordering makes it unnecessary',
    },
    {
      command: 'virsh edit VM-A',
      instead: 'the next commands are what libvirt runs for <virtualport type="openvswitch"/>',
    },
    {
      command:
        'ovs-vsctl --timeout=5 -- --if-exists del-port vnet0 -- --may-exist add-port vlan1 vnet0' +
        ' -- set Interface vnet0 external-ids:attached-mac="52:54:00:ba:e9:f7"' +
        ' -- set Interface vnet0 external-ids:iface-id="5f0cb8d7-5d65-4f5c-8c43-6a4d5ed83c1b"' +
        ' -- set Interface vnet0 external-ids:vm-id="2f6a1c8e-0f0a-4bd1-9a27-f3c1a8ce53f5"' +
        ' -- set Interface vnet0 external-ids:iface-status=active',
    },
    { command: 'ovs-vsctl show', shows: everyone },
    { claim: 'A is in VLAN 1 as before', check: () => host('A').reaches(HOSTS.C.address) },

    ...failures(lab, host, partner),
  ];
}

/** Members of the bond that are pulled out, and a partner that falls silent. */
function failures(lab: Lab, host: (name: Name) => Host, partner: OpenVSwitch): Step[] {
  const fast = 'other_config:lacp-time=fast';
  const partnerHas = async (count: number): Promise<void> => {
    await until(
      `the partner has ${count} members`,
      async () => ((await partner.appctl('bond/show', 'pb')).match(/: enabled/g) ?? []).length === count,
      30_000,
    );
  };
  return [
    { command: `ovs-vsctl set port bond0 ${fast}` },
    {
      claim: 'members pulled one after another: traffic is lost for less than 1 s each time',
      check: async () => {
        await partner.vsctl('set', 'port', 'pb', fast);
        const gaps: number[] = [];
        for (const [i] of CARDS.entries()) {
          await partnerHas(CARDS.length);
          const gap = await longestGap(host('A'), HOSTS.C.address, 4, () =>
            lab.inSwitch('ip', 'link', 'set', `p${i}`, 'down'),
          );
          gaps.push(gap);
          await lab.inSwitch('ip', 'link', 'set', `p${i}`, 'up');
        }
        const text = `longest gaps ${gaps.map((ms) => `${ms} ms`).join(', ')}`;
        if (gaps.some((ms) => ms >= 1000)) throw new Error(text);
        return text;
      },
    },
    {
      claim: 'a partner that falls silent on one link, which stays up: less than 3.5 s with fast LACP',
      check: async () => {
        await partnerHas(CARDS.length);
        const gaps: number[] = [];
        for (const [i] of CARDS.entries()) {
          const gap = await longestGap(host('A'), HOSTS.C.address, 8, () => silence(lab, `p${i}`));
          gaps.push(gap);
          await lab.inSwitch('tc', 'qdisc', 'del', 'dev', `p${i}`, 'clsact');
          await partnerHas(CARDS.length);
        }
        const text = `longest gaps ${gaps.map((ms) => `${ms} ms`).join(', ')}`;
        if (gaps.some((ms) => ms >= 3500)) throw new Error(text);
        return text;
      },
    },
  ];
}

async function checkPairs(host: (name: Name) => Host): Promise<string> {
  const pairs = NAMES.flatMap((from) => NAMES.filter((to) => to !== from).map((to) => [from, to] as const));
  const together = pairs.filter(([from, to]) => HOSTS[from].vlan === HOSTS[to].vlan);
  const apart = pairs.filter(([from, to]) => HOSTS[from].vlan !== HOSTS[to].vlan);
  for (const [from, to] of together) await host(from).reaches(HOSTS[to].address, 30_000);
  const crossed = await Promise.all(
    apart.map(async ([from, to]) =>
      (await host(from).ping(HOSTS[to].address)) > 0 ? [`${from} reaches ${to}`] : [],
    ),
  );
  if (crossed.flat().length > 0) throw new Error(crossed.flat().join(', '));
  return `${together.length} pairs talk, ${apart.length} do not`;
}

/** Drops all that a device sends, its link staying up. */
async function silence(lab: Lab, device: string): Promise<void> {
  const object = join(lab.folder, 'silence.o');
  const source = join(projectRoot, 'test/tutorial/silence.bpf.c');
  await sh('clang', '-O2', '-target', 'bpf', '-c', source, '-o', object);
  await lab.inSwitch('tc', 'qdisc', 'add', 'dev', device, 'clsact');
  const filter = ['bpf', 'direct-action', 'object-file', object, 'section', 'silence'];
  await lab.inSwitch('tc', 'filter', 'add', 'dev', device, 'egress', ...filter);
}

/** For how many milliseconds at most no ping of a series was answered, while something happens. */
async function longestGap(
  from: Host,
  to: string,
  durationS: number,
  during: () => Promise<unknown>,
): Promise<number> {
  const count = String(durationS * 100);
  const words = [
    'netns',
    'exec',
    from.namespace,
    'ping',
    '-n',
    '-D',
    '-i',
    '0.01',
    '-c',
    count,
    '-W',
    '1',
    to,
  ];
  const pinging = run('ip', words, { maxBuffer: 16 << 20 }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => error.stdout ?? '',
  );
  await new Promise((resolve) => setTimeout(resolve, 500));
  await during();
  const times = [...(await pinging).matchAll(/^\[(\d+\.\d+)\].*icmp_seq=/gm)].map(
    ([, at]) => Number(at) * 1000,
  );
  if (times.length < 2) return Infinity;
  return Math.round(Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? at))));
}
