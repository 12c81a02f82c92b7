/**
 * Bonds and LACP with Debian's Open vSwitch as the partner: every combination of modes, members pulled one after another,
 * a partner that falls silent, and the controller started anew. Prints for how long traffic stood still each time.
 * `--quick`: a few combinations only. `--mixed`: those of different modes only. `--kills=N`: nothing but weftd killed every five seconds, N times.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BondLab } from '../system/bond-lab.js';
import { until } from '../system/lab.js';
import { readOptions } from './measure.js';

interface Row {
  readonly what: string;
  readonly value: string;
}

const LINKS = 3;
const MODES = ['active-backup', 'balance-slb', 'balance-tcp'];
const FAST = ['lacp=active', 'other_config:lacp-time=fast'];

export default async function bonds(options: readonly string[] = []): Promise<void> {
  const isQuick = options.includes('--quick');
  const lab = await BondLab.create({ links: LINKS, ours: ['lacp=active'], theirs: ['lacp=active'] });
  const rows: Row[] = [];
  const print = (what: string, value: string): void => {
    rows.push({ what, value });
    process.stdout.write(`${what.padEnd(78)} ${value}\n`);
  };
  const kills = readOptions(options).number('kills', 0);
  try {
    if (kills > 0) {
      const fast = ['other_config:lacp-time=fast', 'bond_mode=balance-tcp'];
      await lab.set(['lacp=active', ...fast], ['lacp=active', ...fast]);
      await lab.up();
      print(`active/active fast: weftd killed ${kills} times, every 5 s`, await restarted(lab, kills));
      return;
    }
    for (const { name, ours, theirs } of options.includes('--mixed') ? [] : combinations(isQuick)) {
      await lab.set(ours, theirs);
      const started = performance.now();
      await lab.up();
      print(`${name}: all members up`, `${((performance.now() - started) / 1000).toFixed(1)} s`);
      print(`${name}: members pulled one after another`, `${await pulled(lab)} ms lost`);
      if (!name.includes('slow'))
        print(`${name}: partner silent on one member`, `${await silenced(lab)} ms lost`);
      print(`${name}: weftd killed`, await restarted(lab));
    }
    for (const ours of MODES) {
      for (const theirs of isQuick ? [] : MODES.filter((mode) => mode !== ours)) {
        await lab.set([...FAST, `bond_mode=${ours}`], [...FAST, `bond_mode=${theirs}`]);
        await lab.up();
        print(`${ours}, partner ${theirs}: members pulled one after another`, `${await pulled(lab)} ms lost`);
      }
    }
    await lab.unbondPartner();
    for (const [lacp, mode] of [
      ['off', 'active-backup'],
      ['off', 'balance-slb'],
      ['active', 'balance-tcp'],
    ] as const) {
      // With LACP that nobody answers it is an active-backup bond, if it is told to be.
      const settings = [`lacp=${lacp}`, `bond_mode=${mode}`, 'other_config:lacp-fallback-ab=true'];
      await lab.vsctl('set', 'port', 'bond0', ...settings);
      await lab.here.reaches('10.1.0.2', 20_000);
      const what = `partner without LACP, ours ${lacp}, ${mode}: members pulled one after another`;
      print(what, `${await pulled(lab, false)} ms lost`);
    }
  } catch (error) {
    process.stdout.write(
      `${await lab.lacpThere().catch(() => 'no LACP there')}\n${lab.lab.log.slice(-4000)}\n`,
    );
    throw error;
  } finally {
    await lab.close();
  }
}

function combinations(isQuick: boolean): { name: string; ours: string[]; theirs: string[] }[] {
  const list = [];
  for (const ours of ['active', 'passive'])
    for (const theirs of ['active', 'passive'])
      for (const time of ['fast', 'slow'])
        for (const mode of MODES) {
          if (ours === 'passive' && theirs === 'passive') continue;
          const isFirst = ours === 'active' && theirs === 'active';
          if (isQuick && !(isFirst && time === 'fast')) continue;
          const both = [`other_config:lacp-time=${time}`, `bond_mode=${mode}`];
          list.push({
            name: `${ours}/${theirs} ${time} ${mode}`,
            ours: [`lacp=${ours}`, ...both],
            theirs: [`lacp=${theirs}`, ...both],
          });
        }
  return list;
}

/** Each member in turn out and in again, under a ping every 5 ms. */
async function pulled(lab: BondLab, hasLacp = true): Promise<number> {
  let longest = 0;
  for (let link = 0; link < LINKS; link++) {
    const others = lab.names('p').filter((_, i) => i !== link);
    const gap = await lab.longestGap(
      async () => {
        await sleep(300);
        await lab.cable(link, false);
      },
      2.5,
      5,
    );
    longest = Math.max(longest, gap);
    if (hasLacp) await lab.up(others);
    await lab.cable(link, true);
    if (hasLacp) await lab.up();
    else await lab.here.reaches('10.1.0.2');
  }
  return longest;
}

/** What the partner sends by one member is lost on the way, the link staying up; that by which the traffic goes. */
async function silenced(lab: BondLab): Promise<number> {
  let longest = 0;
  for (let link = 0; link < LINKS; link++) {
    const device = `p${link}`;
    const gap = await lab.longestGap(
      async () => {
        await sleep(300);
        await lab.lab.inSwitch('tc', 'qdisc', 'add', 'dev', device, 'root', 'pfifo', 'limit', '0');
      },
      6,
      10,
    );
    longest = Math.max(longest, gap);
    await lab.lab.inSwitch('tc', 'qdisc', 'del', 'dev', device, 'root');
    await lab.up();
  }
  return longest;
}

const KILL_PERIOD_S = 5;

async function killOnce(lab: BondLab): Promise<void> {
  const old = await lab.lab.pidOf('weftd');
  if (old === null) throw new Error('no weftd');
  process.kill(old, 'SIGKILL');
  await until(
    'weftd is back',
    async () => {
      const pid = await lab.lab.pidOf('weftd');
      return pid !== null && pid !== old && (await lab.lab.isHealthy());
    },
    30_000,
  );
}

/** kill -9 of the controller, every few seconds: what the partner and the traffic noticed. */
async function restarted(lab: BondLab, kills = 1): Promise<string> {
  const before = await lab.partner.appctl('lacp/show-stats', 'pb');
  const gap = await lab.longestGap(
    async () => {
      for (let kill = 0; kill < kills; kill++) {
        const next = sleep(kill + 1 < kills ? KILL_PERIOD_S * 1000 : 0);
        await killOnce(lab);
        await next;
      }
    },
    KILL_PERIOD_S * kills + 1,
    5,
  );
  const after = await lab.partner.appctl('lacp/show-stats', 'pb');
  const count = (text: string, what: string): number =>
    [...text.matchAll(new RegExp(`${what}: (\\d+)`, 'g'))].reduce((sum, [, n]) => sum + Number(n), 0);
  const noticed = ['Link Expired', 'Link Defaulted'].map((what) => count(after, what) - count(before, what));
  const enabled = (await lab.enabledThere()).length;
  return `${gap} ms lost; partner: ${noticed.join(' expired, ')} defaulted, ${enabled} of ${LINKS} enabled`;
}
