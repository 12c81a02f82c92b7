import { describe, expect, it } from 'vitest';
import { newBridge, newPort, parseDpid, type Dpid } from '../domain/index.js';
import { compile, GroupNumbers, isProgramGroup, plan } from '../reconcile/index.js';
import {
  canonicalGroup,
  defineProgram,
  flowLike,
  NEXT_PROGRAM,
  packCookie,
  Pipeline,
  unpackCookie,
  unusedTables,
  type Flow,
  type FlowSet,
  type Program,
} from './index.js';

const NO_NUMBERS = { group: () => 0, meter: () => 0 };

/** A program of three tables in a row, the middle one optional. */
function sample(name: string, id: number, set: FlowSet = { flows: [] }): Program {
  return defineProgram<undefined>({
    name,
    id,
    kinds: ['allow'],
    tables: [
      {
        name: 'first',
        does: '',
        match: { in_port: 'exact' },
        miss: { kind: 'drop', reason: 'no' },
        next: ['maybe'],
      },
      {
        name: 'maybe',
        does: '',
        match: { eth_src: 'maskable' },
        miss: { kind: 'next', table: 'last', reason: 'on' },
        next: ['last'],
      },
      {
        name: 'last',
        does: '',
        match: { eth_dst: 'exact' },
        miss: { kind: 'drop', reason: 'no' },
        next: [NEXT_PROGRAM],
      },
    ],
    init: () => undefined,
    flows: () => set,
  });
}

const allow = { priority: 10, kind: 'allow', reason: 'because' } as const;

describe('defineProgram', () => {
  it('refuses declarations that contradict themselves', () => {
    const table = { does: '', match: {}, miss: { kind: 'drop', reason: '' }, next: [] } as const;
    const base = { name: 'p', id: 20, kinds: [], init: () => undefined, flows: () => ({ flows: [] }) };
    const define = (tables: readonly { name: string; next?: string[] }[], id = 20) =>
      defineProgram({ ...base, id, tables: tables.map((it) => ({ ...table, ...it })) });
    expect(() => define([{ name: 'a' }, { name: 'a' }])).toThrow(/same name/);
    expect(() => define([{ name: 'a', next: ['b'] }])).toThrow(/unknown table b/);
    expect(() => define([{ name: 'a' }, { name: 'b', next: ['a'] }])).toThrow(/backwards/);
    expect(() => define([], 0)).toThrow(/1 … 255/);
  });
});

