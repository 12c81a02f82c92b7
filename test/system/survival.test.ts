/** What users put into the switch is back after kill -9 of the datapath, and nothing else is. */
import { existsSync, statSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, until, type Host } from './lab.js';

let lab: Lab;
let a: Host;

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('pa', '10.98.0.1/24');
  await lab.addHost('pb', '10.98.0.2/24');
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  for (const name of ['pa', 'pb']) await lab.must('POST', '/v1/bridges/br0/ports', { name });
  await a.reaches('10.98.0.2');
});

afterAll(() => lab?.close());

const ofctl = (command: string, ...args: string[]) =>
  lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${lab.rundir}/br0.mgmt`, ...args);

/** The lines of a dump without what counts and ages. */
const entries = async (command: string) =>
  (await ofctl(command))
    .split('\n')
    .filter((line) => /actions=|group_id=|meter=|bands|^ *\d+: *type|^ *type=/.test(line))
    .map((line) => line.replace(/(duration|n_packets|n_bytes)=[^ ,]*,? ?/g, '').trim())
    .sort();

const users = async () => [
  ...(await entries('dump-flows')).filter((line) => {
    const table = Number(/table=(\d+)/.exec(line)?.[1] ?? 0);
    return table < 64;
  }),
  ...(await entries('dump-groups')).filter((line) => Number(/group_id=(\d+)/.exec(line)?.[1]) < 0x57000000),
  ...(await entries('dump-meters')),
];

async function crash(): Promise<number> {
  const old = await until('the datapath runs', () => lab.pidOf('weft-datapath'));
  const startedMs = Date.now();
  process.kill(old, 'SIGKILL');
  await until('it is back', async () => {
    const pid = await lab.pidOf('weft-datapath');
    return pid !== null && pid !== old && (await ofctl('dump-flows').catch(() => false));
  });
  return Date.now() - startedMs;
}

test('flows, groups and meters of users are back within 2 s; what was deleted or has expired is not', async () => {
  await ofctl('add-meter', 'meter=5,kbps,burst,band=type=drop,rate=900000,burst_size=90000');
  await ofctl(
    'add-group',
    'group_id=9,type=select,bucket=weight=3,actions=output:1,bucket=weight=1,actions=output:2',
  );
  await ofctl('del-flows', 'table=0');
  await ofctl('add-flow', 'table=0,priority=7,cookie=0x11,arp,actions=NORMAL');
  await ofctl('add-flow', 'table=0,priority=8,cookie=0x12,icmp,actions=meter:5,goto_table:3');
  await ofctl('add-flow', 'table=3,priority=1,cookie=0x13,actions=NORMAL');
  await ofctl('add-flow', 'table=4,cookie=0x14,udp,actions=group:9');
  await ofctl('add-flow', 'table=4,cookie=0x15,tcp,idle_timeout=600,hard_timeout=900,actions=drop');
  await ofctl('add-flow', 'table=5,cookie=0x16,hard_timeout=1,actions=drop');
  await ofctl('mod-port', 'pb', 'no-packet-in');
  await until('the port is configured', async () =>
    /pb[^]*?NO_PACKET_IN/.test(await ofctl('dump-ports-desc')),
  );
  await until(
    'the short-lived flow has ended',
    async () => !(await users()).some((line) => line.includes('0x16')),
  );
  await a.reaches('10.98.0.2');
  const before = await users();
  for (const kept of ['0x11', '0x12', '0x13', '0x14', '0x15', 'group_id=9', 'meter=5']) {
    expect(before.filter((line) => line.includes(kept)).length, kept).toBeGreaterThan(0);
  }
  expect(statSync(`${lab.rundir}/br0.flows`).mode & 0o777).toBe(0o600);

  expect(await crash()).toBeLessThan(2_000);
  // The default flow, NORMAL for everything, was deleted: it must not be back even for a moment.
  expect(await users()).toEqual(before);
  await a.reaches('10.98.0.2', 2_000);
  await until('the port is back as configured', async () =>
    /pb[^]*?NO_PACKET_IN/.test(await ofctl('dump-ports-desc')),
  ).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await ofctl('dump-ports-desc')}\n${lab.log.slice(-6000)}`);
  });

  // And once more, from the file that has been taken on.
  await ofctl('del-flows', 'table=4,udp');
  const fewer = await users();
  expect(fewer.length).toBe(before.length - 1);
  await crash();
  expect(await users()).toEqual(fewer);
});

test('a removed bridge leaves no flows behind for one of the same name', async () => {
  await lab.must('DELETE', '/v1/bridges/br0');
  await until('its file is gone', () => !existsSync(`${lab.rundir}/br0.flows`));
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  await until('the new bridge answers', () => ofctl('dump-flows').catch(() => false));
  expect((await users()).filter((line) => line.includes('0x1'))).toEqual([]);
});

test('a clean stop leaves no file', async () => {
  expect(await lab.stopWeft('SIGINT')).toBe(0);
  expect(existsSync(`${lab.rundir}/br0.flows`)).toBe(false);
});
