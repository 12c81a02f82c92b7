/** From facts to findings: what is right, what is not, and what to do. Pure. */
import { VERSION } from '../version.js';
import { count } from '../text.js';
import type { Device, Facts, Process } from './facts.js';

/** problem: Weft does not work, or loses traffic; warning: it might; note: worth knowing. */
export type Level = 'ok' | 'note' | 'warning' | 'problem';

export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly what: string;
  readonly remedy?: string;
}

type Check = (facts: Facts) => Finding[];

/** All checks, in the order of the report. */
export function diagnose(facts: Facts): Finding[] {
  return CHECKS.flatMap((check) => check(facts));
}

const ok = (check: string, what: string): Finding => ({ check, level: 'ok', what });
const finding = (check: string, level: Level, what: string, remedy?: string): Finding => ({
  check,
  level,
  what,
  ...(remedy === undefined ? {} : { remedy }),
});

const OLDEST_KERNEL: readonly [number, number] = [5, 10];
const TCX_KERNEL: readonly [number, number] = [6, 6];

function isAtLeast(kernel: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return a > major || (a === major && b >= minor);
}

const kernel: Check = ({ platform, kernel: release, kernelConfig }) => {
  if (platform !== 'linux') {
    return [
      finding('kernel', 'problem', `this is ${platform}`, 'the datapath runs on Linux; weft itself anywhere'),
    ];
  }
  const findings = isAtLeast(release, OLDEST_KERNEL)
    ? [ok('kernel', `Linux ${release}`)]
    : [
        finding(
          'kernel',
          'problem',
          `Linux ${release} is too old`,
          `Linux ${OLDEST_KERNEL.join('.')} or newer is needed`,
        ),
      ];
  const wanted = {
    CONFIG_PACKET: 'packet sockets',
    CONFIG_TUN: 'internal ports',
    CONFIG_BPF_SYSCALL: 'keeping the host off the ports',
  };
  for (const [option, why] of Object.entries(wanted)) {
    if (kernelConfig === null || /^[ym]$/.test(kernelConfig.get(option) ?? '')) continue;
    findings.push(
      finding(
        'kernel',
        'problem',
        `the kernel was built without ${option} (${why})`,
        'use a kernel that has it',
      ),
    );
  }
  return findings;
};

const sockets: Check = ({ hasPacketSockets, tun }) => {
  const findings = hasPacketSockets
    ? [ok('packet sockets', 'AF_PACKET is there')]
    : [finding('packet sockets', 'problem', 'AF_PACKET is not there', 'modprobe af_packet')];
  const tuns = {
    ok: ok('taps', '/dev/net/tun can be opened'),
    missing: finding(
      'taps',
      'problem',
      '/dev/net/tun is missing: no internal ports',
      'modprobe tun; in a container give it --device /dev/net/tun',
    ),
    denied: finding(
      'taps',
      'note',
      '/dev/net/tun cannot be opened by you',
      'only who runs weft-datapath needs to',
    ),
  };
  return [...findings, tuns[tun]];
};

const bpf: Check = ({ kernel: release, hasTcx, isBpfFsMounted, isBpfJitOn, kernelConfig }) => {
  const findings: Finding[] = [];
  const byConfig = kernelConfig?.get('CONFIG_NET_XGRESS');
  const tcx = hasTcx ?? (byConfig === undefined ? isAtLeast(release, TCX_KERNEL) : byConfig === 'y');
  if (tcx) findings.push(ok('BPF', 'TCX: programs go as soon as the datapath does'));
  else if (kernelConfig === null || kernelConfig.get('CONFIG_NET_CLS_BPF')) {
    findings.push(
      finding(
        'BPF',
        'note',
        'no TCX (Linux 6.6): clsact filters are used, which outlive a crash until the next start',
      ),
    );
  } else {
    findings.push(
      finding(
        'BPF',
        'problem',
        'neither TCX nor clsact filters: the host would answer on the switch’s ports',
        'use a kernel with CONFIG_NET_CLS_BPF, or Linux 6.6',
      ),
    );
  }
  if (isBpfJitOn === false)
    findings.push(finding('BPF', 'warning', 'the BPF compiler is off', 'sysctl net.core.bpf_jit_enable=1'));
  if (!isBpfFsMounted) {
    findings.push(
      finding(
        'BPF',
        'note',
        'bpffs is not mounted: nothing can stay in the kernel over a restart',
        'mount -t bpf bpf /sys/fs/bpf',
      ),
    );
  }
  return findings;
};

const CAPABILITIES: Readonly<Record<string, number>> = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13 };
const CAP_SYS_ADMIN = 21;
const CAP_BPF = 39;

