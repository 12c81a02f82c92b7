/** Gathers the facts: /proc, /sys, ethtool, the run directory, weftd or else weft-datapath. A shell; nothing here fails. */
import { execFile } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, release } from 'node:os';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { FastPathView } from '../../api/fastpath-schemas.js';
import type { Client } from '../client.js';
import { path } from '../client.js';
import { messageOf } from '../errors.js';
import { askDatapath } from './datapath.js';
import type { AttachedPort, Device, Facts, FirstPackets, Process, Weftd } from './facts.js';

const run = promisify(execFile);

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return null;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

async function output(command: string, ...args: string[]): Promise<string | null> {
  return run(command, args, { timeout: 5_000, maxBuffer: 16 << 20 }).then(
    ({ stdout }) => stdout,
    () => null,
  );
}

export async function gatherFacts(client: Client, rundir: string): Promise<Facts> {
  const weftd = await askWeftd(client);
  const ports = weftd.ports ?? (await portsFromDatapath(rundir));
  return {
    platform: process.platform,
    kernel: release(),
    kernelConfig: readKernelConfig(),
    hasTcx: hasSymbol('tcx_prog_attach'),
    hasPacketSockets: existsSync('/proc/net/packet'),
    tun: tunState(),
    isBpfFsMounted: / \/sys\/fs\/bpf bpf /.test(read('/proc/mounts') ?? ''),
    isBpfJitOn: flagOf(read('/proc/sys/net/core/bpf_jit_enable')),
    capabilities: capabilitiesOf('self'),
    modules: new Set(list('/sys/module')),
    rundir,
    processes: readProcesses(rundir),
    deadSockets: await findDeadSockets(rundir),
    devices: await Promise.all(
      list('/sys/class/net')
        .filter(isDevice)
        .map((name) => readDevice(name, ports)),
    ),
    ports,
    firstPackets: 'unreachable' in weftd.view ? null : await askFirstPackets(client),
    weftd: weftd.view,
  };
}

