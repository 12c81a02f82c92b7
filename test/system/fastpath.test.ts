/** The fast path where the ground shifts under it: ports that go, come back elsewhere, fall silent; and its removal. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFileSync, readdirSync } from 'node:fs';
import { ethDst, startFastPathLab } from './fastpath-lab.js';
import { datapathBinary, type Lab, projectRoot, sh, until, type Host } from './lab.js';

let lab: Lab;
let a: Host, b: Host;
let isActive = false;

const received = async (host: Host) =>
  Number(await host.run('cat', '/sys/class/net/eth0/statistics/rx_packets'));

/** IPv4 packets alone: hosts ask after each other's addresses when they like. */
const receivedIp = async (host: Host) => {
  const [, values = ''] =
    (await host.run('cat', '/proc/net/snmp')).match(/^Ip: \d.*$/m)?.[0].split(': ') ?? [];
  return Number(values.split(' ')[IN_RECEIVES]);
};
/** Of /proc/net/snmp's line of IP: after Forwarding and DefaultTTL. */
const IN_RECEIVES = 2;

interface Flow {
  match: string[];
  actions: string[];
  inKernel: boolean;
  packets: number;
}
const flows = () => lab.datapath('fastpath.flows', { bridge: 'br0' }) as Promise<Flow[]>;

/** From a to a host's address until the kernel alone forwards it. */
async function warmUp(address: string, mac: string): Promise<void> {
  const field = ethDst(mac);
  await until('the kernel has the flow', async () => {
    await a.ping(address, 3, 0.01);
    return (await flows()).some((flow) => flow.inKernel && flow.packets > 2 && flow.match.includes(field));
  });
}

/**
 * Sends numbered datagrams, 40 of each of 50 flows: of every other as fast as it can, of the others so that user space is nearly
 * done with one when the next comes. They are fewer than may wait for user space before order is given up.
 */
const NUMBERED = `
import random, socket, time
for port in range(20000, 20050):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('10.99.0.1', port))
    for n in range(40):
        s.sendto(n.to_bytes(4, 'big'), ('10.99.0.2', 9))
        resume = time.perf_counter_ns() + random.randrange(20_000) * (port % 2)
        while time.perf_counter_ns() < resume: pass
`;
/** Prints how many of them have come, and those that came after one that was sent later: port, number, that one's number. */
const IN_ORDER = `
import socket
SO_RCVBUFFORCE = 33
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
s.bind(('10.99.0.2', 9))
s.settimeout(10)
got, late, newest = 0, [], {}
try:
    while got < 2000:
        data, (_, port) = s.recvfrom(64)
        n = int.from_bytes(data, 'big')
        got += 1
        if n < newest.get(port, 0): late.append((port, n, newest[port]))
        newest[port] = max(n, newest.get(port, 0))
except TimeoutError: pass
print(got, late)
`;

/** Frames from a to an address of the data link layer, whoever has it. */
async function send(mac: string, count: number, rate = 5000): Promise<void> {
  await a.run(
    ...[`${projectRoot}/datapath/target/release/weft-loadgen`, '--interface', 'eth0'],
    ...['--source', await a.mac(), '--destination', mac, '--count', String(count), '--rate', String(rate)],
  );
}

