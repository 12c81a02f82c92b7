import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { applyDifference, datumFromJson, datumToJson, defaultDatum } from '../datum.js';
import { converted } from '../convert.js';
import { Database } from '../database.js';
import type { Change } from '../database.js';
import { execute } from '../execute.js';
import { isObject } from '../atom.js';
import type { Json } from '../atom.js';
import { openVSwitchSchema } from '../open-vswitch-schema.js';
import { schemaToJson } from '../schema.js';
import type { DatabaseSchema } from '../schema.js';
import { FramingError, JsonFramer } from './framing.js';
import { History } from './history.js';
import { OvsdbServer } from './server.js';
import type { Served } from './served.js';
import type { Session } from './session.js';

let counter = 0;
const newUuid = () => `00000000-0000-4000-8000-${(counter += 1).toString(16).padStart(12, '0')}`;

/** A database in memory whose disk is as fast as the test lets it. */
class Memory implements Served {
  database = new Database(openVSwitchSchema);
  readonly pending: (readonly Change[])[] = [];
  isHeld = false;
  readonly #listeners = new Set<(changes: readonly Change[]) => void>();
  readonly #held: (() => void)[] = [];

  transact: Served['transact'] = (operations, options, signal) => {
    const { results, error, changes, waitsForMs } = execute(this.database, operations, {
      newUuid,
      ...options,
    });
    if (waitsForMs !== undefined) {
      return new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ results, error, changes: [] }));
      });
    }
    if (!changes || changes.length === 0) return Promise.resolve({ results, error, changes: [] });
    this.database.apply(changes);
    this.pending.push(changes);
    return new Promise((resolve) => {
      this.#held.push(() => {
        this.pending.shift();
        resolve({ results, error, changes });
        for (const listener of this.#listeners) listener(changes);
      });
      if (!this.isHeld) this.release();
    });
  };

  subscribe: Served['subscribe'] = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  convert = (schema: DatabaseSchema): Promise<void> => {
    this.database = converted(this.database, schema, newUuid);
    return Promise.resolve();
  };

  release(): void {
    for (const done of this.#held.splice(0)) done();
  }
}

interface Message {
  readonly id: Json;
  readonly method?: string;
  readonly params: readonly Json[];
  readonly result?: Json;
  readonly error?: Json;
}

class Client {
  messages: Message[] = [];
  isCongested = false;
  isEnded = false;
  readonly session: Session;

  constructor(server: OvsdbServer) {
    const isCongested = () => this.isCongested;
    this.session = server.connect({
      name: 'test',
      get isCongested() {
        return isCongested();
      },
      send: (text) => void this.messages.push(JSON.parse(text) as Message),
      end: () => (this.isEnded = true),
    });
  }

  write(text: string): void {
    this.session.receive(new TextEncoder().encode(text));
  }

  /** Everything sent back because of this request. */
  async call(method: string, params: Json, id: Json = 1): Promise<Message[]> {
    this.messages = [];
    this.write(JSON.stringify({ method, params, id }));
    await new Promise((resolve) => setImmediate(resolve));
    return this.messages;
  }

  async ask(method: string, ...params: Json[]): Promise<Message | undefined> {
    return (await this.call(method, params)).at(-1);
  }
}

let memory: Memory;
let server: OvsdbServer;
let warnings: string[];
let client: Client;
const DB = 'Open_vSwitch';

beforeEach(async () => {
  memory = new Memory();
  warnings = [];
  const log = { warn: (_: object, text: string) => void warnings.push(text), error: () => undefined };
  server = new OvsdbServer([memory], {
    newUuid,
    log,
    limits: { maxMessageBytes: 100_000, maxOutstanding: 3 },
  });
  client = new Client(server);
  await client.ask('transact', DB, {
    op: 'insert',
    table: 'Open_vSwitch',
    row: { next_cfg: 3, external_ids: ['map', [['a', '1']]] },
  });
});

const raise: Json = { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 1]] };
const root = () => [...memory.database.rows('Open_vSwitch').keys()][0] ?? '';

