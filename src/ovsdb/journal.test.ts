import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openVSwitchSchema } from './index.js';
import type { Database, Json } from './index.js';
import { Journal } from './journal.js';
import { decodeRecord } from './journal-format.js';
import { Store } from './store.js';

let folder: string;
let path: string;
let logged: string[];
const open = async (more: { compactAtBytes?: number } = {}) =>
  new Store(
    await Journal.open({ path, schema: openVSwitchSchema, log: (message) => logged.push(message), ...more }),
    randomUUID,
  );

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-journal-'));
  path = join(folder, 'conf.db');
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const root: Json = { op: 'insert', table: 'Open_vSwitch', row: {} };
const setNext = (value: number): Json => ({
  op: 'update',
  table: 'Open_vSwitch',
  where: [],
  row: { next_cfg: value },
});
const addQueue = (text: string): Json => ({
  op: 'insert',
  table: 'Queue',
  row: { external_ids: ['map', [['text', text]]] },
});

function contents(database: Database): Json {
  return Object.fromEntries(
    [...database.schema.tables.keys()].map((table): [string, Json] => [
      table,
      [...database.rows(table).values()].map(({ uuid, fields }) => JSON.stringify([uuid, fields])).sort(),
    ]),
  );
}

test('what was acknowledged is there again', async () => {
  const store = await open();
  expect((await store.transact([root, addQueue('ä \u0007 "quoted"')])).error).toBeNull();
  await store.transact([setNext(7)]);
  const before = contents(store.database);
  await store.close();
  const again = await open();
  expect(contents(again.database)).toEqual(before);
  await again.close();
});

test('one transaction after another, with and without something to write, each is answered', async () => {
  const store = await open();
  await store.transact([root]);
  for (let i = 1; i <= 100; i++) {
    const state: Json = {
      op: 'update',
      table: 'Open_vSwitch',
      where: [],
      row: { statistics: ['map', [['load', String(i)]]] },
    };
    await store.transact([state]);
    for (let turn = 0; turn < i % 7; turn++) await Promise.resolve();
    expect((await store.transact([i % 2 ? setNext(i) : state])).error).toBeNull();
  }
  await store.close();
});

test('columns of state are neither written nor there again', async () => {
  const store = await open();
  await store.transact([root]);
  const { size } = store.journal;
  const update: Json = {
    op: 'update',
    table: 'Open_vSwitch',
    where: [],
    row: { statistics: ['map', [['load', '1']]] },
  };
  expect((await store.transact([update])).changes).toHaveLength(1);
  expect(store.journal.size).toBe(size);
  await store.close();
  const again = await open();
  expect([...again.database.rows('Open_vSwitch').values()][0]?.fields['statistics']?.keys).toEqual([]);
  await again.close();
});

test('cut anywhere in its last record, the file gives all before it and takes new records', async () => {
  const store = await open();
  await store.transact([root]);
  await store.transact([setNext(1)]);
  const before = contents(store.database);
  const { size } = store.journal;
  await store.transact([setNext(2)]);
  await store.close();
  const whole = readFileSync(path);
  for (let length = size; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const again = await open();
    expect(contents(again.database)).toEqual(before);
    await again.transact([setNext(3)]);
    await again.close();
    const third = await open();
    expect([...third.database.rows('Open_vSwitch').values()][0]?.fields['next_cfg']?.keys).toEqual([3]);
    await third.close();
  }
  expect(logged.some((line) => line.includes('cut to its last whole record'))).toBe(true);
}, 60_000);

test('a flipped bit in the last record is noticed; records after a damaged one are kept aside', async () => {
  const store = await open();
  await store.transact([root]);
  const { size } = store.journal;
  await store.transact([setNext(1)]);
  await store.transact([setNext(2)]);
  await store.close();
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(size + 70) ^ 1, size + 70);
  writeFileSync(path, bytes);
  const again = await open();
  expect([...again.database.rows('Open_vSwitch').values()][0]?.fields['next_cfg']?.keys).toEqual([0]);
  await again.close();
  expect(readFileSync(`${path}.cut-at-${size}`)).toEqual(bytes.subarray(size));
});

test('a second process is refused, and so is one beside ovsdb-server', async () => {
  const store = await open();
  await expect(open()).rejects.toThrow(/in use by another weftd/);
  await store.close();
  await (await open()).close();
});

test('what is no database is refused and left alone', async () => {
  writeFileSync(path, 'not a database');
  await expect(open()).rejects.toThrow(/is no Open vSwitch database/);
  expect(readFileSync(path, 'utf8')).toBe('not a database');
});

test('many at once share fsyncs, and all are there', async () => {
  const store = await open();
  await store.transact([root]);
  await Promise.all(Array.from({ length: 500 }, (_, i) => store.transact([addQueue(String(i))])));
  await store.close();
  const again = await open();
  expect(again.database.rows('Queue').size).toBe(500);
  await again.close();
});