const rights: Check = ({ capabilities, processes }) => {
  const datapath = processes.get('weft-datapath');
  const isRunning = datapath?.name !== null && datapath !== undefined;
  const mask = isRunning ? datapath.capabilities : capabilities;
  if (mask === null) return [];
  const has = (bit: number) => (mask >> BigInt(bit)) % 2n === 1n;
  const missing = Object.entries(CAPABILITIES)
    .filter(([, bit]) => !has(bit))
    .map(([name]) => name);
  if (!has(CAP_BPF) && !has(CAP_SYS_ADMIN)) missing.push('CAP_BPF');
  const who = isRunning ? `weft-datapath (pid ${datapath.pid})` : 'you';
  if (missing.length === 0)
    return [ok('rights', `${who} ${isRunning ? 'has' : 'have'} the capabilities that are needed`)];
  const level = isRunning ? 'problem' : 'note';
  const what = `${who} ${isRunning ? 'lacks' : 'lack'} ${missing.join(', ')}`;
  return [
    finding(
      'rights',
      level,
      what,
      isRunning ? 'start it as root, or with these capabilities' : 'npm start needs root; weft does not',
    ),
  ];
};

const isAlive = (process: Process | undefined) => process !== undefined && process.name !== null;

const conflicts: Check = ({ processes, rundir, modules, devices, ports }) => {
  const findings: Finding[] = [];
  for (const file of ['ovs-vswitchd', 'ovsdb-server']) {
    const process = processes.get(file);
    if (!isAlive(process) || !process?.name?.startsWith('ovs')) continue;
    findings.push(
      finding(
        'conflicts',
        'problem',
        `Open vSwitch runs on ${rundir} (${process.name}, pid ${process.pid})`,
        'systemctl disable --now openvswitch-switch, or give Weft another --rundir',
      ),
    );
  }
  const attached = new Map((ports ?? []).map((port) => [port.name, port]));
  for (const device of devices) {
    const port = attached.get(device.name);
    if (!port || !device.master) continue;
    const { name, kind } = device.master;
    const of = { bridge: `Linux bridge ${name}`, openvswitch: 'Open vSwitch’s kernel datapath', other: name }[
      kind
    ];
    const remedy =
      kind === 'openvswitch'
        ? `ovs-dpctl del-if ${name} ${device.name}`
        : `ip link set ${device.name} nomaster`;
    findings.push(
      finding(
        'conflicts',
        'problem',
        `${device.name} (port of ${port.bridge}) also belongs to ${of}, which gets none of its frames`,
        remedy,
      ),
    );
  }
  if (findings.length === 0) findings.push(ok('conflicts', 'no other switch has a hold on the ports'));
  if (modules.has('openvswitch') && devices.some(({ name }) => name === 'ovs-system')) {
    findings.push(
      finding(
        'conflicts',
        'note',
        'Open vSwitch’s kernel datapath is in use on this host; Weft does not touch it',
      ),
    );
  }
  return findings;
};

/** What merges frames into ones that no port could send on as they came. */
const MERGING = ['large-receive-offload', 'rx-gro-hw'];

const ports: Check = ({ ports: list, devices }) => {
  if (list === null)
    return [finding('ports', 'note', 'not looked at: neither weftd nor weft-datapath answers')];
  const byName = new Map(devices.map((device) => [device.name, device]));
  const findings = list.flatMap(({ bridge, name, type, error }): Finding[] => {
    const device = byName.get(name);
    if (error !== null) {
      const remedy = device ? undefined : 'make it, or name another: the port waits for it';
      return [finding('ports', 'warning', `${name} of ${bridge}: ${error}`, remedy)];
    }
    return device && type !== 'internal' ? deviceFindings(device, bridge) : [];
  });
  findings.push(...mtuFindings(list, byName));
  return findings.length > 0 ? findings : [ok('ports', `${count(list.length, 'port')} in order`)];
};

function deviceFindings({ name, isUp, addresses, features }: Device, bridge: string): Finding[] {
  const findings: Finding[] = [];
  if (!isUp)
    findings.push(finding('ports', 'warning', `${name} of ${bridge} is set down`, `ip link set ${name} up`));
  if (addresses.length > 0) {
    findings.push(
      finding(
        'ports',
        'warning',
        `${name} of ${bridge} has the address ${addresses.join(', ')}, which does not answer, as the switch has the device`,
        `move it to an internal port: weft port add ${bridge} NAME --type internal`,
      ),
    );
  }
  for (const feature of MERGING.filter((each) => features?.includes(each))) {
    findings.push(
      finding(
        'offloads',
        'warning',
        `${feature} is on at ${name}: it merges frames that then cannot be forwarded as they came`,
        `ethtool -K ${name} ${feature === 'rx-gro-hw' ? feature : 'lro'} off`,
      ),
    );
  }
  return findings;
}

