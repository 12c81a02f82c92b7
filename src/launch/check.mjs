/** `npm run check`: format, lint, types and the rules of dependency, for both languages. */
import { readCommand, root, runCommand, runMain } from './tools.mjs';

const manifest = `${root}datapath/Cargo.toml`;
/** @param {string} name */
const bin = (name) => `${root}node_modules/.bin/${name}`;

/** @type {[what: string, command: string, args: string[]][]} */
const steps = [
  ['TypeScript types', bin('tsc'), ['-b']],
  ['types of node-openflow’s tests', bin('tsc'), ['-p', 'openflow/test/tsconfig.json']],
  ['TypeScript format', bin('prettier'), ['--check', '--log-level=warn', '.']],
  ['TypeScript lint', bin('eslint'), ['.', '--max-warnings=0']],
  [
    'TypeScript dependencies',
    bin('depcruise'),
    ['--config', '.dependency-cruiser.cjs', 'src', 'openflow/src', '--output-type', 'err'],
  ],
  ['Rust format', 'cargo', ['fmt', '--manifest-path', manifest, '--all', '--check']],
  [
    'Rust lint',
    'cargo',
    [
      'clippy',
      '--quiet',
      '--locked',
      '--manifest-path',
      manifest,
      '--workspace',
      '--all-targets',
      '--',
      '-D',
      'warnings',
    ],
  ],
];

/** Which crates of ours each crate may use (ARCHITECTURE.md, "Who imports whom"). */
const crateRules = {
  'weft-frame': [],
  'weft-openflow': [],
  'weft-classifier': ['weft-frame'],
  'weft-pipeline': ['weft-frame', 'weft-classifier', 'weft-openflow'],
  'weft-agent': ['weft-frame', 'weft-openflow', 'weft-pipeline'],
  'weft-netdev': ['weft-frame'],
  'weft-loadgen': ['weft-frame', 'weft-netdev'],
  'weft-fastpath': ['weft-frame', 'weft-pipeline'],
  'weft-switchd': [
    'weft-frame',
    'weft-openflow',
    'weft-pipeline',
    'weft-agent',
    'weft-netdev',
    'weft-fastpath',
  ],
};

function checkCrates() {
  const text = readCommand('cargo', [
    'metadata',
    '--no-deps',
    '--format-version',
    '1',
    '--manifest-path',
    manifest,
  ]);
  /** @type {{ packages: { name: string, dependencies: { name: string }[] }[] }} */
  const { packages } = JSON.parse(text ?? '{"packages":[]}');
  let faults = packages.length === 0 ? 1 : 0;
  for (const { name, dependencies } of packages) {
    const allowed = /** @type {Record<string, string[]>} */ (crateRules)[name];
    const own = dependencies
      .map((dependency) => dependency.name)
      .filter((other) => other.startsWith('weft-'));
    for (const other of allowed ? own.filter((each) => !allowed.includes(each)) : [`(no rule for ${name})`]) {
      process.stderr.write(`${name} must not depend on ${other}\n`);
      faults += 1;
    }
  }
  return faults;
}

/** Parts of the Rust toolchain that not every distribution has: Debian's rustc-web comes without clippy. */
function isMissing(/** @type {string} */ command, /** @type {string[]} */ args) {
  return command === 'cargo' && readCommand('cargo', [args[0] ?? '', '--version']) === null;
}

/** Runs every check, says each failure; the status is the number of failures. */
export async function check() {
  let faults = 0;
  for (const [what, command, args] of steps) {
    if (isMissing(command, args)) {
      process.stderr.write(`check: ${what} left out, as this Rust toolchain has no cargo ${args[0]}\n`);
      continue;
    }
    const status = await runCommand(command, args);
    if (status !== 0) {
      process.stderr.write(`check: ${what} failed\n`);
      faults += 1;
    }
  }
  return faults + checkCrates();
}

if (process.argv[1] === new URL(import.meta.url).pathname) await runMain(check);
