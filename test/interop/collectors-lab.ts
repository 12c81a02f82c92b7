/** Collectors of Debian's packages in a laboratory's switch namespace, and what they say they got. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sh, until, type Lab, type Wire } from '../system/lab.js';

export interface Totals {
  readonly flows: number;
  readonly packets: number;
  readonly bytes: number;
  readonly sequenceErrors: number;
  readonly bad: number;
}

/** What nfcapd or sfcapd says it got: a line for each of its files, of which it begins another every five minutes of the clock. */
export function totalsOf(program: string, log: string): Totals {
  const lines = [
    ...log.matchAll(
      /Flows: (\d+), Packets: (\d+), Bytes: (\d+), Sequence Errors: (\d+), Bad Packets: (\d+)/g,
    ),
  ].map((line) => line.slice(1).map(Number));
  if (lines.length === 0) throw new Error(`${program} said: ${log}`);
  const sum = (column: number) => lines.reduce((total, line) => total + (line[column] ?? 0), 0);
  return { flows: sum(0), packets: sum(1), bytes: sum(2), sequenceErrors: sum(3), bad: sum(4) };
}

/** Whether a program can be run here. */
export async function isInstalled(program: string): Promise<boolean> {
  return (await sh('sh', '-c', `command -v ${program} || true`)).trim() !== '';
}

async function isListening(lab: Lab, port: number): Promise<boolean> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const tables = await lab.inSwitch('cat', '/proc/net/udp', '/proc/net/udp6');
  return tables.includes(`:${hex} `);
}

/** Until no datagram has come to anybody for a while: the last collector has read the last one. */
export async function quiet(lab: Lab, quietMs = 1_200, deadlineMs = 30_000): Promise<void> {
  let [before, sinceMs] = ['', 0];
  await until(
    'nothing more is told',
    async () => {
      const [, values = ''] = (await lab.inSwitch('cat', '/proc/net/snmp')).match(/^Udp:.*$/gm) ?? [];
      if (values !== before) [before, sinceMs] = [values, Date.now()];
      return Date.now() - sinceMs > quietMs;
    },
    deadlineMs,
  );
}

/** Devices a and b in the switch's namespace, whose far ends ha and hb are on the wire; what comes to hb is seen. */
export async function wirePair(lab: Lab): Promise<Wire> {
  const hosts = `${lab.switchNamespace}h`;
  await lab.addNamespace(hosts);
  for (const name of ['a', 'b']) {
    const peer = ['peer', 'name', `h${name}`, 'netns', hosts];
    await sh('ip', 'link', 'add', 'name', name, 'netns', lab.switchNamespace, 'type', 'veth', ...peer);
    await sh('ip', '-n', lab.switchNamespace, 'link', 'set', 'dev', name, 'up');
    await sh('ip', '-n', hosts, 'link', 'set', 'dev', `h${name}`, 'up');
  }
  const wire = lab.wire(hosts);
  await wire.listen('hb');
  return wire;
}

/** nfcapd or sfcapd. */
export class Capture {
  readonly folder: string;
  #log = '';

  private constructor(
    lab: Lab,
    private readonly program: string,
    readonly port: number,
    private readonly child: ChildProcess,
  ) {
    this.folder = join(lab.folder, `into-${program}-${port}`);
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
  }

  static async start(
    lab: Lab,
    program: 'nfcapd' | 'sfcapd',
    port: number,
    address = '127.0.0.1',
  ): Promise<Capture> {
    const folder = join(lab.folder, `into-${program}-${port}`);
    await sh('mkdir', '-p', folder);
    // A large buffer, as this machine may be busy with other things than collecting.
    const words = ['-w', folder, '-b', address, '-p', String(port), '-B', '4000000'];
    const family = address.includes(':') ? ['-6'] : [];
    const child = spawn('ip', ['netns', 'exec', lab.switchNamespace, program, ...family, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const capture = new Capture(lab, program, port, child);
    await until(`${program} listens`, () => isListening(lab, port));
    return capture;
  }

  /** Ends it; what it counted. */
  async stop(): Promise<Totals> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
    return totalsOf(this.program, this.#log);
  }

  /** Records as nfdump prints them in the format. */
  async records(format: string): Promise<string[]> {
    const output = await sh('nfdump', '-q', '-R', this.folder, '-o', `fmt:${format}`);
    return output
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  }
}

/** sfacctd or nfacctd of pmacct, with the print plugin. */
export class Account {
  private constructor(
    private readonly output: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(lab: Lab, program: 'nfacctd' | 'sfacctd', port: number): Promise<Account> {
    const folder = mkdtempSync(join(lab.folder, `${program}-`));
    const [config, output] = [join(folder, 'conf'), join(folder, 'output.json')];
    const settings = {
      plugins: 'print',
      aggregate: 'src_host, dst_host, src_port, dst_port, proto, vlan, in_iface, out_iface',
      print_output: 'json',
      print_output_file: output,
      print_output_file_append: 'true',
      print_refresh_time: '1',
      [`${program}_ip`]: '127.0.0.1',
      [`${program}_port`]: String(port),
      [`${program}_renormalize`]: 'true',
    };
    writeFileSync(
      config,
      Object.entries(settings)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join(''),
    );
    const child = lab.spawnInSwitch(program, ['-f', config]);
    await until(`${program} listens`, () => isListening(lab, port));
    return new Account(output, child);
  }

  /** Sums of what it has written so far. */
  totals(): { packets: number; bytes: number; lines: Record<string, unknown>[] } {
    const text = existsSync(this.output) ? readFileSync(this.output, 'utf8') : '';
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const sum = (key: string) => lines.reduce((total, line) => total + Number(line[key]), 0);
    return { packets: sum('packets'), bytes: sum('bytes'), lines };
  }

  /** Ends it; it writes what it still holds then, by a process of its own that may outlive it. */
  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGINT');
    await ended;
  }
}

/** tshark follows the TCP connections of sampled frames, of which it sees a part; sequences of datagrams are another matter. */
const OF_A_SAMPLED_CONVERSATION =
  /Expert Info \(\w+\/Sequence\): (Connection |This frame |Previous segment|ACKed segment|Duplicate ACK)/;

/** All datagrams on the loopback of the switch's namespace, for tshark to judge. */
export class Sniffer {
  private constructor(
    private readonly file: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(lab: Lab): Promise<Sniffer> {
    const file = join(lab.folder, 'export.pcap');
    const words = ['-i', 'lo', '-U', '-w', file, 'udp'];
    const child = spawn('ip', ['netns', 'exec', lab.switchNamespace, 'tcpdump', ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until('tcpdump listens', () => log.includes('listening on'));
    return new Sniffer(file, child);
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await ended;
  }

  /** All that tshark says. */
  text(decodes: readonly string[]): Promise<string> {
    return sh('tshark', '-r', this.file, '-V', ...decodes.flatMap((each) => ['-d', each]));
  }

  /** Lines that complain of what is told; not those about sampled TCP segments among themselves. */
  async faults(decodes: readonly string[]): Promise<string[]> {
    const as = decodes.flatMap((each) => ['-d', each]);
    const output = await sh('tshark', '-r', this.file, '-V', ...as);
    return output
      .split('\n')
      .filter((line) => /Malformed|Expert Info \(/.test(line) && !OF_A_SAMPLED_CONVERSATION.test(line));
  }
}
