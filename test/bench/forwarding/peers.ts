/** What forwards between the ports pa and pb in the switch's namespace, each in its simplest form. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot, sh, type Host, type Lab } from '../../system/lab.js';
import { OpenVSwitch } from '../../system/ovs.js';

export interface Running {
  /** Its processes. */
  pids: number[];
  down: () => Promise<unknown>;
}

export interface Peer {
  name: string;
  /** There are no ports: the hosts are joined. */
  isWire?: boolean;
  /** @param hosts behind pa and pb; none where those are taps without a host behind them */
  up(lab: Lab, hosts: Host[]): Promise<Running>;
}

const ports = ['pa', 'pb'] as const;

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
  for (const name of ports)
    await lab.must('POST', '/v1/bridges/br0/ports', { name, vlanMode: 'access', tag: 10 });
  const pids = [await lab.pidOf('weft-datapath'), await lab.pidOf('weftd')];
  return { pids: pids.filter((pid) => pid !== null), down: () => lab.stopWeft() };
}

/** A map's lookup and a redirection (exact-match.bpf.c) on both ports, at clsact, which any tc can attach to. */
async function startExactMatch(lab: Lab): Promise<Running> {
  const links = JSON.parse(await lab.inSwitch('ip', '-d', '-j', 'link', 'show')) as {
    ifname: string;
    ifindex: number;
    linkinfo?: { info_kind: string };
  }[];
  const source = join(projectRoot, 'test/bench/forwarding/exact-match.bpf.c');
  for (const [from, to] of [ports, ports.toReversed()]) {
    const out = links.find(({ ifname }) => ifname === to);
    if (!from || !out) throw new Error(`no ${to} in the switch's namespace`);
    const object = join(lab.folder, `${from}.o`);
    await sh(
      ...(['clang', '-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror'] as const),
      ...['-I', join(projectRoot, 'datapath/fastpath/bpf'), `-DOUT=${out.ifindex}`],
      ...(out.linkinfo?.info_kind === 'veth' ? ['-DOUT_IS_VETH'] : []),
      ...['-c', source, '-o', object],
    );
    await lab.inSwitch('ip', 'link', 'set', from, 'up');
    await lab.inSwitch('tc', 'qdisc', 'add', 'dev', from, 'clsact');
    const program = ['bpf', 'direct-action', 'object-file', object, 'section', 'tc'];
    await lab.inSwitch('tc', 'filter', 'add', 'dev', from, 'ingress', ...program);
  }
  const down = async () => {
    for (const port of ports) await lab.inSwitch('tc', 'qdisc', 'del', 'dev', port, 'clsact');
  };
  return { pids: [], down };
}

export const peers: Peer[] = [
  {
    name: 'no switch',
    isWire: true,
    up: () => Promise.resolve({ pids: [], down: () => Promise.resolve() }),
  },
  {
    name: 'linux bridge',
    up: async (lab) => {
      await lab.inSwitch('ip', 'link', 'add', 'name', 'lbr', 'type', 'bridge');
      for (const each of [...ports, 'lbr']) {
        if (each !== 'lbr') await lab.inSwitch('ip', 'link', 'set', each, 'master', 'lbr');
        await lab.inSwitch('ip', 'link', 'set', each, 'up');
      }
      return { pids: [], down: () => lab.inSwitch('ip', 'link', 'del', 'lbr') };
    },
  },
  { name: 'bare tcx', up: startExactMatch },
  {
    name: 'open vswitch (userspace)',
    up: async (lab, hosts) => {
      const ovs = await OpenVSwitch.start(lab);
      await ovs.addBridge('br0');
      for (const port of ports) await ovs.vsctl('add-port', 'br0', port, 'tag=10');
      for (const host of hosts) await host.run('ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off');
      const down = async () => {
        for (const host of hosts) await host.run('ethtool', '-K', 'eth0', 'tx', 'on', 'tso', 'on');
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
