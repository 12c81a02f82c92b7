/**
 * `npm run fuzz:api -- [--python PATH] [--examples N] [--seconds N] [-- MORE…]`: Schemathesis against a running Weft.
 *
 * The switch runs in a network namespace and a run directory of its own, with a real datapath. Schemathesis comes from
 * PATH, or with `--python` from that Python. What follows `--` is passed on to it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { setUp } from './setup.mjs';
import {
  PlainError,
  datapathBinary,
  mustRun,
  readCommand,
  requireRoot,
  root,
  runCommand,
  runMain,
} from './tools.mjs';

const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
  'allow_header_conformance',
];
const URL = 'http://127.0.0.1:8080';

await runMain(async () => {
  const { values, positionals } = parseArgs({
    options: {
      python: { type: 'string' },
      examples: { type: 'string', default: '150' },
      seconds: { type: 'string', default: '1200' },
    },
    allowPositionals: true,
  });
  requireRoot(': the switch runs in a network namespace');
  const schemathesis = values.python ? join(dirname(values.python), 'schemathesis') : 'schemathesis';
  if (readCommand(schemathesis, ['--version']) === null)
    throw new PlainError(
      'there is no schemathesis: pip install it into a venv, and give --python VENV/bin/python',
    );
  await setUp({ tests: false });
  await build();
  const namespace = `weft-fuzz-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'weft-fuzz-'));
  const inside = (/** @type {string[]} */ ...command) => ['netns', 'exec', namespace, ...command];
  /** @type {import('node:child_process').ChildProcess[]} */
  const daemons = [];
  const start = (/** @type {string[]} */ ...command) => {
    daemons.push(spawn('ip', inside(...command), { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }));
  };
  try {
    await mustRun('making a namespace', 'ip', ['netns', 'add', namespace]);
    await mustRun('loopback', 'ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    start(datapathBinary, '--rundir', folder);
    start(
      process.execPath,
      `${root}dist/src/main.js`,
      '--rundir',
      folder,
      '--db',
      `${folder}/conf.db`,
      '--log-level',
      'error',
    );
    const options = [
      '--wait-for-schema',
      '60',
      '--checks',
      CHECKS.join(','),
      '--continue-on-failure',
      '--no-shrink',
    ];
    const amount = [
      '-n',
      values.examples,
      '--max-time',
      values.seconds,
      '--phases',
      'examples,coverage,fuzzing',
    ];
    return await runCommand(
      'ip',
      inside(
        schemathesis,
        'run',
        `${URL}/openapi.json`,
        ...options,
        ...amount,
        '--suppress-health-check',
        'all',
        ...positionals,
      ),
      { cwd: folder },
    );
  } finally {
    for (const daemon of daemons) daemon.kill('SIGTERM');
    await Promise.all(
      daemons.map((daemon) => daemon.exitCode ?? new Promise((resolve) => daemon.once('close', resolve))),
    );
    readCommand('ip', ['netns', 'del', namespace]);
    rmSync(folder, { recursive: true, force: true });
  }
});
