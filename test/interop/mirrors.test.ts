/**
 * Mirrors on the wire: the same `ovs-vsctl` commands given to Weft and to Debian's Open vSwitch, the same frames sent, and
 * the same frames and copies seen on every port.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, sh, until, type Wire } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';

/** Untagged in VLAN 10: a, b; in 20: c; trunk of both: t, and a bond of m1 and m2; s for copies; r a trunk of VLAN 99. */
const ports = ['a', 'b', 'c', 't', 's', 'r', 'm1', 'm2'];
const A = '02000000000a';
const B = '02000000000b';
const ALL = 'ffffffffffff';

/** Ports that frames of VLAN 10 and 20 reach as copies only. */
const isCopy = (port: string): boolean => port === 's' || port === 'r';

class Subject {
  readonly #wire: Wire;
  #lastId = 0;

  private constructor(
    readonly lab: Lab,
    readonly vsctl: (...args: string[]) => Promise<string>,
    wire: Wire,
  ) {
    this.#wire = wire;
  }

  static async create(
    start: (lab: Lab) => Promise<(...args: string[]) => Promise<string>>,
  ): Promise<Subject> {
    const lab = await Lab.create();
    const hosts = `${lab.switchNamespace}h`;
    await lab.addNamespace(hosts);
    for (const name of ports) {
      const peer = ['peer', 'name', `h${name}`, 'netns', hosts];
      await sh('ip', 'link', 'add', 'name', name, 'netns', lab.switchNamespace, 'type', 'veth', ...peer);
      await sh('ip', '-n', lab.switchNamespace, 'link', 'set', 'dev', name, 'up');
      await sh('ip', '-n', hosts, 'link', 'set', 'dev', `h${name}`, 'up');
    }
    const wire = lab.wire(hosts);
    await wire.listen(...ports.map((name) => `h${name}`));
    const vsctl = await start(lab);
    const subject = new Subject(lab, vsctl, wire);
    await vsctl('add-port', 'br0', 'a', 'tag=10', '--', 'add-port', 'br0', 'b', 'tag=10');
    await vsctl('add-port', 'br0', 'c', 'tag=20', '--', 'add-port', 'br0', 't', 'trunks=10,20');
    await vsctl('add-port', 'br0', 's', '--', 'add-port', 'br0', 'r', 'trunks=99');
    await vsctl(
      'add-bond',
      'br0',
      'bond0',
      'm1',
      'm2',
      'bond_mode=active-backup',
      'trunks=10,20',
      'other_config:bond-primary=m1',
    );
    await subject.settle();
    return subject;
  }

  /** Waits until frames from each port are forwarded. */
  async settle(): Promise<void> {
    for (const [from, tags] of [
      ['a', ''],
      ['b', ''],
      ['c', ''],
      ['t', '8100000a'],
      ['m1', '8100000a'],
    ] as const) {
      await until(`frames from ${from} pass`, async () => (await this.send(from, ALL, tags)).length > 0);
    }
  }

  /** Where each of {@link frames} is seen. */
  async exchange(): Promise<Record<string, string[]>> {
    const seen: Record<string, string[]> = {};
    for (const [what, from, destination, tags, source, tagsBehind] of frames)
      seen[what] = await this.send(from, destination, tags, source, tagsBehind);
    return seen;
  }

  /** Sends a frame, and a broadcast behind it; gives where the first one was seen, and with which tags. */
  async send(
    from: string,
    destination: string,
    tags = '',
    source?: string,
    tagsBehind = tags,
  ): Promise<string[]> {
    const id = (this.#lastId += 2);
    const hex = (number: number) => number.toString(16).padStart(8, '0');
    const frame = (to: string, number: number, by: string, tag: string) =>
      `${to}${by}${tag}88b5${hex(number)}${'00'.repeat(46)}`;
    const seen = (number: number) =>
      this.#wire.seen.filter(({ hex: bytes }) => bytes.includes(`88b5${hex(number)}`));
    this.#wire.seen.length = 0;
    this.#wire.send(`h${from}`, frame(destination, id, source ?? `0200${hex(id)}`, tags));
    this.#wire.send(`h${from}`, frame(ALL, id + 1, `0200${hex(id + 1)}`, tagsBehind));
    let before = -1;
    // Copies of both have come when nothing more comes.
    const isTaken = from !== 's' && from !== 'm2';
    await until('the frame behind it', () => seen(id + 1).length > 0, isTaken ? 1000 : 100).catch(
      () => undefined,
    );
    await until('quiet', async () => {
      const now = this.#wire.seen.length;
      if (now === before) return true;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 60));
      return false;
    });
    return seen(id)
      .map(({ on, hex: bytes }) => {
        const port = on.slice(1);
        const name = port.startsWith('m') ? 'bond0' : port;
        const at = bytes.indexOf('88b5');
        // Open vSwitch clears the priority in copies of what goes out, Weft keeps it; not so in what comes in.
        const tag = bytes.slice(24, at).replace(/^8100[2468ace]/, '81000');
        const copy = `${tag || 'untagged'}, ${bytes.length / 2} bytes`;
        return `${name} ${isCopy(name) ? copy : bytes.slice(24, at) || 'untagged'}`;
      })
      .sort();
  }
}

/** `ports` stands for ids made by --id=@a get Port a. */
function mirror(...columns: string[]): string[] {
  const get = ['a', 'b', 'c', 't', 's', 'r', 'bond0'].flatMap((name) => [
    '--',
    `--id=@${name}`,
    'get',
    'Port',
    name,
  ]);
  return [
    ...get.slice(1),
    '--',
    '--id=@m',
    'create',
    'Mirror',
    'name=m',
    ...columns,
    '--',
    'set',
    'Bridge',
    'br0',
    'mirrors=@m',
  ];
}

