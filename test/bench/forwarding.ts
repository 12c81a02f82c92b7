/**
 * The data plane beside its peers in one run: 64-byte frames and TCP between two hosts on veth pairs, both ports
 * access ports of VLAN 10 with learning on (the Linux bridge: plain). The hosts keep their default offloads, but
 * for Open vSwitch's userspace datapath, where TCP stalls with them and is measured with checksum offload off.
 *
 * Besides hosts there are, each with a switch of its own: a virtual machine's likeness, a namespace whose tap a process joins
 * to a tap port, virtio headers and offloads included; frames from tap port to tap port, counted by who takes them; and frames
 * that arrive at a port's device as from a NIC's driver (XDP's test runs with live frames). `bare tcx` is what any switch of
 * exact flows must cost: a tc BPF program (clsact, direct action: where TCX's programs run too) of one map lookup and one
 * redirection. `-`: there is nothing to be measured.
 */
import { Lab, sh } from '../system/lab.js';
import { peers, type Peer } from './forwarding/peers.js';
import { furnish, type Place } from './forwarding/places.js';
import { perFrame, works as allWorks, type Work } from './forwarding/work.js';
import { median, printTable, readOptions, spread } from './measure.js';

/** What each of the works of one place comes to with a peer. */
async function measure(peer: Peer, place: Place, works: Work[], seconds: number): Promise<Map<Work, number>> {
  const isWire = peer.isWire ?? false;
  const possible = works.filter((work) => work.place === place && !(isWire && work.wantsPorts));
  const figures = new Map<Work, number>();
  if (possible.length === 0) return figures;
  const lab = await Lab.create();
  try {
    const hosts = await furnish(lab, place, isWire);
    const { pids, down } = await peer.up(lab, hosts);
    await hosts[0]?.reaches('10.99.0.2');
    for (const each of possible) figures.set(each, await each.run({ lab, hosts, pids }, seconds));
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
  const { word, number } = readOptions(options);
  const works = allWorks.filter(({ name }) => name.includes(word('only') ?? ''));
  const figures = new Map(
    works.map((work) => [work, new Map(peers.map(({ name }) => [name, [] as number[]]))]),
  );
  const of = (work: Work, peer: string) => figures.get(work)?.get(peer) ?? [];
  for (let repetition = 0; repetition < number('reps', 3); repetition += 1)
    for (const place of ['veths', 'guest', 'taps'] as const)
      for (const peer of peers) {
        const measured = await measure(peer, place, works, number('seconds', 3));
        for (const [work, figure] of measured) of(work, peer.name).push(figure);
      }
  const others = new Map([
    ['linux bridge', 'bridge'],
    ['bare tcx', 'tcx'],
    ['open vswitch (userspace)', 'ovs'],
  ]);
  printTable([
    ['work', ...peers.map(({ name }) => name), ...[...others.values()].map((short) => `weft / ${short}`)],
    ...works.map((work) => {
      const told = (values: number[], text: () => string) => (values.length === 0 ? '-' : text());
      const cells = peers
        .map(({ name }) => of(work, name))
        .map((all) => told(all, () => spread(all, work.decimals)));
      const ratios = [...others.keys()].map((peer) =>
        told(of(work, peer), () => `${(median(of(work, 'weft')) / median(of(work, peer))).toFixed(2)} ×`),
      );
      return [work.name, ...cells, ...ratios];
    }),
  ]);
  if (works.includes(perFrame)) {
    const over = (peer: string) => median(of(perFrame, peer)) - median(of(perFrame, 'no switch'));
    const ratios = [...others.keys()].map((peer) => `${(over('weft') / over(peer)).toFixed(2)} × ${peer}`);
    process.stdout.write(
      `processor time a frame over no switch: weft ${over('weft').toFixed(0)} ns, ${ratios.join(', ')}\n`,
    );
  }
  process.stdout.write(`kernel ${(await sh('uname', '-r')).trim()}, median (minimum–maximum)\n`);
}
