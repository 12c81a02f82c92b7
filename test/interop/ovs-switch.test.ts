/**
 * Our driver and bridge program on Debian's Open vSwitch: VLANs, learning, restarts of the controller, and a
 * second look that changes nothing.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  newBridge,
  newPort,
  parseDpid,
  VlanSet,
  type Bridge,
  type Dpid,
  type LogicalPort,
} from '../../src/domain/index.js';
import { defineProgram, NEXT_PROGRAM, type Program } from '../../src/programs/index.js';
import { createSwitchDriver, type SwitchDriver, type SwitchEvent } from '../../src/switches/index.js';
import { Lab, until, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';

const dpid = (parseDpid('1') ?? '') as Dpid;
const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

let lab: Lab;
let ovs: OpenVSwitch;
let driver: SwitchDriver;
let a: Host, b: Host, c: Host, trunk: Host, native: Host;

function bridge(settings: Partial<Bridge> = {}, changes: Record<string, Partial<LogicalPort>> = {}): Bridge {
  const ports = [
    newPort({ name: 'pa', tag: 10 }),
    newPort({ name: 'pb', tag: 10 }),
    newPort({ name: 'pc', tag: 20 }),
    newPort({ name: 'pt', trunks: VlanSet.of([10, 20]) }),
    newPort({ name: 'pn', vlanMode: 'native-untagged', tag: 20, trunks: VlanSet.of([10]) }),
  ];
  return newBridge({
    name: 'br0',
    datapathId: dpid,
    connection: { kind: 'openflow', target: `unix:${ovs.rundir}/br0.mgmt` },
    ports: ports.map((port) => ({ ...port, ...changes[port.name] })),
    ...settings,
  });
}

async function startDriver(settings: Partial<Bridge> = {}): Promise<SwitchDriver> {
  const fresh = createSwitchDriver({ bridge: bridge(settings), rundir: ovs.rundir, log: quiet });
  fresh.start();
  await fresh.synced(20_000);
  return fresh;
}

beforeAll(async () => {
  lab = await Lab.create();
  ovs = await OpenVSwitch.start(lab);
  await ovs.addBridge('br0');
  await ovs.vsctl('set-fail-mode', 'br0', 'secure');
  a = await lab.addHost('pa', '192.0.2.1/24');
  b = await lab.addHost('pb', '192.0.2.2/24');
  c = await lab.addHost('pc', '192.0.2.3/24');
  trunk = await lab.addHost('pt');
  native = await lab.addHost('pn', '192.0.2.6/24');
  for (const port of ['pa', 'pb', 'pc', 'pt', 'pn']) await ovs.vsctl('add-port', 'br0', port);
  // Userspace datapath: checksums must be whole on the veths.
  for (const host of [a, b, c, trunk, native]) await host.run('ethtool', '-K', 'eth0', 'tx', 'off');
  driver = await startDriver();
});

afterAll(async () => {
  await driver?.stop();
  await ovs?.stop();
  await lab?.close();
});

describe('the bridge program on ovs-vswitchd', () => {
  it('forwards within a VLAN, and never across', async () => {
    await a.reaches('192.0.2.2');
    await c.reaches('192.0.2.6');
    expect(await a.ping('192.0.2.3')).toBe(0);
    expect(await b.ping('192.0.2.6')).toBe(0);
    expect(await c.ping('192.0.2.1')).toBe(0);
  });

  it('says that such a switch cannot observe, leaves those rules out, and all else works', async () => {
    const collectors = [{ host: '192.0.2.250', port: 6343 }];
    const sflow = {
      ...{ collectors, agent: null, sampling: 10, pollingS: 0, headerBytes: 128, datagramsPerS: 100 },
    };
    driver.configure(bridge({ exports: { sflow } }));
    await driver.synced(20_000);
    const [observer] = driver.observers();
    expect(observer?.isSet).toBe(false);
    expect(observer?.refused).toContain('knows neither');
    expect((await driver.dumpFlows()).some(({ owner }) => owner?.kind === 'sample')).toBe(false);
    await a.reaches('192.0.2.2');
    driver.configure(bridge());
    await driver.synced(20_000);
    expect(driver.observers()).toEqual([]);
  });

  it('tags on a trunk, and takes tagged frames from it', async () => {
    const outside = lab.wire(trunk.namespace);
    await outside.listen('eth0');
    const inside = lab.wire(b.namespace);
    await inside.listen('eth0');
    const host = '02000000aa01';
    const payload = '88b5'.padEnd(96, '5');
    // Broadcast in VLAN 10 from the trunk reaches the access port bare; VLAN 30 is not carried.
    outside.send('eth0', `ffffffffffff${host}8100001e${payload}`);
    outside.send('eth0', `ffffffffffff${host}8100000a${payload}`);
    const bare = await until('the frame on pb', () => inside.seen.find(({ hex }) => hex.includes(host)));
    expect(bare.hex.startsWith(`ffffffffffff${host}88b5`)).toBe(true);
    // And back: to a learned address, tagged.
    inside.send('eth0', `${host}02000000bb01${payload}`);
    const tagged = await until('the frame on pt', () =>
      outside.seen.find(({ hex }) => hex.includes('02000000bb01')),
    );
    expect(tagged.hex.startsWith(`${host}02000000bb018100000a88b5`)).toBe(true);
    expect(inside.seen.filter(({ hex }) => hex.includes(host)).length).toBe(1);
  });

  it('learns from packet-ins and answers with exact flows', async () => {
    const where = (): Set<string> =>
      new Set(
        driver.fdb().flatMap(({ kind, port, vlan }) => (kind === 'learned' ? [`${port} ${vlan}`] : [])),
      );
    await until('every host is learned', () =>
      ['pa 10', 'pb 10', 'pc 20', 'pt 10', 'pn 20'].every((it) => where().has(it)),
    );
    expect(where().size).toBe(5);
    // A known conversation no longer concerns the controller.
    const before = driver.status().received.packetIns;
    expect(await a.ping('192.0.2.2', 5)).toBe(5);
    expect(driver.status().received.packetIns).toBe(before);
  });

  it('explains its flows', async () => {
    const flows = await driver.dumpFlows();
    expect(flows.length).toBe(driver.status().flowsWanted);
    for (const { owner } of flows) {
      expect(owner?.program).toBe('bridge');
      expect(owner?.reason).not.toBe('not wanted any more');
    }
    const groups = await driver.dumpGroups();
    expect(groups.length).toBe(driver.status().groupsWanted);
    for (const { owner } of groups) expect(owner?.reason).toMatch(/^flood to /);
  });

  it('changes nothing when a controller comes back, and takes the MAC table over', async () => {
    const macs = driver.status().macs;
    const known = driver.fdb();
    await driver.stop();
    driver = await startDriver();
    const { sent } = driver.status();
    expect(sent).toMatchObject({
      flowAdds: 0,
      flowModifies: 0,
      flowDeletes: 0,
      groupAdds: 0,
      groupModifies: 0,
      groupDeletes: 0,
    });
    expect(driver.status().macs).toBe(macs);
    const identity = ({ vlan, mac, port }: (typeof known)[number]): string => `${vlan} ${mac} ${port}`;
    expect(driver.fdb().map(identity).sort()).toEqual(known.map(identity).sort());
  });

  it('repairs only what somebody else has broken', async () => {
    await lab.inSwitch(
      'ovs-ofctl',
      '-O',
      'OpenFlow13',
      'del-flows',
      `unix:${ovs.rundir}/br0.mgmt`,
      'table=7',
    );
    await lab.inSwitch(
      'ovs-ofctl',
      '-O',
      'OpenFlow13',
      'del-flows',
      `unix:${ovs.rundir}/br0.mgmt`,
      'table=6,metadata=1/0xffffff',
    );
    await lab.inSwitch(
      'ovs-ofctl',
      '-O',
      'OpenFlow13',
      'add-flow',
      `unix:${ovs.rundir}/br0.mgmt`,
      'cookie=0x77,table=200,actions=drop',
    );
    await driver.stop();
    driver = await startDriver();
    const { sent } = driver.status();
    expect(sent.flowAdds).toBeGreaterThan(0);
    expect(sent.flowAdds).toBeLessThan(5);
    expect(sent.flowDeletes).toBe(0);
    const foreign = (await driver.dumpFlows()).filter(({ owner }) => owner === null);
    expect(foreign.map(({ cookie }) => cookie)).toEqual([0x77n]);
    expect(await a.ping('192.0.2.2')).toBe(2);
  });

  it('moves a port to another VLAN while the others go on', async () => {
    const losses = c.ping('192.0.2.6', 40, 0.05);
    driver.configure(bridge({}, { pb: { tag: 20 } }));
    await driver.synced(10_000);
    await b.reaches('192.0.2.3');
    expect(await a.ping('192.0.2.2')).toBe(0);
    expect(await losses).toBe(40);
    driver.configure(bridge());
    await driver.synced(10_000);
    await a.reaches('192.0.2.2');
  });

  it('ages a silent address out', async () => {
    driver.configure(bridge({ macAgeingTimeS: 1 }));
    await driver.synced(10_000);
    const events: SwitchEvent[] = [];
    const unsubscribe = driver.subscribe((event) => events.push(event));
    await until('an address aged out', () => events.some(({ kind }) => kind === 'aged'), 20_000);
    unsubscribe();
    const dump = await driver.dumpFlows();
    const destinations = dump.filter(({ owner }) => owner?.kind === 'learned-destination');
    const sources = dump.filter(({ owner }) => owner?.kind === 'learned-source');
    expect(Math.abs(destinations.length - sources.length)).toBeLessThanOrEqual(1);
    await a.reaches('192.0.2.2');
  });

  it('follows ports that go and come', async () => {
    await ovs.vsctl('del-port', 'br0', 'pb');
    await until('port is gone', () => !driver.ports().some(({ name }) => name === 'pb'));
    await driver.synced(10_000);
    await ovs.vsctl('add-port', 'br0', 'pb');
    await until('port is back', () => driver.ports().some(({ name }) => name === 'pb'));
    await driver.synced(10_000);
    await a.reaches('192.0.2.2');
  });

  it('numbers meters so that Open vSwitch takes them', async () => {
    await ovs.addBridge('br1');
    await ovs.vsctl('set-fail-mode', 'br1', 'secure');
    const police = defineProgram({
      name: 'police',
      id: 100,
      kinds: ['limit'],
      tables: [
        {
          name: 'police',
          does: 'limits what enters',
          match: {},
          miss: { kind: 'drop', reason: 'never' },
          next: [NEXT_PROGRAM],
        },
      ],
      init: () => undefined,
      flows: () => ({
        meters: [{ name: 'all', flags: ['PKTPS'], bands: [{ type: 'DROP', rate: 1000 }], reason: 'limit' }],
        flows: [
          {
            table: 'police',
            priority: 1,
            match: {},
            instructions: [
              { type: 'METER', meter: 'all' },
              { type: 'GOTO_TABLE', table: NEXT_PROGRAM },
            ],
            kind: 'limit',
            reason: 'limit',
          },
        ],
      }),
    });
    const connection = { kind: 'openflow', target: `unix:${ovs.rundir}/br1.mgmt` } as const;
    const start = async (): Promise<SwitchDriver> => {
      const options = { rundir: ovs.rundir, log: quiet, programs: [police as Program] };
      const metered = createSwitchDriver({
        ...options,
        bridge: newBridge({ name: 'br1', datapathId: dpid, connection }),
      });
      metered.start();
      await metered.synced(20_000);
      return metered;
    };
    await (await start()).stop();
    const meters = await lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', 'dump-meters', connection.target);
    expect(meters).toMatch(/^meter=\d+ pktps bands=\ntype=drop rate=1000$/m);
    // Found again, it is left as it is.
    const again = await start();
    expect(again.status().sent).toMatchObject({ flowAdds: 0, flowModifies: 0, flowDeletes: 0 });
    await again.stop();
  });
});