const mirrors: Record<string, string[]> = {
  none: ['clear', 'Bridge', 'br0', 'mirrors'],
  'in by a': mirror('select_src_port=@a', 'output_port=@s'),
  'out by b': mirror('select_dst_port=@b', 'output_port=@s'),
  'in and out by a and b': mirror('select_src_port=[@a,@b]', 'select_dst_port=[@a,@b]', 'output_port=@s'),
  'out by the trunk and the bond': mirror('select_dst_port=[@t,@bond0]', 'output_port=@s'),
  'in by the bond': mirror('select_src_port=@bond0', 'output_port=@s'),
  all: mirror('select_all=true', 'output_port=@s'),
  'all of VLAN 20': mirror('select_all=true', 'select_vlan=20', 'output_port=@s'),
  'all to an access port': mirror('select_all=true', 'output_port=@c'),
  'in by a, to the bond': mirror('select_src_port=@a', 'output_port=@bond0'),
  'in by a, to VLAN 99': mirror('select_src_port=@a', 'output_vlan=99'),
  'out by b, to VLAN 99': mirror('select_dst_port=@b', 'output_vlan=99'),
  'in by most, to VLAN 99': mirror('select_src_port=[@a,@b,@t,@bond0]', 'output_vlan=99'),
  'all, 40 bytes': mirror('select_all=true', 'output_port=@s', 'snaplen=40'),
  'out by b, 40 bytes': mirror('select_dst_port=@b', 'output_port=@s', 'snaplen=40'),
  'in by a, 40 bytes, to the bond': mirror('select_src_port=@a', 'output_port=@bond0', 'snaplen=40'),
  'in by a, 40 bytes, to VLAN 99': mirror('select_src_port=@a', 'output_vlan=99', 'snaplen=40'),
};

type Sent = [
  what: string,
  from: string,
  destination: string,
  tags: string,
  source?: string | undefined,
  /** Of the frame behind it, where the port does not take the first one’s. */
  tagsBehind?: string,
];
const frames: Sent[] = [
  ['a learned', 'a', ALL, '', A],
  ['b learned', 'b', ALL, '', B],
  ['a to b', 'a', B, '', A],
  ['b to a', 'b', A, '', B],
  ['flooded from a', 'a', '02fffffffffe', ''],
  ['flooded from c', 'c', ALL, ''],
  ['trunk, VLAN 10, to b', 't', B, '8100000a'],
  ['trunk, VLAN 10 with priority, to all', 't', ALL, '8100a00a'],
  ['trunk, VLAN 20, to all', 't', ALL, '81000014'],
  ['bond, VLAN 10, to all', 'm1', ALL, '8100000a'],
  ['by the output port', 's', ALL, ''],
  // What is refused: reserved addresses, VLANs that the port does not carry, a member of the bond that is not the active one.
  ['a BPDU from a', 'a', '0180c2000000', ''],
  ['LLDP from the trunk, VLAN 10', 't', '0180c200000e', '8100000a'],
  ['LACP from the bond, where it is off', 'm1', '0180c2000002', '8100000a'],
  ['a, VLAN 20', 'a', ALL, '81000014', undefined, ''],
  ['trunk, VLAN 30', 't', ALL, '8100001e', undefined, '8100000a'],
  ['the bond’s other member, VLAN 10', 'm2', ALL, '8100000a'],
];

describe('mirrors', () => {
  const subjects: Subject[] = [];

  beforeAll(async () => {
    subjects.push(
      await Subject.create(async (lab) => {
        await lab.startWeft();
        const vsctl = (...args: string[]) =>
          sh('ovs-vsctl', '--timeout=20', `--db=unix:${lab.rundir}/db.sock`, ...args);
        await vsctl('add-br', 'br0');
        return vsctl;
      }),
      await Subject.create(async (lab) => {
        const ovs = await OpenVSwitch.start(lab);
        await ovs.addBridge('br0');
        return (...args) => ovs.vsctl(...args);
      }),
    );
  }, 120_000);

  afterAll(() => Promise.all(subjects.map(({ lab }) => lab.close())));

  test.each(Object.entries(mirrors))('%s', { timeout: 60_000 }, async (_name, command) => {
    const [weft, ovs] = subjects as [Subject, Subject];
    await Promise.all([weft.vsctl(...command), ovs.vsctl(...command)]);
    const [ours, first] = await Promise.all([weft.exchange(), ovs.exchange()]);
    let theirs = first;
    // Open vSwitch forwards by what it had before for a while after ovs-vsctl has returned.
    await until('the same as by Open vSwitch', async () => {
      if (isDeepStrictEqual(ours, theirs)) return true;
      theirs = await ovs.exchange();
      return false;
    }).catch(() => undefined);
    expect(ours).toEqual(theirs);
  });

  test('copies are counted', async () => {
    const [weft] = subjects as [Subject, Subject];
    await weft.vsctl('clear', 'Bridge', 'br0', 'mirrors');
    await weft.vsctl(...mirror('select_src_port=@c', 'output_port=@s'));
    // Each with another behind it, of 64 octets as it came.
    for (let i = 0; i < 5; i += 1) await weft.send('c', ALL);
    const counters = async () => (await weft.vsctl('get', 'Mirror', 'm', 'statistics')).trim();
    await until(
      'the counters',
      async () => (await counters()) === '{tx_bytes=640, tx_packets=10}',
      20_000,
    ).catch(async (error: Error) => {
      throw new Error(`${error.message}: ${await counters()}`);
    });
  });
});
