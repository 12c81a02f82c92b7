/**
 * The data plane beside its peers in one run: 64-byte frames and TCP between two hosts on veth pairs, both ports
 * access ports of VLAN 10 with learning on (the Linux bridge: plain). The hosts keep their default offloads, but
 * for Open vSwitch's userspace datapath, where TCP stalls with them and is measured with checksum offload off.
 */
import { Lab, sh, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { forwardedPps, macOf, median, printTable, spread, tcpGbps } from './measure.js';

interface Peer {
  name: string;
  up(lab: Lab, a: Host, b: Host): Promise<() => Promise<unknown>>;
}

const peers: Peer[] = [
  {
    name: 'linux bridge',
    up: async (lab) => {
      await lab.inSwitch('ip', 'link', 'add', 'name', 'lbr', 'type', 'bridge');
      for (const each of ['pa', 'pb', 'lbr']) {
        if (each !== 'lbr') await lab.inSwitch('ip', 'link', 'set', each, 'master', 'lbr');
        await lab.inSwitch('ip', 'link', 'set', each, 'up');
      }
      return () => lab.inSwitch('ip', 'link', 'del', 'lbr');
    },
  },
  {
    name: 'open vswitch (userspace)',
    up: async (lab, a, b) => {
      const ovs = await OpenVSwitch.start(lab);
      await ovs.addBridge('br0');
      for (const port of ['pa', 'pb']) await ovs.vsctl('add-port', 'br0', port, 'tag=10');
      for (const host of [a, b]) await host.run('ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off');
      return async () => {
        for (const host of [a, b]) await host.run('ethtool', '-K', 'eth0', 'tx', 'on', 'tso', 'on');
        await ovs.stop();
      };
    },
  },
  {
    name: 'weft',
    up: async (lab) => {
      await lab.startWeft();
      await lab.must('POST', '/v1/bridges', { name: 'br0' });
      for (const name of ['pa', 'pb'])
        await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
      return () => lab.stopWeft();
    },
  },
];

const work = [
  '64-byte, 1 flow, kpps',
  '64-byte, 10,000 flows, kpps',
  'TCP, 1 stream, Gbit/s',
  'TCP, 4 streams, Gbit/s',
] as const;

async function measure(a: Host, b: Host, seconds: number): Promise<number[]> {
  const mac = await macOf(b);
  return [
    (await forwardedPps(a, b, mac, 1, seconds)) / 1000,
    (await forwardedPps(a, b, mac, 10_000, seconds)) / 1000,
    await tcpGbps(a, b, '10.99.0.2', 1, seconds),
    await tcpGbps(a, b, '10.99.0.2', 4, seconds),
  ];
}

/** `--reps=N` (3), `--seconds=S` (3) a measurement. */
export default async function run(options: string[]): Promise<void> {
  const option = (name: string, preset: number) =>
    Number(options.find((each) => each.startsWith(`--${name}=`))?.split('=')[1] ?? preset);
  const figures = new Map<string, number[][]>();
  for (const peer of peers) {
    const lab = await Lab.create();
    try {
      const a = await lab.addHost('pa', '10.99.0.1/24');
      const b = await lab.addHost('pb', '10.99.0.2/24');
      const down = await peer.up(lab, a, b);
      await a.reaches('10.99.0.2');
      const runs: number[][] = [];
      for (let repetition = 0; repetition < option('reps', 3); repetition += 1)
        runs.push(await measure(a, b, option('seconds', 3)));
      figures.set(
        peer.name,
        work.map((_, index) => runs.map((each) => each[index]!)),
      );
      await down();
    } finally {
      await lab.close();
    }
  }
  const weft = figures.get('weft')!;
  printTable([
    ['work', ...peers.map(({ name }) => name), 'weft / bridge', 'weft / ovs'],
    ...work.map((name, index) => {
      const cells = peers.map((peer) => spread(figures.get(peer.name)![index]!, index < 2 ? 0 : 1));
      const ratio = (peer: string) =>
        `${(median(weft[index]!) / median(figures.get(peer)![index]!)).toFixed(2)} ×`;
      return [name, ...cells, ratio('linux bridge'), ratio('open vswitch (userspace)')];
    }),
  ]);
  process.stdout.write(`kernel ${(await sh('uname', '-r')).trim()}, median (minimum–maximum)\n`);
}
