/**
 * The data plane beside its peers in one run: 64-byte frames and TCP between two hosts on veth pairs, both ports
 * access ports of VLAN 10 with learning on (the Linux bridge: plain). The hosts keep their default offloads, but
 * for Open vSwitch's userspace datapath, where TCP stalls with them and is measured with checksum offload off.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, sh, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import {
  cpuSeconds,
  forwardedPps,
  macOf,
  median,
  printTable,
  receivedFrames,
  sendFrames,
  spread,
  tcpGbps,
} from './measure.js';

interface Running {
  /** Its processes. */
  pids: number[];
  down: () => Promise<unknown>;
}

interface Peer {
  name: string;
  up(lab: Lab, a: Host, b: Host): Promise<Running>;
}

/** Rules of a user's ahead of NORMAL that no frame here matches: 1,000 in 5 tables with 8 distinct masks. */
function thousandRules(): string {
  const masks = [
    (n: number) => `ip,nw_src=172.16.${n}.0/24`,
    (n: number) => `ip,nw_dst=172.17.0.${n}`,
    (n: number) => `udp,tp_dst=${20_000 + n}`,
    (n: number) => `tcp,nw_src=172.18.0.${n},tp_dst=80`,
    (n: number) => `dl_src=06:00:00:00:00:${n.toString(16).padStart(2, '0')}`,
    (n: number) => `ip,nw_proto=${100 + n},nw_tos=32`,
    (n: number) => `udp,nw_dst=172.${20 + Math.floor(n / 100)}.0.0/16,tp_dst=${n}`,
    (n: number) => `in_port=1,dl_dst=06:00:00:00:01:${n.toString(16).padStart(2, '0')}`,
  ];
  const rules = Array.from({ length: 1000 }, (_, n) => {
    const match = masks[n % 8]!(Math.floor(n / 8));
    return `table=${n % 5},priority=${100 + (n % 8)},${match},actions=drop`;
  });
  for (let table = 0; table < 4; table += 1)
    rules.push(`table=${table},priority=0,actions=goto_table:${table + 1}`);
  return [...rules, 'table=4,priority=0,actions=NORMAL', ''].join('\n');
}

async function startWeft(lab: Lab): Promise<Running> {
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  for (const name of ['pa', 'pb'])
    await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
  const pids = [await lab.pidOf('weft-datapath'), await lab.pidOf('weftd')];
  return { pids: pids.filter((pid) => pid !== null), down: () => lab.stopWeft() };
}

const peers: Peer[] = [
  { name: 'no switch', up: () => Promise.resolve({ pids: [], down: () => Promise.resolve() }) },
  {
    name: 'linux bridge',
    up: async (lab) => {
      await lab.inSwitch('ip', 'link', 'add', 'name', 'lbr', 'type', 'bridge');
      for (const each of ['pa', 'pb', 'lbr']) {
        if (each !== 'lbr') await lab.inSwitch('ip', 'link', 'set', each, 'master', 'lbr');
        await lab.inSwitch('ip', 'link', 'set', each, 'up');
      }
      return { pids: [], down: () => lab.inSwitch('ip', 'link', 'del', 'lbr') };
    },
  },
  {
    name: 'open vswitch (userspace)',
    up: async (lab, a, b) => {
      const ovs = await OpenVSwitch.start(lab);
      await ovs.addBridge('br0');
      for (const port of ['pa', 'pb']) await ovs.vsctl('add-port', 'br0', port, 'tag=10');
      for (const host of [a, b]) await host.run('ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off');
      const down = async () => {
        for (const host of [a, b]) await host.run('ethtool', '-K', 'eth0', 'tx', 'on', 'tso', 'on');
        await ovs.stop();
      };
      return { pids: ovs.pids, down };
    },
  },
  { name: 'weft', up: startWeft },
  {
    name: 'weft, 1,000 rules',
    up: async (lab) => {
      const running = await startWeft(lab);
      const file = join(lab.folder, 'rules');
      writeFileSync(file, thousandRules());
      await lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', 'add-flows', `${lab.rundir}/br0.mgmt`, file);
      return running;
    },
  },
];

/** Pings answered per second, each sent when the one before is answered. */
async function pingFlood(from: Host, seconds: number): Promise<number> {
  const output = await from.run('ping', '-q', '-f', '-w', String(seconds), '10.99.0.2');
  return Number(/(\d+) received/.exec(output)?.[1] ?? 0) / seconds;
}

/** Frames per second both ways at once, each sender on a core of its own. */
async function bothWays(a: Host, b: Host, seconds: number): Promise<number> {
  const [toB, toA] = await Promise.all([
    forwardedPps(a, b, await macOf(b), 1, seconds, { core: 0 }),
    forwardedPps(b, a, await macOf(a), 1, seconds, { core: 1 }),
  ]);
  return toB + toA;
}