describe('Pipeline', () => {
  const flow = {
    ...allow,
    table: 'first',
    match: { in_port: 1 },
    instructions: [{ type: 'GOTO_TABLE', table: 'maybe' } as const],
  };

  it('numbers the programs’ tables one after the other, and leads from one to the next', () => {
    const [acl, lb] = [sample('acl', 20), sample('lb', 21)];
    const pipeline = new Pipeline([acl, lb], { firstTable: 64, tableCount: 254 });
    expect(['first', 'maybe', 'last'].map((name) => pipeline.tableId(lb, name))).toEqual([67, 68, 69]);
    const onwards = {
      ...flow,
      table: 'last',
      match: {},
      instructions: [{ type: 'GOTO_TABLE', table: NEXT_PROGRAM } as const],
    };
    expect(pipeline.resolve(acl, onwards, NO_NUMBERS).instructions).toEqual([
      { type: 'GOTO_TABLE', tableId: 67 },
    ]);
    // Nothing comes after the last program.
    expect(pipeline.resolve(lb, onwards, NO_NUMBERS).instructions).toEqual([]);
  });

  it('leaves out unused tables only where there is no room, and leads past them', () => {
    const program = sample('acl', 20);
    const unused = new Set(['acl/maybe']);
    const tight = new Pipeline([program], { firstTable: 0, tableCount: 2, unused });
    expect(tight.tableId(program, 'maybe')).toBeUndefined();
    expect(tight.resolve(program, flow, NO_NUMBERS).instructions).toEqual([
      { type: 'GOTO_TABLE', tableId: 1 },
    ]);
    const roomy = new Pipeline([program], { firstTable: 0, tableCount: 3, unused });
    expect(roomy.resolve(program, flow, NO_NUMBERS).instructions).toEqual([
      { type: 'GOTO_TABLE', tableId: 1 },
    ]);
    expect(() => new Pipeline([program], { firstTable: 0, tableCount: 1, unused })).toThrow(/need 2 tables/);
  });

  it('holds rules to what their table declares', () => {
    const program = sample('acl', 20);
    const pipeline = new Pipeline([program], { firstTable: 0, tableCount: 254 });
    const refuse = (change: object, why: RegExp): void =>
      expect(() => pipeline.resolve(program, { ...flow, ...change }, NO_NUMBERS)).toThrow(why);
    refuse({ match: { eth_dst: '02:00:00:00:00:01' } }, /does not match eth_dst/);
    refuse({ match: { in_port: { value: 1, mask: 1 } } }, /exactly/);
    refuse({ instructions: [{ type: 'GOTO_TABLE', table: 'last' }] }, /may not lead to last/);
    refuse({ kind: 'other' }, /undeclared kind/);
    refuse({ priority: 0 }, /priority/);
    refuse({ table: 'nowhere' }, /no table/);
  });

  it('tells from a cookie whose a flow is', () => {
    const program = sample('acl', 20);
    const pipeline = new Pipeline([program], { firstTable: 0, tableCount: 254 });
    const resolved = pipeline.resolve(program, { ...flow, detail: 0xffffffff }, NO_NUMBERS);
    expect(pipeline.owner(resolved)).toEqual({ program, table: 'first', kind: 'allow', detail: 0xffffffff });
    expect(pipeline.owner({ cookie: 0x77n, tableId: 0 })).toBeUndefined();
    expect(unpackCookie(packCookie({ program: 255, kind: 255, detail: 1 }))).toEqual({
      program: 255,
      kind: 255,
      detail: 1,
    });
  });
});

describe('compile', () => {
  it('names both programs and reasons when two want the same rule', () => {
    const program = sample('acl', 20);
    const pipeline = new Pipeline([program], { firstTable: 0, tableCount: 254 });
    const flow = { ...allow, table: 'first', match: { in_port: 1 }, instructions: [] };
    const set = { flows: [flow, { ...flow, reason: 'why not' }] };
    expect(() => compile(pipeline, [{ program, set }], [])).toThrow(
      /acl and acl want the same rule.*because.*why not/,
    );
  });

  it('adds chained groups before those that lead to them, and deletes them after', () => {
    const program = sample('acl', 20);
    const pipeline = new Pipeline([program], { firstTable: 0, tableCount: 254 });
    const output = (port: number) => [{ actions: [{ type: 'OUTPUT', port } as const] }];
    const group = (
      name: string,
      buckets: FlowSet['groups'] extends readonly (infer G)[] | undefined
        ? G extends { buckets: infer B }
          ? B
          : never
        : never,
    ) => ({ name, type: 'ALL', buckets, reason: name }) as const;
    const set: FlowSet = {
      flows: [
        {
          ...allow,
          table: 'first',
          match: {},
          instructions: [{ type: 'APPLY_ACTIONS', actions: [{ type: 'GROUP', group: 'a' }] }],
        },
      ],
      groups: [group('a', [{ actions: [{ type: 'GROUP', group: 'b' }] }]), group('b', output(1))],
    };
    const want = compile(pipeline, [{ program, set }], []);
    const [inner, outer] = [...want.groups.values()];
    expect(inner?.buckets).toEqual(output(1));
    expect(outer?.buckets).toEqual([{ actions: [{ type: 'GROUP', groupId: inner?.groupId }] }]);
    const gone = plan(want, { flows: new Map(), groups: new Map(), meters: new Map() });
    expect(gone.at(-1)?.map((it) => ('groupId' in it ? it.groupId : 0))).toEqual([
      outer?.groupId,
      inner?.groupId,
    ]);
    const loop: FlowSet = { flows: [], groups: [group('a', [{ actions: [{ type: 'GROUP', group: 'a' }] }])] };
    expect(() => compile(pipeline, [{ program, set: loop }], [])).toThrow(/back to itself/);
  });
});

