/**
 * `ovs-vsctl`, `ovs-appctl` and `ovs-ofctl` for machines without Open vSwitch: one program that is whichever name it is
 * called by. `weft-tools NAME …` is the same without the links.
 */
import { basename } from 'node:path';
import { TargetError } from '../ovsdb/remote/client.js';
import { Fatal } from './fatal.js';

type Main = (argv: readonly string[]) => Promise<number>;

/** Only what is called is loaded: scripts call these a thousand times. */
const PROGRAMS: Readonly<Record<string, () => Promise<{ main: Main }>>> = {
  'ovs-vsctl': () => import('./vsctl/main.js'),
  'ovs-appctl': () => import('./appctl.js'),
  'ovs-ofctl': () => import('./ofctl/main.js'),
  install: () => import('./install.js'),
};

const USAGE = `usage: weft-tools ovs-vsctl|ovs-appctl|ovs-ofctl [ARGUMENT]...
       weft-tools install [--dir DIR] [--remove]   put them where a shell finds them, unless others are there
`;

async function run(): Promise<number> {
  const [, script = '', ...rest] = process.argv;
  const called = basename(script);
  const [name, argv] =
    called.startsWith('ovs-') && Object.hasOwn(PROGRAMS, called)
      ? [called, rest]
      : [rest[0] ?? '', rest.slice(1)];
  const load = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined;
  if (!load) {
    process.stderr.write(USAGE);
    return name === '' || name === '--help' ? 0 : 1;
  }
  try {
    return await (await load()).main(argv);
  } catch (error) {
    if (!(error instanceof Fatal || error instanceof TargetError)) throw error;
    process.stderr.write(`${name === 'install' ? 'weft-tools' : name}: ${error.message}\n`);
    return error instanceof Fatal ? error.status : 1;
  }
}

// Whoever reads our output may stop reading, as head(1) does.
process.stdout.on('error', () => process.exit(0));
void run().then((status) => (process.exitCode = status));
