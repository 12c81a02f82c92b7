/**
 * What a trace says is what happens: for each reason to drop that the datapath knows, a real frame that meets it, whose
 * fate (the datapath's counters, what leaves the ports) is compared with the trace of the same frame, given as a
 * description, as bytes and as the frame last dropped. And for frames that are forwarded: ports and bytes.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DatapathClient } from '../../src/datapath/client.js';
import { DROP_REASONS } from '../../src/domain/index.js';
import type { DropReason } from '../../src/domain/index.js';
import { Lab, sh, until, type Wire } from './lab.js';

/** Ports, all of VLAN 10; their other ends are called `h` and the same in one namespace. */
const PORTS: { name: string; vlanMode: string; tag?: number; trunks?: number[] }[] = [
  { name: 'pa', vlanMode: 'access', tag: 10 },
  { name: 'pb', vlanMode: 'access', tag: 10 },
  { name: 'pt', vlanMode: 'trunk', trunks: [10, 20] },
  // OFPPC_NO_RECV
  { name: 'pr', vlanMode: 'access', tag: 10 },
  // OFPPC_NO_FWD and OFPPC_NO_PACKET_IN
  { name: 'pf', vlanMode: 'access', tag: 10 },
  // OFPPC_PORT_DOWN
  { name: 'pd', vlanMode: 'access', tag: 10 },
];
/** Where a flooded frame arrives; br0 is the bridge's own interface. */
const FLOODED = ['br0', 'pa', 'pb', 'pt', 'pr'];
/** Jumbo, so that one frame overdraws a meter for more than a minute. */
const MTU = 9_000;
const NO_SUCH_PORT = 77;

interface Trace {
  frame: { hex: string; length: number };
  steps: { kind: string; reason?: string; rule?: { reason: string | null } }[];
  outputs: { port: string; frame: { hex: string } }[];
  packetIns: { to: string }[];
  drop: { reason: string; sentence: string } | null;
  verdict: string;
}

interface Counters {
  bridge: Record<string, number>;
  port: Record<string, number>;
}

let lab: Lab;
let wire: Wire;
/** Sees what the host gets by the bridge's own interface. */
let ownWire: Wire;
let datapath: DatapathClient;
let markers = 0;
let lastStation = 0;

/** An address that nobody had before. */
const newStation = () => `02:00:00:00:05:${(lastStation += 1).toString(16).padStart(2, '0')}`;
const ofctl = (command: string, ...words: string[]) =>
  lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', command, `unix:${lab.rundir}/br0.mgmt`, ...words);

async function trace(body: object): Promise<Trace> {
  return (await lab.must('POST', '/v1/bridges/br0/trace', body)) as Trace;
}

async function drops(port: string): Promise<Counters> {
  const stats = await datapath.call('port.stats', { bridge: 'br0' });
  const own = stats.find(({ name }) => name === port)?.drops ?? {};
  return { bridge: await datapath.call('drops', { bridge: 'br0' }), port: own };
}

/** Counters that grew, and by how much. */
function growth(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  const grown = Object.entries(after).map(([reason, n]) => [reason, n - (before[reason] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, n]) => n !== 0));
}

/** What arrived, by the port that it left by. */
const seen = () => [
  ...wire.seen.map(({ on, hex }) => ({ port: on.slice(1), hex })),
  ...ownWire.seen.map(({ on, hex }) => ({ port: on, hex })),
];

/** Frames are forwarded in order: once these markers have arrived at all ports, so has what was sent before. */
async function flush(): Promise<void> {
  for (const port of ['pa', 'pb']) {
    const source = `0600${(markers += 1).toString(16).padStart(8, '0')}`;
    wire.send(`h${port}`, `ffffffffffff${source}88b5${'00'.repeat(46)}`);
    const missing = () =>
      FLOODED.filter((each) => each !== port).filter(
        (each) => !seen().some((frame) => frame.port === each && frame.hex.slice(12, 24) === source),
      );
    await until(`marker from ${port}`, () => missing().length === 0, 30_000);
  }
}

/** Sends a frame and gives what leaves because of it, in the order of the ports' names. */
async function fateOf(inPort: string, frame: string): Promise<string[]> {
  for (const each of [wire, ownWire]) each.seen.length = 0;
  wire.send(`h${inPort}`, frame);
  await flush();
  const left = seen().filter(({ hex }) => !/^.{12}0600/.test(hex));
  return left.map(({ port, hex }) => `${port} ${hex}`).sort();
}

