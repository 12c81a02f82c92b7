import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  IPFIX_OBSERVER,
  SFLOW_OBSERVER,
  newBridge,
  newPort,
  VlanSet,
  type Bridge,
  type Dpid,
  type LogicalPort,
  type Mirror,
} from '../../src/domain/index.js';
import { BridgeModel } from './bridge-model.js';
import { makeFrame, parseFrame, type Tag } from './frame.js';

const dpid = '0000000000000001' as Dpid;
const tag = (vid: number): Required<Tag> => ({ tpid: 0x8100, vid, pcp: 0 });
const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const UNKNOWN = '02:00:00:00:00:ff';

/** a and b in VLAN 10, c in 20, t a trunk, s for copies, r a trunk of the RSPAN's VLAN 99 only. */
const ports = [
  newPort({ name: 'a', ofport: 1, tag: 10 }),
  newPort({ name: 'b', ofport: 2, tag: 10 }),
  newPort({ name: 'c', ofport: 3, tag: 20 }),
  newPort({ name: 't', ofport: 4, trunks: VlanSet.of([10, 20]) }),
  newPort({ name: 's', ofport: 5 }),
  newPort({ name: 'r', ofport: 6, trunks: VlanSet.single(99) }),
];
const ofportOf = (name: string) => ports.findIndex((port) => port.name === name) + 1;

function mirrorOf(given: Partial<Mirror>): Mirror {
  return {
    name: 'm',
    uuid: '00000000-0000-0000-0000-000000000000',
    selectAll: false,
    sourcePorts: [],
    destinationPorts: [],
    vlans: null,
    output: { kind: 'port', port: 's' },
    snaplen: null,
    ...given,
  };
}

const bridgeOf = (mirrors: readonly Mirror[], list: readonly LogicalPort[] = ports): Bridge =>
  newBridge({ name: 'br0', datapathId: dpid, ports: list, mirrors });

interface Seen {
  readonly port: string;
  readonly vids: readonly number[];
}

/** Where a frame goes, copies included. */
function seen(model: BridgeModel, from: string, dst: string, tags: Required<Tag>[] = [], src = A): Seen[] {
  const { outputs } = model.model.inject(ofportOf(from), makeFrame({ dst, src, tags }));
  return outputs
    .map(({ port, frame }) => ({
      port: ports[port - 1]?.name ?? `${port}`,
      vids: parseFrame(frame).tags.map(({ vid }) => vid),
    }))
    .sort((x, y) => (x.port < y.port ? -1 : x.port > y.port ? 1 : 0));
}
const at = (port: string, ...vids: number[]): Seen => ({ port, vids });

/** A model that has learned A behind a and B behind b. */
function learned(mirrors: readonly Mirror[], list = ports): BridgeModel {
  const model = new BridgeModel(bridgeOf(mirrors, list));
  model.send(1, makeFrame({ dst: B, src: A, tags: [] }));
  model.send(2, makeFrame({ dst: A, src: B, tags: [] }));
  return model;
}