test('a file that has grown is compacted while transactions go on', async () => {
  const store = await open({ compactAtBytes: 20_000 });
  await store.transact([root]);
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => store.transact([setNext(round * 50 + i + 1)])));
  }
  await store.transact([addQueue('last')]);
  const before = contents(store.database);
  expect(store.journal.size).toBeLessThan(2 * 20_000);
  expect(logged.filter((line) => line.startsWith('compacted')).length).toBeGreaterThan(1);
  await store.close();
  const again = await open();
  expect(contents(again.database)).toEqual(before);
  await again.close();
  expect(readdirSync(folder).sort()).toEqual(['.conf.db.~lock~', 'conf.db']);
});

test('a disk that refuses takes the transaction back, and those behind it, and goes on when it can', async () => {
  const store = await open();
  await store.transact([root]);
  const before = contents(store.database);
  const heard: number[] = [];
  store.subscribe((changes) => heard.push(changes.length));
  const limit = (bytes: string) =>
    spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]).status === 0;
  const ignore = () => undefined;
  process.on('SIGXFSZ', ignore);
  try {
    if (!limit(String(store.journal.size + 20))) return;
    const answers = await Promise.all([1, 2, 3].map((value) => store.transact([setNext(value)])));
    expect(answers.map(({ error }) => error?.tag)).toEqual(['I/O error', 'I/O error', 'I/O error']);
  } finally {
    limit('unlimited');
    process.off('SIGXFSZ', ignore);
  }
  expect(contents(store.database)).toEqual(before);
  expect(heard).toEqual([]);
  expect((await store.transact([setNext(4)])).error).toBeNull();
  await store.close();
  const again = await open();
  expect([...again.database.rows('Open_vSwitch').values()][0]?.fields['next_cfg']?.keys).toEqual([4]);
  await again.close();
});

test('wait is answered by the transaction that fulfils it', async () => {
  const store = await open();
  await store.transact([root]);
  const waiting = store.transact([
    {
      op: 'wait',
      table: 'Open_vSwitch',
      where: [],
      columns: ['cur_cfg'],
      until: '==',
      rows: [{ cur_cfg: 9 }],
    },
  ]);
  await store.transact([{ op: 'update', table: 'Open_vSwitch', where: [], row: { cur_cfg: 9 } }]);
  expect((await waiting).error).toBeNull();
  const late: Json = {
    op: 'wait',
    table: 'Open_vSwitch',
    where: [],
    columns: ['cur_cfg'],
    until: '!=',
    rows: [{ cur_cfg: 9 }],
    timeout: 20,
  };
  expect((await store.transact([late])).error?.tag).toBe('timed out');
  await store.close();
});

const hasTool = spawnSync('ovsdb-tool', ['--version']).status === 0;
const tool = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync('ovsdb-tool', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
};

