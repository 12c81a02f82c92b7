import { expect, test } from 'vitest';
import { VERSION } from '../version.js';
import { diagnose } from './checks.js';
import type { Device, Facts } from './facts.js';

const device = (name: string, more: Partial<Device> = {}): Device => ({
  name,
  mtu: 1500,
  isUp: true,
  isPersistentTap: false,
  alias: '',
  master: null,
  addresses: [],
  features: [],
  hasShieldFilter: false,
  ...more,
});
const root = (1n << 41n) - 1n;
const well: Facts = {
  platform: 'linux',
  kernel: '6.12.1',
  kernelConfig: null,
  hasTcx: true,
  hasPacketSockets: true,
  tun: 'ok',
  isBpfFsMounted: true,
  isBpfJitOn: true,
  capabilities: root,
  modules: new Set(),
  rundir: '/run/openvswitch',
  processes: new Map([['weft-datapath', { pid: 7, name: 'weft-datapath', capabilities: root }]]),
  deadSockets: [],
  devices: [device('eth1'), device('tap2')],
  ports: [
    { bridge: 'br0', name: 'eth1', type: 'system', error: null },
    { bridge: 'br0', name: 'tap2', type: 'system', error: null },
  ],
  firstPackets: { processorShare: null, refused: 0 },
  weftd: { address: 'http://127.0.0.1:8080', version: VERSION, status: 'ok', troubles: [], warnings: 0 },
};
const dead = new Map([['weft-datapath', { pid: 7, name: null, capabilities: null }]]);

test('a host in order has nothing but ok', () => {
  expect(diagnose(well).filter(({ level }) => level !== 'ok')).toEqual([]);
});

test.each<[what: string, facts: Partial<Facts>, level: string, said: string, remedy: string]>([
  ['an old kernel', { kernel: '4.19.0' }, 'problem', 'too old', '5.10'],
  ['no packet sockets', { hasPacketSockets: false }, 'problem', 'AF_PACKET', 'modprobe'],
  ['no tun', { tun: 'missing' }, 'problem', '/dev/net/tun is missing', 'modprobe tun'],
  ['no TCX', { hasTcx: false }, 'note', 'clsact', ''],
  [
    'a datapath without rights',
    { processes: new Map([['weft-datapath', { pid: 7, name: 'weft-datapath', capabilities: 1n << 13n }]]) },
    'problem',
    'lacks CAP_NET_ADMIN, CAP_BPF',
    'root',
  ],
  [
    'Open vSwitch',
    {
      processes: new Map([
        ...well.processes,
        ['ovs-vswitchd', { pid: 9, name: 'ovs-vswitchd', capabilities: root }],
      ]),
    },
    'problem',
    'Open vSwitch runs',
    'systemctl',
  ],
  [
    'a port in a Linux bridge',
    { devices: [device('eth1', { master: { name: 'virbr0', kind: 'bridge' } })] },
    'problem',
    'Linux bridge virbr0',
    'nomaster',
  ],
  [
    'a port with an address',
    { devices: [device('eth1', { addresses: ['192.0.2.1'] })] },
    'warning',
    '192.0.2.1',
    '--type internal',
  ],
  [
    'a port set down',
    { devices: [device('eth1', { isUp: false })] },
    'warning',
    'set down',
    'ip link set eth1 up',
  ],
  [
    'LRO',
    { devices: [device('eth1', { features: ['large-receive-offload'] })] },
    'warning',
    'large-receive-offload',
    'lro off',
  ],
  [
    'MTUs',
    { devices: [device('eth1', { mtu: 9000 }), device('tap2')] },
    'warning',
    '1500 (tap2), 9000 (eth1)',
    '--mtu 1500',
  ],
  [
    'a missing device',
    { devices: [], ports: [{ bridge: 'br0', name: 'x', type: 'system', error: 'No such device' }] },
    'warning',
    'No such device',
    'waits',
  ],
  [
    'a left tap',
    { processes: dead, devices: [device('v10', { isPersistentTap: true, alias: 'internal port of br0' })] },
    'note',
    'still there',
    'ip link del v10',
  ],
  [
    'a left filter',
    { processes: dead, devices: [device('eth1', { hasShieldFilter: true })] },
    'problem',
    'filter',
    'clsact',
  ],
  [
    'a dead socket',
    { processes: dead, deadSockets: ['db.sock'] },
    'note',
    '/run/openvswitch/db.sock',
    'replaces',
  ],
  [
    'first packets that have been refused',
    { firstPackets: { processorShare: null, refused: 3 } },
    'ok',
    'no limit on frames that the kernel has no flow for now; 3 frames refused',
    '',
  ],
  [
    'first packets that are limited',
    { firstPackets: { processorShare: 0.12, refused: 1 } },
    'warning',
    'get 12 % of one processor, 1 frame refused',
    'weft fastpath stats',
  ],
  ['weftd away', { weftd: { unreachable: 'weftd cannot be reached' } }, 'note', 'cannot be reached', ''],
  [
    'weftd degraded',
    { weftd: { address: 'x', version: VERSION, status: 'degraded', troubles: ['br0: away'], warnings: 0 } },
    'problem',
    'br0: away',
    'weft show',
  ],
])('%s', (_what, facts, level, said, remedy) => {
  const found = diagnose({ ...well, ...facts }).filter((each) => each.what.includes(said));
  expect(found).toMatchObject([{ level }]);
  expect(found[0]?.remedy ?? '').toContain(remedy);
});
