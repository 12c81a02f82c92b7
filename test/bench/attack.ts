/**
 * What is left of an established flow while somebody attacks, beside Open vSwitch's userspace datapath and the Linux
 * bridge: headers sprayed over an access list so as to make as many masks as can be (under 1 Mbit/s), addresses by the
 * thousand, and flows of one packet as fast as a core sends them. The hosts' flow has core 0, the attacker core 1; the
 * switch has what it takes.
 */
import { Lab, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { cpuSeconds, loadgen, median, printTable, readOptions, receivedFrames, spread } from './measure.js';

interface Switch {
  name: string;
  /** Whether it takes the access list. */
  hasRules: boolean;
  /** Its processes. */
  pids: number[];
  /** What it has counted, if it tells. */
  tells(): Promise<string>;
  stop(): Promise<unknown>;
}

/** The access list: who may speak with b, each by all three fields; the rest is dropped. */
const list = [
  'priority=100,udp,in_port=pc,nw_src=10.0.0.1,tp_src=1024,tp_dst=1024,actions=NORMAL',
  'priority=90,udp,in_port=pc,nw_src=10.0.0.1,actions=drop',
  'priority=80,udp,in_port=pc,tp_src=1024,actions=drop',
  'priority=70,udp,in_port=pc,tp_dst=1024,actions=drop',
  'priority=60,udp,in_port=pc,actions=drop',
];
const ports = ['pa', 'pb', 'pc'];

const switches: Record<string, (lab: Lab) => Promise<Switch>> = {
  // What an attacker's core costs its neighbour anyway.
  'linux bridge': async (lab) => {
    await lab.inSwitch('ip', 'link', 'add', 'name', 'lbr', 'type', 'bridge');
    for (const port of ports) await lab.inSwitch('ip', 'link', 'set', port, 'master', 'lbr');
    await lab.inSwitch('ip', 'link', 'set', 'lbr', 'up');
    return {
      name: 'linux bridge',
      hasRules: false,
      pids: [],
      tells: async () =>
        `${(await lab.inSwitch('bridge', 'fdb', 'show', 'br', 'lbr')).split('\n').length} addresses`,
      stop: () => lab.inSwitch('ip', 'link', 'del', 'lbr'),
    };
  },
  'open vswitch (userspace)': async (lab) => {
    const ovs = await OpenVSwitch.start(lab);
    await ovs.addBridge('br0');
    for (const port of ports) await ovs.vsctl('add-port', 'br0', port);
    return {
      name: 'open vswitch (userspace)',
      hasRules: true,
      pids: ovs.pids,
      tells: async () => {
        const shown = await ovs.appctl('dpif-netdev/pmd-stats-show');
        return /avg\. subtable lookups per megaflow hit: .*/.exec(shown)?.[0] ?? '';
      },
      stop: () => ovs.stop(),
    };
  },
  weft: async (lab) => {
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
    for (const name of ports) await lab.must('POST', '/v1/bridges/br0/ports', { name });
    const pids = [await lab.pidOf('weft-datapath'), await lab.pidOf('weftd')];
    return {
      name: 'weft',
      hasRules: true,
      pids: pids.filter((pid) => pid !== null),
      tells: async () => {
        const { statistics, flows, masks } = (await lab.datapath('fastpath.show', {})) as {
          statistics?: Record<string, number>;
          flows?: number;
          masks?: number;
        };
        if (!statistics) return 'no fast path';
        return `${flows} flows, ${masks} masks, ${statistics['misses']} misses, ${statistics['punt_drops']} punts dropped`;
      },
      stop: () => lab.stopWeft(),
    };
  },
};

/** With an access list, or without; where they get through they go to a, so that what b receives is its flow alone. */
const attacks: { name: string; listed: boolean; words: string[] }[] = [
  { name: 'new addresses, 20,000/s', listed: false, words: ['--sources', '1000000', '--rate', '20000'] },
  { name: 'new addresses, a core', listed: false, words: ['--sources', '16000000'] },
  { name: 'sprayed headers, 1,500/s', listed: true, words: ['--spray', '--rate', '1500'] },
  { name: 'sprayed headers, a core', listed: true, words: ['--spray'] },
];

function load(host: Host, core: number, seconds: number, ...options: string[]): Promise<string> {
  const words = ['--interface', 'eth0', '--seconds', String(seconds), ...options];
  return host.run('taskset', '-c', String(core), loadgen, ...words);
}

/** Frames per second from a to b. */
async function established(a: Host, b: Host, seconds: number): Promise<number> {
  const [source, destination] = [await a.mac(), await b.mac()];
  const before = await receivedFrames(b);
  const report = await load(a, 0, seconds, '--source', source, '--destination', destination);
  return ((await receivedFrames(b)) - before) / (JSON.parse(report) as { seconds: number }).seconds;
}

/** `--reps=N` (3), `--seconds=S` (3) a measurement; `--switch=`, `--attack=`: those with the word in their names. */
export default async function run(options: string[]): Promise<void> {
  const { word, number } = readOptions(options);
  const seconds = number('seconds', 3);
  const rows = [['switch', 'attack', 'alone, kpps', 'attacked, kpps', 'left', 'its CPU', 'told']];
  for (const [name, start] of Object.entries(switches)) {
    if (!name.includes(word('switch') ?? '')) continue;
    const lab = await Lab.create();
    try {
      const a = await lab.addHost('pa', '10.99.0.1/24');
      const b = await lab.addHost('pb', '10.99.0.2/24');
      const c = await lab.addHost('pc', '10.99.0.3/24');
      const attackee = await start(lab);
      await a.reaches('10.99.0.2');
      const bridge = name === 'weft' ? `${lab.rundir}/br0.mgmt` : 'br0';
      const environment = ['env', `OVS_RUNDIR=${lab.folder}/ovs`];
      const from = ['--source', await c.mac(), '--destination', await a.mac()];
      let isListed = false;
      for (const { name: attack, listed, words } of attacks) {
        if (!attack.includes(word('attack') ?? '') || (listed && !attackee.hasRules)) continue;
        if (listed && !isListed)
          for (const rule of list)
            await lab.inSwitch(...environment, 'ovs-ofctl', '-O', 'OpenFlow13', 'add-flow', bridge, rule);
        isListed = listed;
        const [alone, attacked, busy]: number[][] = [[], [], []];
        for (let repetition = 0; repetition < number('reps', 3); repetition += 1) {
          alone!.push((await established(a, b, seconds)) / 1000);
          // It begins before and ends after what it is to disturb.
          const attacking = load(c, 1, seconds + 3, ...from, ...words);
          await new Promise((resolve) => setTimeout(resolve, 1000));
          const used = () => attackee.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
          const before = used();
          attacked!.push((await established(a, b, seconds)) / 1000);
          busy!.push((100 * (used() - before)) / seconds);
          await attacking;
        }
        const left = `${((100 * median(attacked!)) / median(alone!)).toFixed(0)} %`;
        const cpu = `${median(busy!).toFixed(0)} %`;
        rows.push([name, attack, spread(alone!), spread(attacked!), left, cpu, await attackee.tells()]);
      }
      await attackee.stop();
    } finally {
      await lab.close();
    }
  }
  printTable(rows);
}
