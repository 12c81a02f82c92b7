/**
 * A thousand ports added by ovs-vsctl, in one call and in a thousand, waiting for the switch and not: time beside Open
 * vSwitch (userspace datapath), in one run. The devices are there before.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, sh, until } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';
import { median, printTable, spread } from './measure.js';

/** The switch under test: where its database is, and how it is ended. */
interface Subject {
  readonly db: string;
  stop(): Promise<unknown>;
}

async function startWeft(lab: Lab): Promise<Subject> {
  await lab.startWeft();
  return { db: `unix:${lab.rundir}/db.sock`, stop: () => lab.stopWeft() };
}

async function startOvs(lab: Lab): Promise<Subject> {
  const ovs = await OpenVSwitch.start(lab);
  return { db: `unix:${ovs.rundir}/db.sock`, stop: () => ovs.stop() };
}

const allModes = [
  { name: 'one call', calls: 'one', waits: true },
  { name: 'one call, --no-wait', calls: 'one', waits: false },
  { name: 'a call for each', calls: 'many', waits: true },
  { name: 'a call for each, --no-wait', calls: 'many', waits: false },
] as const;
type Mode = (typeof allModes)[number];

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

/** Seconds that the calls take, from a shell, as a script would make them. */
async function addPorts(lab: Lab, db: string, mode: Mode, ports: readonly string[]): Promise<number> {
  const vsctl = ['ovs-vsctl', `--db=${db}`, '--timeout=120', ...(mode.waits ? [] : ['--no-wait'])];
  const words = (name: string, i: number) => ['add-port', 'br0', name, `tag=${(i % 100) + 1}`];
  const startedMs = performance.now();
  if (mode.calls === 'one') {
    const [command = '', ...first] = vsctl;
    await lab.inSwitch(command, ...first, ...ports.flatMap((name, i) => ['--', ...words(name, i)]));
  } else {
    const script = join(lab.folder, 'calls.sh');
    writeFileSync(
      script,
      `set -e\n${ports.map((name, i) => [...vsctl, ...words(name, i)].join(' ')).join('\n')}\n`,
    );
    await lab.inSwitch('sh', script);
  }
  return (performance.now() - startedMs) / 1000;
}

async function measure(
  name: string,
  start: (lab: Lab) => Promise<Subject>,
  ports: readonly string[],
  modes: readonly Mode[],
): Promise<number[]> {
  const lab = await Lab.create();
  try {
    await addDevices(lab, ports);
    const subject = await start(lab);
    const vsctl = (...args: string[]) =>
      lab.inSwitch('ovs-vsctl', `--db=${subject.db}`, '--timeout=60', ...args);
    const figures: number[] = [];
    for (const mode of modes) {
      await vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev');
      const seconds = await addPorts(lab, subject.db, mode, ports);
      process.stderr.write(`${name}, ${mode.name}: ${seconds.toFixed(2)} s\n`);
      figures.push(seconds);
      // What was not waited for is done before the next begins.
      await until(
        'the ports are there',
        async () => {
          const numbers = await vsctl('--bare', '--columns=ofport', 'find', 'Interface', 'ofport>0');
          return numbers.split('\n').filter(Boolean).length > ports.length;
        },
        120_000,
      );
      await vsctl('del-br', 'br0');
    }
    await subject.stop();
    return figures;
  } finally {
    await lab.close();
  }
}

/** `--reps=N` (3), `--ports=N` (1000), `--only=weft`, `--modes=0,2`: some of the rows. */
export default async function run(options: string[]): Promise<void> {
  const option = (name: string) => options.find((each) => each.startsWith(`--${name}=`))?.split('=')[1];
  const ports = Array.from({ length: Number(option('ports') ?? 1000) }, (_, i) => `d${i}`);
  const subjects = Object.entries({ weft: startWeft, 'open vswitch': startOvs }).filter(
    ([name]) => option('only') === undefined || option('only') === name,
  );
  const wanted = option('modes')?.split(',').map(Number);
  const modes = allModes.filter((_, i) => wanted?.includes(i) ?? true);
  const figures = new Map<string, number[][]>();
  for (let repetition = 0; repetition < Number(option('reps') ?? 3); repetition += 1) {
    for (const [name, start] of subjects)
      figures.set(name, [...(figures.get(name) ?? []), await measure(name, start, ports, modes)]);
  }
  const values = (name: string, i: number) => (figures.get(name) ?? []).map((each) => each[i] ?? Number.NaN);
  printTable([
    [`${ports.length} ports, seconds`, ...subjects.map(([name]) => name), 'weft / ovs'],
    ...modes.map(({ name }, i) => [
      name,
      ...subjects.map(([subject]) => spread(values(subject, i), 2)),
      `${(median(values('weft', i)) / median(values('open vswitch', i))).toFixed(2)} ×`,
    ]),
  ]);
}
