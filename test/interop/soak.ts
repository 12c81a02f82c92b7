/**
 * `npm run soak`: four controllers send weft-datapath valid, damaged and random OpenFlow for ten minutes; it must stay
 * alive, answer, and keep its memory. What is sent depends on the seed alone; connections that a badly framed message has
 * ended are made anew.
 */
import { createConnection, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { encode, parseFlow, parseGroup, parseMeter } from 'node-openflow';
import { residentMb } from '../bench/measure.js';
import { datapathBinary, Lab, sh, until } from '../system/lab.js';

const CONTROLLERS = 4;
/** The share of time after which memory is to be what it is in the end. */
const WARM = 0.3;
/** Growth of memory from then on that is taken for a leak, MB. */
const TOLERANCE_MB = 16;

/** Numbers of a seed (xorshift, 32 bits). */
function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Random = ReturnType<typeof random>;

const COMMANDS = ['ADD', 'ADD', 'ADD', 'MODIFY', 'MODIFY_STRICT', 'DELETE', 'DELETE_STRICT'] as const;
const MATCHES = [
  '',
  'ip,',
  'tcp,tp_dst=80,',
  'arp,',
  'dl_vlan=5,',
  'ipv6,',
  'udp,tp_src=53,',
  'mpls,',
  'icmp,',
];
const ACTIONS = [
  'output:1',
  'dec_ttl,output:2',
  'group:3',
  'push_vlan:0x8100,set_field:4100->vlan_vid,flood',
  'drop',
];

/** A message that makes sense by itself; whether the switch takes it depends on what it holds. */
function sensible(pick: Random): Buffer {
  const xid = pick(1 << 30);
  switch (pick(10)) {
    case 0: {
      const [type, number] = [['all', 'select', 'indirect', 'ff'][pick(4)]!, pick(6)];
      const watch = type === 'ff' ? 'watch_port:1,' : '';
      const group = parseGroup(`group_id=${number},type=${type},bucket=${watch}output:${1 + pick(3)}`);
      return encode({ ...group, command: (['ADD', 'MODIFY', 'DELETE'] as const)[pick(3)]!, xid });
    }
    case 1: {
      const meter = parseMeter(`meter=${1 + pick(5)},kbps,bands=type=drop,rate=${1 + pick(1000)}`);
      return encode({ ...meter, command: (['ADD', 'MODIFY', 'DELETE'] as const)[pick(3)]!, xid });
    }
    case 2:
      return encode({ type: 'BARRIER_REQUEST', xid });
    case 3:
      return encode({
        type: 'MULTIPART_REQUEST',
        xid,
        body: { type: (['DESC', 'TABLE', 'PORT_DESC', 'GROUP_DESC'] as const)[pick(4)]! },
      });
    case 4:
      return encode({ type: 'ECHO_REQUEST', xid, data: Buffer.alloc(pick(64), 7) });
    default: {
      const text = `table=${pick(4)},priority=${pick(50)},in_port=${1 + pick(200)},${MATCHES[pick(MATCHES.length)]}`;
      const flow = parseFlow(`${text}idle_timeout=${pick(3)},actions=${ACTIONS[pick(ACTIONS.length)]}`);
      return encode({ ...flow, command: COMMANDS[pick(COMMANDS.length)]!, xid });
    }
  }
}

/** A message as it may come: whole, with bytes changed, of random content, or of a length that cannot be. */
function message(pick: Random): Buffer {
  const kind = pick(100);
  const bytes = Buffer.from(sensible(pick));
  if (kind < 60) return bytes;
  if (kind < 90) {
    for (let changes = 1 + pick(4); changes > 0 && bytes.length > 8; changes -= 1)
      bytes[8 + pick(bytes.length - 8)] = pick(256);
    return bytes;
  }
  const noise = Buffer.from(Array.from({ length: 8 + pick(300) }, () => pick(256)));
  noise[0] = 4;
  noise[1] = pick(32);
  noise.writeUInt16BE(kind < 99 ? noise.length : pick(8), 2);
  return noise;
}

/** One controller: sends as fast as it is read, and again from the start when it is cut off. */
class Tormentor {
  sent = 0;
  answers = 0;
  connections = 0;
  #stopped = false;
  #socket: Socket | undefined;

  constructor(
    readonly path: string,
    readonly pick: Random,
  ) {}

  async run(): Promise<void> {
    while (!this.#stopped) {
      await new Promise<void>((resolve) => {
        const socket = createConnection(this.path);
        this.#socket = socket;
        this.connections += 1;
        socket.on('data', (chunk) => (this.answers += chunk.length));
        socket.on('error', () => undefined);
        socket.once('close', () => {
          resolve();
        });
        socket.once('connect', () => {
          socket.write(Buffer.from([4, 0, 0, 8, 0, 0, 0, 1]));
          const go = (): void => {
            if (this.#stopped || socket.destroyed) return void socket.destroy();
            const batch = Array.from({ length: 1 + this.pick(40) }, () => message(this.pick));
            this.sent += batch.length;
            if (socket.write(Buffer.concat(batch))) setImmediate(go);
            else socket.once('drain', go);
          };
          go();
        });
      });
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.destroy();
  }
}

export async function runSoak(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string', default: '1' } },
  });
  const seconds = Number(values.seconds);
  const lab = await Lab.create();
  try {
    for (const n of [1, 2, 3]) await lab.addHost(`sk${n}`);
    const spec = 'name=br0,dpid=0000000000000001,fail_mode=secure,port=sk1:1,port=sk2:2,port=sk3:3';
    const child = lab.spawnInSwitch(datapathBinary, ['--rundir', lab.rundir, '--bridge', spec]);
    const path = `${lab.rundir}/br0.mgmt`;
    const answers = () => sh('ovs-ofctl', '-O', 'OpenFlow13', '--timeout=60', 'dump-tables', `unix:${path}`);
    await until('the switch', () => answers().then(() => true));
    const tormentors = Array.from(
      { length: CONTROLLERS },
      (_, index) => new Tormentor(path, random(Number(values.seed) * 1000 + index + 1)),
    );
    const runs = tormentors.map((each) => each.run());
    const startedMs = performance.now();
    const memory: { at: number; mb: number }[] = [];
    for (let at = 0; at < seconds && child.exitCode === null; at = (performance.now() - startedMs) / 1000) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(2000, seconds * 20)));
      if (child.exitCode === null) memory.push({ at, mb: residentMb([child.pid!]) });
    }
    tormentors.forEach((each) => {
      each.stop();
    });
    await Promise.all(runs);
    if (child.exitCode !== null) {
      process.stdout.write(`weft-datapath ended (${child.exitCode}): ${lab.log.slice(-3000)}\n`);
      return 1;
    }
    await answers();
    const warm = memory.filter(({ at }) => at >= seconds * WARM).map(({ mb }) => mb);
    const half = Math.ceil(warm.length / 2);
    const [before, after] = [Math.max(...warm.slice(0, half)), Math.max(...warm.slice(half))];
    const sum = (key: 'sent' | 'answers' | 'connections') =>
      tormentors.reduce((total, each) => total + each[key], 0);
    process.stdout.write(
      `${seconds} s, ${CONTROLLERS} controllers: ${sum('sent')} messages, ${Math.round(sum('answers') / 1024)} KB of answers, ` +
        `${sum('connections')} connections; it answers. Memory: ${before.toFixed(1)} MB, later ${after.toFixed(1)} MB\n`,
    );
    if (/panicked/.test(lab.log)) process.stdout.write(`a thread panicked: ${lab.log.slice(-3000)}\n`);
    return /panicked/.test(lab.log) || after > before + TOLERANCE_MB ? 1 : 0;
  } finally {
    await lab.close();
  }
}