/** Frames are not fragmented between ports: a larger one is lost at the smaller port. */
function mtuFindings(list: NonNullable<Facts['ports']>, devices: ReadonlyMap<string, Device>): Finding[] {
  return [...new Set(list.map(({ bridge }) => bridge))].flatMap((bridge) => {
    const byMtu = new Map<number, string[]>();
    for (const { name } of list.filter((port) => port.bridge === bridge && port.name !== bridge)) {
      const mtu = devices.get(name)?.mtu;
      if (mtu !== undefined) byMtu.set(mtu, [...(byMtu.get(mtu) ?? []), name]);
    }
    if (byMtu.size < 2) return [];
    const parts = [...byMtu].sort(([a], [b]) => a - b).map(([mtu, names]) => `${mtu} (${names.join(', ')})`);
    const remedy = `give them one, as with weft port set ${bridge} PORT --mtu ${Math.min(...byMtu.keys())}, unless no VLAN joins them`;
    return [
      finding(
        'MTUs',
        'warning',
        `ports of ${bridge} differ: ${parts.join(', ')}; larger frames are lost at the smaller ports`,
        remedy,
      ),
    ];
  });
}

const leftovers: Check = ({ processes, deadSockets, devices, rundir }) => {
  if (isAlive(processes.get('weft-datapath'))) return [];
  const findings: Finding[] = [];
  const dead = processes.get('weft-datapath');
  if (dead)
    findings.push(
      finding(
        'leftovers',
        'note',
        `weft-datapath (pid ${dead.pid}) ended without cleaning up`,
        'the next start takes over what it left; nothing is to be done',
      ),
    );
  if (deadSockets.length > 0) {
    findings.push(
      finding(
        'leftovers',
        'note',
        `nobody listens on ${deadSockets.map((name) => `${rundir}/${name}`).join(', ')}`,
        'the next start replaces them; or remove them',
      ),
    );
  }
  for (const { name, alias, isPersistentTap, hasShieldFilter } of devices) {
    if (isPersistentTap && alias.startsWith('internal port of ')) {
      findings.push(
        finding(
          'leftovers',
          'note',
          `${name} (${alias}) is still there`,
          `the next start adopts it; or ip link del ${name}`,
        ),
      );
    }
    if (hasShieldFilter) {
      findings.push(
        finding(
          'leftovers',
          'problem',
          `a filter of Weft’s keeps the host from receiving on ${name}`,
          `tc qdisc del dev ${name} clsact`,
        ),
      );
    }
  }
  return findings.length > 0 ? findings : [ok('leftovers', 'none')];
};

const daemons: Check = ({ weftd, processes }) => {
  const datapath = processes.get('weft-datapath');
  const findings: Finding[] = [];
  if (!isAlive(datapath))
    findings.push(
      finding(
        'daemons',
        'note',
        'weft-datapath does not run on this run directory',
        'npm start, or say --rundir',
      ),
    );
  if ('unreachable' in weftd) return [...findings, finding('daemons', 'note', weftd.unreachable)];
  const { address, version, status, troubles, warnings } = weftd;
  findings.push(
    status === 'ok'
      ? ok('daemons', `weftd ${version} at ${address} is well`)
      : finding(
          'daemons',
          'problem',
          `weftd at ${address} is ${status}: ${troubles.join('; ') || 'no reason given'}`,
          'weft show',
        ),
  );
  if (version !== VERSION)
    findings.push(finding('daemons', 'note', `weft is version ${VERSION}, weftd ${version}`));
  if (warnings > 0)
    findings.push(
      finding('settings', 'warning', `${count(warnings, 'setting')} without effect`, 'weft show --warnings'),
    );
  return findings;
};

const firstPackets: Check = ({ firstPackets: told }) => {
  if (told === null) return [];
  const { processorShare, refused } = told;
  const lost = `${count(refused, 'frame')} refused`;
  if (processorShare === null) {
    const before = refused === 0 ? '' : ` now; ${lost} while there was one`;
    return [ok('first packets', `no limit on frames that the kernel has no flow for${before}`)];
  }
  const share = `${Math.round(processorShare * 100)} % of one processor`;
  return [
    finding(
      'first packets',
      'warning',
      `the processors are busy: frames that the kernel has no flow for get ${share}, ${lost}`,
      '`weft fastpath stats` shows the ports that send them; `weft top` what they send',
    ),
  ];
};

const CHECKS: readonly Check[] = [
  ...[kernel, rights, sockets, bpf, conflicts, ports, firstPackets],
  ...[leftovers, daemons],
];
