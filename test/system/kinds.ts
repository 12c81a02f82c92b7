/**
 * The two switches that the controller must drive alike: Weft's own datapath, and Debian's ovs-vswitchd with its
 * userspace datapath, reached over OpenFlow 1.3 alone.
 */
import type { Host, Lab } from './lab.js';
import { OpenVSwitch } from './ovs.js';
import type { PortSetup, Tag } from './vlan-oracle.js';

export interface SwitchKind {
  readonly name: 'weft-datapath' | 'ovs-vswitchd';
  /**
   * Starts everything in the lab with bridge br0, none of the ports configured in Weft yet.
   * @param ports devices that will be ports (a foreign switch has to be given its ports by other means)
   * @param internal internal interfaces of it
   */
  start(lab: Lab, ports: string[], internal?: string[]): Promise<void>;
  /** What a host needs before TCP works: Open vSwitch's userspace datapath does not finish checksums. */
  prepareHost(host: Host): Promise<void>;
  /** Whether the switch itself, whatever its flows, handles such a frame right. */
  canForward(ingress: PortSetup, tags: Tag[], egress: PortSetup): boolean;
}

const own: SwitchKind = {
  name: 'weft-datapath',
  start: async (lab) => {
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0' });
  },
  prepareHost: async () => {},
  canForward: () => true,
};

const foreign: SwitchKind = {
  name: 'ovs-vswitchd',
  start: async (lab, ports, internal = []) => {
    const ovs = await OpenVSwitch.start(lab);
    // Matching behind a second tag has to be switched on there.
    await ovs.vsctl('set', 'Open_vSwitch', '.', 'other_config:vlan-limit=2');
    await ovs.addBridge('br0');
    await ovs.vsctl(
      'set-fail-mode',
      'br0',
      'secure',
      '--',
      'set',
      'bridge',
      'br0',
      'protocols=OpenFlow10,OpenFlow13',
    );
    for (const port of ports) await ovs.vsctl('add-port', 'br0', port);
    for (const port of internal)
      await ovs.vsctl('add-port', 'br0', port, '--', 'set', 'Interface', port, 'type=internal');
    await lab.startWeft();
    await lab.must('POST', '/v1/bridges', { name: 'br0', connection: `unix:${ovs.rundir}/br0.mgmt` });
  },
  prepareHost: async (host) => {
    await host.run('ethtool', '-K', 'eth0', 'tx', 'off');
  },
  // Open vSwitch keeps two VLAN headers of a frame and forgets a third; and its userspace datapath may forward a frame
  // by the cached verdict on one with another tag behind the first, which matters where that tag decides.
  canForward: (ingress, tags, egress) =>
    tags.length < 2 || (ingress.vlanMode !== 'dot1q-tunnel' && egress.cvlans === undefined),
};

export const switchKinds = [own, foreign];
