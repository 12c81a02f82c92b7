/** A bond with Debian's Open vSwitch as the partner: LACP, failover, and a controller that is killed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BondLab } from './bond-lab.js';
import { until } from './lab.js';

let bond: BondLab;
const FAST = 'other_config:lacp-time=fast';

beforeAll(async () => {
  bond = await BondLab.create({
    links: 3,
    ours: ['lacp=active', 'bond_mode=balance-slb', FAST],
    theirs: ['lacp=active', 'bond_mode=balance-tcp', FAST],
  });
}, 120_000);
afterAll(() => bond?.close());

const stats = (): Promise<string> => bond.partner.appctl('lacp/show-stats', 'pb');
const counts = (text: string, what: string): number[] =>
  [...text.matchAll(new RegExp(`${what}: (\\d+)`, 'g'))].map(([, n]) => Number(n));

/** How often the partner lost sight of us. */
const losses = async (): Promise<number[]> => counts(await stats(), 'Link (?:Expired|Defaulted)');

test('LACP is negotiated: both ends use every member, and traffic passes', async () => {
  await bond.up();
  const partner = await bond.lacpThere();
  expect(partner).toContain('status: active negotiated');
  const states = [...partner.matchAll(/partner state: (.*)/g)].map(([, state]) => state);
  expect(states).toEqual(Array(3).fill('activity timeout aggregation synchronized collecting distributing'));
}, 60_000);

test('members pulled one after another: the others carry on, and each comes back', async () => {
  for (let link = 0; link < 3; link++) {
    await bond.cable(link, false);
    await bond.up(bond.names('p').filter((_, i) => i !== link));
    await bond.cable(link, true);
    await bond.up();
  }
}, 120_000);

test('weftd killed, again and again: a partner with the short timeout does not notice', async () => {
  await bond.up();
  const before = await losses();
  const states = async () => [...(await bond.lacpThere()).matchAll(/^(?:slave|member): .*$/gm)].map(String);
  const statesBefore = await states();
  for (let kill = 0; kill < 3; kill++) {
    const old = await until('weftd runs', () => bond.lab.pidOf('weftd'));
    process.kill(old, 'SIGKILL');
    await until('weftd is back', async () => {
      const pid = await bond.lab.pidOf('weftd');
      return pid !== null && pid !== old;
    });
    await until('the controller is in order', () => bond.lab.isHealthy(), 30_000);
    // It hears us, every second as it wants.
    const heard = counts(await stats(), 'RX PDUs');
    await until('the partner hears us', async () =>
      counts(await stats(), 'RX PDUs').every((n, i) => n > (heard[i] ?? 0) + 1),
    );
    expect(await losses()).toEqual(before);
    expect(await states()).toEqual(statesBefore);
  }
  await bond.up();
}, 90_000);

test('another mode, and no LACP: settings change while traffic passes', async () => {
  await bond.set(['bond_mode=balance-tcp'], ['bond_mode=balance-slb']);
  await bond.up();
});

test('a partner that knows of no bond: active-backup and balance-slb, failing over', async () => {
  await bond.unbondPartner();
  for (const mode of ['active-backup', 'balance-slb']) {
    await bond.vsctl('set', 'port', 'bond0', 'lacp=off', `bond_mode=${mode}`);
    for (let link = 0; link < 3; link++) {
      await bond.here.reaches('10.1.0.2', 20_000);
      await bond.there.reaches('10.1.0.1', 20_000);
      await bond.cable(link, false);
      await bond.here.reaches('10.1.0.2', 20_000);
      await bond.cable(link, true);
    }
  }
}, 120_000);

test('the bond removed: no rule of it is left on the switch', async () => {
  await bond.vsctl('del-port', 'bond0');
  const rules = await bond.lab.inSwitch(
    ...['ovs-ofctl', '-O', 'OpenFlow13', '--no-stats', 'dump-flows'],
    `unix:${bond.lab.rundir}/vswitch.program`,
  );
  expect(rules).toContain('table=64');
  // Kinds 13 to 16 of the bridge program: LACP and bonds (cookies, ARCHITECTURE.md).
  expect(rules.split('\n').filter((line) => /cookie=0x574501(0d|0e|0f|10)/.test(line))).toEqual([]);
  const groups = await bond.lab.inSwitch(
    ...['ovs-ofctl', '-O', 'OpenFlow13', 'dump-groups'],
    `unix:${bond.lab.rundir}/vswitch.program`,
  );
  expect(groups).not.toContain('type=ff');
}, 30_000);
