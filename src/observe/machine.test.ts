import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Devices, readMachineStatistics } from './machine-files.js';
import { localMounts, machineStatistics } from './machine.js';

const MEMINFO = `MemTotal:        1000 kB
MemFree:          300 kB
Buffers:           20 kB
Cached:           100 kB
SwapTotal:         50 kB
SwapFree:          10 kB
`;

it('texts of /proc become what the manual of the database describes', () => {
  const stat = `7 (a) b (c) S ${Array.from({ length: 49 }, (_, at) => [at + 4]).join(' ')}`;
  const files = {
    ...{ cpus: 2, loadavg: '0.50 1.25 20.00 1/200 9\n', meminfo: MEMINFO, uptime: '100.50 3.0\n' },
    processes: [{ name: 'ovs-vswitchd', stat, status: 'VmSize:\t    4000 kB\nVmRSS:\t    2000 kB\n' }],
    fileSystems: [{ mountPoint: '/a b,c', totalKb: 9, usedKb: 4 }],
  };
  expect(machineStatistics(files)).toEqual({
    cpu: '2',
    load_average: '0.50,1.25,20.00',
    memory: '1000,700,120,50,40',
    // utime 14 and stime 15 ticks; started at tick 22.
    'process_ovs-vswitchd': '4000,2000,290,0,100280,100280',
    file_systems: '/a_b_c,9,4',
  });
  const nothing = { ...files, loadavg: '', meminfo: '', uptime: '', fileSystems: [] };
  expect(machineStatistics(nothing)).toEqual({ cpu: '2' });
});

it('file systems of other machines and those that cannot be written are left out', () => {
  const mounts = `/dev/sda1 / ext4 rw,relatime 0 0
server:/x /mnt nfs4 rw 0 0
/dev/sr0 /media iso9660 ro,relatime 0 0
tmpfs /with\\040space tmpfs rw,nosuid 0 0
/dev/sda1 / ext4 rw 0 0
`;
  expect(localMounts(mounts)).toEqual(['/', '/with space']);
});

it('this machine: numbers in the right places, daemons by their pid files, devices by name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-machine-'));
  try {
    writeFileSync(join(folder, 'me.pid'), `${process.pid}\n`);
    writeFileSync(join(folder, 'dead.pid'), '999999999\n');
    const found = await readMachineStatistics(folder);
    expect(found['load_average']).toMatch(/^\d+\.\d\d,\d+\.\d\d,\d+\.\d\d$/);
    expect(found['memory']).toMatch(/^\d+,\d+,\d+,\d+,\d+$/);
    expect(found['process_me']).toMatch(/^\d+,\d+,\d+,0,\d+,\d+$/);
    expect(found).not.toHaveProperty('process_dead');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  expect([
    ...(
      await new Devices().read(
        new Map([
          ['lo', '1 up'],
          ['not-there', ''],
        ]),
      )
    ).keys(),
  ]).toEqual(['lo']);
});
