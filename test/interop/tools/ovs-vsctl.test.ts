/**
 * Our `ovs-vsctl` beside Open vSwitch's own: the command lines of ovs-vsctl.txt, one after the other, ours and the real one
 * each on a database server of their own. What they print, how they end and what they leave in the database is equal but
 * for uuids.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Fatal } from '../../../src/tools/fatal.js';
import { main } from '../../../src/tools/vsctl/main.js';
import { sh, until } from '../../system/lab.js';

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

const folder = mkdtempSync(join(tmpdir(), 'weft-tools-'));
const children: ChildProcess[] = [];
const lines = readFileSync(join(import.meta.dirname, 'ovs-vsctl.txt'), 'utf8')
  .trim()
  .split('\n');

const socketOf = (who: string) => `unix:${folder}/${who}.sock`;

function run(command: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

async function runOurs(args: readonly string[]): Promise<Outcome> {
  const outcome = { status: 0, stdout: '', stderr: '' };
  const io = {
    out: (text: string) => void (outcome.stdout += text),
    err: (text: string) => void (outcome.stderr += text),
  };
  try {
    outcome.status = await main(args, io);
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    outcome.stderr += `ovs-vsctl: ${error.message}\n`;
    outcome.status = error.status;
  }
  return outcome;
}

/** The words of a line, as a shell would part them: double quotes, backslashes. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let isQuoted = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? '';
    const next = line[i + 1] ?? '';
    if (c === '\\' && (!isQuoted || next === '"' || next === '\\'))
      word = (word ?? '') + (line[(i += 1)] ?? '');
    else if (c === '"') {
      isQuoted = !isQuoted;
      word ??= '';
    } else if (c === ' ' && !isQuoted) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + c;
  }
  if (word !== null) words.push(word);
  return words;
}

/** Uuids have no order that two databases could share: lines are compared sorted, uuids as such. */
function comparable({ status, stdout, stderr }: Outcome): object {
  const plain = (text: string) =>
    text
      .replaceAll(/^\d{4}-.*\|WARN\|.*\n/gm, '')
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
      .replaceAll(/(<a (?:name="|href="#)<uuid>">)[0-9a-f]{8}/g, '$1<uuid>')
      .replaceAll(/(real|weft)\.sock/g, 'db.sock')
      .split(/\n|\\n/)
      .sort();
  return { status, stdout: plain(stdout), stderr: plain(stderr) };
}

beforeAll(async () => {
  for (const who of ['real', 'weft']) {
    const db = join(folder, `${who}.db`);
    await sh('ovsdb-tool', 'create', db, '/usr/share/openvswitch/vswitch.ovsschema');
    const args = [db, `--remote=p${socketOf(who)}`, `--unixctl=${folder}/${who}.ctl`, '-vconsole:off'];
    children.push(
      spawn('ovsdb-server', args, { stdio: 'ignore', env: { ...process.env, OVS_RUNDIR: folder } }),
    );
  }
  for (const who of ['real', 'weft']) {
    await until(
      'ovsdb-server',
      async () => (await run('ovsdb-client', 'list-dbs', socketOf(who))).status === 0,
    );
  }
}, 30_000);

afterAll(() => {
  for (const child of children) child.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

test(`${lines.length} command lines`, { timeout: 300_000 }, async () => {
  expect(lines.length).toBeGreaterThan(400);
  for (const line of lines) {
    const words = wordsOf(line);
    const [real, weft] = await Promise.all([
      run('ovs-vsctl', `--db=${socketOf('real')}`, '--no-wait', '--timeout=20', ...words),
      runOurs([`--db=${socketOf('weft')}`, '--no-wait', '--timeout=20', ...words]),
    ]);
    expect({ line, ...comparable(weft) }).toEqual({ line, ...comparable(real) });
  }
  const dump = async (who: string) =>
    comparable(await run('ovsdb-client', 'dump', socketOf(who), '-f', 'csv'));
  expect(await dump('weft')).toEqual(await dump('real'));
});
