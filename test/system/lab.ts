/**
 * A laboratory in network namespaces: one for the switch, one per host, joined by veth pairs; Weft started as a user
 * would start it; a REST client; raw frames and captures. Everything it makes is named after this process and
 * removed by {@link Lab.close}.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The project's top folder, whether this runs from its source or from dist/. */
export const projectRoot = ((folder) => {
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})(dirname(fileURLToPath(import.meta.url)));
export const datapathBinary = join(projectRoot, 'datapath/target/release/weft-datapath');

/** Runs a command to its end; an error carries its stderr. */
export async function sh(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { maxBuffer: 64 << 20 });
  return stdout;
}

/** Polls until `probe` gives something other than false, null or undefined, or throws after `deadlineMs`. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  deadlineMs = 15_000,
): Promise<T> {
  const endMs = Date.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== false && value !== null && value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > endMs) {
      throw new Error(
        `${what}: not within ${deadlineMs} ms${last instanceof Error ? ` (${last.message})` : ''}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** An answer of the REST API. */
export interface Answer {
  status: number;
  body: unknown;
  text: string;
}

/** One captured or injected frame. */
export interface Seen {
  on: string;
  hex: string;
}

/** A host: a namespace with `eth0`, whose other end is `port` in the switch's namespace. */
export class Host {
  constructor(
    readonly namespace: string,
    readonly port: string,
  ) {}

  run(...command: string[]): Promise<string> {
    return sh('ip', 'netns', 'exec', this.namespace, ...command);
  }

  /** The address of its `eth0`. */
  async mac(): Promise<string> {
    return (await this.run('cat', '/sys/class/net/eth0/address')).trim();
  }

  /** How many of `count` pings to the address were answered. */
  async ping(address: string, count = 2, intervalS = 0.1): Promise<number> {
    const output = await this.run(
      'ping',
      '-n',
      '-c',
      String(count),
      '-i',
      String(intervalS),
      '-W',
      '1',
      address,
    ).catch((error: { stdout?: string }) => error.stdout ?? '');
    return Number(/(\d+) received/.exec(output)?.[1] ?? 0);
  }

  /** Whether a ping is answered within the deadline. */
  async reaches(address: string, deadlineMs = 10_000): Promise<void> {
    await until(
      `${this.namespace} reaches ${address}`,
      async () => (await this.ping(address, 1)) > 0,
      deadlineMs,
    );
  }
}

/** Raw frames in a namespace (frames.py). */
export class Wire {
  readonly seen: Seen[] = [];
  readonly #child: ChildProcess;
  readonly #listening = new Set<string>();

