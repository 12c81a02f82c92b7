/**
 * `npm run fuzz:api -- [--python PATH] [--examples N] [--seconds N] [--built] [-- MORE…]`: Schemathesis against a running
 * Weft.
 *
 * The switch runs in a network namespace and a run directory of its own, with a real datapath. Schemathesis comes from
 * PATH, or with `--python` from that Python. `--built`: with what was built before. What follows `--` is passed on to it.
 *
 * Names made up at random would meet nothing but 404. So one bridge with a port is always there (whatever the requests do
 * to it, it is put back), and most requests are about it: see test/api/fuzz/hooks.py.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
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
      built: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  requireRoot(': the switch runs in a network namespace');
  const schemathesis = values.python ? join(dirname(values.python), 'schemathesis') : 'schemathesis';
  if (readCommand(schemathesis, ['--version']) === null)
    throw new PlainError(
      'there is no schemathesis: pip install it into a venv, and give --python VENV/bin/python',
    );
  if (!values.built) {
    await setUp({ tests: false });
    await build();
  }
  const namespace = `weft-fuzz-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'weft-fuzz-'));
  const inside = (/** @type {string[]} */ ...command) => ['netns', 'exec', namespace, ...command];
  /** @type {import('node:child_process').ChildProcess[]} */
  const daemons = [];
  const start = (/** @type {string[]} */ ...command) => {
    daemons.push(spawn('ip', inside(...command), { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }));
  };
  /** @type {NodeJS.Timeout | undefined} */
  let keeper;
  try {
    await mustRun('making a namespace', 'ip', ['netns', 'add', namespace]);
    await mustRun('loopback', 'ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    start(datapathBinary, '--rundir', folder);
    start(
      process.execPath,
      `${root}dist/weftd/main.js`,
      '--rundir',
      folder,
      '--db',
      `${folder}/conf.db`,
      '--http',
      URL.replace('http://', ''),
      '--http',
      `unix:${folder}/api.sock`,
      '--log-level',
      'error',
    );
    keeper = setInterval(() => void putBack(`${folder}/api.sock`), 500);
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
      {
        cwd: folder,
        env: { ...process.env, SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: `${root}test/api/fuzz` },
      },
    );
  } finally {
    clearInterval(keeper);
    for (const daemon of daemons) daemon.kill('SIGTERM');
    await Promise.all(
      daemons.map((daemon) => daemon.exitCode ?? new Promise((resolve) => daemon.once('close', resolve))),
    );
    readCommand('ip', ['netns', 'del', namespace]);
    rmSync(folder, { recursive: true, force: true });
  }
});

/**
 * Makes the bridge and the port that the requests are about, where they are gone. What fails is tried again soon.
 * @param {string} socketPath
 */
async function putBack(socketPath) {
  for (const path of ['/v1/bridges/fuzz0', '/v1/bridges/fuzz0/ports/tap0']) {
    await new Promise((resolve) => {
      const headers = { 'if-none-match': '*', 'content-type': 'application/json' };
      const call = request({ socketPath, path, method: 'PUT', headers }, (answer) => {
        answer.resume().once('end', resolve);
      });
      call.once('error', resolve);
      call.end(path.includes('ports') ? '{"interfaces":[{"name":"tap0","type":"internal"}]}' : '{}');
    });
  }
}