describe('programs side by side', () => {
  const options = { firstTable: 0, tableCount: 254 };
  const withBits = (name: string, id: number, metadataBits: bigint, set?: FlowSet): Program =>
    defineProgram({ ...sample(name, id, set), metadataBits });

  it('names both that cannot be together', () => {
    const together =
      (...programs: Program[]) =>
      () =>
        new Pipeline(programs, options);
    expect(together(sample('a', 20), sample('b', 20))).toThrow('programs a and b share the number 20');
    expect(together(sample('a', 20), sample('a', 21))).toThrow('programs a and a have the same name');
    const bits = together(withBits('a', 20, 0xffn), withBits('b', 21, 0x180n));
    expect(bits).toThrow('programs a and b both use metadata bits 0x80');
    expect(together(withBits('a', 20, 0xfn), withBits('b', 21, 0xf0n))).not.toThrow();
  });

  it('holds a program to the metadata bits it declares', () => {
    const write = { type: 'WRITE_METADATA', metadata: 1n, metadataMask: 3n } as const;
    const flow = { ...allow, table: 'first', match: {}, instructions: [write] };
    const resolve = (program: Program) => () =>
      new Pipeline([program], options).resolve(program, flow, NO_NUMBERS);
    expect(resolve(withBits('a', 20, 3n))).not.toThrow();
    expect(resolve(withBits('a', 20, 1n))).toThrow(/^a: a rule of first uses metadata bits/);
    expect(resolve(sample('a', 20))).toThrow(/does not declare/);
  });

  it('hands frames on from buckets by RESUBMIT, to tables that its own may lead to', () => {
    const [first, second] = [sample('a', 20), sample('b', 21)];
    const resubmit = (table: string) =>
      ({ type: 'APPLY_ACTIONS', actions: [{ type: 'RESUBMIT', table }] }) as const;
    const resolve = (program: Program, table: string, to: string) =>
      new Pipeline([first, second], options).resolve(
        program,
        { ...allow, table, match: {}, instructions: [resubmit(to)] },
        NO_NUMBERS,
      ).instructions;
    expect(resolve(first, 'last', NEXT_PROGRAM)).toEqual([
      { type: 'APPLY_ACTIONS', actions: [{ type: 'NX_RESUBMIT_TABLE', inPort: 0xfff8, table: 3 }] },
    ]);
    expect(() => resolve(first, 'first', 'last')).toThrow('a: first may not lead to last');
    expect(() => resolve(second, 'last', NEXT_PROGRAM)).toThrow('b: nothing follows');
  });
});

describe('GroupNumbers', () => {
  const group = (groupId: number, port: number) =>
    ({ groupId, type: 'ALL', buckets: [{ actions: [{ type: 'OUTPUT', port } as const] }] }) as const;
  const contentOf = (port: number): string => canonicalGroup('ALL', group(0, port).buckets);

  it('gives equal content the same number in every run', () => {
    const id = new GroupNumbers([]).forContent(contentOf(1));
    expect(new GroupNumbers([]).forContent(contentOf(1))).toBe(id);
    expect(isProgramGroup(id)).toBe(true);
  });

  it('keeps the number that content has on the switch, and never reuses one for other content', () => {
    const id = new GroupNumbers([]).forContent(contentOf(1));
    // Somebody else's content sits on the number that content 1 would have: a collision.
    const numbers = new GroupNumbers([group(id, 2), group(id + 9, 3)]);
    expect(numbers.forContent(contentOf(1))).toBe(id + 1);
    expect(numbers.forContent(contentOf(2))).toBe(id);
    expect(numbers.forContent(contentOf(3))).toBe(id + 9);
  });

  it('tells names apart that hash alike', () => {
    const numbers = new GroupNumbers([]);
    expect(new Set([numbers.forName('x'), numbers.forName('x')]).size).toBe(2);
  });
});

