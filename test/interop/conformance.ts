/**
 * The public switch-conformance cases of Ryu and os-ken against weft-datapath (README.md here).
 *
 *     controller (os-ken's tester) ── target: weft-datapath, ports 1–3
 *                                  └─ tester: Open vSwitch or weft-datapath, ports 1–3
 *
 * Each case programs the target, sends a frame from the tester's port 1 and compares what comes back.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { datapathBinary, Lab, projectRoot, sh, until } from '../system/lab.js';
import { OpenVSwitch } from '../system/ovs.js';

const CONTROLLER = 'tcp:127.0.0.1:6633';
const TARGET_DPID = '0000000000000001';
const TESTER_DPID = '0000000000000002';
const PORTS = [1, 2, 3];
/** Arguments of nice: cases of load depend on the time that the three get. */
const EAGER = ['-n', '-15'];
/** The longest a case may keep silent: 30 s of load, and what it waits for. */
const SILENCE_MS = 90_000;

const USAGE = `npm run conformance -- --suite DIR --python PATH [options]
  --suite DIR     checkout of Ryu or os-ken (or its package's folder) with tests/switch/of13
  --python PATH   a Python that has os-ken
  --only WORD     only files whose path contains WORD, such as group or 19_PUSH_MPLS
  --seconds N     seconds of load per case of groups and meters, instead of 30, for a quick look
  --datapath FILE the weft-datapath to test; this project's release build without it
  --tester NAME   the switch beside the target: ovs, weft, or (the default) both: Open vSwitch in cases of one frame,
                  weft-datapath in cases of load, where Open vSwitch as the tester must be set up does not keep up
  --as-shipped    without making good the tester's own faults (conformance.py)
  --log FILE      keep the tester's output`;

export interface Options {
  /** Folder of cases. */
  cases: string;
  /** Which files, by their path in it. */
  wanted: (path: string) => boolean;
  python: string;
  tester: 'ovs' | 'weft';
  asShipped: boolean;
  /** Seconds of load, if not what the case asks for. */
  seconds: string | undefined;
  /** The binary to test. */
  datapath: string;
  log: string | undefined;
}

export interface Case {
  /** Title of the file, such as `match: 04_ETH_SRC (Mask)`. */
  file: string;
  description: string;
  /** Why it failed; null if it passed. */
  failure: string | null;
}

/** Match fields that every switch must have (OF 1.3.5 §7.2.3.7). */
const REQUIRED_FIELDS =
  /^match: \d+_(IN_PORT|ETH_DST|ETH_SRC|ETH_TYPE|IP_PROTO|IPV[46]_(SRC|DST)|(TCP|UDP)_(SRC|DST))( \(|$)/;

/** Whether the specification requires what the case needs: 114 cases do. Tags other than none are optional. */
export function isRequired({ file, description }: Pick<Case, 'file' | 'description'>): boolean {
  if (file === 'action: 00_OUTPUT' || file === 'group: 00_ALL') return true;
  return REQUIRED_FIELDS.test(file) && !/^ethernet(\([^)]*\))?\/(s?vlan|mpls|itag)/.test(description);
}

export function categoryOf(file: string): string {
  return file.startsWith('action: set_field') ? 'set_field' : file.replace(/:.*/, '');
}