describe.skipIf(!hasTool)('Open vSwitch reads what we write, and we what it writes', () => {
  test('query, show-log and compact on our file', async () => {
    const store = await open();
    await store.transact([root, { op: 'comment', comment: 'first light' }]);
    await store.transact([addQueue('q'), setNext(3)]);
    await store.close();
    const query = JSON.stringify([
      'Open_vSwitch',
      { op: 'select', table: 'Open_vSwitch', where: [], columns: ['next_cfg'] },
    ]);
    expect(tool('query', path, query)).toContain('{"next_cfg":3}');
    expect(tool('show-log', '-m', path)).toContain('first light');
    tool('compact', path);
    const again = await open();
    expect(again.database.rows('Queue').size).toBe(1);
    await again.close();
  });

  test('differences as ovsdb-server writes them', async () => {
    tool('create', path, '/usr/share/openvswitch/vswitch.ovsschema');
    const transact = (...operations: Json[]) =>
      tool('transact', path, JSON.stringify(['Open_vSwitch', ...operations]));
    transact(
      {
        op: 'insert',
        table: 'Open_vSwitch',
        row: {
          bridges: ['named-uuid', 'b'],
          external_ids: [
            'map',
            [
              ['a', '1'],
              ['b', '2'],
            ],
          ],
        },
      },
      {
        op: 'insert',
        table: 'Bridge',
        'uuid-name': 'b',
        row: { name: 'br0', flood_vlans: ['set', [1, 2, 3]] },
      },
    );
    transact(
      {
        op: 'update',
        table: 'Bridge',
        where: [],
        row: { flood_vlans: ['set', [2, 3, 4]], fail_mode: 'secure' },
      },
      {
        op: 'update',
        table: 'Open_vSwitch',
        where: [],
        row: {
          external_ids: [
            'map',
            [
              ['a', '9'],
              ['c', '3'],
            ],
          ],
        },
      },
    );
    transact({ op: 'update', table: 'Bridge', where: [], row: { fail_mode: 'standalone' } });
    expect(readFileSync(path, 'utf8')).toContain('_is_diff');
    const store = await open();
    const [bridge] = store.database.rows('Bridge').values();
    expect(bridge?.fields['flood_vlans']?.keys).toEqual([2, 3, 4]);
    expect(bridge?.fields['fail_mode']?.keys).toEqual(['standalone']);
    expect([...store.database.rows('Open_vSwitch').values()][0]?.fields['external_ids']).toEqual({
      keys: ['a', 'c'],
      values: ['9', '3'],
    });
    await store.close();
  });

  test('tables and columns of a newer schema are kept', async () => {
    const schema = JSON.parse(readFileSync('/usr/share/openvswitch/vswitch.ovsschema', 'utf8')) as {
      version: string;
      tables: Record<string, { columns: Record<string, Json> }>;
    };
    schema.version = '8.99.0';
    Object.assign(schema.tables['Queue']?.columns ?? {}, { brand_new: { type: 'string' } });
    writeFileSync(join(folder, 'schema'), JSON.stringify(schema));
    tool('create', path, join(folder, 'schema'));
    tool(
      'transact',
      path,
      JSON.stringify(['Open_vSwitch', { op: 'insert', table: 'Queue', row: { brand_new: 'kept' } }]),
    );
    for (let round = 0; round < 2; round++) {
      const store = await open();
      expect([...store.database.rows('Queue').values()][0]?.fields['brand_new']?.keys).toEqual(['kept']);
      await store.close();
    }
    expect(tool('db-version', path).trim()).toBe('8.99.0');
  });

  test('a live ovsdb-server keeps us out', async () => {
    tool('create', path, '/usr/share/openvswitch/vswitch.ovsschema');
    const server = spawn(
      'ovsdb-server',
      [path, `--remote=punix:${folder}/db.sock`, `--unixctl=${folder}/ctl`, '--no-chdir'],
      { stdio: 'ignore' },
    );
    try {
      for (let i = 0; i < 500 && !existsSync(`${folder}/db.sock`); i++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      await expect(open()).rejects.toThrow(/in use by process \d+/);
    } finally {
      server.kill('SIGKILL');
    }
  });
});

describe('kill -9', () => {
  let program: string;
  beforeAll(async () => {
    const output = mkdtempSync(join(tmpdir(), 'weft-writer-'));
    program = join(output, 'writer.mjs');
    const source = fileURLToPath(new URL('./journal-writer.test-child.ts', import.meta.url));
    await build({
      entryPoints: [source],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
    return () => rmSync(output, { recursive: true, force: true });
  });

  /**
   * Runs the writer until it has acknowledged `count` transactions, kills it, and gives what it acknowledged.
   * Each transaction inserts two rows of the same number.
   */
  async function writeAndKill(count: number, delayMs: number): Promise<Set<number>> {
    const child: ChildProcess = spawn(process.execPath, [program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const acknowledged = new Set<number>();
    if (!child.stdout) throw new Error('no stdout');
    const lines = createInterface({ input: child.stdout });
    const ended = new Promise((resolve) => lines.once('close', resolve));
    await new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        acknowledged.add(Number(line));
        if (acknowledged.size >= count) setTimeout(resolve, delayMs);
      });
      lines.once('close', () => resolve());
    });
    child.kill('SIGKILL');
    await ended;
    return acknowledged;
  }

  test('at random moments: every acknowledged transaction is there, none half', async () => {
    const all = new Set<number>();
    for (let round = 0; round < 100; round++) {
      const acknowledged = await writeAndKill(1 + Math.floor(Math.random() * 60), Math.random() * 4);
      expect(acknowledged.size).toBeGreaterThan(0);
      for (const number of acknowledged) all.add(number);
      if (round % 10 !== 9) continue;
      const store = await open();
      const stored = new Map<number, number>();
      for (const row of store.database.rows('Queue').values()) {
        const number = Number(row.fields['external_ids']?.values?.[0]);
        stored.set(number, (stored.get(number) ?? 0) + 1);
      }
      expect([...all].filter((number) => !stored.has(number))).toEqual([]);
      expect([...stored].filter(([, count]) => count !== 2)).toEqual([]);
      await store.close();
    }
  }, 600_000);
});

test('a record that is cut is told from one that is damaged', () => {
  expect(decodeRecord(Buffer.from('OVSDB JSON 9 0123456789012345678901234567890123456789\n{}\n'), 0)).toEqual(
    {
      fault: 'the record is cut off after 3 of 9 bytes',
    },
  );
  expect(decodeRecord(Buffer.from('OVSDB JSON 3 0123456789012345678901234567890123456789\n{}\n'), 0)).toEqual(
    {
      fault: 'the checksum is wrong',
    },
  );
});
