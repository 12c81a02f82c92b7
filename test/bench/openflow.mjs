/**
 * Decoding and encoding of OpenFlow messages beside os-ken (Python, OpenFlow 1.3) and @xen-orchestra/openflow (npm,
 * OpenFlow 1.1, of these messages only the flow-mod). Peers are installed, pinned, into a cache outside the project; the sides take turns, and
 * each figure is the median of the rounds. Decoding gives all fields; encoding builds the message from its fields and writes
 * it, as a controller does for each message it sends.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OS_KEN = '4.2.2';
const XEN_ORCHESTRA = '0.1.4';
const GOAL = 20;

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weft-bench');
const here = fileURLToPath(new URL('.', import.meta.url));

/** @typedef {Record<string, { decode: number | null, encode: number | null }>} Rates operations per second by message */

/** @param {string[]} args `--seconds=N` per figure and round, `--rounds=N` */
export default async function bench(args) {
  const seconds = option(args, 'seconds', 0.5);
  const rounds = option(args, 'rounds', 3);
  const openflow = await import('../../openflow/dist/index.js');
  const messages = samples(openflow);

  const python = attempt('os-ken', installOsKen);
  const xo = attempt('@xen-orchestra/openflow', installXenOrchestra);

  /** @type {{ ours: Rates[], osKen: Rates[], xo: Rates[] }} */
  const seen = { ours: [], osKen: [], xo: [] };
  for (let round = 0; round < rounds; round++) {
    seen.ours.push(measureOurs(openflow, messages, seconds));
    if (python !== undefined) seen.osKen.push(await measureOsKen(python, messages, seconds));
    if (xo !== undefined) seen.xo.push(measureXenOrchestra(xo, seconds));
  }

  const rows = [
    [
      'message',
      'bytes',
      '',
      'node-openflow /s',
      `os-ken ${OS_KEN} /s`,
      'ratio',
      `xen-orchestra ${XEN_ORCHESTRA} /s`,
      'ratio',
    ],
  ];
  const missed = [];
  for (const [name, bytes] of Object.entries(messages)) {
    for (const direction of /** @type {const} */ (['decode', 'encode'])) {
      const [ours, osKen, other] = [seen.ours, seen.osKen, seen.xo].map((rates) =>
        median(rates, name, direction),
      );
      const ratio = ours && osKen ? ours / osKen : undefined;
      if (ratio !== undefined && ratio < GOAL) missed.push(`${name} ${direction}`);
      rows.push([
        name,
        String(bytes.length),
        direction,
        figure(ours),
        figure(osKen),
        times(ratio),
        figure(other),
        times(ours && other ? ours / other : undefined),
      ]);
    }
  }
  printTable(rows);
  const verdict = missed.length === 0 ? 'met' : `missed by ${missed.join(', ')}`;
  if (python !== undefined) process.stdout.write(`goal of ${GOAL} x os-ken: ${verdict}\n`);
  process.stdout.write('-: the peer does not read or write that message\n');
}

/** The messages measured: what a controller sees and says most. */
function samples({ encode, parseFlow, parseActions }) {
  const frame = new Uint8Array(128).fill(0x5a);
  const flow = parseFlow(
    'cookie=0x10,table=2,priority=100,idle_timeout=60,in_port=1,tcp,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,' +
      'nw_src=10.0.0.1,nw_dst=10.1.0.0/16,tp_dst=80,actions=set_field:02:00:00:00:00:03->eth_dst,dec_ttl,output:2,goto_table:3',
  );
  const { cookie, tableId, priority, idleTimeout, hardTimeout, match, instructions } = flow;
  const stats = {
    cookie,
    tableId,
    priority,
    idleTimeout,
    hardTimeout,
    match,
    instructions,
    packetCount: 5n,
    byteCount: 500n,
  };
  const entries = Array.from({ length: 100 }, (_, i) => ({ ...stats, priority: i, durationSec: i }));
  return {
    packet_in: encode({
      type: 'PACKET_IN',
      xid: 1,
      totalLength: frame.length,
      reason: 'ACTION',
      tableId: 1,
      cookie: 1n,
      match: { in_port: 3 },
      data: frame,
    }),
    packet_out: encode({
      type: 'PACKET_OUT',
      xid: 1,
      inPort: 3,
      actions: parseActions('output:2'),
      data: frame,
    }),
    flow_mod: encode({ ...flow, xid: 1 }),
    'flow stats x 100': encode({ type: 'MULTIPART_REPLY', xid: 1, body: { type: 'FLOW', entries } }),
  };
}

/** The same messages from their fields; flow statistics, which only switches build, are encoded as decoded. */
const builders = {
  packet_in: (bytes) => ({
    type: 'PACKET_IN',
    xid: 1,
    totalLength: 128,
    reason: 'ACTION',
    tableId: 1,
    cookie: 1n,
    match: { in_port: 3 },
    data: bytes.subarray(42),
  }),
  packet_out: (bytes) => ({
    type: 'PACKET_OUT',
    xid: 1,
    inPort: 3,
    actions: [{ type: 'OUTPUT', port: 2 }],
    data: bytes.subarray(40),
  }),
  flow_mod: () => ({
    type: 'FLOW_MOD',
    xid: 1,
    command: 'ADD',
    cookie: 0x10n,
    tableId: 2,
    priority: 100,
    idleTimeout: 60,
    match: {
      in_port: 1,
      eth_dst: '02:00:00:00:00:02',
      eth_src: '02:00:00:00:00:01',
      eth_type: 0x800,
      ip_proto: 6,
      ipv4_src: '10.0.0.1',
      ipv4_dst: { value: '10.1.0.0', mask: '255.255.0.0' },
      tcp_dst: 80,
    },
    instructions: [
      {
        type: 'APPLY_ACTIONS',
        actions: [
          { type: 'SET_FIELD', field: { eth_dst: '02:00:00:00:00:03' } },
          { type: 'DEC_NW_TTL' },
          { type: 'OUTPUT', port: 2 },
        ],
      },
      { type: 'GOTO_TABLE', tableId: 3 },
    ],
  }),
};

