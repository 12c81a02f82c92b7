import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Database, execute, invert, openVSwitchSchema, schemaFromJson } from './index.js';
import type { Json, Outcome } from './index.js';

let counter = 0;
const newUuid = () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`;

function run(database: Database, ...operations: Json[]): Outcome {
  const outcome = execute(database, operations, { newUuid });
  if (outcome.changes) database.apply(outcome.changes);
  return outcome;
}

/** Every row, by table and uuid, without versions. */
function contents(database: Database): Json {
  const tables = [...database.schema.tables.keys()].map((table): [string, Json] => [
    table,
    [...database.rows(table).values()].map(({ uuid, fields }) => JSON.stringify([uuid, fields])).sort(),
  ]);
  return Object.fromEntries(tables);
}

const addBridge = (name: string): Json[] => [
  { op: 'insert', table: 'Interface', 'uuid-name': 'i', row: { name, type: 'internal' } },
  { op: 'insert', table: 'Port', 'uuid-name': 'p', row: { name, interfaces: ['named-uuid', 'i'] } },
  { op: 'insert', table: 'Bridge', 'uuid-name': 'b', row: { name, ports: ['named-uuid', 'p'] } },
  { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['bridges', 'insert', ['named-uuid', 'b']]] },
];

function withBridge(): Database {
  const database = new Database(openVSwitchSchema);
  run(database, { op: 'insert', table: 'Open_vSwitch', row: {} });
  expect(run(database, ...addBridge('br0')).error).toBeNull();
  return database;
}

describe('transactions', () => {
  test('names may be used before the insert that declares them', () => {
    const database = new Database(openVSwitchSchema);
    const { error } = run(
      database,
      { op: 'insert', table: 'Open_vSwitch', row: { bridges: ['named-uuid', 'later'] } },
      { op: 'insert', table: 'Bridge', 'uuid-name': 'later', row: { name: 'br0' } },
    );
    expect(error).toBeNull();
    expect(database.rows('Bridge').size).toBe(1);
  });

  test('rows that nothing refers to go, and those that only they referred to', () => {
    const database = withBridge();
    expect(
      run(database, { op: 'update', table: 'Open_vSwitch', where: [], row: { bridges: ['set', []] } }).error,
    ).toBeNull();
    for (const table of ['Bridge', 'Port', 'Interface']) expect(database.rows(table).size).toBe(0);
  });

  test('a row that refers only to itself goes', () => {
    const schema = schemaFromJson({
      name: 'S',
      version: '1.0.0',
      tables: {
        Root: { isRoot: true, columns: {} },
        Node: { columns: { next: { type: { key: { type: 'uuid', refTable: 'Node' }, min: 0 } } } },
      },
    });
    const database = new Database(schema);
    run(database, { op: 'insert', table: 'Node', 'uuid-name': 'n', row: { next: ['named-uuid', 'n'] } });
    expect(database.rows('Node').size).toBe(0);
  });

  test('a failed transaction changes nothing and answers null after the fault', () => {
    const database = withBridge();
    const before = contents(database);
    const { results, changes, error } = run(
      database,
      ...addBridge('br1'),
      { op: 'update', table: 'Port', where: [], row: { tag: 4096 } },
      { op: 'select', table: 'Port', where: [] },
    );
    expect(changes).toBeNull();
    expect(error?.tag).toBe('constraint violation');
    expect(results[5]).toBeNull();
    expect(results).toHaveLength(6);
    expect(contents(database)).toEqual(before);
  });

  test('reverting brings indexes and reference counts back too', () => {
    const database = withBridge();
    const before = contents(database);
    const outcome = run(database, {
      op: 'update',
      table: 'Open_vSwitch',
      where: [],
      row: { bridges: ['set', []] },
    });
    database.apply(invert(outcome.changes ?? []));
    expect(contents(database)).toEqual(before);
    expect(run(database, ...addBridge('br0')).error?.tag).toBe('constraint violation');
    expect(run(database, { op: 'delete', table: 'Port', where: [] }).error?.tag).toBe(
      'referential integrity violation',
    );
  });

  test('changes hold what was and what is', () => {
    const database = withBridge();
    const { changes } = run(database, {
      op: 'update',
      table: 'Port',
      where: [['name', '==', 'br0']],
      row: { tag: 5 },
    });
    expect(changes).toHaveLength(1);
    expect(changes?.[0]?.old?.fields['tag']?.keys).toEqual([]);
    expect(changes?.[0]?.new?.fields['tag']?.keys).toEqual([5]);
    expect(run(database, { op: 'update', table: 'Port', where: [], row: { tag: 5 } }).changes).toEqual([]);
  });

  test('wait: met, timed out, and to be tried again', () => {
    const database = withBridge();
    const wait = (until: string, timeout?: number): Json => {
      const rows: Json = [{ name: 'br0' }];
      return {
        op: 'wait',
        table: 'Bridge',
        where: [],
        columns: ['name'],
        until,
        rows,
        ...(timeout === undefined ? {} : { timeout }),
      };
    };
    expect(run(database, wait('==')).error).toBeNull();
    expect(run(database, wait('!=', 0))).toMatchObject({
      error: { tag: 'timed out' },
      waitsForMs: undefined,
    });
    expect(run(database, wait('!=', 50)).waitsForMs).toBe(50);
    expect(run(database, wait('!=')).waitsForMs).toBeNull();
  });

  test('assert asks who holds the lock', () => {
    const database = withBridge();
    const operations = [{ op: 'assert', lock: 'x' }];
    expect(execute(database, operations, { newUuid }).error?.tag).toBe('not owner');
    expect(execute(database, operations, { newUuid, holdsLock: (lock) => lock === 'x' }).error).toBeNull();
  });

  test('a weak reference goes with its row', () => {
    const database = withBridge();
    run(
      database,
      { op: 'insert', table: 'Interface', 'uuid-name': 'i', row: { name: 'p1' } },
      { op: 'insert', table: 'Port', 'uuid-name': 'p', row: { name: 'p1', interfaces: ['named-uuid', 'i'] } },
      {
        op: 'insert',
        table: 'Mirror',
        'uuid-name': 'm',
        row: { name: 'm', select_src_port: ['named-uuid', 'p'] },
      },
      {
        op: 'mutate',
        table: 'Bridge',
        where: [],
        mutations: [
          ['ports', 'insert', ['named-uuid', 'p']],
          ['mirrors', 'insert', ['named-uuid', 'm']],
        ],
      },
    );
    const [mirror] = database.rows('Mirror').values();
    expect(mirror?.fields['select_src_port']?.keys).toHaveLength(1);
    const port = [...database.rows('Port').values()].find((row) => row.fields['name']?.keys[0] === 'p1');
    const { error } = run(database, {
      op: 'mutate',
      table: 'Bridge',
      where: [],
      mutations: [['ports', 'delete', ['uuid', port?.uuid ?? '']]],
    });
    expect(error).toBeNull();
    expect([...database.rows('Mirror').values()][0]?.fields['select_src_port']?.keys).toEqual([]);
  });

  test('whatever is asked, the answer is a result or a typed error, and the database stays consistent', () => {
    const database = withBridge();
    fc.assert(
      fc.property(
        fc.array(fc.oneof(operation(), fc.jsonValue() as fc.Arbitrary<Json>), { maxLength: 4 }),
        (operations) => {
          const before = contents(database);
          const { changes, results } = execute(database, operations, { newUuid });
          expect(results.length).toBeGreaterThanOrEqual(operations.length);
          expect(contents(database)).toEqual(before);
          if (changes) {
            database.apply(changes);
            expectConsistent(database);
            database.apply(invert(changes));
            expect(contents(database)).toEqual(before);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

/** Operations that are often valid. */
function operation(): fc.Arbitrary<Json> {
  const name = fc.constantFrom('br0', 'p1', 'p2');
  const port = (each: string): Json => ({
    op: 'insert',
    table: 'Port',
    'uuid-name': each,
    row: { name: each, interfaces: ['named-uuid', `i${each}`] },
  });
  return fc.oneof(
    name.map((each): Json => ({
      op: 'insert',
      table: 'Interface',
      'uuid-name': `i${each}`,
      row: { name: each },
    })),
    name.map(port),
    name.map((each): Json => ({
      op: 'mutate',
      table: 'Bridge',
      where: [],
      mutations: [['ports', 'insert', ['named-uuid', each]]],
    })),
    fc.tuple(name, fc.integer({ min: -1, max: 4097 })).map(([each, tag]): Json => ({
      op: 'update',
      table: 'Port',
      where: [['name', '==', each]],
      row: { tag },
    })),
    fc
      .constantFrom('Port', 'Bridge', 'Interface', 'Open_vSwitch')
      .map((table): Json => ({ op: 'delete', table, where: [] })),
    fc.constantFrom('+=', '-=', '*=', '/=', '%=', 'insert').map((mutator): Json => ({
      op: 'mutate',
      table: 'Open_vSwitch',
      where: [],
      mutations: [['next_cfg', mutator, 0]],
    })),
  );
}

/** Strong references lead somewhere, and every row outside root tables is referred to. */
function expectConsistent(database: Database): void {
  const referred = new Set<string>();
  for (const table of database.schema.tables.values()) {
    for (const row of database.rows(table.name).values()) {
      for (const reference of table.references) {
        for (const target of row.fields[reference.column.name]?.[reference.part] ?? []) {
          expect(database.row(reference.table, String(target))).toBeDefined();
          referred.add(String(target));
        }
      }
    }
  }
  for (const table of database.schema.tables.values()) {
    if (table.isRoot) continue;
    for (const uuid of database.rows(table.name).keys()) expect(referred.has(uuid)).toBe(true);
  }
}

/** Open vSwitch's own engine, through ovsdb-tool on a file. */
const hasJudge = spawnSync('ovsdb-tool', ['--version']).status === 0;

describe.skipIf(!hasJudge)('the same transactions, here and in Open vSwitch', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-ovsdb-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const schema: Json = {
    name: 'T',
    version: '1.0.0',
    tables: {
      Root: {
        isRoot: true,
        indexes: [['k']],
        columns: {
          k: { type: 'integer' },
          real: { type: 'real' },
          text: { type: 'string' },
          flag: { type: 'boolean' },
          once: { type: 'string', mutable: false },
          small: { type: { key: { type: 'integer', minInteger: 1, maxInteger: 9 }, min: 0, max: 2 } },
          word: { type: { key: { type: 'string', enum: ['set', ['a', 'b']] }, min: 0, max: 1 } },
          short: { type: { key: { type: 'string', minLength: 2, maxLength: 3 }, min: 0, max: 1 } },
          ints: { type: { key: 'integer', min: 0, max: 'unlimited' } },
          map: { type: { key: 'string', value: 'integer', min: 0, max: 'unlimited' } },
          child: { type: { key: { type: 'uuid', refTable: 'Child' }, min: 0, max: 'unlimited' } },
          friend: {
            type: { key: { type: 'uuid', refTable: 'Child', refType: 'weak' }, min: 0, max: 'unlimited' },
          },
          need: { type: { key: { type: 'uuid', refTable: 'Child', refType: 'weak' }, min: 0, max: 1 } },
        },
      },
      Child: { columns: { name: { type: 'string' } } },
      Single: { isRoot: true, maxRows: 1, columns: { x: { type: 'integer' } } },
    },
  };
  const first: Json[] = [
    {
      op: 'insert',
      table: 'Root',
      row: {
        k: 1,
        text: 'one',
        ints: ['set', [3, 1, 2]],
        map: [
          'map',
          [
            ['b', 2],
            ['a', 1],
          ],
        ],
        child: ['named-uuid', 'c'],
      },
    },
    { op: 'insert', table: 'Child', 'uuid-name': 'c', row: { name: 'c1' } },
    { op: 'insert', table: 'Root', row: { k: 2, real: 1.5, flag: true, small: 4, word: 'a' } },
  ];
  const select = (where: Json, ...columns: string[]): Json => ({
    op: 'select',
    table: 'Root',
    where,
    columns: columns.length ? columns : ['k'],
  });
  const mutate = (mutations: Json, where: Json = [['k', '==', 1]]): Json => ({
    op: 'mutate',
    table: 'Root',
    where,
    mutations,
  });
  const update = (row: Json, where: Json = [['k', '==', 1]]): Json => ({
    op: 'update',
    table: 'Root',
    where,
    row,
  });
  const insert = (row: Json, more: object = {}): Json => ({ op: 'insert', table: 'Root', row, ...more });
  const all = select([], 'k', 'real', 'text', 'flag', 'once', 'small', 'word', 'short', 'ints', 'map');

  const cases: Record<string, Json[]> = {
    'select everything': [all],
    'select by equality': [
      select([['k', '==', 2]]),
      select([['k', '!=', 2]]),
      select([['text', '==', 'one']]),
    ],
    'select by order': [select([['k', '<', 2]]), select([['k', '>=', 2]]), select([['real', '>', 1]])],
    'select by order of an optional': [select([['small', '<', 5]])],
    'select by order of text': [select([['text', '<', 'x']])],
    'includes in sets': [
      select([['ints', 'includes', ['set', [1, 2]]]]),
      select([['ints', 'includes', 7]]),
      select([['ints', 'includes', ['set', []]]]),
    ],
    'excludes in sets': [select([['ints', 'excludes', ['set', [1, 9]]]]), select([['ints', 'excludes', 7]])],
    'includes in maps': [
      select([['map', 'includes', ['map', [['a', 1]]]]]),
      select([['map', 'includes', ['map', [['a', 2]]]]]),
    ],
    'equality of sets and maps': [
      select([['ints', '==', ['set', [2, 1, 3]]]]),
      select([
        [
          'map',
          '==',
          [
            'map',
            [
              ['a', 1],
              ['b', 2],
            ],
          ],
        ],
      ]),
    ],
    'an unknown table': [{ op: 'select', table: 'Nowhere', where: [] }],
    'an unknown column': [select([], 'nothing')],
    'an unknown column in where': [select([['nothing', '==', 1]])],
    'an unknown operation': [{ op: 'frobnicate', table: 'Root' }],
    'an unknown member': [{ op: 'select', table: 'Root', where: [], extra: 1 }],
    'an unknown relation': [select([['k', '~', 1]])],
    'where missing': [{ op: 'select', table: 'Root' }],
    'a type that does not fit': [update({ k: 'x' })],
    'an integer that is none': [update({ k: 1.5 })],
    'a number out of range': [update({ small: 10 })],
    'too many elements': [update({ small: ['set', [1, 2, 3]] })],
    'a repeated element': [update({ ints: ['set', [1, 1]] })],
    'a repeated key': [
      update({
        map: [
          'map',
          [
            ['a', 1],
            ['a', 2],
          ],
        ],
      }),
    ],
    'a word not in the enumeration': [update({ word: 'c' })],
    'text too short': [update({ short: 'x' })],
    'text too long, counted in characters': [update({ short: 'äöü' }), update({ short: 'wxyz' })],
    'the immutable': [update({ once: 'x' })],
    'the immutable mutated': [mutate([['once', 'insert', 'x']])],
    'the identity': [update({ _uuid: ['uuid', '00000000-0000-4000-8000-000000000001'] })],
    arithmetic: [
      mutate([
        ['k', '+=', 5],
        ['k', '*=', 3],
        ['k', '-=', 1],
        ['k', '/=', 2],
        ['k', '%=', 5],
      ]),
      all,
    ],
    'arithmetic towards zero': [
      mutate([
        ['k', '-=', 8],
        ['k', '/=', 2],
      ]),
      all,
    ],
    'arithmetic on sets': [mutate([['ints', '+=', 10]]), all],
    'arithmetic that makes elements equal': [mutate([['ints', '*=', 0]])],
    'division by zero': [mutate([['k', '/=', 0]])],
    'remainder by zero': [mutate([['k', '%=', 0]])],
    'remainder of reals': [mutate([['real', '%=', 2]])],
    'arithmetic on text': [mutate([['text', '+=', 1]])],
    'arithmetic out of range': [mutate([['small', '+=', 7]], [['k', '==', 2]])],
    'elements inserted': [
      mutate([
        ['ints', 'insert', ['set', [3, 4]]],
        [
          'map',
          'insert',
          [
            'map',
            [
              ['a', 9],
              ['c', 3],
            ],
          ],
        ],
      ]),
      all,
    ],
    'elements deleted': [
      mutate([
        ['ints', 'delete', ['set', [3, 9]]],
        ['map', 'delete', ['set', ['a']]],
      ]),
      all,
    ],
    'pairs deleted': [
      mutate([
        [
          'map',
          'delete',
          [
            'map',
            [
              ['a', 9],
              ['b', 2],
            ],
          ],
        ],
      ]),
      all,
    ],
    'too many inserted': [mutate([['small', 'insert', ['set', [1, 2]]]], [['k', '==', 2]])],
    'insert into a scalar': [mutate([['k', 'insert', 4]])],
    'an unknown mutator': [mutate([['k', '^=', 4]])],
    'a key taken': [insert({ k: 1 })],
    'a key swapped': [
      update({ k: 3 }),
      update({ k: 1 }, [['k', '==', 2]]),
      update({ k: 2 }, [['k', '==', 3]]),
      all,
    ],
    'a name used twice': [insert({ k: 5 }, { 'uuid-name': 'n' }), insert({ k: 6 }, { 'uuid-name': 'n' })],
    'a name that is none': [insert({ k: 5 }, { 'uuid-name': '1 n' })],
    'a row that is given its uuid': [
      insert({ k: 5 }, { uuid: '7bd17b34-5a2c-4b4e-8a55-1b0f6a4a4b01' }),
      select([['_uuid', '==', ['uuid', '7bd17b34-5a2c-4b4e-8a55-1b0f6a4a4b01']]]),
    ],
    'a reference to nothing': [update({ child: ['uuid', '7bd17b34-5a2c-4b4e-8a55-1b0f6a4a4b01'] })],
    'a name that nobody declares': [update({ child: ['named-uuid', 'nobody'] })],
    'a row still referred to': [{ op: 'delete', table: 'Child', where: [] }],
    'a child that nobody wants': [
      { op: 'insert', table: 'Child', row: { name: 'orphan' } },
      { op: 'select', table: 'Child', where: [], columns: ['name'] },
    ],
    'a child dropped': [
      update({ child: ['set', []] }),
      { op: 'select', table: 'Child', where: [], columns: ['name'] },
    ],
    'a weak reference to nothing': [
      update({ friend: ['uuid', '7bd17b34-5a2c-4b4e-8a55-1b0f6a4a4b01'] }),
      select([], 'k', 'friend'),
    ],
    'too many rows': [
      { op: 'insert', table: 'Single', row: {} },
      { op: 'insert', table: 'Single', row: {} },
    ],
    'rows that come and go': [
      { op: 'insert', table: 'Single', row: {} },
      { op: 'delete', table: 'Single', where: [] },
      { op: 'insert', table: 'Single', row: {} },
    ],
    'delete by condition': [{ op: 'delete', table: 'Root', where: [['k', '>', 1]] }, all],
    abort: [{ op: 'abort' }, all],
    comment: [{ op: 'comment', comment: 'hello' }],
    commit: [{ op: 'commit', durable: true }],
    'wait that holds': [
      {
        op: 'wait',
        table: 'Root',
        where: [['k', '==', 1]],
        columns: ['text'],
        until: '==',
        rows: [{ text: 'one' }],
        timeout: 0,
      },
    ],
    'wait that does not': [
      {
        op: 'wait',
        table: 'Root',
        where: [['k', '==', 1]],
        columns: ['text'],
        until: '!=',
        rows: [{ text: 'one' }],
        timeout: 0,
      },
    ],
    'select gives each row once': [select([], 'short')],
  };

  /** Results without what differs by nature: uuids, the wording of details, the order of rows and members. */
  const comparable = (json: unknown): string =>
    JSON.stringify(json, (key, value: unknown) => {
      if (key === 'details' || key === 'syntax') return undefined;
      if (key === 'rows' && Array.isArray(value)) return value.map(comparable).sort();
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).sort());
    }).replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID');

  function judge(...transactions: Json[][]): Json[] {
    const file = join(folder, `${(counter += 1)}.db`);
    const schemaFile = `${file}.schema`;
    spawnSync('sh', ['-c', 'cat > "$0"', schemaFile], { input: JSON.stringify(schema) });
    const made = spawnSync('ovsdb-tool', ['create', file, schemaFile], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    return transactions.map((operations) => {
      const { stdout, stderr } = spawnSync(
        'ovsdb-tool',
        ['transact', file, JSON.stringify(['T', ...operations])],
        { encoding: 'utf8' },
      );
      if (stdout === '') throw new Error(stderr);
      return JSON.parse(stdout) as Json;
    });
  }

  test.each(Object.entries(cases))('%s', (_, operations) => {
    const database = new Database(schemaFromJson(schema));
    const ours = [first, operations, [all]].map((each) => run(database, ...each).results);
    expect(ours.map(comparable)).toEqual(judge(first, operations, [all]).map(comparable));
  });
});