const outputsOf = ({ outputs }: Trace) => outputs.map(({ port, frame }) => `${port} ${frame.hex}`).sort();

beforeAll(async () => {
  lab = await Lab.create();
  const stations = `${lab.switchNamespace}h`;
  await lab.addNamespace(stations);
  for (const { name } of PORTS) {
    const peer = ['peer', 'name', `h${name}`, 'mtu', `${MTU}`, 'netns', stations];
    const own = ['name', name, 'mtu', `${MTU}`, 'netns', lab.switchNamespace];
    await sh('ip', 'link', 'add', ...own, 'type', 'veth', ...peer);
    await sh('ip', '-n', lab.switchNamespace, 'link', 'set', name, 'up');
    await sh('ip', '-n', stations, 'link', 'set', `h${name}`, 'up');
  }
  wire = lab.wire(stations);
  await wire.listen(...PORTS.map(({ name }) => `h${name}`));
  await lab.startWeft();
  await lab.must('POST', '/v1/bridges', { name: 'br0' });
  await lab.inSwitch('ip', 'link', 'set', 'br0', 'up');
  ownWire = lab.wire(lab.switchNamespace);
  await ownWire.listen('br0');
  for (const port of PORTS) await lab.must('POST', '/v1/bridges/br0/ports', port);
  datapath = new DatapathClient(`${lab.rundir}/weft-datapath.sock`, {
    connected: () => undefined,
    disconnected: () => undefined,
    portChanged: () => undefined,
  });
  datapath.start();
  await until('the datapath’s control channel', () => datapath.isConnected);
  await ofctl('mod-port', 'pr', 'no-receive');
  await ofctl('mod-port', 'pf', 'no-forward');
  await ofctl('mod-port', 'pf', 'no-packet-in');
  await ofctl('mod-port', 'pd', 'down');
  await until('pd is down', async () => {
    const ports = await datapath.call('port.list', { bridge: 'br0' });
    return ports.some(({ name, adminUp }) => name === 'pd' && !adminUp);
  });
  // A trace tells which path a frame takes, which is not to change while it is compared with another.
  await until('the kernel has all ports', async () => {
    const { active, ports = 0 } = await datapath.call('fastpath.show', {});
    return !active || ports === PORTS.length + 1;
  });
});

afterAll(async () => {
  datapath?.stop();
  await lab?.close();
});

interface Case {
  reason: DropReason;
  what: string;
  /** Where it comes in; pa if absent. */
  inPort?: string;
  /** The frame in ovs-ofctl's words, but for its addresses. */
  frame?: string;
  /** The frame's bytes after its addresses, where words cannot describe it. */
  bytes?: string;
  length?: number;
  /** Its destination; one of its own if absent. */
  destination?: string;
  /** Actions of a flow in table 0 for its destination, and what else the flow matches. */
  actions?: string;
  match?: string;
  prepare?: (source: string, destination: string) => Promise<unknown>;
  undo?: () => Promise<unknown>;
  /** What the trace has to speak of besides. */
  says?: string;
}

const numberOf = async (port: string): Promise<number> => {
  const ports = await datapath.call('port.list', { bridge: 'br0' });
  return ports.find(({ name }) => name === port)?.ofport ?? Number.NaN;
};

/** Has the bridge learn where stations are. */
async function learn(port: string, ...stations: string[]): Promise<void> {
  for (const mac of stations)
    wire.send(`h${port}`, `ffffffffffff${mac.replaceAll(':', '')}88b5${'00'.repeat(46)}`);
  await until('learned', async () => {
    const { text } = await lab.rest('GET', '/v1/bridges/br0/fdb');
    return stations.every((mac) => text.includes(mac));
  });
  await flush();
}

const IP = 'ip,nw_src=10.0.0.1,nw_dst=10.0.0.2';
/** IPv4, but the frame ends before its header does. */
const CUT_IP = `0800${'45000014'.padEnd(16, '0')}`;