/** @returns {Rates} */
function measureOurs({ decode, encode }, messages, seconds) {
  /** @type {Rates} */
  const rates = {};
  for (const [name, bytes] of Object.entries(messages)) {
    const build = builders[name] ?? (() => prebuilt);
    const prebuilt = decode(bytes);
    if (!encode(build(bytes)).equals(bytes)) throw new Error(`${name}: built otherwise than measured`);
    rates[name] = {
      decode: rate(() => decode(bytes), seconds),
      encode: rate(() => encode(build(bytes)), seconds),
    };
  }
  return rates;
}

/** @returns {Promise<Rates>} */
async function measureOsKen(python, messages, seconds) {
  const hex = Object.fromEntries(
    Object.entries(messages).map(([name, bytes]) => [name, bytes.toString('hex')]),
  );
  const child = spawn(python, [join(here, 'openflow_os_ken.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify({ seconds, messages: hex }));
  let output = '';
  for await (const chunk of child.stdout) output += chunk;
  return JSON.parse(output);
}

/** The same flow as an OpenFlow 1.1 message, which is all this library speaks. @returns {Rates} */
function measureXenOrchestra({ openflow, protocol }, seconds) {
  const message = {
    header: { version: 2, type: protocol.type.flowMod, xid: 1 },
    cookie: Buffer.alloc(8),
    cookie_mask: Buffer.alloc(8),
    table_id: 2,
    command: protocol.flowModCommand.add,
    idle_timeout: 60,
    priority: 100,
    flags: 0,
    match: {
      type: protocol.matchType.standard,
      in_port: 1,
      dl_src: '02:00:00:00:00:01',
      dl_dst: '02:00:00:00:00:02',
      dl_type: 0x800,
      nw_proto: 6,
      nw_src: '10.0.0.1',
      nw_dst: '10.1.0.0',
      nw_dst_mask: '0.0.255.255',
      tp_dst: 80,
    },
    instructions: [
      {
        type: protocol.instructionType.applyActions,
        actions: [{ type: protocol.actionType.output, port: 2, max_len: 0xffff }],
      },
    ],
  };
  const bytes = openflow.pack(message);
  return {
    flow_mod: {
      decode: rate(() => openflow.unpack(bytes), seconds),
      encode: rate(() => openflow.pack(message), seconds),
    },
  };
}

/** Operations per second, warmed up, over at least `seconds`. */
function rate(operation, seconds) {
  for (let i = 0; i < 2000; i++) operation();
  const startMs = performance.now();
  for (let done = 0; ;) {
    for (let i = 0; i < 500; i++) operation();
    done += 500;
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs >= seconds * 1000) return (done * 1000) / elapsedMs;
  }
}

/** The interpreter of a virtual environment with os-ken in it. */
function installOsKen() {
  const folder = join(cache, `os-ken-${OS_KEN}`);
  const python = join(folder, 'bin/python');
  if (!existsSync(join(folder, 'installed'))) {
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'pipe' });
    execFileSync(python, ['-m', 'pip', 'install', '--quiet', `os-ken==${OS_KEN}`], { stdio: 'pipe' });
    mkdirSync(join(folder, 'installed'));
  }
  return python;
}

function installXenOrchestra() {
  const folder = join(cache, `xen-orchestra-openflow-${XEN_ORCHESTRA}`);
  const name = '@xen-orchestra/openflow';
  if (!existsSync(join(folder, 'node_modules', name))) {
    mkdirSync(folder, { recursive: true });
    execFileSync(
      'npm',
      ['install', '--silent', '--no-save', '--prefix', folder, `${name}@${XEN_ORCHESTRA}`],
      { stdio: 'pipe' },
    );
  }
  const { default: openflow } = createRequire(join(folder, 'x.js'))(name);
  return { openflow, protocol: openflow.protocols[openflow.versions.openFlow11] };
}

/** A peer that cannot be had is said so, and left out. */
function attempt(name, install) {
  try {
    return install();
  } catch (error) {
    process.stdout.write(
      `${name} could not be installed, so it is left out: ${String(error.message).split('\n')[0]}\n`,
    );
    return undefined;
  }
}

function option(args, name, fallback) {
  const given = args.find((arg) => arg.startsWith(`--${name}=`));
  return given === undefined ? fallback : Number(given.slice(name.length + 3));
}

function median(rates, name, direction) {
  const values = rates.flatMap((each) => each[name]?.[direction] ?? []).sort((a, b) => a - b);
  return values[Math.floor(values.length / 2)];
}

function figure(value) {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en-US');
}

function times(ratio) {
  return ratio === undefined ? '-' : `${ratio.toFixed(1)} x`;
}

function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [index, row] of rows.entries()) {
    const cells = row.map((cell, column) =>
      column < 3 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
    );
    process.stdout.write(`${cells.join('  ')}\n`);
    if (index === 0) process.stdout.write(`${widths.map((width) => '-'.repeat(width)).join('  ')}\n`);
  }
}
