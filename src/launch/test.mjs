/**
 * `npm test`: sets up, builds, and runs everything: static checks, Rust tests, TypeScript unit and model tests,
 * system and interop tests in network namespaces, and short fuzz runs. Ends with one plain line of totals.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import { check } from './check.mjs';
import { setUp } from './setup.mjs';
import { requireRoot, root, runCommand, runMain } from './tools.mjs';

const fuzzSeconds = Number(process.env.WEFT_FUZZ_SECONDS ?? 20);

const totals = { passed: 0, failed: 0 };
/** @type {string[]} */
const failures = [];

/**
 * @param {string} name
 * @param {number} passed
 * @param {number} failed
 * @param {number} status of the runner; non-zero without a failed test counts as one failure
 */
function count(name, passed, failed, status) {
  totals.passed += passed;
  totals.failed += status !== 0 && failed === 0 ? 1 : failed;
  if (status !== 0 || failed > 0) failures.push(name);
}

async function runCargo() {
  const args = ['test', '--locked', '--workspace', '--no-fail-fast'];
  args.push('--manifest-path', `${root}datapath/Cargo.toml`);
  const child = spawn('cargo', args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    process.stdout.write(text);
  });
  const status = await new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  let [passed, failed] = [0, 0];
  for (const result of output.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed/gm)) {
    passed += Number(result[1]);
    failed += Number(result[2]);
  }
  count('cargo test', passed, failed, status);
}

/** @param {'unit' | 'system'} project */
async function runVitest(project) {
  const folder = mkdtempSync(join(tmpdir(), 'weft-test-'));
  const report = join(folder, 'report.json');
  const status = await runCommand(process.execPath, [
    `${root}node_modules/vitest/vitest.mjs`,
    'run',
    '--config',
    'test/vitest.config.ts',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ]);
  /** @type {{ numPassedTests: number, numFailedTests: number }} */
  let result = { numPassedTests: 0, numFailedTests: 0 };
  try {
    result = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    // No report: the runner itself failed, which its status says.
  }
  rmSync(folder, { recursive: true, force: true });
  count(`vitest ${project}`, result.numPassedTests, result.numFailedTests, status);
}

/**
 * @param {string} name
 * @param {() => Promise<number>} run
 */
async function runStep(name, run) {
  const status = await run();
  count(name, status === 0 ? 1 : 0, status === 0 ? 0 : 1, status);
}

await runMain(async () => {
  requireRoot(': the system tests make network namespaces and open packet sockets');
  await setUp({ tests: true });
  await build();
  await runStep('static checks', check);
  await runCargo();
  await runVitest('unit');
  await runVitest('system');
  await runStep('fuzzing', () => runCommand('bash', [`${root}datapath/fuzz/run.sh`, String(fuzzSeconds)]));
  if (failures.length > 0) process.stdout.write(`failed: ${failures.join(', ')}\n`);
  process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
  return totals.failed > 0 ? 1 : 0;
});