const CASES: Case[] = [
  {
    reason: 'rule',
    what: 'a VLAN that the access port does not take',
    frame: 'dl_vlan=20',
    says: 'the port does not take this VLAN',
  },
  { reason: 'rule', what: 'a VLAN that the trunk does not list', inPort: 'pt', frame: 'dl_vlan=99' },
  { reason: 'rule', what: 'a reserved group address', destination: '01:80:c2:00:00:00' },
  { reason: 'rule', what: 'a flow of a user that drops', actions: 'drop' },
  { reason: 'table-miss', what: 'a table without flows', actions: 'goto_table:5' },
  { reason: 'table-miss', what: 'a table without flows, by resubmit', actions: 'resubmit(,5)' },
  { reason: 'no-such-port', what: 'an output to no port', actions: `output:${NO_SUCH_PORT}` },
  { reason: 'port-down', what: 'an output to a port that is down', actions: 'output:pd' },
  { reason: 'no-receive', what: 'a port that takes nothing', inPort: 'pr' },
  { reason: 'no-forward', what: 'an output to a port that sends nothing', actions: 'output:pf' },
  { reason: 'in-port', what: 'an output to where it came from', actions: 'output:pa' },
  {
    reason: 'in-port',
    what: 'both stations behind one port',
    prepare: (source, destination) => learn('pa', source, destination),
  },
  {
    reason: 'meter',
    what: 'more than a meter lets pass',
    actions: 'meter:1,output:pb',
    length: 1_000,
    prepare: async (source, destination) => {
      await ofctl('add-meter', 'meter=1,kbps,band=type=drop,rate=1');
      await ofctl('add-flow', `dl_dst=${destination},actions=meter:1,output:pb`);
      const frame = [destination, source].join('').replaceAll(':', '') + '88b5' + '00'.repeat(MTU);
      // It passes, and what it costs is paid off after 72 seconds.
      expect(await fateOf('pa', frame)).toEqual([`pb ${frame}`]);
    },
  },
  { reason: 'ttl-expired', what: 'IPv4', frame: `${IP},nw_ttl=1`, match: 'ip', actions: 'dec_ttl,output:pb' },
  {
    reason: 'ttl-expired',
    what: 'MPLS',
    frame: 'mpls,mpls_label=5,mpls_ttl=1',
    match: 'mpls',
    actions: 'dec_mpls_ttl,output:pb',
  },
  {
    reason: 'fragment',
    what: 'a later fragment, while fragments are dropped',
    frame: `${IP},ip_frag=later`,
    prepare: () => ofctl('set-frags', 'drop'),
    undo: () => ofctl('set-frags', 'normal'),
  },
  {
    reason: 'group-empty',
    what: 'a fast-failover group whose port is down',
    actions: 'group:1',
    prepare: async () =>
      ofctl('add-group', `group_id=1,type=ff,bucket=watch_port:${await numberOf('pd')},output:pb`),
  },
  {
    reason: 'group-empty',
    what: 'a group without buckets',
    actions: 'group:2',
    prepare: () => ofctl('add-group', 'group_id=2,type=all'),
  },
  {
    reason: 'recursion',
    what: 'a rule that resubmits to itself',
    actions: 'resubmit(,6)',
    prepare: () => ofctl('add-flow', 'table=6,actions=resubmit(,6)'),
  },
  {
    reason: 'bad-action',
    what: 'the TTL of a header that is cut off',
    bytes: CUT_IP,
    match: 'ip',
    actions: 'dec_ttl',
  },
  {
    reason: 'no-packet-in',
    what: 'to the controller from a port that sends it nothing',
    inPort: 'pf',
    actions: 'controller',
  },
];

/** No frame of a wire comes so far. Why, and that it is so, is tested below. */
const NOT_ON_WIRES: DropReason[] = ['malformed', 'unknown-in-port'];

test('each reason is tested', () => {
  const tested = new Set([...CASES.map(({ reason }) => reason), ...NOT_ON_WIRES]);
  expect([...tested].sort()).toEqual(Object.keys(DROP_REASONS).sort());
});

