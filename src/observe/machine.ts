/**
 * Statistics of the machine as `Open_vSwitch.statistics` has them (ovs-vswitchd.conf.db(5)): texts with numbers in a fixed
 * order. Pure: the texts of /proc come from {@link ./machine-files.js}.
 */

/** Memory and times of a daemon, from its files in /proc. */
export interface ProcessFiles {
  /** Its name: that of its pid file. */
  readonly name: string;
  /** `/proc/PID/stat` and `/proc/PID/status`. */
  readonly stat: string;
  readonly status: string;
}

export interface FileSystem {
  readonly mountPoint: string;
  readonly totalKb: number;
  readonly usedKb: number;
}

export interface MachineFiles {
  /** Processors online. */
  readonly cpus: number;
  /** `/proc/loadavg` */
  readonly loadavg: string;
  /** `/proc/meminfo` */
  readonly meminfo: string;
  /** `/proc/uptime` */
  readonly uptime: string;
  readonly processes: readonly ProcessFiles[];
  readonly fileSystems: readonly FileSystem[];
}

/** Milliseconds of a clock tick: the kernel tells all programs of hundredths (proc(5), USER_HZ). */
const TICK_MS = 10;

/** The key-value pairs; what cannot be determined is left out. */
export function machineStatistics(files: MachineFiles): Record<string, string> {
  const pairs: [string, string | null][] = [
    ['cpu', String(files.cpus)],
    ['load_average', loadAverage(files.loadavg)],
    ['memory', memory(files.meminfo)],
    ...files.processes.map((each): [string, string | null] => [
      `process_${each.name}`,
      processLine(each, files.uptime),
    ]),
    ['file_systems', fileSystems(files.fileSystems)],
  ];
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => pair[1] !== null));
}

/** Means over 1, 5 and 15 minutes. */
function loadAverage(text: string): string | null {
  const numbers = text.split(' ').slice(0, 3);
  return numbers.length === 3 && numbers.every((each) => /^\d+\.\d+$/.test(each)) ? numbers.join() : null;
}

/** Kilobytes by name, as in /proc/meminfo and /proc/PID/status. */
function kilobytes(text: string): (name: string) => number | null {
  const found = new Map(
    [...text.matchAll(/^(\w+):\s+(\d+) kB$/gm)].map(([, name = '', value]) => [name, Number(value)]),
  );
  return (name) => found.get(name) ?? null;
}

/** RAM: all, used, of that what can be had back; swap: all, used. */
function memory(text: string): string | null {
  const of = kilobytes(text);
  const [total, free] = [of('MemTotal'), of('MemFree')];
  const [buffers, cached] = [of('Buffers'), of('Cached')];
  const [swap, swapFree] = [of('SwapTotal'), of('SwapFree')];
  if (total === null || free === null || buffers === null || cached === null) return null;
  if (swap === null || swapFree === null) return null;
  return [total, total - free, buffers + cached, swap, swap - swapFree].join();
}

/** Virtual and resident kilobytes, milliseconds of CPU, crashes, milliseconds since it was started (twice: no monitor). */
function processLine({ stat, status }: ProcessFiles, uptime: string): string | null {
  // The name in parentheses may contain anything; the third field follows it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  const [userTicks, systemTicks, startTicks] = [field(14), field(15), field(22)];
  const upMs = Number.parseFloat(uptime) * 1000;
  const ageMs = Math.max(0, Math.round(upMs - startTicks * TICK_MS));
  const of = kilobytes(status);
  const line = [of('VmSize'), of('VmRSS'), (userTicks + systemTicks) * TICK_MS, 0, ageMs, ageMs];
  return line.every((each) => each !== null && Number.isFinite(each)) ? line.join() : null;
}

function fileSystems(list: readonly FileSystem[]): string | null {
  const items = list.map(({ mountPoint, totalKb, usedKb }) =>
    [mountPoint.replace(/[\s,]/g, '_'), totalKb, usedKb].join(),
  );
  return items.length === 0 ? null : items.join(' ');
}

/** File systems of other machines: asking them may take forever. */
const REMOTE = /^(nfs\d?|cifs|smb3?|smbfs|ncpfs|afs|ceph|9p|lustre|gfs2?|ocfs2|fuse\..*)$/;

/** Mount points of local, writable file systems in `/proc/mounts`, each once. */
export function localMounts(text: string): string[] {
  const points = text.split('\n').flatMap((line) => {
    const [, point, type, options] = line.split(' ');
    if (point === undefined || type === undefined || options === undefined) return [];
    if (REMOTE.test(type) || options.split(',').includes('ro')) return [];
    // Spaces and the like are octal escapes (fstab(5)).
    return [point.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)))];
  });
  return [...new Set(points)];
}
