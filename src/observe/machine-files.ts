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

interface KnownDevice {
  readonly state: string;
  readonly facts: DeviceFacts;
}

/** What drivers say of devices. It is read again when the state of a device is another one: a thousand devices are many files. */
export class Devices {
  /** By name; null for one that was not there. */
  readonly #known = new Map<string, KnownDevice | null>();

  /**
   * @param states by name, whatever changes with the device and its link
   * @returns devices that exist, by name
   */
  async read(states: ReadonlyMap<string, string>): Promise<Map<string, DeviceFacts>> {
    for (const name of this.#known.keys()) if (!states.has(name)) this.#known.delete(name);
    const virtual: string[] = [];
    for (const [name, state] of states) {
      const before = this.#known.get(name);
      if (before?.state === state) continue;
      const folder = join('/sys/class/net', name);
      if ((await read(join(folder, 'ifindex'))) === '') {
        this.#known.set(name, null);
        continue;
      }
      const driver = await driverOf(folder);
      if (driver === null) virtual.push(name);
      const duplex = (await read(join(folder, 'duplex'))).trim();
      const facts = { driver, duplex: duplex === 'half' || duplex === 'full' ? duplex : null } as const;
      this.#known.set(name, { state, facts });
    }
    if (virtual.length > 0) {
      const kinds = await readKinds();
      for (const name of virtual) {
        const known = this.#known.get(name);
        const driver = kinds.get(name) ?? null;
        if (known) this.#known.set(name, { ...known, facts: { ...known.facts, driver } });
      }
    }
    return new Map([...this.#known].flatMap(([name, known]) => (known ? [[name, known.facts]] : [])));
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