/** Reads the tester's output, line by line. */
export class Report {
  readonly cases: Case[] = [];
  #file = '';
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  line(line: string): void {
    if (this.#ended) return;
    const result = /^ {4}(\S.*?) +(OK|ERROR)$/.exec(line);
    const last = this.cases.at(-1);
    if (line.startsWith('---  Test end')) this.#ended = true;
    else if (result) {
      const failure = result[2] === 'OK' ? null : 'no reason given';
      this.cases.push({ file: this.#file, description: result[1] ?? '', failure });
    } else if (/^ {8}\S/.test(line) && last?.failure === 'no reason given') last.failure = line.trim();
    else if (/^(action|match|group|meter): /.test(line)) this.#file = line.trim();
  }
}

function score(cases: readonly Case[]): string {
  return `${cases.filter((one) => one.failure === null).length}/${cases.length}`;
}

/** The result as a table, and each failure with its reason. */
export function render(cases: readonly Case[]): string {
  const row = (...cells: string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(12) : cell.padStart(10))).join('');
  const line = (name: string, of: readonly Case[]) =>
    row(name, score(of.filter(isRequired)), score(of.filter((one) => !isRequired(one))), score(of));
  const lines = [row('', 'required', 'optional', 'all')];
  for (const name of new Set(cases.map((one) => categoryOf(one.file))))
    lines.push(
      line(
        name,
        cases.filter((one) => categoryOf(one.file) === name),
      ),
    );
  lines.push(line('total', cases));
  for (const { file, description, failure } of cases)
    if (failure !== null) lines.push('', `${file}: ${description}`, `  ${failure}`);
  return `${lines.join('\n')}\n`;
}

async function startWeft(
  lab: Lab,
  binary: string,
  role: string,
  dpid: string,
  letter: string,
): Promise<void> {
  const rundir = join(lab.folder, role);
  const ports = PORTS.map((n) => `port=${letter}${n}:${n}`).join(',');
  const bridge = `name=${role},dpid=${dpid},controller=${CONTROLLER},${ports}`;
  lab.spawnInSwitch('nice', [...EAGER, binary, '--rundir', rundir, '--bridge', bridge]);
  await until(`${role} listens`, () => existsSync(join(rundir, 'weft-datapath.sock')));
}

async function startOpenVSwitch(lab: Lab): Promise<void> {
  const ovs = await OpenVSwitch.start(lab);
  // It answers barriers before its cache of flows follows: the packet of the next case may still meet flows of the last
  // one and get lost. Without that cache it settles at once, as the target must.
  for (const pid of ovs.pids) await sh('renice', ...EAGER, '-p', String(pid));
  await ovs.vsctl('set', 'Open_vSwitch', '.', 'other_config:flow-limit=0');
  await ovs.addBridge('tester');
  const settings = ['protocols=OpenFlow13', 'fail-mode=secure', `other-config:datapath-id=${TESTER_DPID}`];
  await ovs.vsctl('set', 'bridge', 'tester', ...settings);
  for (const n of PORTS)
    await ovs.vsctl('add-port', 'tester', `t${n}`, '--', 'set', 'interface', `t${n}`, `ofport_request=${n}`);
  await ovs.vsctl('set-controller', 'tester', CONTROLLER);
}

/** The files of cases that are wanted. */
function filesOf({ cases, wanted }: Options): string[] {
  const files = readdirSync(cases, { recursive: true, encoding: 'utf8' });
  return files.filter((path) => path.endsWith('.json') && wanted(path));
}

/** Runs the cases, prints each file's score as it is known, and returns all results. */
export async function runCases(options: Options): Promise<Case[]> {
  const files = filesOf(options);
  if (files.length === 0) return [];
  const lab = await Lab.create();
  const lines: string[] = [];
  try {
    for (const n of PORTS) {
      await lab.inSwitch('ip', 'link', 'add', 'name', `p${n}`, 'type', 'veth', 'peer', 'name', `t${n}`);
      for (const end of [`p${n}`, `t${n}`]) {
        await lab.inSwitch('ip', 'link', 'set', end, 'up');
        // Checksums are compared too: nothing may be left to a NIC that is not there.
        await lab.inSwitch('ethtool', '-K', end, 'tx', 'off');
      }
    }
    await (options.tester === 'ovs'
      ? startOpenVSwitch(lab)
      : startWeft(lab, options.datapath, 'tester', TESTER_DPID, 't'));
    await startWeft(lab, options.datapath, 'target', TARGET_DPID, 'p');

    const script = join(projectRoot, 'test/interop/conformance.py');
    const flags = options.asShipped ? ['--as-shipped'] : [];
    if (options.seconds !== undefined) flags.push('--seconds', options.seconds);
    const cases = join(lab.folder, 'cases');
    mkdirSync(cases);
    for (const file of files) symlinkSync(join(options.cases, file), join(cases, file.replaceAll('/', '_')));
    const child = lab.spawnInSwitch('nice', [...EAGER, options.python, '-u', script, ...flags, cases]);
    const report = new Report();
    let heardMs = Date.now();
    let printed = 0;
    const print = (all: boolean) => {
      const file = report.cases[printed]?.file;
      const last = report.cases.at(-1)?.file;
      if (file === undefined || (file === last && !all)) return;
      const group = report.cases.slice(printed).filter((one) => one.file === file);
      printed += group.length;
      process.stdout.write(`${score(group).padStart(6)}  ${file}\n`);
    };
    const hear = (line: string) => {
      heardMs = Date.now();
      lines.push(line);
      report.line(line.trimEnd());
      print(false);
    };
    for (const stream of [child.stdout, child.stderr])
      if (stream) createInterface({ input: stream }).on('line', hear);
    await new Promise<void>((done, fail) => {
      const watch = setInterval(() => {
        if (Date.now() - heardMs > SILENCE_MS) end(`nothing heard for ${SILENCE_MS / 1000} s`);
      }, 1000);
      const end = (trouble: string) => {
        clearInterval(watch);
        if (report.ended) done();
        else fail(new Error(`${trouble}:\n${lines.slice(-30).join('\n')}`));
      };
      child.once('error', (error) => end(error.message));
      child.once('close', () => end('the tester ended early'));
    });
    print(true);
    return report.cases;
  } finally {
    if (options.log !== undefined) appendFileSync(options.log, `${lines.join('\n')}\n`);
    await lab.close();
  }
}

/** Finds the cases in a checkout, a package's folder, or the folder of cases itself. */
export function findCases(suite: string): string | null {
  const inside = ['', 'of13', 'tests/switch/of13', 'ryu/tests/switch/of13', 'os_ken/tests/switch/of13'];
  const folders = inside.map((path) => resolve(suite, path));
  return folders.find((folder) => existsSync(join(folder, 'action/00_OUTPUT.json'))) ?? null;
}

/** The command; resolves to the exit status. */
export async function runConformance(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      suite: { type: 'string' },
      python: { type: 'string' },
      only: { type: 'string' },
      tester: { type: 'string', default: 'both' },
      'as-shipped': { type: 'boolean', default: false },
      seconds: { type: 'string' },
      datapath: { type: 'string', default: datapathBinary },
      log: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { suite, python, tester } = values;
  if (values.help || !suite || !python || !['ovs', 'weft', 'both'].includes(tester)) {
    process.stderr.write(`${USAGE}\n`);
    return values.help ? 0 : 2;
  }
  const cases = findCases(suite);
  if (cases === null) {
    process.stderr.write(`no tests/switch/of13 in ${suite}\n`);
    return 2;
  }
  const only = values.only ?? '';
  const run = (name: 'ovs' | 'weft', wanted: (path: string) => boolean) =>
    runCases({
      cases,
      wanted: (path) => path.includes(only) && wanted(path),
      python,
      tester: name,
      asShipped: values['as-shipped'],
      seconds: values.seconds,
      datapath: values.datapath,
      log: values.log,
    });
  if (values.log !== undefined) writeFileSync(values.log, '');
  const results: Case[] = [];
  if (tester === 'both') {
    const isLoad = (path: string) => /^(group|meter)\//.test(path);
    results.push(...(await run('ovs', (path) => !isLoad(path))), ...(await run('weft', isLoad)));
  } else results.push(...(await run(tester === 'ovs' ? 'ovs' : 'weft', () => true)));
  if (results.length === 0) {
    process.stderr.write(`no cases with ${only} in ${cases}\n`);
    return 2;
  }
  process.stdout.write(`\n${render(results)}`);
  return results.every((one) => one.failure === null || !isRequired(one)) ? 0 : 1;
}