test.each(CASES)('$reason: $what', async (it) => {
  const { reason, inPort = 'pa', destination = newStation(), length } = it;
  const source = newStation();
  await it.prepare?.(source, destination);
  if (it.actions) {
    const match = it.match ? `${it.match},` : '';
    const actions = it.actions.replace(
      /output:(p.)/,
      `output:${await numberOf(/p.$/.exec(it.actions)?.[0] ?? '')}`,
    );
    await ofctl('add-flow', `${match}dl_dst=${destination},actions=${actions}`);
  }
  const words = it.frame === undefined ? '' : `,${it.frame}`;
  const flow = `in_port=${inPort},dl_src=${source},dl_dst=${destination}${words}`;
  const cut = (destination + source).replaceAll(':', '') + (it.bytes ?? '');

  const before = await drops(inPort);
  const foretold = await trace(it.bytes ? { inPort, frame: cut } : { flow, ...(length ? { length } : {}) });
  expect(foretold).toMatchObject({ drop: { reason, sentence: DROP_REASONS[reason].meaning }, outputs: [] });
  expect(foretold.verdict).toContain(`dropped (${reason})`);
  if (it.says) expect(JSON.stringify(foretold.steps)).toContain(it.says);
  const frame = foretold.frame.hex;
  expect(await trace({ inPort, frame })).toEqual(foretold);
  // Asking is not doing.
  expect(await drops(inPort)).toEqual(before);

  expect(await fateOf(inPort, frame)).toEqual([]);
  const after = await drops(inPort);
  expect(growth(before.port, after.port)).toEqual({ [reason]: 1 });
  expect(growth(before.bridge, after.bridge)).toEqual({ [reason]: 1 });

  expect(await trace({ inPort, lastDropped: reason })).toEqual(foretold);
  expect(await trace({ inPort, lastDropped: true })).toEqual(foretold);
  await it.undo?.();
});

test('/drops tells the same, and the last frame of each reason', async () => {
  interface Reasons {
    reasons: { reason: string; packets: number; last?: { frame: string } | null }[];
  }
  const counts = ({ reasons }: Reasons) =>
    Object.fromEntries(reasons.map(({ reason, packets }) => [reason, packets]));
  const real = await drops('pa');
  await until('a sample of now', async () => {
    const told = (await lab.must('GET', '/v1/bridges/br0/drops')) as Reasons & {
      ports: (Reasons & { port: string })[];
    };
    const port = told.ports.find((each) => each.port === 'pa');
    expect(counts(told)).toEqual(real.bridge);
    expect(port && counts(port)).toEqual(real.port);
    for (const { reason, last } of port?.reasons ?? []) {
      const again = await trace({ inPort: 'pa', lastDropped: reason });
      expect(again.frame.hex.startsWith(last?.frame ?? 'none')).toBe(true);
    }
    return true;
  });
});

test('malformed: nothing shorter than an Ethernet header can be sent, by whatever way', async () => {
  const before = await drops('pa');
  expect(await trace({ inPort: 'pa', frame: '00'.repeat(13) })).toMatchObject({
    drop: { reason: 'malformed' },
    outputs: [],
  });
  // The kernel takes no such frame on its way to a veth (packet(7)), nor from the owner of a tap.
  const attempt = `
import errno, fcntl, os, socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
try: s.send(bytes(13)); print("sent")
except OSError as e: print(errno.errorcode[e.errno])
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454ca, struct.pack("16sH22x", b"shorttap", 0x1002))
os.system("ip link set shorttap up")
try: os.write(tap, bytes(13)); print("written")
except OSError as e: print(errno.errorcode[e.errno])
`;
  const stations = ['netns', 'exec', `${lab.switchNamespace}h`, 'python3', '-c', attempt, 'hpa'];
  expect(await sh('ip', ...stations)).toBe('EINVAL\nEINVAL\n');
  // Nor does the host, by the bridge's own interface.
  expect(await lab.inSwitch('python3', '-c', attempt, 'br0')).toBe('EINVAL\nEINVAL\n');
  // Nor a controller.
  const packetOut = `in_port=1,packet=${'00'.repeat(13)},actions=table`;
  await expect(ofctl('packet-out', packetOut)).rejects.toThrow();
  await flush();
  expect(await drops('pa')).toEqual(before);
});

test('unknown-in-port: frames come by ports; only a description can name another', async () => {
  const before = await drops('pa');
  const [source, destination] = [newStation(), newStation()];
  const told = await trace({ flow: `in_port=${NO_SUCH_PORT},dl_src=${source},dl_dst=${destination}` });
  expect(told).toMatchObject({ drop: { reason: 'unknown-in-port' }, outputs: [] });
  // A packet-out may name it, but nobody received that frame: the tables judge it, and here the bridge's refuse it.
  await ofctl('packet-out', `in_port=${NO_SUCH_PORT},packet=${told.frame.hex},actions=table`);
  await flush();
  const after = await drops('pa');
  expect(growth(before.bridge, after.bridge)).toEqual({ rule: 1 });
});