describe('requests', () => {
  test('simple ones', async () => {
    expect((await client.ask('list_dbs'))?.result).toEqual(['Open_vSwitch', '_Server']);
    expect((await client.ask('echo', 'hello', { a: [1] }))?.result).toEqual(['hello', { a: [1] }]);
    expect((await client.ask('get_schema', DB))?.result).toMatchObject({ name: DB, version: '8.3.1' });
    expect((await client.ask('get_server_id'))?.result).toBe(server.id);
    expect((await client.ask('set_db_change_aware', true))?.result).toEqual({});
    const [rows] = ((await client.ask('transact', '_Server', { op: 'select', table: 'Database', where: [] }))
      ?.result ?? []) as { rows: Json[] }[];
    expect(rows?.rows).toMatchObject([
      { name: DB, model: 'standalone', connected: true, leader: true, cid: ['set', []] },
      { name: '_Server' },
    ]);
  });

  test.each<[string, Json[], Json]>([
    ['nonsense', [], 'unknown method'],
    ['get_schema', ['X'], { error: 'unknown database' }],
    ['transact', [], { error: 'syntax error' }],
    ['monitor', [DB, 'm', { Nothing: {} }], { error: 'syntax error' }],
    ['monitor', [DB, 'm', { Bridge: { columns: ['x'] } }], { error: 'syntax error' }],
    ['monitor', [DB, 'm', { Bridge: { where: [] } }], { error: 'syntax error' }],
    [
      'monitor',
      [DB, 'm', { Bridge: [{ columns: ['name'] }, { columns: ['name'] }] }],
      { error: 'syntax error' },
    ],
    ['monitor', [DB, 'm', 3], { error: 'syntax error' }],
    ['monitor', [], { error: 'syntax error' }],
    ['monitor_cond', [DB, 'm', { Bridge: [{ where: [['x', '==', 1]] }] }], { error: 'unknown column' }],
    ['monitor_cond_since', [DB, 'm', { Bridge: [{}] }, 'x'], { error: 'syntax error' }],
    ['monitor_cond_change', ['m', 'n', {}], { error: 'syntax error' }],
    ['monitor_cancel', ['m'], 'unknown monitor'],
    ['lock', [3], { error: 'syntax error' }],
    ['unlock', ['l'], { error: 'syntax error' }],
    ['set_db_change_aware', [1], { error: 'syntax error' }],
  ])('%s %j is refused', async (method, params, error) => {
    const answer = await client.ask(method, ...params);
    expect(answer?.result).toBeNull();
    if (typeof error === 'string') expect(answer?.error).toBe(error);
    else expect(answer?.error).toMatchObject(error as object);
    expect(client.isEnded).toBe(false);
  });

  test('_Server cannot be written', async () => {
    const answer = await client.ask('transact', '_Server', { op: 'delete', table: 'Database', where: [] });
    expect(answer?.result).toMatchObject([{ error: 'not allowed' }]);
  });

  test.each([
    ['[1]', /something else than a JSON object/],
    ['nonsense', /something else than a JSON object/],
    ['{"a":}', /malformed JSON/],
    ['{"method":3,"params":[],"id":1}', /method/],
    ['{"method":"echo","params":{},"id":1}', /params/],
    ['{"id":null}', /neither/],
    [`{"method":"echo","params":["${'x'.repeat(100_001)}"],"id":1}`, /longer than/],
    [`{"method":"echo","params":${'['.repeat(1001)}`, /brackets/],
  ])('%s ends that connection only', async (text, message) => {
    const other = new Client(server);
    other.write('{"method":"echo","params":["before"],"id":1}');
    other.write(text);
    expect(other.messages).toHaveLength(1);
    expect(other.isEnded).toBe(true);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(message);
    expect((await client.ask('echo', 'still'))?.result).toEqual(['still']);
    expect(server.sessionCount).toBe(1);
  });

  test('whatever the bytes, nothing is thrown', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '\\',
      ',',
      ':',
      'null',
      '1',
      'method',
      'params',
      'id',
      ' ',
    );
    const texts = fc.oneof(
      fc.array(pieces, { maxLength: 30 }).map((list) => list.join('')),
      fc
        .record({
          method: fc.constantFrom(
            'transact',
            'monitor',
            'monitor_cond_since',
            'monitor_cond_change',
            'lock',
            'cancel',
          ),
          params: fc.oneof(
            fc.jsonValue(),
            fc.array(fc.oneof(fc.constant(DB), fc.jsonValue(), fc.constant({ Bridge: [{}] }))),
          ),
          id: fc.jsonValue(),
        })
        .map((message) => JSON.stringify(message)),
    );
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 5 }), (list) => {
        const other = new Client(server);
        for (const text of list) other.write(text);
        other.session.ended();
      }),
      { numRuns: 300 },
    );
    expect(server.sessionCount).toBe(1);
  });
});

