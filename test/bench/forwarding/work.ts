/** What the peers are measured at. */
import type { Host, Lab } from '../../system/lab.js';
import {
  cpuSeconds,
  forwardedPps,
  loadgen,
  receivedFrames,
  sendFrames,
  tcpGbps,
  transactionsPerSecond,
  type Sent,
} from '../measure.js';
import type { Place } from './places.js';

export interface Setting {
  lab: Lab;
  /** Behind the ports pa and pb, 10.99.0.1 and 10.99.0.2; where the ports are taps, nobody. */
  hosts: Host[];
  /** The peer's processes. */
  pids: number[];
}

export interface Work {
  name: string;
  decimals: number;
  place: Place;
  /** It is done to a port itself, of which there is none without a switch. */
  wantsPorts?: boolean;
  run: (setting: Setting, seconds: number) => Promise<number>;
}

/** Pings answered per second, each sent when the one before is answered. */
async function pingFlood(from: Host, seconds: number): Promise<number> {
  const output = await from.run('ping', '-q', '-f', '-w', String(seconds), '10.99.0.2');
  return Number(/(\d+) received/.exec(output)?.[1] ?? 0) / seconds;
}

/** Frames per second both ways at once, each sender on a core of its own. */
async function bothWays(a: Host, b: Host, seconds: number): Promise<number> {
  const [toB, toA] = await Promise.all([
    forwardedPps(a, b, await b.mac(), 1, seconds, { core: 0 }),
    forwardedPps(b, a, await a.mac(), 1, seconds, { core: 1 }),
  ]);
  return toB + toA;
}

/** Processor time of a frame that arrives: the sender's, in which the kernel forwards, and the switch's. */
async function nanosecondsPerFrame(a: Host, b: Host, seconds: number, { pids }: Setting): Promise<number> {
  const received = await receivedFrames(b);
  const before = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const report = await sendFrames(a, await b.mac(), 1, seconds, { core: 0, rate: 150_000 });
  const daemons = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0) - before;
  return ((report.cpu + daemons) / ((await receivedFrames(b)) - received)) * 1e9;
}

/** Frames per second that come to `b` while they arrive at `a`'s port as from a NIC's driver. */
async function injectedPps(lab: Lab, a: Host, b: Host, flows: number, seconds: number): Promise<number> {
  const inject = async (...limits: string[]) => {
    const output = await lab.inSwitch(
      ...['taskset', '-c', '0', loadgen, 'inject', '--interface', a.port, '--flows', String(flows)],
      ...['--source', await a.mac(), '--destination', await b.mac(), ...limits],
    );
    return JSON.parse(output) as Sent;
  };
  // Only with NAPI a veth has the receive queue that XDP's frames come from.
  await lab.inSwitch('ethtool', '-K', a.port, 'gro', 'on');
  try {
    await b.reaches('10.99.0.1');
    await inject('--rate', '100000', '--seconds', '1');
    const before = await receivedFrames(b);
    const { seconds: took } = await inject('--seconds', String(seconds));
    return ((await receivedFrames(b)) - before) / took;
  } finally {
    await lab.inSwitch('ethtool', '-K', a.port, 'gro', 'off');
  }
}

/** Frames per second that are taken from the tap pb while as many as can be are written to the tap pa. */
async function tapPps(lab: Lab, flows: number, seconds: number): Promise<number> {
  const words = ['--from', 'pa', '--to', 'pb', '--flows', String(flows), '--seconds', String(seconds)];
  const report = JSON.parse(await lab.inSwitch(loadgen, 'tap', ...words)) as Sent & { received: number };
  return report.received / report.seconds;
}

/** Work between two hosts. */
function between(
  place: Place,
  name: string,
  decimals: number,
  run: (a: Host, b: Host, seconds: number, setting: Setting) => Promise<number>,
): Work {
  return {
    name,
    decimals,
    place,
    run: (setting, seconds) => {
      const [a, b] = setting.hosts;
      if (!a || !b) throw new Error(`${name}: two hosts are wanted`);
      return run(a, b, seconds, setting);
    },
  };
}

const flowsOf = (flows: number) => (flows === 1 ? '1 flow' : `${flows.toLocaleString('en')} flows`);

/** Of this one the difference to `no switch` is told too. */
export const perFrame = between('veths', 'processor time a frame at 150 kpps, ns', 0, nanosecondsPerFrame);

export const works: Work[] = [
  ...[1, 10_000].map((flows) =>
    between(
      'veths',
      `64-byte, ${flowsOf(flows)}, kpps`,
      0,
      async (a, b, seconds) => (await forwardedPps(a, b, await b.mac(), flows, seconds)) / 1000,
    ),
  ),
  between(
    'veths',
    '64-byte, both ways at once, kpps',
    0,
    async (a, b, seconds) => (await bothWays(a, b, seconds)) / 1000,
  ),
  ...[1, 10_000].map((flows) => ({
    ...between(
      'veths',
      `NIC-like 64-byte, ${flowsOf(flows)}, kpps`,
      0,
      async (a, b, seconds, { lab }) => (await injectedPps(lab, a, b, flows, seconds)) / 1000,
    ),
    wantsPorts: true,
  })),
  ...[1, 10_000].map((flows) => ({
    name: `tap to tap 64-byte, ${flowsOf(flows)}, kpps`,
    decimals: 0,
    place: 'taps' as const,
    wantsPorts: true,
    run: async ({ lab }: Setting, seconds: number) => (await tapPps(lab, flows, seconds)) / 1000,
  })),
  perFrame,
  between('veths', 'TCP, 1 stream, Gbit/s', 1, (a, b, s) => tcpGbps(a, b, '10.99.0.2', 1, s)),
  between('veths', 'TCP, 4 streams, Gbit/s', 1, (a, b, s) => tcpGbps(a, b, '10.99.0.2', 4, s)),
  between('guest', 'TCP, guest to host, Gbit/s', 1, (a, b, s) => tcpGbps(a, b, '10.99.0.2', 1, s)),
  between('guest', 'TCP, host to guest, Gbit/s', 1, (a, b, s) => tcpGbps(a, b, '10.99.0.2', 1, s, ['-R'])),
  between('veths', 'TCP, 1 byte each way, transactions/s', 0, (a, b, s) =>
    transactionsPerSecond(a, b, '10.99.0.2', s),
  ),
  between('veths', 'ping -f, answers/s', 0, (a, _, seconds) => pingFlood(a, seconds)),
];
