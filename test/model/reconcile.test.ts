import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Bridge, LogicalPort } from '../../src/domain/index.js';
import { bridgeProgram, flowKey, Pipeline, type ResolvedFlow } from '../../src/programs/index.js';
import {
  applyCommands,
  compile,
  EMPTY_TABLES,
  plan,
  PROGRAM_METERS,
  switchTables,
  type SwitchTables,
  type Want,
} from '../../src/reconcile/index.js';
import { anyBridge, anyTags } from './arbitraries.js';
import { BridgeModel } from './bridge-model.js';
import { makeFrame } from './frame.js';
import type { ModelSwitch } from './switch.js';

const pipeline = new Pipeline([bridgeProgram], { firstTable: 0, tableCount: 254 });

function wantOf(bridge: Bridge, have: SwitchTables = EMPTY_TABLES, before?: Want): Want {
  const context = { bridge, settings: {} };
  const set = bridgeProgram.flows(context, bridgeProgram.init(context, 0));
  return compile(pipeline, [{ program: bridgeProgram, set }], have.groups.values(), PROGRAM_METERS, before);
}

/** What tables mean, in a form that can be compared. */
function meaning({ flows, groups }: SwitchTables): unknown {
  const sorted = <V>(map: ReadonlyMap<string | number, V>): [string | number, V][] =>
    [...map].sort(([x], [y]) => (x < y ? -1 : 1));
  return [
    sorted(flows).map(([key, { instructions, fixed }]) => [key, instructions, fixed]),
    sorted(groups).map(([id, { type, buckets }]) => [id, type, buckets]),
  ];
}

/** The ports of one bridge, of which the first `count` are those of the other. */
function mixed(from: Bridge, to: Bridge, count: number): readonly LogicalPort[] {
  const ports = to.ports.slice(0, count);
  return [...ports, ...from.ports.filter(({ name }) => !ports.some((port) => port.name === name))];
}

type Tags = { tpid: number; vid: number; pcp: number }[];
interface Probe {
  readonly port: number;
  readonly frame: Uint8Array;
  readonly name: string;
}

const macOf = (port: number): string => `02:00:00:00:00:0${port}`;
const UNKNOWN = '02:00:00:00:00:ff';

/** From each port, tagged in each way, to each known address and an unknown one. */
function probes(ports: readonly number[], tagLists: readonly Tags[]): Probe[] {
  return ports.flatMap((port) =>
    tagLists.flatMap((tags) =>
      [...ports.map(macOf), UNKNOWN].map((dst) => ({
        port,
        frame: makeFrame({ dst, src: macOf(port), tags }),
        name: `from ${port}, tags ${JSON.stringify(tags)}, to ${dst}`,
      })),
    ),
  );
}

/**
 * Where a frame leaves. A port that is itself reconfigured may write the frame in its old or its new way in
 * between; of every other port, each byte counts.
 */
function leaves(model: ModelSwitch, { port, frame }: Probe, changed: ReadonlySet<number>): Set<string> {
  const { outputs } = model.inject(port, frame);
  return new Set(
    outputs.map((it) =>
      changed.has(it.port) ? `${it.port}` : `${it.port} ${Buffer.from(it.frame).toString('hex')}`,
    ),
  );
}

function portsOf(bridge: Bridge): Map<number, string> {
  const describe = ({ interfaces, trunks, cvlans, ...rest }: LogicalPort): string =>
    JSON.stringify([interfaces, trunks?.key, cvlans?.key, rest]);
  return new Map(bridge.ports.map((port) => [port.interfaces[0]?.ofport ?? 0, describe(port)]));
}

/** A bridge whose hosts have all shown themselves, so that there is learned state to take along. */
function livedIn(bridge: Bridge, ports: readonly number[]): BridgeModel {
  const model = new BridgeModel(bridge);
  for (const port of ports) {
    model.model.ports.add(port);
    model.send(port, makeFrame({ dst: UNKNOWN, src: macOf(port) }));
  }
  return model;
}

