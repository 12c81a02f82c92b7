/**
 * The second tutorial: switch sw0, the host's own interface sw0-vlan2, and a virtual machine, a real one under qemu, on
 * tap2, both in VLAN 2. Each command as it is printed there.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab, projectRoot, sh, until } from '../system/lab.js';
import { createShell, type Tools } from './shell.js';
import { play, type Step } from './step.js';

const HOST = '203.0.113.129';
const GUEST = '203.0.113.130';
const GUEST_MAC = 'ba:ad:00:ca:fe:02';
const PACKAGED = 'shows Open vSwitch’s own packages, module and processes';

/** Plays it with the given tools. @returns how many steps were not as they should be */
export async function playSecond(tools: Tools): Promise<number> {
  const guest = join(tmpdir(), 'weft-guest');
  await sh(join(projectRoot, 'test/tutorial/guest.sh'), guest);
  const lab = await Lab.create();
  try {
    await lab.startWeft();
    return await play(steps(lab, guest), createShell(lab, tools));
  } catch (error) {
    process.stderr.write(lab.log.slice(-4000));
    throw error;
  } finally {
    await lab.close();
  }
}

function steps(lab: Lab, guest: string): Step[] {
  const console = join(lab.folder, 'guest.log');
  let machine: ChildProcess | undefined;
  return [
    { command: 'aptitude search ~iopenvswitch', instead: PACKAGED },
    { command: 'lsmod | grep openvswitch', instead: PACKAGED },
    { command: 'pstree', instead: PACKAGED },
    {
      command: 'sudo ovs-vsctl show',
      shows: 'cd95ab0d-643d-4a23-bae3-2e6c900a367f\n    ovs_version: "1.9.3"',
    },
    { command: 'sudo ovs-vsctl add-br sw0' },
    { command: 'sudo ovs-vsctl add-port sw0 sw0-vlan2 tag=2 -- set Interface sw0-vlan2 type=internal' },
    { command: 'sudo ip tuntap add mode tap dev tap2 group kvm' },
    { command: 'sudo ovs-vsctl add-port sw0 tap2 tag=2' },
    {
      command: 'sudo ovs-vsctl show',
      shows: `cd95ab0d-643d-4a23-bae3-2e6c900a367f
    Bridge "sw0"
        Port "sw0-vlan2"
            tag: 2
            Interface "sw0-vlan2"
                type: internal
        Port "tap2"
            tag: 2
            Interface "tap2"
        Port "sw0"
            Interface "sw0"
                type: internal
    ovs_version: "1.9.3"`,
    },
    { command: 'for intf in sw0 sw0-vlan2 tap2; do sudo ip link set dev $intf up; done' },
    {
      command: 'ip link ls',
      has: [
        '…: sw0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 …',
        '…: sw0-vlan2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 …',
        // Without a machine behind it the tap has no carrier yet.
        '…: tap2: <…BROADCAST,MULTICAST,UP> mtu 1500 …',
      ],
    },
    { command: "egrep -e '(^$|^#)' -v /etc/sysctl.conf", instead: 'reads a file of this machine' },
    { command: 'sudo sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1' },
    // The plan of addresses gives the host this one on sw0-vlan2.
    { command: `sudo ip addr add ${HOST}/26 dev sw0-vlan2` },
    {
      claim: './scripts/ovs-startup.sh vm0-debian-testing-amd64-base.raw 1024 2: the machine starts on tap2',
      check: async () => {
        machine = startGuest(lab, guest, console);
        const guestProcess = machine;
        const line = await until(
          'the guest is ready',
          () => {
            const said = existsSync(console) ? readFileSync(console, 'utf8').slice(-1000) : '';
            if (guestProcess.exitCode !== null) throw new Error(`qemu has ended: ${said}`);
            return /guest ready: (.*)/.exec(readFileSync(console, 'utf8'))?.[1] ?? false;
          },
          300_000,
        );
        return `in the guest: ${line.trim().replace(/\s+/g, ' ')}`;
      },
    },
    {
      command: `ping -c 3 -i 0.2 -W 5 ${GUEST}`,
      has: ['3 packets transmitted, 3 received, 0% packet loss…'],
    },
    {
      command: 'ip nei ls',
      has: [`${GUEST} dev sw0-vlan2 lladdr ${GUEST_MAC} …`],
    },
    {
      claim: 'TCP from the machine to the host, a million bytes',
      check: async () => {
        const text = await lab.inSwitch('curl', '-s', '--max-time', '30', `http://${GUEST}/million`);
        if (text.length !== 1_000_000) throw new Error(`${text.length} bytes came`);
      },
    },
    { command: 'ovs-appctl fdb/show sw0', has: [`… 2 ${GUEST_MAC} …`] },
    {
      claim: 'the machine ends; its tap and its port stay, as ip tuntap made it',
      check: async () => {
        const ended = new Promise((resolve) => machine?.once('close', resolve));
        machine?.kill('SIGKILL');
        await ended;
        await lab.inSwitch('ip', 'link', 'show', 'tap2');
      },
    },
    { command: 'sudo ip link del tap2' },
    { command: 'sudo ovs-vsctl --if-exists del-port sw0 tap2' },
    { command: 'sudo ovs-vsctl del-br sw0' },
  ];
}

function startGuest(lab: Lab, guest: string, console: string): ChildProcess {
  // On a busy machine an emulated timer may be too late for the kernel's test of it, which ends in a panic.
  const append = `console=ttyS0 quiet no_timer_check panic=-1 guest_address=${GUEST}/26 guest_gateway=${HOST}`;
  // No acceleration: it runs everywhere, and three seconds are soon enough.
  return lab.spawnInSwitch('qemu-system-x86_64', [
    ...['-accel', 'tcg', '-machine', 'q35', '-cpu', 'max', '-m', '192', '-nodefaults', '-no-user-config'],
    ...['-display', 'none', '-no-reboot', '-serial', `file:${console}`],
    ...['-kernel', join(guest, 'vmlinuz'), '-initrd', join(guest, 'initrd.gz'), '-append', append],
    ...['-netdev', 'tap,ifname=tap2,id=net02,script=no,downscript=no'],
    ...['-device', `virtio-net-pci,netdev=net02,mac=${GUEST_MAC}`],
  ]);
}