  constructor(namespace: string) {
    const script = join(projectRoot, 'test/system/frames.py');
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'python3', '-u', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const message = JSON.parse(line) as Seen | { listening: string };
      if ('listening' in message) this.#listening.add(message.listening);
      else this.seen.push(message);
    });
  }

  async listen(...interfaces: string[]): Promise<void> {
    for (const name of interfaces) this.#child.stdin!.write(`${JSON.stringify({ listen: name })}\n`);
    await until('capture', () => interfaces.every((name) => this.#listening.has(name)));
  }

  send(on: string, hex: string): void {
    this.#child.stdin!.write(`${JSON.stringify({ send: on, hex })}\n`);
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

let labs = 0;

/** OpenFlow messages that change nothing and are not about any change: questions, and the connection's own. */
const HARMLESS = new Set(['ECHO_REQUEST', 'ECHO_REPLY', 'MULTIPART_REQUEST', 'GET_CONFIG_REQUEST']);

/** Of two counts by {@link Lab.openFlowSent}, what was sent in between that is more than a question. */
export function changesSent(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Record<string, number> {
  const more = [...after].map(([type, count]) => [type, count - (before.get(type) ?? 0)] as const);
  return Object.fromEntries(more.filter(([type, count]) => count !== 0 && !HARMLESS.has(type)));
}

export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'weft-lab-'));
  readonly rundir = join(this.folder, 'run');
  readonly db = join(this.folder, 'conf.db');
  readonly apiSocket = join(this.folder, 'api.sock');
  readonly switchNamespace: string;
  readonly #prefix = `wl${process.pid}x${(labs += 1)}`;
  readonly #namespaces: string[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #wires: Wire[] = [];
  #weft: ChildProcess | null = null;
  /** What the daemons printed, for the message of a failed test. */
  log = '';

  private constructor() {
    this.switchNamespace = `${this.#prefix}-sw`;
  }

  static async create(): Promise<Lab> {
    const lab = new Lab();
    await lab.addNamespace(lab.switchNamespace);
    return lab;
  }

  async addNamespace(name: string): Promise<void> {
    await sh('ip', 'netns', 'add', name);
    this.#namespaces.push(name);
    await sh('ip', '-n', name, 'link', 'set', 'lo', 'up');
    await sh(
      'ip',
      'netns',
      'exec',
      name,
      'sysctl',
      '-qw',
      'net.ipv6.conf.all.disable_ipv6=1',
      'net.ipv6.conf.default.disable_ipv6=1',
    );
  }

  /**
   * Adds a host on a veth pair.
   * @param port the name of the switch's end
   * @param address `address/length` on eth0; none if absent
   * @param vlan the host speaks 802.1Q: all it sends is tagged so, all it takes has that tag (vlan.bpf.c)
   */
  async addHost(port: string, address?: string, vlan?: number): Promise<Host> {
    const namespace = `${this.#prefix}-${port}`;
    await this.addNamespace(namespace);
    const peer = ['peer', 'name', 'eth0', 'netns', namespace];
    await sh('ip', 'link', 'add', 'name', port, 'netns', this.switchNamespace, 'type', 'veth', ...peer);
    await sh('ip', '-n', this.switchNamespace, 'link', 'set', port, 'up');
    await sh('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    if (address) await sh('ip', '-n', namespace, 'addr', 'add', address, 'dev', 'eth0');
    const host = new Host(namespace, port);
    if (vlan !== undefined) await this.#tag(host, vlan);
    return host;
  }

  /** Adds a host that is joined to another one directly, whose port in the switch's namespace is taken away for it. */
  async joinHost(other: Host, port: string, address: string): Promise<Host> {
    const namespace = `${this.#prefix}-${port}`;
    await this.addNamespace(namespace);
    const inSwitch = ['-n', this.switchNamespace, 'link', 'set', other.port];
    await sh('ip', ...inSwitch, 'netns', namespace, 'name', 'eth0');
    await sh('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    await sh('ip', '-n', namespace, 'addr', 'add', address, 'dev', 'eth0');
    return new Host(namespace, port);
  }

  async #tag(host: Host, vlan: number): Promise<void> {
    const source = join(projectRoot, 'test/system/vlan.bpf.c');
    const object = join(this.folder, `vlan${vlan}.o`);
    const headers = `-I/usr/include/${(await sh('gcc', '-dumpmachine')).trim()}`;
    await sh('clang', '-O2', '-g', '-target', 'bpf', headers, `-DVID=${vlan}`, '-c', source, '-o', object);
    const tc = (...words: string[]) => host.run('tc', ...words);
    await tc('qdisc', 'add', 'dev', 'eth0', 'clsact');
    await tc(
      'filter',
      'add',
      'dev',
      'eth0',
      'egress',
      'bpf',
      'direct-action',
      'object-file',
      object,
      'section',
      'push',
    );
    await tc(
      'filter',
      'add',
      'dev',
      'eth0',
      'ingress',
      'bpf',
      'direct-action',
      'object-file',
      object,
      'section',
      'pop',
    );
  }

  wire(namespace: string): Wire {
    const wire = new Wire(namespace);
    this.#wires.push(wire);
    return wire;
  }

  /** Runs a command in the switch's namespace. */
  inSwitch(...command: string[]): Promise<string> {
    return sh('ip', 'netns', 'exec', this.switchNamespace, ...command);
  }

  /** Starts a program in the switch's namespace, killed by {@link close} at the latest. */
  spawnInSwitch(command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    return this.spawnHere('ip', ['netns', 'exec', this.switchNamespace, command, ...args], env);
  }

  /** The same in the namespace of the test itself: for a switch that has no ports, but connections to it. */
  spawnHere(command: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(command, args, {
      cwd: projectRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const keep = (chunk: Buffer) => (this.log = (this.log + chunk.toString()).slice(-1_000_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.#children.push(child);
    return child;
  }

  /** `npm start` (its script) with this lab's directories; resolves when the API answers that all is well. */
  async startWeft(...extra: string[]): Promise<void> {
    const args = [
      'src/launch/start.mjs',
      '--rundir',
      this.rundir,
      '--db',
      this.db,
      '--http',
      `unix:${this.apiSocket}`,
      ...extra,
    ];
    const child = this.spawnInSwitch(process.execPath, args);
    this.#weft = child;
    await until(
      'weft is up',
      async () => {
        if (child.exitCode !== null)
          throw new Error(`ended with ${child.exitCode}: ${this.log.slice(-2000)}`);
        return this.isHealthy();
      },
      60_000,
    );
  }

  /** The database is fine and every switch is connected and holds what it should. */
  async isHealthy(): Promise<boolean> {
    return ((await this.rest('GET', '/healthz')).body as { status?: string }).status === 'ok';
  }

  /** A request to the datapath's control channel, on a connection of its own. */
  async datapath(method: string, params: object): Promise<unknown> {
    const socket = createConnection(`${this.rundir}/weft-datapath.sock`);
    try {
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`);
      for await (const line of createInterface({ input: socket })) {
        const { result, error } = JSON.parse(line) as { result?: unknown; error?: { message: string } };
        if (error) throw new Error(error.message);
        return result;
      }
      throw new Error(`${method}: no answer`);
    } finally {
      socket.destroy();
    }
  }

  async stopWeft(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    const child = this.#weft;
    if (!child || child.exitCode !== null) return child?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    child.kill(signal);
    const code = await ended;
    this.#weft = null;
    return code;
  }

  /** The process id of a daemon of this lab, by its command line. */
  async pidOf(daemon: 'weft-datapath' | 'weftd'): Promise<number | null> {
    const pids = (await sh('ip', 'netns', 'pids', this.switchNamespace))
      .split('\n')
      .filter(Boolean)
      .map(Number);
    const wanted = daemon === 'weftd' ? 'dist/weftd/main.js' : 'target/release/weft-datapath';
    for (const pid of pids) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        if (line.includes(wanted) && !line.includes('start.mjs')) return pid;
      } catch {
        // It ended meanwhile.
      }
    }
    // weftd names itself, which replaces its command line.
    for (const pid of pids) {
      try {
        if (daemon === 'weftd' && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'weftd') return pid;
      } catch {
        // It ended meanwhile.
      }
    }
    return null;
  }

  /** @param body JSON; a text: lines in ovs-ofctl's syntax */
  rest(method: string, path: string, body?: unknown, accept = 'application/json'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const isText = typeof body === 'string';
      const payload = body === undefined || isText ? body : JSON.stringify(body);
      const headers: Record<string, string> = { accept };
      const json = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      if (payload !== undefined) headers['content-type'] = isText ? 'text/x-ovs-ofctl' : json;
      const outgoing = request(
        { socketPath: this.apiSocket, method, path, headers, timeout: 30_000 },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () => {
            let parsed: unknown = text;
            try {
              parsed = JSON.parse(text);
            } catch {
              // Plain text stays as it is.
            }
            resolve({ status: response.statusCode ?? 0, body: parsed, text });
          });
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer in 30 s`)));
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }

  /** How many OpenFlow messages of each type have been sent to a bridge, by `/metrics`. */
  async openFlowSent(bridge: string): Promise<Map<string, number>> {
    const { text } = await this.rest('GET', '/metrics', undefined, 'text/plain');
    const lines = text.matchAll(
      /^weft_openflow_messages_sent_total\{bridge="([^"]*)",type="(\w+)"\} (\d+)$/gm,
    );
    const sent = new Map<string, number>();
    for (const [, name, type = '', count] of lines) if (name === bridge) sent.set(type, Number(count));
    if (sent.size === 0) throw new Error(`no OpenFlow messages of ${bridge} in /metrics`);
    return sent;
  }

  /** A REST call that must succeed. */
  async must(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await this.rest(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  }

  async close(): Promise<void> {
    for (const wire of this.#wires) wire.close();
    await this.stopWeft('SIGTERM');
    for (const child of this.#children) child.kill('SIGKILL');
    for (const name of this.#namespaces) {
      const pids = await sh('ip', 'netns', 'pids', name).catch(() => '');
      for (const pid of pids.split('\n').filter(Boolean)) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It ended meanwhile.
        }
      }
      await sh('ip', 'netns', 'del', name).catch(() => undefined);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