test('a port that is down receives nothing', async () => {
  const attempt = 'import socket; s=socket.socket(17, 3); s.bind(("hpd", 0)); s.send(bytes(60))';
  const before = await drops('pd');
  await sh('ip', 'netns', 'exec', `${lab.switchNamespace}h`, 'python3', '-c', attempt).catch(() => '');
  await flush();
  expect(await drops('pd')).toEqual(before);
  const frame = '00'.repeat(60);
  expect(await trace({ inPort: 'pd', frame })).toMatchObject({ drop: { reason: 'port-down' }, outputs: [] });
});

interface Forwarded {
  what: string;
  inPort?: string;
  frame?: string;
  prepare?: (source: string, destination: string) => Promise<unknown>;
  /** By which ports it has to leave. */
  ports: string[];
  /** What the trace has to speak of besides. */
  says?: string;
}

const FORWARDED: Forwarded[] = [
  { what: 'flooded from an access port, with a tag on the trunk', ports: ['br0', 'pb', 'pr', 'pt'] },
  { what: 'flooded from a trunk', inPort: 'pt', frame: 'dl_vlan=10', ports: ['br0', 'pa', 'pb', 'pr'] },
  {
    what: 'to a known station behind an access port',
    prepare: (_source, destination) => learn('pb', destination),
    ports: ['pb'],
  },
  {
    what: 'from a trunk to a known station, priority kept',
    inPort: 'pt',
    frame: `dl_vlan=10,dl_vlan_pcp=5,${IP}`,
    prepare: (source, destination) => Promise.all([learn('pa', destination), learn('pb', source)]),
    ports: ['pa'],
  },
  {
    what: 'by a flow that rewrites it and lets the bridge go on',
    frame: `udp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=9,udp_dst=53`,
    prepare: async (_source, destination) => {
      const out = `output:${await numberOf('pt')}`;
      const rewrite = 'dec_ttl,set_field:10.0.0.9->ip_dst,set_field:5353->udp_dst';
      await ofctl('add-flow', `udp,dl_dst=${destination},actions=${out},${rewrite},normal`);
    },
    ports: ['br0', 'pb', 'pr', 'pt', 'pt'],
  },
  {
    what: 'by a group, each bucket with a copy of its own',
    prepare: async (_source, destination) => {
      const [b, t] = [await numberOf('pb'), await numberOf('pt')];
      const buckets = `bucket=set_field:02:00:00:00:00:99->eth_src,output:${b},bucket=push_vlan:0x8100,set_field:4116->vlan_vid,output:${t}`;
      await ofctl('add-group', `group_id=9,type=all,${buckets}`);
      await ofctl('add-flow', `dl_dst=${destination},actions=group:9`);
    },
    ports: ['pb', 'pt'],
  },
  {
    what: 'by a meter that it does not exceed, to one port that is there and three that are not to be had',
    prepare: async (_source, destination) => {
      await ofctl('add-meter', 'meter=2,kbps,band=type=drop,rate=1000000');
      const outputs = ['pd', 'pf', 'pb'].map(async (port) => `output:${await numberOf(port)}`);
      const actions = [...(await Promise.all(outputs)), `output:${NO_SUCH_PORT}`].join();
      await ofctl('add-flow', `dl_dst=${destination},actions=meter:2,${actions}`);
    },
    ports: ['pb'],
    says: 'cannot leave by pd',
  },
];

test.each(FORWARDED)('forwarded: $what', async ({ inPort = 'pa', frame, prepare, ports, says }) => {
  const [source, destination] = [newStation(), newStation()];
  await prepare?.(source, destination);
  const words = frame === undefined ? '' : `,${frame}`;
  const before = await drops(inPort);
  const foretold = await trace({
    flow: `in_port=${inPort},dl_src=${source},dl_dst=${destination}${words}`,
  });
  expect(foretold.drop).toBeNull();
  expect(foretold.outputs.map(({ port }) => port).sort()).toEqual(ports);
  if (says) expect(JSON.stringify(foretold.steps)).toContain(says);
  expect(await trace({ inPort, frame: foretold.frame.hex })).toEqual(foretold);
  expect(await fateOf(inPort, foretold.frame.hex)).toEqual(outputsOf(foretold));
  expect(await drops(inPort)).toEqual(before);
});