describe('transactions', () => {
  const waitFor = (next_cfg: number): Json => ({
    op: 'wait',
    table: 'Open_vSwitch',
    where: [],
    columns: ['next_cfg'],
    until: '==',
    rows: [{ next_cfg }],
  });

  test('cancelled while it waits', async () => {
    expect(await client.call('transact', [DB, waitFor(77)], 12)).toEqual([]);
    client.write(JSON.stringify({ method: 'cancel', params: [99], id: null }));
    client.write(JSON.stringify({ method: 'cancel', params: [12], id: null }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.messages).toEqual([{ id: 12, result: null, error: 'canceled' }]);
  });

  test('not too many at once', async () => {
    for (const id of [1, 2, 3]) expect(await client.call('transact', [DB, waitFor(77)], id)).toEqual([]);
    expect(await client.call('transact', [DB, waitFor(77)], 4)).toMatchObject([
      { id: 4, error: { error: 'resources exhausted' } },
    ]);
  });

  test('update3 comes before the reply, on the connection that made the change', async () => {
    await client.ask('monitor_cond_since', DB, 'm', { Open_vSwitch: [{ columns: ['next_cfg'] }] }, newUuid());
    const messages = await client.call('transact', [DB, raise], 5);
    expect(messages.map(({ method, id }) => method ?? id)).toEqual(['update3', 5]);
  });
});

describe('monitors', () => {
  test('version 1: old and new', async () => {
    const initial = await client.ask('monitor', DB, null, {
      Open_vSwitch: { columns: ['next_cfg', 'external_ids'] },
    });
    const ids: Json = ['map', [['a', '1']]];
    expect(initial?.result).toEqual({
      Open_vSwitch: { [root()]: { new: { next_cfg: 3, external_ids: ids } } },
    });
    const [update] = await client.call('transact', [DB, raise]);
    expect(update).toMatchObject({
      method: 'update',
      params: [
        null,
        { Open_vSwitch: { [root()]: { old: { next_cfg: 3 }, new: { next_cfg: 4, external_ids: ids } } } },
      ],
    });
  });

  test('version 2: differences; defaults are not mentioned', async () => {
    const initial = await client.ask('monitor_cond', DB, 'm', {
      Open_vSwitch: [{ columns: ['cur_cfg', 'external_ids'] }],
    });
    const uuid = root();
    expect(initial?.result).toEqual({
      Open_vSwitch: { [uuid]: { initial: { external_ids: ['map', [['a', '1']]] } } },
    });
    const mutate = (...mutations: Json[]): Json => ({
      op: 'mutate',
      table: 'Open_vSwitch',
      where: [],
      mutations,
    });
    const [update] = await client.call('transact', [
      DB,
      mutate(['external_ids', 'delete', 'a'], ['external_ids', 'insert', ['map', [['b', '2']]]]),
    ]);
    expect(update?.params[1]).toEqual({
      Open_vSwitch: {
        [uuid]: {
          modify: {
            external_ids: [
              'map',
              [
                ['a', '1'],
                ['b', '2'],
              ],
            ],
          },
        },
      },
    });
    expect(await client.call('transact', [DB, raise])).toHaveLength(1);
    const [gone] = await client.call('transact', [DB, { op: 'delete', table: 'Open_vSwitch', where: [] }]);
    expect(gone).toMatchObject({
      method: 'update2',
      params: ['m', { Open_vSwitch: { [uuid]: { delete: null } } }],
    });
  });

  test('no columns: only that rows are there', async () => {
    const tables: Json = { Open_vSwitch: [{ columns: [] }] };
    expect((await client.ask('monitor_cond', DB, 'm', tables))?.result).toEqual({
      Open_vSwitch: { [root()]: { initial: {} } },
    });
    expect((await client.ask('monitor', DB, 'n', tables))?.result).toEqual({
      Open_vSwitch: { [root()]: { new: {} } },
    });
    expect(await client.call('transact', [DB, raise])).toHaveLength(1);
  });

  test('select', async () => {
    const select = { initial: false, modify: false };
    const answer = await client.ask('monitor', DB, 'm', { Open_vSwitch: { columns: ['next_cfg'], select } });
    expect(answer?.result).toEqual({});
    expect(await client.call('transact', [DB, raise])).toHaveLength(1);
    expect(
      await client.call('transact', [DB, { op: 'delete', table: 'Open_vSwitch', where: [] }]),
    ).toHaveLength(2);
  });

  test('conditions: one that holds is enough; rows come into view and leave it', async () => {
    const where = (...values: number[]): Json => [
      { where: values.map((value) => ['next_cfg', '==', value]) },
    ];
    const uuid = root();
    const tables: Json = { Open_vSwitch: [{ columns: ['next_cfg'], where: [['next_cfg', '==', 4]] }] };
    expect((await client.ask('monitor_cond', DB, 'm', tables))?.result).toEqual({});
    const [comes] = await client.call('transact', [DB, raise]);
    expect(comes?.params[1]).toEqual({ Open_vSwitch: { [uuid]: { insert: { next_cfg: 4 } } } });
    const [leaves] = await client.call('transact', [DB, raise]);
    expect(leaves?.params[1]).toEqual({ Open_vSwitch: { [uuid]: { delete: null } } });
    const shown = await client.call('monitor_cond_change', ['m', 'n', { Open_vSwitch: where(8, 5) }], 9);
    expect(shown).toMatchObject([
      { method: 'update2', params: ['n', { Open_vSwitch: { [uuid]: { insert: { next_cfg: 5 } } } }] },
      { id: 9, result: {} },
    ]);
    expect((await client.ask('monitor_cancel', 'n'))?.result).toEqual({});
    expect(await client.call('transact', [DB, raise])).toHaveLength(1);
  });

  test('a client that comes back is told what it missed', async () => {
    const tables: Json = { Open_vSwitch: [{ columns: ['next_cfg'] }] };
    const first = await client.ask(
      'monitor_cond_since',
      DB,
      'm',
      tables,
      '00000000-0000-0000-0000-000000000000',
    );
    expect(first?.result).toMatchObject([false, expect.any(String), { Open_vSwitch: {} }]);
    const [update] = await client.call('transact', [DB, raise]);
    const last = update?.params[1] as string;
    const back = new Client(server);
    expect((await back.ask('monitor_cond_since', DB, 'm', tables, last))?.result).toEqual([true, last, {}]);
    await client.ask('transact', DB, raise);
    await client.ask('transact', DB, raise);
    const again = await new Client(server).ask('monitor_cond_since', DB, 'm', tables, last);
    expect(again?.result).toEqual([
      true,
      expect.any(String),
      { Open_vSwitch: { [root()]: { modify: { next_cfg: 6 } } } },
    ]);
    const unknown = await new Client(server).ask('monitor_cond_since', DB, 'm', tables, newUuid());
    expect(unknown?.result).toMatchObject([false, expect.any(String), { Open_vSwitch: {} }]);
  });

  test('what is not on disk yet is not told, neither at the start nor twice', async () => {
    memory.isHeld = true;
    await client.call('transact', [DB, raise]);
    const other = new Client(server);
    const initial = await other.ask('monitor_cond', DB, 'm', { Open_vSwitch: [{ columns: ['next_cfg'] }] });
    expect(initial?.result).toEqual({ Open_vSwitch: { [root()]: { initial: { next_cfg: 3 } } } });
    other.messages = [];
    memory.release();
    expect(other.messages).toMatchObject([
      { params: ['m', { Open_vSwitch: { [root()]: { modify: { next_cfg: 4 } } } }] },
    ]);
  });

  test('a slow client: requests wait, changes are joined', async () => {
    const slow = new Client(server);
    await slow.ask('monitor_cond', DB, 'm', { Open_vSwitch: [{ columns: ['next_cfg'] }] });
    slow.messages = [];
    slow.isCongested = true;
    slow.write('{"method":"echo","params":[],"id":8}{"method":"echo","params":[],"id":9}');
    for (let i = 0; i < 50; i++) await client.ask('transact', DB, raise);
    expect(slow.messages).toEqual([]);
    expect(slow.session.isBehind).toBe(true);
    slow.isCongested = false;
    slow.session.drained();
    expect(slow.messages).toMatchObject([
      { params: ['m', { Open_vSwitch: { [root()]: { modify: { next_cfg: 53 } } } }] },
      { id: 8 },
      { id: 9 },
    ]);
  });

  test('whatever happens, a copy kept by update2 equals the database, congested or not', async () => {
    const columns = ['name', 'tag', 'trunks', 'external_ids', 'interfaces'];
    const table = openVSwitchSchema.tables.get('Port');
    const name = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), name }),
      fc.record({ kind: fc.constant('remove' as const), name }),
      fc.record({
        kind: fc.constant('set' as const),
        name,
        trunks: fc.uniqueArray(fc.integer({ min: 1, max: 5 })),
        ids: fc.uniqueArray(fc.tuple(fc.constantFrom('x', 'y', 'z'), fc.constantFrom('1', '2')), {
          selector: ([key]) => key,
        }),
        tag: fc.option(fc.integer({ min: 0, max: 9 })),
      }),
      fc.record({ kind: fc.constant('congest' as const), name }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const watcher = new Client(server);
        const answer = await watcher.ask('monitor_cond', DB, 'm', { Port: [{ columns }] });
        watcher.messages = [];
        await client.ask(
          'transact',
          DB,
          {
            op: 'insert',
            table: 'Bridge',
            'uuid-name': 'b',
            row: { name: 'br' },
          },
          { op: 'update', table: 'Open_vSwitch', where: [], row: { bridges: ['named-uuid', 'b'] } },
        );
        for (const each of steps) {
          const where: Json = [['name', '==', each.name]];
          if (each.kind === 'congest') watcher.isCongested = !watcher.isCongested;
          if (each.kind === 'add') {
            await client.ask(
              'transact',
              DB,
              { op: 'insert', table: 'Interface', 'uuid-name': 'i', row: { name: each.name } },
              {
                op: 'insert',
                table: 'Port',
                'uuid-name': 'p',
                row: { name: each.name, interfaces: ['named-uuid', 'i'] },
              },
              {
                op: 'mutate',
                table: 'Bridge',
                where: [],
                mutations: [['ports', 'insert', ['named-uuid', 'p']]],
              },
            );
          }
          const uuid = memory.database.find('Port', 'name', each.name)?.uuid;
          if (each.kind === 'remove' && uuid !== undefined) {
            await client.ask('transact', DB, {
              op: 'mutate',
              table: 'Bridge',
              where: [],
              mutations: [['ports', 'delete', ['uuid', uuid]]],
            });
          }
          if (each.kind === 'set') {
            const row = {
              trunks: ['set', each.trunks],
              external_ids: ['map', each.ids],
              tag: each.tag ?? ['set', []],
            };
            await client.ask('transact', DB, { op: 'update', table: 'Port', where, row });
          }
        }
        watcher.isCongested = false;
        watcher.session.drained();

        const copy = new Map<string, Record<string, Json>>();
        const columnOf = (column: string) => {
          const type = table?.columns.get(column)?.type;
          if (!type) throw new Error(column);
          return type;
        };
        const take = (updates: Json) => {
          const rows = isObject(updates) ? updates['Port'] : undefined;
          for (const [uuid, update] of Object.entries(isObject(rows) ? rows : {})) {
            if (!isObject(update)) throw new Error('no update');
            const whole = update['initial'] ?? update['insert'];
            if ('delete' in update) expect(copy.delete(uuid)).toBe(true);
            else if (whole !== undefined) {
              expect(copy.has(uuid)).toBe(false);
              const defaults = columns.map((column) => [
                column,
                datumToJson(defaultDatum(columnOf(column)), columnOf(column)),
              ]);
              copy.set(uuid, { ...Object.fromEntries(defaults), ...(whole as object) } as Record<
                string,
                Json
              >);
            } else {
              const row = copy.get(uuid);
              const changes = update['modify'];
              if (!row || !isObject(changes)) throw new Error('no such row');
              for (const [column, diff] of Object.entries(changes)) {
                const type = columnOf(column);
                const read = (json: Json) => datumFromJson(json, type, undefined, true);
                row[column] = datumToJson(
                  applyDifference(read(row[column] ?? null), read(diff ?? null), type),
                  type,
                );
              }
            }
          }
        };
        take(answer?.result ?? null);
        for (const { params } of watcher.messages) take(params[1] ?? null);
        const wanted = [...memory.database.rows('Port').values()].map(
          (row): [string, Record<string, Json>] => [
            row.uuid,
            Object.fromEntries(
              columns.map((column) => [
                column,
                datumToJson(row.fields[column] ?? defaultDatum(columnOf(column)), columnOf(column)),
              ]),
            ),
          ],
        );
        expect(copy).toEqual(new Map(wanted));
        watcher.session.ended();
        await client.ask('transact', DB, {
          op: 'update',
          table: 'Open_vSwitch',
          where: [],
          row: { bridges: ['set', []] },
        });
      }),
      { numRuns: 60 },
    );
  });
});

