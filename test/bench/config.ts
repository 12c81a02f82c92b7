/**
 * The declarative configuration: a document of a thousand ports put on an empty switch, put again unchanged, and one
 * port's VLAN changed again and again, by the document and by a merge patch of the port, while 50,000 frames a second
 * cross between others. Says times, processor time, OpenFlow messages and lost frames; last, what it takes to remove all.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { changesSent, Lab, sh, until, type Host } from '../system/lab.js';
import { cpuMs, loadgen, printTable, readOptions, receivedFrames, spread } from './measure.js';

interface Measured {
  readonly wallMs: number;
  readonly weftdMs: number;
  readonly datapathMs: number;
  /** OpenFlow messages by type, questions and echoes aside. */
  readonly messages: Record<string, number>;
}

/** Hosts of which one sends to the other, in a VLAN of their own. */
interface Pair {
  readonly from: Host;
  readonly to: Host;
}

const FIRST_TRAFFIC_VLAN = 2000;

/** Makes devices in the switch's namespace, all at once: pairs of veth, both ends of which become ports. */
async function addDevices(lab: Lab, names: readonly string[]): Promise<void> {
  const batch = join(lab.folder, 'devices');
  const lines = names.flatMap((name, i) =>
    i % 2 === 0
      ? [`link add ${name} type veth peer name ${names[i + 1] ?? 'spare'}`, `link set ${name} up`]
      : [`link set ${name} up`],
  );
  writeFileSync(batch, `${lines.join('\n')}\n`);
  await sh('ip', '-n', lab.switchNamespace, '-batch', batch);
}

async function addPairs(lab: Lab, count: number): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let i = 0; i < count; i += 1) {
    const from = await lab.addHost(`pa${i}`, `10.99.${i}.1/24`);
    pairs.push({ from, to: await lab.addHost(`pb${i}`, `10.99.${i}.2/24`) });
  }
  return pairs;
}

class Ruler {
  readonly rows: string[][] = [
    ['work', 'ms', 'weftd CPU ms', 'datapath CPU ms', 'load', 'changing OpenFlow messages'],
  ];
  #weftd = 0;
  #datapath = 0;

  constructor(private readonly lab: Lab) {}

  async start(): Promise<void> {
    this.#weftd = (await this.lab.pidOf('weftd')) ?? 0;
    this.#datapath = (await this.lab.pidOf('weft-datapath')) ?? 0;
  }

