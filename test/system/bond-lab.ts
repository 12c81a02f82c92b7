/**
 * A bond of Weft's (bond0 of eth0 …) cabled to one of Debian's Open vSwitch (pb of p0 …), a host in VLAN 1 behind each:
 * vnet0 (10.1.0.1) here, hc (10.1.0.2) there.
 */
import { Lab, sh, until, type Host } from './lab.js';
import { OpenVSwitch } from './ovs.js';

export interface BondLabOptions {
  readonly links?: number;
  /** Columns of the port: `lacp=active`, `bond_mode=balance-slb`, `other_config:lacp-time=fast`. */
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
}

export class BondLab {
  private constructor(
    readonly lab: Lab,
    readonly partner: OpenVSwitch,
    readonly here: Host,
    readonly there: Host,
    readonly links: number,
  ) {}

  static async create({ links = 4, ours, theirs }: BondLabOptions): Promise<BondLab> {
    const lab = await Lab.create();
    const here = await lab.addHost('vnet0', '10.1.0.1/24');
    const there = await lab.addHost('hc', '10.1.0.2/24');
    for (let i = 0; i < links; i++) {
      await lab.inSwitch('ip', 'link', 'add', `eth${i}`, 'type', 'veth', 'peer', 'name', `p${i}`);
      for (const name of [`eth${i}`, `p${i}`]) await lab.inSwitch('ip', 'link', 'set', name, 'up');
    }
    await lab.startWeft();
    const partner = await OpenVSwitch.start(lab);
    const bond = new BondLab(lab, partner, here, there, links);
    await partner.addBridge('ps');
    await partner.vsctl('add-port', 'ps', 'hc', 'tag=1');
    await partner.vsctl('add-bond', 'ps', 'pb', ...bond.names('p'), 'trunks=1,2', ...theirs);
    await bond.vsctl('add-br', 'vswitch');
    await bond.vsctl('add-bond', 'vswitch', 'bond0', ...bond.names('eth'), 'trunks=1,2', ...ours);
    await bond.vsctl('add-port', 'vswitch', 'vnet0', 'tag=1');
    return bond;
  }

  names(prefix: 'eth' | 'p'): string[] {
    return Array.from({ length: this.links }, (_, i) => `${prefix}${i}`);
  }

  /** Weft's configuration, by Open vSwitch's own tool. */
  vsctl(...args: string[]): Promise<string> {
    return sh('ovs-vsctl', '--timeout=20', `--db=unix:${this.lab.rundir}/db.sock`, ...args);
  }

  /** Columns of both bonds; for combinations one after the other. */
  async set(ours: readonly string[], theirs: readonly string[]): Promise<void> {
    await this.vsctl('set', 'port', 'bond0', ...ours);
    await this.partner.vsctl('set', 'port', 'pb', ...theirs);
  }

  /** The partner becomes a switch that knows of no bond: its ends of the cables are plain trunks. */
  async unbondPartner(): Promise<void> {
    const ports = this.names('p').flatMap((name) => ['--', 'add-port', 'ps', name, 'trunks=1,2']);
    await this.partner.vsctl('del-port', 'ps', 'pb', ...ports);
  }

  /** The names of the members that the partner has enabled (`bond/show`). */
  async enabledThere(): Promise<string[]> {
    const show = await this.partner.appctl('bond/show', 'pb');
    return [...show.matchAll(/^(?:slave|member) (\S+): enabled/gm)].map(([, name = '']) => name).sort();
  }

  /** `lacp/show` of the partner: what it makes of us, member by member. */
  lacpThere(): Promise<string> {
    return this.partner.appctl('lacp/show', 'pb');
  }

  /** All members carry traffic at both ends, and a ping comes through. */
  async up(expected = this.names('p')): Promise<void> {
    await until(
      'the partner has enabled the members',
      async () => (await this.enabledThere()).join() === expected.join(),
      30_000,
    );
    await this.here.reaches('10.1.0.2', 20_000);
  }

  /** Pulls a cable out, or puts it in: at Weft's end, which the partner's sees too. */
  async cable(link: number, isIn: boolean): Promise<void> {
    await this.lab.inSwitch('ip', 'link', 'set', `p${link}`, isIn ? 'up' : 'down');
  }

  /**
   * Pings from `vnet0` all the while, and tells for how long none was answered at most, in milliseconds.
   * @param intervalMs between two pings
   */
  async longestGap(during: () => Promise<void>, durationS: number, intervalMs = 10): Promise<number> {
    const count = Math.round((durationS * 1000) / intervalMs);
    const pinging = this.here
      .run('ping', '-n', '-D', '-c', String(count), '-i', String(intervalMs / 1000), '-W', '1', '10.1.0.2')
      .catch((error: { stdout?: string }) => error.stdout ?? '');
    await during();
    const sequences = [...(await pinging).matchAll(/icmp_seq=(\d+) ttl/g)].map(([, n]) => Number(n));
    sequences.sort((a, b) => a - b);
    let longest = 0;
    let before = 0;
    for (const n of [...sequences, count + 1]) {
      longest = Math.max(longest, n - before - 1);
      before = n;
    }
    return longest * intervalMs;
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}