describe('locks', () => {
  test('first come, first served; what a gone client had goes on', async () => {
    const second = new Client(server);
    const third = new Client(server);
    expect((await client.ask('lock', 'l'))?.result).toEqual({ locked: true });
    expect((await second.ask('lock', 'l'))?.result).toEqual({ locked: false });
    expect((await third.ask('lock', 'l'))?.result).toEqual({ locked: false });
    expect((await client.ask('lock', 'l'))?.error).toMatchObject({ error: 'syntax error' });
    second.messages = [];
    third.messages = [];
    client.session.ended();
    expect(second.messages).toEqual([{ id: null, method: 'locked', params: ['l'] }]);
    await second.ask('unlock', 'l');
    expect(third.messages).toEqual([{ id: null, method: 'locked', params: ['l'] }]);
  });

  test('stolen, and given back', async () => {
    const thief = new Client(server);
    await client.ask('lock', 'l');
    client.messages = [];
    expect((await thief.ask('steal', 'l'))?.result).toEqual({ locked: true });
    expect(client.messages).toEqual([{ id: null, method: 'stolen', params: ['l'] }]);
    const assertion: Json = { op: 'assert', lock: 'l' };
    expect((await client.ask('transact', DB, assertion))?.result).toMatchObject([{ error: 'not owner' }]);
    expect((await thief.ask('transact', DB, assertion))?.result).toEqual([{}]);
    client.messages = [];
    await thief.ask('unlock', 'l');
    expect(client.messages).toEqual([{ id: null, method: 'locked', params: ['l'] }]);
  });
});