// As on this kernel, and as on those before 6.6.
describe.each(['tcx', 'clsact'])('by %s', (hooking) => {
  const asked = process.env['WEFT_FASTPATH'];

  beforeAll(async () => {
    if (hooking === 'clsact' && asked !== 'off') process.env['WEFT_FASTPATH'] = hooking;
    ({ a, b, isActive } = await startFastPathLab((made) => (lab = made)));
  });

  afterAll(() => {
    if (asked === undefined) delete process.env['WEFT_FASTPATH'];
    else process.env['WEFT_FASTPATH'] = asked;
    return lab?.close();
  });

  test('the program gets onto devices as it should', async () => {
    const { hooking: used } = (await lab.datapath('fastpath.show', {})) as { hooking?: string };
    if (hooking === 'clsact' && asked !== 'off') expect(used).toBe('clsact');
    await a.reaches('10.99.0.2');
    const filters = await until('the ports have it', async () => {
      const text = await lab.inSwitch('tc', 'filter', 'show', 'dev', 'pa', 'ingress');
      return (!isActive || used !== 'clsact' || text.includes('pref 1 bpf')) && text;
    });
    // The one that keeps the host's stack away is there in any case.
    expect(filters).toContain('pref 2 bpf');
  });

  test('no socket takes what the kernel forwards', async () => {
    const index = (await lab.inSwitch('cat', '/sys/class/net/pa/ifindex')).trim();
    // Columns: socket, references, type, protocol, interface, running
    const listeners = async () =>
      (await lab.inSwitch('cat', '/proc/net/packet'))
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , protocol, at, running]) => at === index && protocol === '0003' && running === '1');
    if (!isActive) expect(await listeners()).toHaveLength(1);
    else await until('the port has none', async () => (await listeners()).length === 0);
  });

  test('a port that is deleted gets nothing more from the moment of the answer, and is forwarded to again', async () => {
    const mac = await b.mac();
    if (isActive) await warmUp('10.99.0.2', mac);
    await lab.must('DELETE', '/v1/bridges/br0/ports/pb');
    const before = await received(b);
    await send(mac, 200);
    // What was sent before this is answered has gone where it goes.
    await a.reaches('10.99.0.3');
    expect((await received(b)) - before).toBe(0);
    await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pb' });
    await a.reaches('10.99.0.2');
  });

  test('a port becomes the kernel’s under way: every frame arrives, and no more than one twice', async () => {
    const mac = await b.mac();
    await a.reaches('10.99.0.2');
    for (let round = 0; round < 3; round += 1) {
      await lab.must('DELETE', '/v1/bridges/br0/ports/pa');
      await lab.must('POST', '/v1/bridges/br0/ports', { name: 'pa' });
      const before = await receivedIp(b);
      // The program comes to the device 100 ms after the last port did, or a little later.
      await send(mac, 6000, 10_000);
      await until('all have come', async () => (await receivedIp(b)) - before >= 6000);
      // The one that is between the two at that instant may come by both.
      expect((await receivedIp(b)) - before).toBeLessThanOrEqual(6001);
    }
  });

  test('a flow’s packets keep their order while the kernel takes it over from user space', async () => {
    await a.reaches('10.99.0.2');
    if (isActive) await warmUp('10.99.0.2', await b.mac());
    // It makes every source port a flow of its own.
    const [bridge, rule] = [`${lab.rundir}/br0.mgmt`, 'priority=100,udp,tp_src=1,actions=drop'];
    await lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', 'add-flow', bridge, rule);
    const taken = b.run('python3', '-c', IN_ORDER);
    await until('somebody listens', async () => (await b.run('ss', '-uln')).includes(':9 '));
    await a.run('python3', '-c', NUMBERED);
    expect((await taken).trim()).toBe('2000 []');
    const udp = (await flows()).filter(({ match }) => match.includes('ip_proto=0x11'));
    if (isActive) expect(udp.filter(({ inKernel }) => inKernel).length).toBeGreaterThan(25);
    await lab.inSwitch(
      'ovs-ofctl',
      '-O',
      'OpenFlow13',
      '--strict',
      'del-flows',
      bridge,
      'priority=100,udp,tp_src=1',
    );
  });

  test('a port with another number is the same to the traffic, and another to the rules', async () => {
    const mac = await b.mac();
    if (isActive) await warmUp('10.99.0.2', mac);
    const vsctl = (...words: string[]) => sh('ovs-vsctl', `--db=unix:${lab.rundir}/db.sock`, ...words);
    await vsctl('--timeout=20', 'set', 'interface', 'pb', 'ofport_request=77');
    await until(
      'the number is 77',
      async () => (await vsctl('get', 'interface', 'pb', 'ofport')).trim() === '77',
    );
    await a.reaches('10.99.0.2');
    await lab.inSwitch(
      ...['ovs-ofctl', '-O', 'OpenFlow13', 'add-flow', `${lab.rundir}/br0.mgmt`],
      'priority=9,in_port=77,actions=drop',
    );
    await until('what comes in by 77 is dropped', async () => (await a.ping('10.99.0.2', 1)) === 0);
    await lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', 'del-flows', `${lab.rundir}/br0.mgmt`, 'in_port=77');
    await a.reaches('10.99.0.2');
  });

  test('what a meter lets through arrives, and what it drops is counted where it is, whoever forwards', async () => {
    const ofctl = (command: string, ...words: string[]) =>
      lab.inSwitch('ovs-ofctl', '-O', 'OpenFlow13', command, `${lab.rundir}/br0.mgmt`, ...words);
    const dropped = async () =>
      ((await lab.datapath('drops', { bridge: 'br0' })) as { meter?: number }).meter ?? 0;
    const mac = await b.mac();
    await a.reaches('10.99.0.2');
    // So many pass at once, and then one a second.
    await ofctl('add-meter', 'meter=1,pktps,burst,bands=type=drop,rate=1,burst_size=1000');
    await ofctl('add-flow', `priority=9,udp,dl_dst=${mac},actions=meter:1,NORMAL`);
    const [before, droppedBefore] = [await receivedIp(b), await dropped()];
    await send(mac, 3000);
    const stats = await until('the meter has seen all', async () => {
      const text = await ofctl('meter-stats', 'meter=1');
      return text.includes('packet_in_count:3000 ') && text;
    });
    const lost = Number(/0: packet_count:(\d+)/.exec(stats)?.[1]);
    expect(lost).toBeGreaterThan(1900);
    expect(lost).toBeLessThanOrEqual(2000);
    await until('the others arrive', async () => (await receivedIp(b)) - before >= 3000 - lost);
    expect((await receivedIp(b)) - before).toBe(3000 - lost);
    expect((await dropped()) - droppedBefore).toBe(lost);
    expect(await ofctl('dump-flows', 'udp')).toContain('n_packets=3000,');
    const flow = (await flows()).find(({ actions }) => actions.includes('meter:1'));
    expect(flow).toMatchObject({ inKernel: isActive });
    await ofctl('del-meter', 'meter=1');
    expect(await ofctl('dump-flows', 'udp')).not.toContain('meter:1');
  });

  test('a device that is moved to another namespace is nobody’s port there; one that takes its name is', async () => {
    const mac = await b.mac();
    if (isActive) await warmUp('10.99.0.2', mac);
    const elsewhere = `${lab.switchNamespace}x`;
    await lab.addNamespace(elsewhere);
    await lab.inSwitch('ip', 'link', 'set', 'pb', 'netns', elsewhere);
    await sh('ip', '-n', elsewhere, 'link', 'set', 'pb', 'up');
    await until('the port waits for its device', async () => {
      const ports = (await lab.datapath('port.list', { bridge: 'br0' })) as {
        name: string;
        present: boolean;
      }[];
      return ports.some(({ name, present }) => name === 'pb' && !present);
    });
    await a.reaches('10.99.0.3');
    const before = await received(b);
    await send(mac, 200);
    await a.reaches('10.99.0.3');
    expect((await received(b)) - before).toBe(0);
    // Back under its name: the same device, with another life as a port.
    await sh('ip', '-n', elsewhere, 'link', 'set', 'pb', 'netns', lab.switchNamespace);
    await lab.inSwitch('ip', 'link', 'set', 'pb', 'up');
    await a.reaches('10.99.0.2', 20_000);
  });

  test('a link that goes down and comes up again loses no flow for good', async () => {
    if (isActive) await warmUp('10.99.0.2', await b.mac());
    await lab.inSwitch('ip', 'link', 'set', 'pb', 'down');
    await until('nobody answers', async () => (await a.ping('10.99.0.2', 1)) === 0);
    await a.reaches('10.99.0.3');
    await lab.inSwitch('ip', 'link', 'set', 'pb', 'up');
    await a.reaches('10.99.0.2');
  });

  test('weft-datapath --flush takes all of it away, and the next process begins anew', async () => {
    if (!isActive) return;
    const daemon = await until('weft-datapath runs', () => lab.pidOf('weft-datapath'));
    // Its supervisor would start another one at once; what it has mounted is where the pins are.
    const supervisor = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon}/status`, 'utf8'))?.[1]);
    const there = (...words: string[]) => sh('nsenter', '-t', String(supervisor), '-m', '-n', ...words);
    const punts = async () => (await there('ip', '-o', 'link')).match(/ weftp\w+a@/g) ?? [];
    process.kill(supervisor, 'SIGSTOP');
    try {
      process.kill(daemon, 'SIGKILL');
      // Its files, and with them its lock, are there until the last of its threads has gone.
      const hasEnded = () => /^State:\s+Z/m.test(readFileSync(`/proc/${daemon}/status`, 'utf8'));
      await until('it has ended', () => hasEnded() && readdirSync(`/proc/${daemon}/task`).length === 1);
      expect(await punts()).toHaveLength(1);
      expect((await there('ls', '/sys/fs/bpf/weft')).trim()).not.toBe('');
      await there(datapathBinary, '--flush', '--rundir', lab.rundir);
      expect(await punts()).toHaveLength(0);
      expect((await there('ls', '/sys/fs/bpf/weft')).trim()).toBe('');
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
    await until('another one runs', async () => {
      const pid = await lab.pidOf('weft-datapath');
      return pid !== null && pid !== daemon;
    });
    await until('all is in order', () => lab.isHealthy(), 60_000);
    await a.reaches('10.99.0.2', 30_000);
  });
});
