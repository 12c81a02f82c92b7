/**
 * A thousand ports added by ovs-vsctl, in one call and in a thousand, waiting for the switch and not: time beside Open
 * vSwitch (userspace datapath), in one run. The devices are there before. Of a thousand calls both switches take turns of
 * {@link TURN}, so that whatever else the machine does falls to both alike; where time runs out before all are made, the
 * table says how many it is about.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, sh, until } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { median, printTable, readOptions, spread } from './measure.js';

/** As many calls in a row before it is the other switch's turn. */
const TURN = 25;

const allModes = [
  { name: 'one call', calls: 'one', waits: true },
  { name: 'one call, --no-wait', calls: 'one', waits: false },
  { name: 'a call for each', calls: 'many', waits: true },
  { name: 'a call for each, --no-wait', calls: 'many', waits: false },
] as const;
type Mode = (typeof allModes)[number];

const switches: Readonly<Record<string, (lab: Lab) => Promise<string>>> = {
  weft: async (lab) => {
    await lab.startWeft();
    return `unix:${lab.rundir}/db.sock`;
  },
  'open vswitch': async (lab) => `unix:${(await OpenVSwitch.start(lab)).rundir}/db.sock`,
};

/** The switch under test, in a namespace of its own with devices that become ports. */
class Subject {
  private constructor(
    readonly name: string,
    readonly lab: Lab,
    readonly db: string,
  ) {}

  static async start(name: string, ports: readonly string[]): Promise<Subject> {
    const lab = await Lab.create();
    try {
      await addDevices(lab, ports);
      const db = await switches[name]?.(lab);
      if (db === undefined)
        throw new Error(`no switch ${name}; there are: ${Object.keys(switches).join(', ')}`);
      return new Subject(name, lab, db);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  vsctl(...args: string[]): Promise<string> {
    return this.lab.inSwitch('ovs-vsctl', `--db=${this.db}`, '--timeout=120', ...args);
  }

  /** Seconds that the calls take, from a shell, as a script would make them. */
  async addPorts(mode: Mode, ports: readonly string[], first = 0): Promise<number> {
    const options = [`--db=${this.db}`, '--timeout=120', ...(mode.waits ? [] : ['--no-wait'])];
    const commands = ports.map((name, i) => ['add-port', 'br0', name, `tag=${((first + i) % 100) + 1}`]);
    const script = join(this.lab.folder, 'calls.sh');
    const lines = commands.map((words) => ['ovs-vsctl', ...options, ...words].join(' '));
    writeFileSync(script, `set -e\n${lines.join('\n')}\n`);
    const startedMs = performance.now();
    if (mode.calls === 'many') await this.lab.inSwitch('sh', script);
    else await this.lab.inSwitch('ovs-vsctl', ...options, ...commands.flatMap((words) => ['--', ...words]));
    return (performance.now() - startedMs) / 1000;
  }

  /** What was not waited for is done. */
  async settled(ports: number): Promise<void> {
    await until(
      'the ports are there',
      async () => {
        const numbers = await this.vsctl('--bare', '--columns=ofport', 'find', 'Interface', 'ofport>0');
        return numbers.split('\n').filter(Boolean).length > ports;
      },
      120_000,
    );
  }
}

/** Makes devices in the switch's namespace, all at once: pairs of veth, both ends of which become ports. */
async function addDevices(lab: Lab, names: readonly string[]): Promise<void> {
  const batch = join(lab.folder, 'devices');
  const lines = names.flatMap((name, i) => {
    const other = names[i + 1];
    const pair =
      other === undefined ? `${name} type veth peer name spare` : `${name} type veth peer name ${other}`;
    return i % 2 === 0 ? [`link add ${pair}`, `link set ${name} up`] : [`link set ${name} up`];
  });
  writeFileSync(batch, `${lines.join('\n')}\n`);
  await sh('ip', '-n', lab.switchNamespace, '-batch', batch);
}

interface Figures {
  /** Of all calls together, for each subject. */
  readonly seconds: readonly number[];
  /** As many as there was time for. */
  readonly ports: number;
}

/** @param limitS how long all calls together may take; a turn that has begun is ended */
async function measure(
  subjects: readonly Subject[],
  mode: Mode,
  ports: readonly string[],
  limitS: number,
): Promise<Figures> {
  for (const subject of subjects)
    await subject.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev');
  const seconds = subjects.map(() => 0);
  const size = mode.calls === 'one' ? ports.length : TURN;
  let done = 0;
  while (done < ports.length && seconds.reduce((a, b) => a + b, 0) < limitS) {
    const turn = ports.slice(done, done + size);
    const taken: number[] = [];
    for (const [i, subject] of subjects.entries()) {
      const turnS = await subject.addPorts(mode, turn, done);
      seconds[i] = (seconds[i] ?? 0) + turnS;
      taken.push(turnS);
    }
    done += turn.length;
    const each = subjects.map(
      ({ name }, i) => `${name} ${(((taken[i] ?? 0) / turn.length) * 1000).toFixed(1)}`,
    );
    process.stderr.write(`${mode.name}, ${done} ports: ms for each: ${each.join(', ')}\n`);
  }
  for (const subject of subjects) {
    await subject.settled(done);
    await subject.vsctl('del-br', 'br0');
  }
  return { seconds, ports: done };
}

/** `--reps=N` (3), `--ports=N` (1000), `--only=weft`, `--modes=0,2`: some of the rows, `--limit=S` (150) for each of them. */
export default async function run(options: string[]): Promise<void> {
  const { word, number } = readOptions(options);
  const ports = Array.from({ length: number('ports', 1000) }, (_, i) => `d${i}`);
  const names = Object.keys(switches).filter((name) => (word('only') ?? name) === name);
  const wanted = word('modes')?.split(',').map(Number);
  const modes = allModes.filter((_, i) => wanted?.includes(i) ?? true);
  const figures = modes.map((): Figures[] => []);
  for (let repetition = 0; repetition < number('reps', 3); repetition += 1) {
    const subjects: Subject[] = [];
    try {
      for (const name of names) subjects.push(await Subject.start(name, ports));
      for (const [i, mode] of modes.entries())
        figures[i]?.push(await measure(subjects, mode, ports, number('limit', 150)));
    } finally {
      for (const { lab } of subjects) await lab.close();
    }
  }
  printTable([
    ['seconds', 'ports', ...names, 'weft / ovs'],
    ...modes.map(({ name }, i) => {
      const runs = figures[i] ?? [];
      const columns = names.map((_, column) => runs.map(({ seconds }) => seconds[column] ?? Number.NaN));
      const [weft = [], ovs = []] = columns;
      const ratio = `${median(weft.map((each, k) => each / (ovs[k] ?? Number.NaN))).toFixed(2)} ×`;
      return [name, spread(runs.map((each) => each.ports)), ...columns.map((each) => spread(each, 2)), ratio];
    }),
  ]);
}