test('history forgets the oldest', () => {
  const history = new History('start');
  for (let i = 0; i < 1500; i++) history.add(`t${i}`, []);
  expect(history.since('start')).toBeNull();
  expect(history.since('t498')).toBeNull();
  expect(history.since('t499')).toEqual([]);
  expect(history.latest).toBe('t1499');
});

test('objects are cut from the stream wherever its pieces end', () => {
  const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 });
  fc.assert(
    fc.property(
      fc.array(object, { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (objects, cuts) => {
        const bytes = new TextEncoder().encode(objects.map((each) => JSON.stringify(each)).join('\n'));
        const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        const framer = new JsonFramer({ maxBytes: 1 << 20, maxDepth: 100 });
        const texts: string[] = [];
        [0, ...places].forEach((from, i) => {
          framer.push(bytes.subarray(from, places[i] ?? bytes.length), (text) => texts.push(text));
        });
        expect(texts).toEqual(objects.map((each) => JSON.stringify(each)));
      },
    ),
  );
  const framer = new JsonFramer({ maxBytes: 10, maxDepth: 2 });
  expect(() => framer.push(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), () => undefined)).toThrow(
    FramingError,
  );
});

test('conversion: who knows of such changes is told, others begin anew, and _Server shows it', async () => {
  const [aware, plain] = [new Client(server), new Client(server)];
  await aware.ask('set_db_change_aware', true);
  for (const each of [aware, plain]) await each.ask('monitor_cond', DB, 'm', { Bridge: [{}] });
  await aware.ask('monitor_cond', '_Server', 's', { Database: [{ columns: ['schema'] }] });
  aware.messages = [];
  const schema = { ...(schemaToJson(openVSwitchSchema) as object), version: '9.0.0' };
  expect((await client.ask('convert', DB, schema))?.result).toEqual({});
  expect(aware.messages.map(({ method }) => method)).toEqual(['update2', 'monitor_canceled']);
  expect(JSON.stringify(aware.messages[0])).toContain('9.0.0');
  expect([aware.isEnded, plain.isEnded, client.isEnded]).toEqual([false, true, false]);
  expect((await client.ask('get_schema', DB))?.result).toMatchObject({ version: '9.0.0' });
  expect((await client.ask('convert', DB, 5))?.error).toMatchObject({ error: 'syntax error' });
  expect((await client.ask('convert', '_Server', schema))?.error).toMatchObject({ error: 'not allowed' });
});