describe('layout on a small switch', () => {
  it('fits the bridge program’s own tables of a plain bridge into six', async () => {
    const { bridgeProgram } = await import('./bridge/index.js');
    const bridge = newBridge({
      name: 'b',
      datapathId: (parseDpid('1') ?? '') as Dpid,
      ports: [newPort({ name: 'p', ofport: 1 })],
    });
    const context = { bridge, settings: {} };
    const set = bridgeProgram.flows(context, bridgeProgram.init(context, 0));
    const unused = unusedTables([{ program: bridgeProgram, set }]);
    expect([...unused]).toEqual(['bridge/observe', 'bridge/customer', 'bridge/mirror', 'bridge/bond']);
    const pipeline = new Pipeline([bridgeProgram], { firstTable: 0, tableCount: 6, unused });
    expect(pipeline.tableId(bridgeProgram as Program, 'egress')).toBe(5);
  });
});

describe('flows of one pattern', () => {
  const program = sample('p', 20);
  const learned = (eth_dst: string, others: Partial<Flow> = {}): Flow => ({
    ...allow,
    table: 'last',
    match: { eth_dst },
    instructions: [],
    ...others,
  });

  const NEW = '02:00:00:00:00:02';
  const patternOf = (flow: Flow) => ({ flow, varies: 'eth_dst' });

  it('resolve as they do alone, and once for all pipelines that are laid out alike', () => {
    const pipeline = new Pipeline([program], { firstTable: 0, tableCount: 10 });
    const others = { detail: 7, idleTimeoutS: 60, notifyRemoved: true };
    const pattern = patternOf(learned('02:00:00:00:00:01', others));
    const resolved = pipeline.resolvePattern(program, pattern);
    expect(flowLike(resolved, NEW)).toEqual(pipeline.resolve(program, learned(NEW, others), NO_NUMBERS));

    const twin = new Pipeline([program], { firstTable: 0, tableCount: 10 });
    expect(twin.resolvePattern(program, pattern)).toBe(resolved);
    const shifted = new Pipeline([program], { firstTable: 4, tableCount: 10 });
    expect(shifted.resolvePattern(program, pattern).flow).toEqual(
      shifted.resolve(program, pattern.flow, NO_NUMBERS),
    );
    // A program of the same name and tables may have its kinds of rules in another order.
    const namesake = sample('p', 20);
    const other = new Pipeline([namesake], { firstTable: 0, tableCount: 10 });
    expect(other.layout).toBe(pipeline.layout);
    expect(other.resolvePattern(namesake, pattern)).not.toBe(resolved);
  });

  it('are checked as each of them would be, and must match what varies', () => {
    const pipeline = new Pipeline([program], { firstTable: 0, tableCount: 10 });
    const resolve = (flow: Flow) => () => pipeline.resolvePattern(program, patternOf(flow));
    const base = learned('02:00:00:00:00:01');
    expect(resolve({ ...base, match: { ...base.match, eth_src: NEW } })).toThrow(/does not match eth_src/);
    expect(resolve({ ...base, match: {} })).toThrow(/differ in eth_dst must match it/);
    const masked = { eth_dst: { value: '02:00:00:00:00:00', mask: '02:00:00:00:00:00' } };
    expect(resolve({ ...base, match: masked })).toThrow(/differ in eth_dst must match it, without a mask/);
    // What a name of a group stands for may be another number the next time.
    const actions = [{ type: 'GROUP', group: 'all' }] as const;
    expect(resolve({ ...base, instructions: [{ type: 'APPLY_ACTIONS', actions }] })).toThrow(
      'flows put by reactions may not lead to groups',
    );
  });
});
