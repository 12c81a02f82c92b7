/** What the kernel says of the machine and of its network devices. A shell: files of /proc and /sys, and `ip`. */
import { execFile } from 'node:child_process';
import { readFile, readdir, readlink, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { DeviceFacts } from '../config/index.js';
import { localMounts, machineStatistics } from './machine.js';
import type { FileSystem, ProcessFiles } from './machine.js';

const run = promisify(execFile);
const IP_TIMEOUT_MS = 5_000;

/** The text of a file; empty where there is none. */
const read = (path: string) => readFile(path, 'utf8').catch(() => '');

/** Statistics of the machine, and of the daemons whose pid files are in the run directory. */
export async function readMachineStatistics(rundir: string): Promise<Record<string, string>> {
  const [loadavg, meminfo, uptime, mounts, processes] = await Promise.all([
    read('/proc/loadavg'),
    read('/proc/meminfo'),
    read('/proc/uptime'),
    read('/proc/mounts'),
    readProcesses(rundir),
  ]);
  const fileSystems = (await Promise.all(localMounts(mounts).map(readFileSystem))).flat();
  return machineStatistics({
    cpus: availableParallelism(),
    ...{ loadavg, meminfo, uptime, processes, fileSystems },
  });
}

async function readProcesses(rundir: string): Promise<ProcessFiles[]> {
  const names = await readdir(rundir).catch(() => []);
  const files = names.filter((name) => name.endsWith('.pid')).sort();
  const found = files.map(async (file): Promise<ProcessFiles[]> => {
    const pid = Number.parseInt(await read(join(rundir, file)), 10);
    if (!(pid > 0)) return [];
    const [stat, status] = await Promise.all([read(`/proc/${pid}/stat`), read(`/proc/${pid}/status`)]);
    return stat === '' ? [] : [{ name: basename(file, '.pid'), stat, status }];
  });
  return (await Promise.all(found)).flat();
}

/** Nothing for what holds no blocks, such as /proc. */
async function readFileSystem(mountPoint: string): Promise<FileSystem[]> {
  const found = await statfs(mountPoint).catch(() => null);
  if (found === null || found.blocks === 0) return [];
  const kilobytes = (blocks: number) => Math.floor((blocks * found.bsize) / 1024);
  const [totalKb, usedKb] = [kilobytes(found.blocks), kilobytes(found.blocks - found.bfree)];
  return [{ mountPoint, totalKb, usedKb }];
}

/** What drivers say of devices. A name is asked for anew when it belongs to another device. */
export class Devices {
  /** By name: its ifindex and its driver. */
  readonly #drivers = new Map<string, { ifindex: string; driver: string | null }>();

  /** @returns devices that exist, by name */
  async read(names: readonly string[]): Promise<Map<string, DeviceFacts>> {
    const found = new Map<string, DeviceFacts>();
    const virtual = new Map<string, string>();
    for (const name of this.#drivers.keys()) if (!names.includes(name)) this.#drivers.delete(name);
    for (const name of names) {
      const folder = join('/sys/class/net', name);
      const ifindex = await read(join(folder, 'ifindex'));
      if (ifindex === '') continue;
      if (this.#drivers.get(name)?.ifindex !== ifindex) {
        const driver = await driverOf(folder);
        if (driver === null) virtual.set(name, ifindex);
        this.#drivers.set(name, { ifindex, driver });
      }
      const duplex = (await read(join(folder, 'duplex'))).trim();
      found.set(name, { driver: null, duplex: duplex === 'half' || duplex === 'full' ? duplex : null });
    }
    if (virtual.size > 0) {
      const kinds = await readKinds();
      for (const [name, ifindex] of virtual)
        this.#drivers.set(name, { ifindex, driver: kinds.get(name) ?? null });
    }
    for (const [name, { duplex }] of found)
      found.set(name, { driver: this.#drivers.get(name)?.driver ?? null, duplex });
    return found;
  }
}

async function driverOf(folder: string): Promise<string | null> {
  const link = await readlink(join(folder, 'device/driver')).catch(() => null);
  return link === null ? null : basename(link);
}

/** Kinds of virtual devices by name (`veth`, `tun`): their drivers are called so. */
async function readKinds(): Promise<Map<string, string>> {
  interface Link {
    ifname?: string;
    linkinfo?: { info_kind?: string };
  }
  try {
    const options = { timeout: IP_TIMEOUT_MS, maxBuffer: 64 << 20 };
    const { stdout } = await run('ip', ['-details', '-json', 'link', 'show'], options);
    const links = JSON.parse(stdout) as Link[];
    return new Map(
      links.flatMap(({ ifname, linkinfo }) =>
        ifname !== undefined && linkinfo?.info_kind !== undefined ? [[ifname, linkinfo.info_kind]] : [],
      ),
    );
  } catch {
    // No `ip` here: then nobody says.
    return new Map();
  }
}