  async measure(work: () => Promise<unknown>, isNew = false): Promise<Measured> {
    const sent = isNew ? new Map<string, number>() : await this.lab.openFlowSent('br0');
    const [weftdMs, datapathMs] = [cpuMs([this.#weftd]), cpuMs([this.#datapath])];
    const startedMs = performance.now();
    await work();
    return {
      wallMs: performance.now() - startedMs,
      weftdMs: cpuMs([this.#weftd]) - weftdMs,
      datapathMs: cpuMs([this.#datapath]) - datapathMs,
      messages: changesSent(sent, await this.lab.openFlowSent('br0')),
    };
  }

  say(work: string, all: readonly Measured[]): void {
    const figures = (['wallMs', 'weftdMs', 'datapathMs'] as const).map((key) => all.map((each) => each[key]));
    const total: Record<string, number> = {};
    for (const { messages } of all)
      for (const [type, count] of Object.entries(messages)) total[type] = (total[type] ?? 0) + count;
    const texts = Object.entries(total).map(([type, count]) => `${count} ${type}`);
    const cells = figures.map((values) =>
      values.length === 1 ? `${values[0]?.toFixed(0)}` : spread(values),
    );
    this.rows.push([work, ...cells, loadavg()[0]?.toFixed(1) ?? '', texts.join(', ') || 'none']);
  }
}

/** Frames from one host of each pair to the other, and where those that do not arrive are lost. */
class Traffic {
  constructor(
    private readonly lab: Lab,
    private readonly pairs: readonly Pair[],
    private readonly rate: number,
  ) {}

  /** Does `work` again and again while frames are sent; one row of a table. */
  async during(what: string, seconds: number, work: () => Promise<void>): Promise<string[]> {
    const { pairs } = this;
    const before = await this.#places();
    let isOver = false;
    const sending = Promise.all(
      pairs.map(async ({ from, to }) => {
        const report = await from.run(
          ...[loadgen, '--interface', 'eth0', '--destination', await to.mac(), '--source', await from.mac()],
          ...['--flows', '10', '--rate', String(Math.round(this.rate / pairs.length))],
          ...['--seconds', String(seconds)],
        );
        return (JSON.parse(report) as { sent: number }).sent;
      }),
    ).finally(() => (isOver = true));
    while (!isOver) {
      await work();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const sent = (await sending).reduce((sum, each) => sum + each, 0);
    const since = async () => (await this.#places()).map((value, i) => value - (before[i] ?? 0));
    await until('the last frame', async () => ((await since())[0] ?? 0) >= sent, 3_000).catch(
      () => undefined,
    );
    const [received = 0, ...losses] = await since();
    const places = ['not read in time by the switch', 'not taken by its port', 'not taken by the host'];
    const where = losses.flatMap((count, i) => (count > 0 ? [`${count} ${places[i]}`] : []));
    const lost = String(Math.max(0, sent - received));
    return [what, String(sent), (sent / seconds).toFixed(0), String(received), lost, where.join(', ')];
  }

  /** Frames received by the hosts, then those lost: in sockets, on the way out, on the hosts' devices. */
  async #places(): Promise<number[]> {
    const text = await this.lab.inSwitch(
      ...['ovs-ofctl', '-O', 'OpenFlow13', 'dump-ports', `unix:${this.lab.rundir}/br0.mgmt`],
    );
    const sum = (direction: string) =>
      [...text.matchAll(new RegExp(`${direction} pkts=\\d+, bytes=\\d+, drop=(\\d+)`, 'g'))].reduce(
        (total, [, drop]) => total + Number(drop),
        0,
      );
    const hosts = await Promise.all(
      this.pairs.map(async ({ to }) => [
        await receivedFrames(to),
        Number(await to.run('cat', '/sys/class/net/eth0/statistics/rx_dropped')),
      ]),
    );
    const total = (i: number) => hosts.reduce((all, each) => all + (each[i] ?? 0), 0);
    return [total(0), sum('rx'), sum('tx'), total(1)];
  }
}

/**
 * `--ports=N` (1000), `--pairs=N` of hosts with traffic (5), `--rate=N` frames a second in all (50,000), `--seconds=N`
 * of traffic (20).
 */
export default async function run(options: string[]): Promise<void> {
  const { number } = readOptions(options);
  const [count, rate, seconds] = [number('ports', 1000), number('rate', 50_000), number('seconds', 20)];
  const pairCount = number('pairs', 5);
  const lab = await Lab.create();
  try {
    const names = Array.from({ length: count - 2 * pairCount }, (_, i) => `d${i}`);
    await addDevices(lab, names);
    const pairs = await addPairs(lab, pairCount);
    await lab.startWeft();
    const ruler = new Ruler(lab);
    await ruler.start();
    const ports: Record<string, { tag: number }> = {};
    for (const [i, name] of names.entries()) ports[name] = { tag: (i % 100) + 1 };
    for (const [i, { from, to }] of pairs.entries())
      for (const { port } of [from, to]) ports[port] = { tag: FIRST_TRAFFIC_VLAN + i };
    // An answer that something is pending is not the end.
    const converged = () => until('converged', () => lab.isHealthy(), 120_000);
    const put = async () => {
      await lab.must('PUT', '/v1/config', { bridges: { br0: { ports } } });
      await converged();
    };
    const patch = async (name: string, tag: number) => {
      await lab.must('PATCH', `/v1/bridges/br0/ports/${name}`, { tag });
      await converged();
    };

    ruler.say(`PUT of ${count} ports on an empty switch`, [await ruler.measure(put, true)]);
    const again: Measured[] = [];
    for (let i = 0; i < 5; i += 1) again.push(await ruler.measure(put));
    ruler.say('PUT of the same, 5 times', again);

    for (const [i, { from }] of pairs.entries()) await from.reaches(`10.99.${i}.2`);
    const flows = [
      await new Traffic(lab, pairs, rate).during('nothing changes', seconds / 2, async () => {}),
    ];
    const changes: { put: Measured[]; patch: Measured[] } = { put: [], patch: [] };
    let turn = 0;
    const change = async () => {
      const name = names[(turn * 7) % names.length] ?? 'd0';
      const tag = 500 + (turn % 1000);
      ports[name] = { tag };
      if (turn % 2 === 0) changes.put.push(await ruler.measure(put));
      else changes.patch.push(await ruler.measure(() => patch(name, tag)));
      turn += 1;
    };
    flows.push(await new Traffic(lab, pairs, rate).during('VLANs of others change', seconds, change));
    ruler.say(`one port’s VLAN by PUT of all, under load, ${changes.put.length} times`, changes.put);
    ruler.say(`one port’s VLAN by PATCH, under load, ${changes.patch.length} times`, changes.patch);

    const remove = async () => {
      await lab.must('PUT', '/v1/config', { bridges: { br0: { ports: {} } } });
      await converged();
    };
    ruler.say('PUT of none of them', [await ruler.measure(remove)]);
    printTable(ruler.rows);
    process.stdout.write('\n');
    printTable([['traffic while', 'frames sent', 'per second', 'received', 'lost', 'lost where'], ...flows]);
    await lab.stopWeft();
  } finally {
    await lab.close();
  }
}
