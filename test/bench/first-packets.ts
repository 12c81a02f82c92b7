/**
 * Flows of one packet, each new to the switch: how many of 60,000 arrive that are sent at a rate. A rule by both UDP
 * ports makes every pair of ports a flow of its own, in Open vSwitch's userspace datapath as in Weft's.
 * What was sent is told beside it, as a switch whose threads take the sender's processor slows it down.
 */
import { Lab, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { loadgen, median, printTable, readOptions, receivedFrames, spread } from './measure.js';

const rule = 'priority=100,udp,tp_src=1,tp_dst=1,actions=drop';
const rates = [50_000, 100_000, 150_000, 200_000];
const frames = 60_000;

interface Switch {
  /** Where `ovs-ofctl` finds its bridge. */
  bridge: string;
  stop(): Promise<unknown>;
}

const switches: Record<string, (lab: Lab) => Promise<Switch>> = {
  'open vswitch (userspace)': async (lab) => {
    const ovs = await OpenVSwitch.start(lab);
    await ovs.addBridge('br0');
    for (const port of ['pa', 'pb']) await ovs.vsctl('add-port', 'br0', port);
    return { bridge: 'br0', stop: () => ovs.stop() };
  },
  weft: async (lab) => {
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
    for (const name of ['pa', 'pb']) await lab.must('POST', '/v1/bridges/br0/ports', { name });
    return { bridge: `${lab.rundir}/br0.mgmt`, stop: () => lab.stopWeft() };
  },
};

/** Sends frames of flows nobody has seen from `source`; what percentage arrives, and at which rate it was sent. */
async function send(a: Host, b: Host, source: string, rate: number): Promise<[number, number]> {
  const addresses = ['--source', source, '--destination', await b.mac()];
  const generate = async (...words: string[]) => {
    const sender = ['taskset', '-c', '0', loadgen, '--interface', 'eth0'];
    const output = await a.run(...sender, ...addresses, ...words);
    return JSON.parse(output) as { sent: number; pps: number };
  };
  // The source is to be learned before.
  await generate('--count', '1');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await receivedFrames(b);
  const { sent, pps } = await generate(
    ...['--flows', String(frames), '--count', String(frames), '--rate', String(rate)],
  );
  // What waits in queues may arrive yet.
  await new Promise((resolve) => setTimeout(resolve, 500));
  return [(100 * ((await receivedFrames(b)) - before)) / sent, pps];
}

/** `--reps=N` (3). */
export default async function run(options: string[]): Promise<void> {
  const reps = readOptions(options).number('reps', 3);
  const rows = [['switch', ...rates.flatMap((rate) => [`arrived at ${rate / 1000} k/s, %`, 'sent, k/s'])]];
  for (const [name, start] of Object.entries(switches)) {
    const lab = await Lab.create();
    try {
      const a = await lab.addHost('pa', '10.99.0.1/24');
      const b = await lab.addHost('pb', '10.99.0.2/24');
      const running = await start(lab);
      const environment = ['env', `OVS_RUNDIR=${lab.folder}/ovs`];
      await lab.inSwitch(...environment, 'ovs-ofctl', '-O', 'OpenFlow13', 'add-flow', running.bridge, rule);
      await a.reaches('10.99.0.2');
      let sources = 0;
      const cells: string[] = [];
      for (const rate of rates) {
        const arrived: number[] = [];
        const sent: number[] = [];
        for (let repetition = 0; repetition < reps; repetition += 1) {
          sources += 1;
          const source = `02:00:00:00:10:${sources.toString(16).padStart(2, '0')}`;
          const [percent, pps] = await send(a, b, source, rate);
          arrived.push(percent);
          sent.push(pps);
        }
        cells.push(spread(arrived, 1), (median(sent) / 1000).toFixed(0));
      }
      rows.push([name, ...cells]);
      await running.stop();
    } finally {
      await lab.close();
    }
  }
  printTable(rows);
}
