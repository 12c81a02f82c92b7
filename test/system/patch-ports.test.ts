/** Patch ports: two bridges joined as Open vSwitch's users join them, with its own `ovs-vsctl`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, sh, until, type Host } from './lab.js';

let lab: Lab;
let a: Host;

const vsctl = (...args: string[]) =>
  sh('ovs-vsctl', '--timeout=30', `--db=unix:${lab.rundir}/db.sock`, ...args);
const addPatch = (bridge: string, name: string, ...settings: string[]) =>
  vsctl('add-port', bridge, name, '--', 'set', 'interface', name, 'type=patch', ...settings);
const get = async (name: string, column: string) => (await vsctl('get', 'interface', name, column)).trim();
/** Interface index of a device; undefined where there is none. */
const ifindex = (device: string) =>
  lab
    .inSwitch('cat', `/sys/class/net/${device}/ifindex`)
    .then(Number)
    .catch(() => undefined);
const gone = (...devices: string[]) =>
  until('the devices are gone', async () =>
    (await Promise.all(devices.map(ifindex))).every((index) => index === undefined),
  );
const NO_PEER = `"No usable peer 'patch1' exists in 'system' datapath."`;

beforeAll(async () => {
  lab = await Lab.create();
  a = await lab.addHost('pa', '10.97.0.1/24');
  await lab.addHost('pb', '10.97.0.2/24');
  await lab.startWeft();
  await vsctl('add-br', 'br0', '--', 'add-port', 'br0', 'pa', 'tag=5');
  await vsctl('add-br', 'br1', '--', 'add-port', 'br1', 'pb', 'tag=5');
});

afterAll(() => lab?.close());

test('one end waits for the other, as in Open vSwitch; then the bridges are one, VLANs and all', async () => {
  await addPatch('br0', 'patch0', 'options:peer=patch1');
  expect(await get('patch0', 'error')).toBe(NO_PEER);
  expect(Number(await get('patch0', 'ofport'))).toBeGreaterThan(0);
  await addPatch('br1', 'patch1', 'options:peer=patch0');
  expect(await get('patch0', 'error')).toBe('[]');
  await a.reaches('10.97.0.2');

  expect(await vsctl('show')).toContain(`        Port patch0
            Interface patch0
                type: patch
                options: {peer=patch1}
`);
  const appctl = (...words: string[]) =>
    lab.inSwitch('env', `OVS_RUNDIR=${lab.rundir}`, 'ovs-appctl', ...words);
  expect(await appctl('dpif/show')).toMatch(/^ {4}patch1 \d+\/none: \(patch: peer=patch0\)$/m);
  const mac = await a.mac();
  const learned = new RegExp(`^ *${await get('patch1', 'ofport')} +5 +${mac} `, 'm');
  expect(await appctl('fdb/show', 'br1')).toMatch(learned);
  // The host has nothing to say on the cable.
  expect(await lab.inSwitch('ip', '-o', 'addr', 'show', 'dev', 'patch0')).toBe('');

  expect((await lab.rest('GET', '/v1/bridges/br0/ports/patch0')).body).toMatchObject({
    type: 'patch',
    peer: 'patch1',
  });
});

test('a datapath that was killed goes on with the pair', async () => {
  const [pid, before] = [await lab.pidOf('weft-datapath'), await ifindex('patch0')];
  process.kill(pid ?? 0, 'SIGKILL');
  await until('another datapath', async () => ![null, pid].includes(await lab.pidOf('weft-datapath')));
  await until('all is well', () => lab.isHealthy());
  await a.reaches('10.97.0.2');
  expect(await ifindex('patch0')).toBe(before);
});

test('without one end there is none; one that somebody deletes is made anew', async () => {
  await vsctl('del-port', 'br1', 'patch1');
  await gone('patch0', 'patch1');
  expect(await get('patch0', 'error')).toBe(NO_PEER);
  await addPatch('br1', 'patch1', 'options:peer=patch0');
  await a.reaches('10.97.0.2');
  await lab.inSwitch('ip', 'link', 'del', 'patch0');
  await a.reaches('10.97.0.2');
});

test('what cannot be is said in Open vSwitch’s words', async () => {
  await addPatch('br0', 'px');
  expect(await get('px', 'error')).toBe(`"px: patch type requires valid 'peer' argument"`);
  expect(await get('px', 'ofport')).toBe('-1');
  await addPatch('br0', 'py', 'options:peer=py');
  expect(await get('py', 'error')).toBe('"py: patch peer must not be self"');
  await addPatch('br0', 'pz', 'options:peer=patch1');
  expect(await get('pz', 'error')).toBe(NO_PEER);
  await vsctl('del-port', 'pz', '--', 'del-port', 'px', '--', 'del-port', 'py');
});

test('a clean stop leaves no device behind', async () => {
  await lab.stopWeft();
  await gone('patch0', 'patch1');
});
