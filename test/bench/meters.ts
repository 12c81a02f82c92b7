/**
 * Accuracy of weft-datapath's meters: what arrives behind a drop band while a host sends twice its rate in UDP, by
 * the receiver's own counters and clock. It is taken once the band has begun to drop, so that its burst is used up; a rate
 * of which more than the band's does not even reach the meter says nothing, and is told. `--seconds=S` (5) a rate,
 * `--rates=KBPS,…` others.
 *
 * Then what a meter costs: 64-byte frames of one flow without and with a meter that lets all of them pass, beside Open
 * vSwitch's user-space datapath.
 */
import { datapathBinary, Lab, sh, until, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { forwardedPps, printTable, readOptions, spread } from './measure.js';

const RATES_KBPS = [1_000, 10_000, 100_000, 1_000_000, 3_000_000, 10_000_000];
/** From this rate on datagrams are large, as one process sends no more than some 200,000 of them in a second. */
const LARGE_FROM_KBPS = 1_000_000;
const LARGE_MTU = 65_000;

type Ofctl = (command: string, ...args: string[]) => Promise<string>;

/** Bytes received so far, and when that was, in seconds of the kernel's clock. */
async function received(host: Host): Promise<[bytes: number, atS: number]> {
  const [uptime, bytes] = (
    await host.run('sh', '-c', 'cat /proc/uptime /sys/class/net/eth0/statistics/rx_bytes')
  ).split('\n');
  return [Number(bytes), Number(uptime!.split(' ')[0])];
}

/** What a meter has been shown, and what its band has dropped of it, in bytes. */
async function metered(ofctl: Ofctl) {
  const text = await ofctl('meter-stats', 'meter=1');
  const numbers = [...text.matchAll(/byte_count:(\d+)/g)].map((match) => Number(match[1]));
  const [all = 0, dropped = 0] = [/byte_in_count:(\d+)/.exec(text)?.[1], numbers[0]].map(Number);
  return { all, dropped };
}

/** Thousands of frames per second from a to b with and without a meter, and the same by Open vSwitch's user space. */
async function speeds(lab: Lab, a: Host, b: Host, ofctl: Ofctl): Promise<string[][]> {
  const [c, d] = [await lab.addHost('pc', '192.0.2.3/24'), await lab.addHost('pd', '192.0.2.4/24')];
  const ovs = await OpenVSwitch.start(lab);
  try {
    await ovs.addBridge('ovs0');
    for (const port of ['pc', 'pd']) await ovs.vsctl('add-port', 'ovs0', port);
    const peer: Ofctl = (command, ...args) =>
      sh('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${ovs.rundir}/ovs0.mgmt`, ...args);
    const kinds = [
      { name: 'Weft', from: a, to: b, ask: ofctl },
      { name: 'Open vSwitch, user space', from: c, to: d, ask: peer },
    ].flatMap((kind) =>
      ['', ', metered'].map((how) => ({ ...kind, name: `${kind.name}${how}`, how, kpps: [] as number[] })),
    );
    await ofctl('del-meters');
    for (const ask of [ofctl, peer]) await ask('add-meter', 'meter=1,kbps,bands=type=drop,rate=40000000');
    for (let round = 0; round < 5; round += 1) {
      for (const { from, to, ask, how, kpps } of kinds) {
        const meter = how === '' ? '' : 'meter:1,';
        await ask('add-flow', `priority=2,udp,in_port=1,actions=${meter}output:2`);
        kpps.push((await forwardedPps(from, to, await to.mac(), 1, 2)) / 1000);
      }
    }
    return kinds.map(({ name, kpps }) => [name, spread(kpps)]);
  } finally {
    await ovs.stop();
  }
}

export default async function run(options: string[]): Promise<void> {
  const { word, number } = readOptions(options);
  const seconds = number('seconds', 5);
  const rates = word('rates')?.split(',').map(Number) ?? RATES_KBPS;
  const rows = [['band, Mbit/s', 'offered, Mbit/s', 'reached the meter', 'passed, Mbit/s', 'difference']];
  const lab = await Lab.create();
  try {
    const a = await lab.addHost('pa', '192.0.2.1/24');
    const b = await lab.addHost('pb', '192.0.2.2/24');
    const bridge = 'name=br0,dpid=0000000000000001,fail_mode=secure,port=pa:1,port=pb:2';
    lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge]);
    const ofctl = (command: string, ...args: string[]) =>
      sh('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${lab.rundir}/br0.mgmt`, ...args);
    await until('the switch', () => ofctl('show'));
    await ofctl('add-flow', 'priority=1,in_port=1,actions=output:2');
    await ofctl('add-flow', 'priority=1,in_port=2,actions=output:1');
    await a.reaches('192.0.2.2');
    for (const host of [a, b]) {
      await host.run('ip', 'link', 'set', 'eth0', 'mtu', String(LARGE_MTU));
      await lab.inSwitch('ip', 'link', 'set', host.port, 'mtu', String(LARGE_MTU));
    }
    for (const rate of rates) {
      await ofctl('del-meters');
      // A second's worth of burst: the sender may come in fits and starts, as on a busy machine.
      await ofctl('add-meter', `meter=1,kbps,burst,bands=type=drop,rate=${rate},burst_size=${rate}`);
      await ofctl('add-flow', 'priority=2,udp,in_port=1,actions=meter:1,output:2');
      const server = b.run('timeout', '60', 'iperf3', '-s', '-1');
      await until('iperf3', async () => (await b.run('ss', '-Hltn')).includes(':5201'));
      const [time, double] = [`-t${seconds + 8}`, `-b${rate * 2}k`];
      const length = rate >= LARGE_FROM_KBPS ? '-l60000' : '-l1400';
      const load = a.run('timeout', '60', 'iperf3', '-c', '192.0.2.2', '-u', '-J', length, time, double);
      const latest = performance.now() + 5000;
      await until(
        'the band drops',
        async () => (await metered(ofctl)).dropped > 0 || performance.now() > latest,
      );
      const [before, shown] = await Promise.all([received(b), metered(ofctl)]);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      const [after, shownLater] = await Promise.all([received(b), metered(ofctl)]);
      const report = JSON.parse(await load) as { end: { sum_sent: { bits_per_second: number } } };
      await server;
      const elapsedS = after[1] - before[1];
      const passed = ((after[0] - before[0]) * 8) / elapsedS / 1e6;
      const reached = ((shownLater.all - shown.all) * 8) / elapsedS / 1e6;
      const offered = report.end.sum_sent.bits_per_second / 1e6;
      const difference = `${((passed / (rate / 1000) - 1) * 100).toFixed(2)} %`;
      rows.push([
        String(rate / 1000),
        offered.toFixed(0),
        reached.toFixed(0),
        passed.toFixed(3),
        reached < (rate / 1000) * 1.02 ? 'not reached' : difference,
      ]);
    }
    printTable(rows);
    process.stdout.write('\n');
    printTable([['64-byte frames, 1 flow', 'kpps'], ...(await speeds(lab, a, b, ofctl))]);
  } finally {
    await lab.close();
  }
}