describe('SPAN', () => {
  it('copies what comes in by a source port, flooded or not, once, in its VLAN', () => {
    const model = learned([mirrorOf({ sourcePorts: ['a'] })]);
    expect(seen(model, 'a', B)).toEqual([at('b'), at('s', 10)]);
    expect(seen(model, 'a', UNKNOWN)).toEqual([at('b'), at('s', 10), at('t', 10)]);
    expect(seen(model, 'b', A, [], B)).toEqual([at('a')]);
  });

  it('copies what goes out by a destination port, once, and not what does not', () => {
    const model = learned([mirrorOf({ destinationPorts: ['b', 't'] })]);
    expect(seen(model, 'a', B)).toEqual([at('b'), at('s', 10)]);
    expect(seen(model, 'b', A, [], B)).toEqual([at('a')]);
    expect(seen(model, 'a', UNKNOWN)).toEqual([at('b'), at('s', 10), at('t', 10)]);
    // It goes out by neither: t is where it came from, and b has another VLAN.
    expect(seen(model, 't', UNKNOWN, [tag(20)])).toEqual([at('c')]);
    expect(seen(model, 't', UNKNOWN, [tag(10)])).toEqual([at('a'), at('b'), at('s', 10)]);
  });

  it('in and out: one copy', () => {
    const model = learned([mirrorOf({ sourcePorts: ['a', 'b'], destinationPorts: ['a', 'b'] })]);
    expect(seen(model, 'a', B)).toEqual([at('b'), at('s', 10)]);
    expect(seen(model, 'a', UNKNOWN)).toEqual([at('b'), at('s', 10), at('t', 10)]);
    expect(seen(model, 't', UNKNOWN, [tag(10)])).toEqual([at('a'), at('b'), at('s', 10)]);
  });

  it('all, of some VLANs', () => {
    const model = learned([mirrorOf({ selectAll: true, vlans: VlanSet.single(20) })]);
    expect(seen(model, 'a', UNKNOWN)).toEqual([at('b'), at('t', 10)]);
    expect(seen(model, 'c', UNKNOWN)).toEqual([at('s', 20), at('t', 20)]);
    expect(seen(model, 't', UNKNOWN, [tag(20)])).toEqual([at('c'), at('s', 20)]);
  });

  it('an access port as output gets copies without their tag', () => {
    const list = ports.map((port) => (port.name === 's' ? newPort({ name: 's', ofport: 5, tag: 7 }) : port));
    expect(seen(learned([mirrorOf({ selectAll: true })], list), 'a', B)).toEqual([at('b'), at('s')]);
  });

  it('the output port takes and gets nothing else', () => {
    const model = learned([mirrorOf({ sourcePorts: ['c'] })]);
    expect(seen(model, 's', UNKNOWN)).toEqual([]);
    expect(seen(model, 't', UNKNOWN, [tag(10)])).toEqual([at('a'), at('b')]);
  });

  it('two mirrors on one port: a copy each', () => {
    const second = mirrorOf({ name: 'n', sourcePorts: ['a'], output: { kind: 'vlan', vlan: 99 } });
    const model = learned([mirrorOf({ sourcePorts: ['a'] }), second]);
    expect(seen(model, 'a', B)).toEqual([at('b'), at('r', 99), at('s', 10)]);
  });
});

describe('RSPAN', () => {
  const rspan = mirrorOf({ selectAll: true, output: { kind: 'vlan', vlan: 99 } });

  it('copies into a VLAN', () => {
    const model = learned([rspan]);
    // s is a trunk of all VLANs here.
    expect(seen(model, 'a', B)).toEqual([at('b'), at('r', 99), at('s', 99)]);
  });

  it('what comes in in that VLAN is flooded there, neither copied nor learned', () => {
    const model = learned([rspan]);
    const walk = model.send(6, makeFrame({ dst: UNKNOWN, src: '02:00:00:00:00:77', tags: [tag(99)] }));
    expect(walk.outputs.map(({ port }) => port)).toEqual([5]);
    expect(walk.packetIns).toEqual([]);
  });
});

describe('bonds', () => {
  it('with a bond among the ports, a flooded frame that two destinations get is copied once', () => {
    const bond = newPort({
      name: 't',
      interfaces: [
        { ...newPort({ name: 'm1', ofport: 4 }).interfaces[0]! },
        { ...newPort({ name: 'm2', ofport: 7 }).interfaces[0]! },
      ],
      bond: {
        mode: 'active-backup',
        primary: null,
        updelayMs: 0,
        downdelayMs: 0,
        rebalanceIntervalMs: 0,
        hashBasis: 0,
        allMembersActive: false,
      },
    });
    const list = ports.map((port) => (port.name === 't' ? bond : port));
    const model = learned([mirrorOf({ destinationPorts: ['b', 't'] })], list);
    const copies = seen(model, 'a', UNKNOWN).filter(({ port }) => port === 's');
    expect(copies).toEqual([at('s', 10)]);
  });
});

const names = fc.subarray(['a', 'b', 'c', 't', 'r']);
const anyMirror = fc.record({
  selectAll: fc.boolean(),
  sourcePorts: names,
  destinationPorts: names,
  vlans: fc.option(fc.subarray([10, 20, 99]).map((vids) => VlanSet.of(vids))),
});