function isDevice(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/mtu`);
}

const flagOf = (text: string | null) => (text === null ? null : text !== '0');

/** /proc/config.gz, or what Debian puts into /boot. */
function readKernelConfig(): ReadonlyMap<string, string> | null {
  let text = read(`/boot/config-${release()}`);
  try {
    text ??= gunzipSync(readFileSync('/proc/config.gz')).toString();
  } catch {
    return null;
  }
  return new Map(
    [...text.matchAll(/^(CONFIG_\w+)=(\S+)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
}

function hasSymbol(name: string): boolean | null {
  const symbols = read('/proc/kallsyms');
  return symbols === null || symbols === '' ? null : new RegExp(` ${name}$`, 'm').test(symbols);
}

function tunState(): Facts['tun'] {
  if (!existsSync('/dev/net/tun')) return 'missing';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return 'ok';
  } catch {
    return 'denied';
  }
}

function capabilitiesOf(pid: number | 'self'): bigint | null {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return mask === undefined ? null : BigInt(`0x${mask}`);
}

function readProcesses(rundir: string): Map<string, Process> {
  const processes = new Map<string, Process>();
  for (const file of list(rundir).filter((name) => name.endsWith('.pid'))) {
    const pid = Number.parseInt(read(`${rundir}/${file}`) ?? '', 10);
    if (!(pid > 0)) continue;
    const name = read(`/proc/${pid}/comm`);
    processes.set(basename(file, '.pid'), {
      pid,
      name,
      capabilities: name === null ? null : capabilitiesOf(pid),
    });
  }
  return processes;
}

async function findDeadSockets(rundir: string): Promise<string[]> {
  const isSocket = (name: string) =>
    lstatSync(`${rundir}/${name}`, { throwIfNoEntry: false })?.isSocket() ?? false;
  const dead = await Promise.all(
    list(rundir)
      .filter(isSocket)
      .map(async (name) => ((await refuses(`${rundir}/${name}`)) ? [name] : [])),
  );
  return dead.flat();
}

function refuses(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path: socketPath, timeout: 1_000 });
    const end = (isRefused: boolean) => {
      probe.destroy();
      resolve(isRefused);
    };
    probe.once('connect', () => end(false)).once('timeout', () => end(false));
    probe.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'));
  });
}

const IFF_UP = 0x1;
const IFF_PERSIST = 0x0800;

async function readDevice(name: string, ports: readonly AttachedPort[] | null): Promise<Device> {
  const folder = `/sys/class/net/${name}`;
  const isAttached = ports?.some((port) => port.name === name) ?? false;
  const addresses = (networkInterfaces()[name] ?? []).map(({ address }) => address);
  return {
    name,
    mtu: Number(read(`${folder}/mtu`) ?? 0),
    isUp: (Number(read(`${folder}/flags`) ?? 0) & IFF_UP) !== 0,
    isPersistentTap: (Number(read(`${folder}/tun_flags`) ?? 0) & IFF_PERSIST) !== 0,
    alias: read(`${folder}/ifalias`) ?? '',
    master: masterOf(folder),
    addresses: addresses.filter((address) => !/^fe80:/i.test(address)),
    features: isAttached ? await featuresOf(name) : null,
    hasShieldFilter: /weft_shield/.test((await output('tc', 'filter', 'show', 'dev', name, 'ingress')) ?? ''),
  };
}

function masterOf(folder: string): Device['master'] {
  let name: string;
  try {
    name = basename(readlinkSync(`${folder}/master`));
  } catch {
    return null;
  }
  const isBridge = existsSync(`/sys/class/net/${name}/bridge`);
  return { name, kind: isBridge ? 'bridge' : name === 'ovs-system' ? 'openvswitch' : 'other' };
}

async function featuresOf(name: string): Promise<string[] | null> {
  const text = await output('ethtool', '-k', name);
  return text === null ? null : [...text.matchAll(/^\s*([\w-]+): on\b/gm)].map(([, feature = '']) => feature);
}

interface Health {
  readonly status: Weftd['status'];
  readonly database: { readonly error: string | null };
  readonly datapath: { readonly lastError: string | null };
  readonly switches: readonly {
    readonly bridge: string;
    readonly inSync: boolean;
    readonly lastError: string | null;
  }[];
}
interface PortView extends Omit<AttachedPort, 'error'> {
  readonly status: { readonly error: string | null };
}

async function askWeftd(client: Client): Promise<{ view: Facts['weftd']; ports: AttachedPort[] | null }> {
  try {
    const [{ version }, answer, notes, bridges] = await Promise.all([
      client.get<{ version: string }>('/v1'),
      client.ask('GET', '/healthz', { alsoStatus: [503] }),
      client.get<{ warnings: unknown[]; faults: unknown[] }>('/v1/warnings'),
      client.list<{ name: string }>('/v1/bridges', 'bridges'),
    ]);
    const lists = await Promise.all(
      bridges.map(({ name }) => client.list<PortView>(path('bridges', name, 'ports'), 'ports')),
    );
    const { status, database, datapath, switches } = answer.body as Health;
    const troubles = [
      database.error,
      datapath.lastError,
      ...switches.map((each) => (each.inSync ? null : `${each.bridge}: ${each.lastError ?? 'not in sync'}`)),
    ].filter((text) => text !== null);
    const warnings = notes.warnings.length + notes.faults.length;
    return {
      view: { address: client.address, version, status, troubles, warnings },
      ports: lists.flat().map(({ bridge, name, type, status: { error } }) => ({ bridge, name, type, error })),
    };
  } catch (error) {
    return { view: { unreachable: messageOf(error) }, ports: null };
  }
}

/** Of the fast path; what goes wrong with it the other checks say. */
async function askFirstPackets(client: Client): Promise<FirstPackets | null> {
  try {
    const { kernel } = await client.get<FastPathView>('/v1/fastpath');
    if (kernel === null) return null;
    const { processorShare, refused } = kernel.firstPackets;
    return { processorShare, refused: refused.packets };
  } catch {
    return null;
  }
}

async function portsFromDatapath(rundir: string): Promise<AttachedPort[] | null> {
  const socket = `${rundir}/weft-datapath.sock`;
  try {
    const bridges = (await askDatapath(socket, 'bridge.list', {})) as { name: string }[];
    const lists = await Promise.all(
      bridges.map(async ({ name: bridge }) => {
        const ports = (await askDatapath(socket, 'port.list', { bridge })) as (Omit<AttachedPort, 'error'> & {
          error?: string;
        })[];
        return ports.map(({ name, type, error }) => ({ bridge, name, type, error: error ?? null }));
      }),
    );
    return lists.flat();
  } catch {
    return null;
  }
}
