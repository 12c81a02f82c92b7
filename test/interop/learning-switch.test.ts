/** The learning switch of openflow/examples, run as its reader would run it, with real switches and real pings. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { datapathBinary, Lab, projectRoot, sh, until, type Host } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';

const TARGET = '127.0.0.1:6653';

describe('examples/learning-switch.mjs', () => {
  let lab: Lab;
  let hosts: Host[];
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    // The example imports the package, which is what has been built.
    await promisify(execFile)(
      process.execPath,
      [join(projectRoot, 'node_modules/typescript/bin/tsc'), '-b', 'openflow'],
      {
        cwd: projectRoot,
      },
    );
  });

  beforeEach(async () => {
    lab = await Lab.create();
    hosts = [];
    for (const n of [1, 2, 3]) hosts.push(await lab.addHost(`ls${n}`, `192.0.2.${n}/24`));
    lab.spawnInSwitch(process.execPath, [
      'openflow/examples/learning-switch.mjs',
      `ptcp:${TARGET.split(':').reverse().join(':')}`,
    ]);
    await until('the controller listens', () => lab.log.includes('listening on port 6653'));
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
    await lab.close();
  });

  /** All pairs reach each other, and what was learned is in the switch. */
  async function expectLearning(socket: string): Promise<void> {
    for (const host of hosts) for (const n of [1, 2, 3]) await host.reaches(`192.0.2.${n}`);
    const dump = (): Promise<string> => sh('ovs-ofctl', '-O', 'OpenFlow13', 'dump-flows', `unix:${socket}`);
    const flows = await dump();
    expect(flows).toMatch(/priority=0 actions=CONTROLLER:65535/);
    for (const [from, to] of [
      [1, 2],
      [2, 1],
      [1, 3],
      [3, 1],
      [2, 3],
      [3, 2],
    ]) {
      const mac = (await hosts[(to ?? 1) - 1]?.mac()) ?? '';
      expect(flows).toMatch(
        new RegExp(`in_port="?(ls)?${from}"?,dl_dst=${mac} actions=output:"?(ls)?${to}"?`),
      );
    }
    // Now the switch forwards by itself: none of these packets comes to the controller.
    const before = /n_packets=(\d+)[^\n]*priority=0 /.exec(await dump())?.[1];
    expect(Number(before)).toBeGreaterThan(0);
    expect(await hosts[0]?.ping('192.0.2.2', 10, 0.02)).toBe(10);
    expect(/n_packets=(\d+)[^\n]*priority=0 /.exec(await dump())?.[1]).toBe(before);
  }

  test('with ovs-vswitchd', async () => {
    const ovs = await OpenVSwitch.start(lab);
    stops.push(() => ovs.stop());
    await ovs.addBridge('br0');
    for (const n of [1, 2, 3]) {
      await ovs.vsctl('add-port', 'br0', `ls${n}`, '--', 'set', 'interface', `ls${n}`, `ofport_request=${n}`);
    }
    await ovs.vsctl('set', 'bridge', 'br0', 'protocols=OpenFlow13', 'fail_mode=secure');
    await ovs.vsctl('set-controller', 'br0', `tcp:${TARGET}`);
    await until('the switch is connected', () => lab.log.includes(' connected'));
    await expectLearning(`${ovs.rundir}/br0.mgmt`);
  });

  test.skipIf(!existsSync(datapathBinary))('with weft-datapath', async () => {
    const ports = [1, 2, 3].map((n) => `port=ls${n}:${n}`).join(',');
    const bridge = `name=br0,dpid=0000000000000001,controller=tcp:${TARGET},${ports}`;
    lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', bridge]);
    await until('the switch is connected', () => lab.log.includes(' connected'));
    await expectLearning(`${lab.rundir}/br0.mgmt`);
  });
});