describe('plan', () => {
  it('of equal tables is empty', () => {
    fc.assert(
      fc.property(anyBridge(), (bridge) => {
        const want = wantOf(bridge);
        expect(plan(want, want)).toEqual([]);
        expect(plan(wantOf(bridge, want), want)).toEqual([]);
      }),
    );
  }, 60_000);

  it('leads from any tables to any others, and a second one changes nothing', () => {
    fc.assert(
      fc.property(anyBridge(), anyBridge(), (from, to) => {
        const have = wantOf(from);
        const want = wantOf(to, have);
        const after = applyCommands(have, plan(have, want).flat());
        expect(meaning(after)).toEqual(meaning(want));
        expect(plan(after, want)).toEqual([]);
        // Sent twice (a retry), it comes to the same.
        expect(meaning(applyCommands(after, plan(have, want).flat()))).toEqual(meaning(want));
      }),
    );
  }, 60_000);

  it('going on from what was wanted before comes to the same as from nothing, port by port', () => {
    fc.assert(
      fc.property(anyBridge(), anyBridge(), (from, to) => {
        // Ports that stay are the same objects from one configuration to the next, as the configuration reads them.
        const steps = [
          from,
          ...to.ports.map((_, i) => ({ ...from, ports: mixed(from, to, i + 1) })),
          to,
          from,
        ];
        let before = wantOf(from);
        for (const bridge of steps) {
          const want = wantOf(bridge, before, before);
          expect(want.changedKeys).toBeDefined();
          const whole = wantOf(bridge, before);
          expect(meaning(want)).toEqual(meaning(whole));
          expect([...want.reasons].sort()).toEqual([...whole.reasons].sort());
          const byKey = (phases: ReturnType<typeof plan>) => phases.map((phase) => new Set(phase));
          expect(byKey(plan(before, want, want.changedKeys))).toEqual(byKey(plan(before, whole)));
          before = want;
        }
      }),
      { numRuns: 10 },
    );
  }, 60_000);

  it('back again restores what was', () => {
    fc.assert(
      fc.property(anyBridge(), anyBridge(), (from, to) => {
        const have = wantOf(from);
        const there = applyCommands(have, plan(have, wantOf(to, have)).flat());
        const back = applyCommands(there, plan(there, wantOf(from, there)).flat());
        const flowsOf = (tables: SwitchTables): string[] => [...tables.flows.keys()].sort();
        expect(flowsOf(back)).toEqual(flowsOf(have));
        expect([...back.groups.values()].map(({ buckets }) => JSON.stringify(buckets)).sort()).toEqual(
          [...have.groups.values()].map(({ buckets }) => JSON.stringify(buckets)).sort(),
        );
      }),
    );
  }, 60_000);

  it('keeps the counters of rules of which only the instructions change', () => {
    const flow = {
      tableId: 1,
      priority: 5,
      match: { in_port: 1 },
      cookie: 1n,
      idleTimeout: 0,
      hardTimeout: 0,
      flags: [],
    };
    const goto = (tableId: number) => ({ ...flow, instructions: [{ type: 'GOTO_TABLE', tableId } as const] });
    expect(plan(switchTables([goto(2)]), switchTables([goto(3)]))).toEqual([
      [{ op: 'flow-modify', flow: goto(3) }],
    ]);
    const aged = { ...goto(2), idleTimeout: 9 };
    expect(plan(switchTables([goto(2)]), switchTables([aged]))).toEqual([[{ op: 'flow-add', flow: aged }]]);
  });

  it('reads what a switch reports as what was sent, whatever its spelling', () => {
    const sent = {
      tableId: 1,
      priority: 5,
      match: { vlan_vid: { value: 0x1000, mask: 0x1000 }, eth_src: 'AA:bb:00:00:00:01', in_port: 3 },
      instructions: [
        { type: 'WRITE_METADATA', metadata: 5n, metadataMask: 0xffn } as const,
        { type: 'APPLY_ACTIONS', actions: [{ type: 'OUTPUT', port: 1 }] } as const,
      ],
      cookie: 1n,
      idleTimeout: 0,
      hardTimeout: 0,
      flags: [],
    };
    const reported = {
      ...sent,
      match: {
        in_port: { value: 3, mask: 0xffffffff },
        eth_src: { value: 'aa:bb:00:00:00:01', mask: 'ff:ff:ff:ff:ff:ff' },
        eth_dst: { value: '00:00:00:00:00:00', mask: '00:00:00:00:00:00' },
        vlan_vid: { value: 0x1fff, mask: 0x1000 },
      },
      instructions: [
        { type: 'APPLY_ACTIONS', actions: [{ type: 'OUTPUT', port: 1, maxLength: 0 }] } as const,
        { type: 'WRITE_METADATA', metadata: 5n, metadataMask: 0xffn } as const,
      ],
    };
    expect(flowKey(reported)).toBe(flowKey(sent));
    expect(plan(switchTables([reported]), switchTables([sent]))).toEqual([]);
  });
});

describe('going over to another configuration', () => {
  it('at no message drops a frame that old and new both forward', () => {
    fc.assert(
      fc.property(anyBridge(), anyBridge(), anyTags(), (from, to, tags) => {
        const [before, after] = [portsOf(from), portsOf(to)];
        const ports = [...new Set([...before.keys(), ...after.keys()])];
        const changed = new Set(ports.filter((port) => before.get(port) !== after.get(port)));
        const model = livedIn(from, ports);
        const arrived = livedIn(from, ports);
        for (const step of arrived.reconfigure(to)) void step;

        const kept = probes(ports, [[], [{ tpid: 0x8100, vid: 10, pcp: 0 }], tags]).flatMap((probe) => {
          const then = leaves(arrived.model, probe, changed);
          const both = [...leaves(model.model, probe, changed)].filter((output) => then.has(output));
          return both.length > 0 ? [{ probe, both }] : [];
        });
        let messages = 0;
        for (const step of model.reconfigure(to)) {
          void step;
          messages++;
          for (const { probe, both } of kept) {
            const seen = leaves(model.model, probe, changed);
            for (const output of both) {
              if (!seen.has(output))
                throw new Error(`after message ${messages}, ${probe.name} not by ${output}`);
            }
          }
        }
        // And at the end it is the new configuration, and nothing but it.
        const isLearned = (flow: ResolvedFlow): boolean =>
          pipeline.owner(flow)?.kind.startsWith('learned') === true;
        const flows = new Map([...model.have.flows].filter(([, { flow }]) => !isLearned(flow)));
        expect(plan({ ...model.have, flows }, wantOf(to, model.have))).toEqual([]);
      }),
      { numRuns: 40, endOnFailure: true },
    );
  }, 120_000);
});