describe('any mirror', () => {
  it(
    'one copy of what it selects, none of the rest, and the frame goes where it goes without it',
    { timeout: 60_000 },
    () => {
      // The output port is none of the switch's any more, with a mirror that selects nothing.
      const unmirrored = learned([mirrorOf({})]);
      fc.assert(
        fc.property(
          anyMirror,
          fc.constantFrom('a', 'b', 'c', 't'),
          fc.constantFrom(A, B, UNKNOWN),
          fc.constantFrom(10, 20),
          (given, from, dst, vid) => {
            const mirror = mirrorOf(given);
            const tags = from === 't' ? [tag(vid)] : [];
            const vlan = from === 't' ? vid : from === 'c' ? 20 : 10;
            const without = seen(unmirrored, from, dst, tags, UNKNOWN);
            const all = seen(learned([mirror]), from, dst, tags, UNKNOWN);
            const isSelected =
              (mirror.vlans === null || mirror.vlans.has(vlan)) &&
              (mirror.selectAll ||
                mirror.sourcePorts.includes(from) ||
                without.some(({ port }) => mirror.destinationPorts.includes(port)));
            expect(all.filter(({ port }) => port === 's')).toEqual(isSelected ? [at('s', vlan)] : []);
            expect(all.filter(({ port }) => port !== 's')).toEqual(without);
          },
        ),
        { numRuns: 100 },
      );
    },
  );
});

describe('sampling and accounting', () => {
  const settings = { collectors: [], datagramsPerS: 1 };
  const exports: NonNullable<Bridge['exports']> = {
    sflow: { ...settings, agent: null, sampling: 100, pollingS: 0, headerBytes: 128 },
    ipfix: {
      ...settings,
      ...{ sampling: 1, domainId: 7, pointId: 3, activeTimeoutS: 60, idleTimeoutS: 15, maxFlows: 10 },
    },
  };
  const shownTo = (model: BridgeModel, from: string, tags: Required<Tag>[] = []): readonly number[] =>
    model.model.inject(ofportOf(from), makeFrame({ dst: B, src: A, tags })).samples;

  it('every frame that its port takes is shown once, mirrored or not', () => {
    const mirrors = [
      mirrorOf({ name: 'm0', selectAll: true, vlans: VlanSet.single(20) }),
      mirrorOf({ name: 'm1', sourcePorts: ['a'], destinationPorts: ['b'] }),
    ];
    const model = new BridgeModel({ ...bridgeOf(mirrors), exports });
    const both = [SFLOW_OBSERVER, IPFIX_OBSERVER];
    expect(shownTo(model, 'a')).toEqual(both);
    expect(shownTo(model, 'c')).toEqual(both);
    expect(shownTo(model, 't', [tag(10)])).toEqual(both);
    expect(shownTo(model, 't', [tag(30)])).toEqual([]);
    expect(shownTo(model, 's')).toEqual([]);
  });

  it('is one rule of its own, that says what it is for', () => {
    const plain = new BridgeModel(bridgeOf([]));
    const observed = new BridgeModel({ ...bridgeOf([]), exports });
    const [rule, ...others] = [...observed.want.flows].filter(([key]) => !plain.want.flows.has(key));
    expect(others).toEqual([]);
    expect(observed.want.reasons.get(rule?.[0] ?? '')).toBe(
      'sFlow: one packet in 100 is sampled; IPFIX: every packet is accounted',
    );
    const [actions] = rule?.[1].flow.instructions ?? [];
    expect(actions).toMatchObject({ actions: [{ obsDomainId: 0 }, { obsDomainId: 7, obsPointId: 3 }] });
  });

  it('users’ collector sets are for users’ flows; what the switch refuses is left out', () => {
    const sampleSets = [{ id: 5, ipfix: exports.ipfix! }];
    const model = new BridgeModel({ ...bridgeOf([]), exports: { sampleSets } });
    expect(shownTo(model, 'a')).toEqual([]);
    const withheld = new Set([SFLOW_OBSERVER]);
    expect(shownTo(new BridgeModel({ ...bridgeOf([]), exports: { ...exports, withheld } }), 'a')).toEqual([
      IPFIX_OBSERVER,
    ]);
  });
});