/** Processor time of a frame that arrives: the sender's, in which the kernel forwards, and the switch's. */
async function nanosecondsPerFrame(a: Host, b: Host, seconds: number, pids: number[]): Promise<number> {
  const received = await receivedFrames(b);
  const before = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const report = await sendFrames(a, await macOf(b), 1, seconds, { core: 0, rate: 150_000 });
  const daemons = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0) - before;
  return ((report.cpu + daemons) / ((await receivedFrames(b)) - received)) * 1e9;
}

interface Work {
  name: string;
  decimals: number;
  run: (a: Host, b: Host, seconds: number, pids: number[]) => Promise<number>;
}

const work: Work[] = [
  {
    name: '64-byte, 1 flow, kpps',
    decimals: 0,
    run: async (a, b, seconds) => (await forwardedPps(a, b, await macOf(b), 1, seconds)) / 1000,
  },
  {
    name: '64-byte, 10,000 flows, kpps',
    decimals: 0,
    run: async (a, b, seconds) => (await forwardedPps(a, b, await macOf(b), 10_000, seconds)) / 1000,
  },
  {
    name: '64-byte, both ways at once, kpps',
    decimals: 0,
    run: async (a, b, seconds) => (await bothWays(a, b, seconds)) / 1000,
  },
  { name: 'processor time a frame at 150 kpps, ns', decimals: 0, run: nanosecondsPerFrame },
  { name: 'TCP, 1 stream, Gbit/s', decimals: 1, run: (a, b, s) => tcpGbps(a, b, '10.99.0.2', 1, s) },
  { name: 'TCP, 4 streams, Gbit/s', decimals: 1, run: (a, b, s) => tcpGbps(a, b, '10.99.0.2', 4, s) },
  { name: 'ping -f, answers/s', decimals: 0, run: (a, _, seconds) => pingFlood(a, seconds) },
];

/** What each of the works comes to with a peer. */
async function measure(peer: Peer, works: Work[], seconds: number): Promise<number[]> {
  const lab = await Lab.create();
  try {
    const a = await lab.addHost('pa', '10.99.0.1/24');
    const b =
      peer.name === 'no switch'
        ? await lab.joinHost(a, 'pb', '10.99.0.2/24')
        : await lab.addHost('pb', '10.99.0.2/24');
    const { pids, down } = await peer.up(lab, a, b);
    await a.reaches('10.99.0.2');
    const figures: number[] = [];
    for (const each of works) figures.push(await each.run(a, b, seconds, pids));
    await down();
    return figures;
  } finally {
    await lab.close();
  }
}

/**
 * `--reps=N` (3), `--seconds=S` (3) a measurement, `--only=TEXT` the works whose names have it. The peers take turns, so that all have
 * what the machine is like at the time.
 */
export default async function run(options: string[]): Promise<void> {
  const given = (name: string) =>
    options.find((each) => each.startsWith(`--${name}=`))?.slice(`--${name}=`.length);
  const works = work.filter(({ name }) => name.includes(given('only') ?? ''));
  const figures = new Map(peers.map(({ name }) => [name, works.map(() => [] as number[])]));
  for (let repetition = 0; repetition < Number(given('reps') ?? 3); repetition += 1)
    for (const peer of peers) {
      const measured = await measure(peer, works, Number(given('seconds') ?? 3));
      measured.forEach((figure, index) => figures.get(peer.name)![index]!.push(figure));
    }
  const weft = figures.get('weft')!;
  const perFrame = works.findIndex(({ run }) => run === nanosecondsPerFrame);
  const over = (peer: string) =>
    median(figures.get(peer)![perFrame]!) - median(figures.get('no switch')![perFrame]!);
  printTable([
    ['work', ...peers.map(({ name }) => name), 'weft / bridge', 'weft / ovs'],
    ...works.map(({ name, decimals }, index) => {
      const cells = peers.map((peer) => spread(figures.get(peer.name)![index]!, decimals));
      const ratio = (peer: string) =>
        `${(median(weft[index]!) / median(figures.get(peer)![index]!)).toFixed(2)} ×`;
      return [name, ...cells, ratio('linux bridge'), ratio('open vswitch (userspace)')];
    }),
  ]);
  if (perFrame >= 0)
    process.stdout.write(
      `processor time a frame over no switch: weft ${over('weft').toFixed(0)} ns, ` +
        `${(over('weft') / over('linux bridge')).toFixed(2)} × linux bridge, ` +
        `${(over('weft') / over('open vswitch (userspace)')).toFixed(2)} × open vswitch\n`,
    );
  process.stdout.write(`kernel ${(await sh('uname', '-r')).trim()}, median (minimum–maximum)\n`);
}
