import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  newBridge,
  newPort,
  VlanSet,
  type Bridge,
  type Dpid,
  type LogicalPort,
} from '../../src/domain/index.js';
import { BridgeModel } from './bridge-model.js';
import { makeFrame, type Tag } from './frame.js';
import { floodedTo } from './vlan-oracle.js';
import { anyBridge, anyTags } from './arbitraries.js';

const dpid = '0000000000000001' as Dpid;
const vlans = (...vids: number[]): VlanSet => VlanSet.of(vids);

/** Every mode, with the settings that change what it does. VLANs 10 and 20 are the native and another one. */
const configurations: Record<string, Partial<LogicalPort>> = {
  'access 10': { vlanMode: 'access', tag: 10 },
  'access 20': { vlanMode: 'access', tag: 20 },
  'access 0': { vlanMode: 'access', tag: 0 },
  'access 10, priority tags if nonzero': { vlanMode: 'access', tag: 10, priorityTags: 'if-nonzero' },
  'access 10, priority tags always': { vlanMode: 'access', tag: 10, priorityTags: 'always' },
  'trunk of all': { vlanMode: 'trunk' },
  'trunk of 10 and 30': { vlanMode: 'trunk', trunks: vlans(10, 30) },
  'trunk of 0 and 20': { vlanMode: 'trunk', trunks: vlans(0, 20), priorityTags: 'if-nonzero' },
  'trunk, priority tags always': { vlanMode: 'trunk', priorityTags: 'always' },
  'native-tagged 10 of all': { vlanMode: 'native-tagged', tag: 10 },
  'native-tagged 10 with 20': { vlanMode: 'native-tagged', tag: 10, trunks: vlans(20) },
  'native-untagged 10 of all': { vlanMode: 'native-untagged', tag: 10 },
  'native-untagged 10 with 0, 10, 20': { vlanMode: 'native-untagged', tag: 10, trunks: vlans(0, 10, 20) },
  'native-untagged 10, priority tags': { vlanMode: 'native-untagged', tag: 10, priorityTags: 'if-nonzero' },
  'tunnel 10, 802.1ad': { vlanMode: 'dot1q-tunnel', tag: 10 },
  'tunnel 10, 802.1Q': { vlanMode: 'dot1q-tunnel', tag: 10, qinqEthertype: 0x8100 },
  'tunnel 10 for customers 20, 30': { vlanMode: 'dot1q-tunnel', tag: 10, cvlans: vlans(20, 30) },
  'tunnel 10 for customers 0, 30': { vlanMode: 'dot1q-tunnel', tag: 10, cvlans: vlans(0, 30) },
};

const tag = (vid: number, pcp = 0, tpid = 0x8100): Required<Tag> => ({ tpid, vid, pcp });

const frames: Record<string, Required<Tag>[]> = {
  untagged: [],
  'priority-tagged, priority 0': [tag(0)],
  'priority-tagged, priority 5': [tag(0, 5)],
  'VLAN 10': [tag(10)],
  'VLAN 10, priority 3': [tag(10, 3)],
  'VLAN 20': [tag(20)],
  'VLAN 30': [tag(30, 7)],
  'VLAN 99': [tag(99)],
  'VLAN 4095': [tag(4095)],
  'double-tagged 10, 20': [tag(10), tag(20)],
  'double-tagged 10, 99': [tag(10, 2), tag(99, 1)],
  'double-tagged 10 (802.1ad), 30': [tag(10, 4, 0x88a8), tag(30)],
  'double-tagged 10, 0': [tag(10), tag(0, 6)],
  'double-tagged 0, 10': [tag(0, 1), tag(10)],
};

const MAC_A = '02:00:00:00:00:0a';
const UNKNOWN = '02:00:00:00:00:ff';

const ports = Object.entries(configurations).map(([name, settings], i) =>
  newPort({ name, ofport: i + 1, ...settings }),
);

function flooded(
  model: BridgeModel,
  bridge: Bridge,
  from: LogicalPort,
  tags: Required<Tag>[],
): Map<string, unknown> {
  const outputs = model.outputs(
    from.interfaces[0]?.ofport ?? 0,
    makeFrame({ dst: UNKNOWN, src: MAC_A, tags }),
  );
  return new Map(
    bridge.ports.flatMap((port) => {
      const output = outputs.get(port.interfaces[0]?.ofport ?? 0);
      return output ? [[port.name, output.tags] as const] : [];
    }),
  );
}

describe('VLAN matrix: every mode × every kind of frame, in and out', () => {
  const bridge = newBridge({ name: 'br0', datapathId: dpid, ports });
  const model = new BridgeModel(bridge);

  for (const from of ports) {
    it.each(Object.entries(frames))(`in by ${from.name}: %s`, (_, tags) => {
      expect(flooded(model, bridge, from, tags)).toEqual(floodedTo(ports, from, tags));
    });
  }

  it('sends to a known destination alone, with the same tags', () => {
    const known = '02:00:00:00:00:bb';
    for (const to of ports) {
      const toOfport = to.interfaces[0]?.ofport ?? 0;
      for (const arrival of Object.values(frames)) {
        // The host shows itself in whatever VLAN this frame puts it.
        const fresh = new BridgeModel(bridge);
        fresh.send(toOfport, makeFrame({ dst: UNKNOWN, src: known, tags: arrival }));
        const [entry] = [...fresh.state.macs.entries()];
        if (entry === undefined) continue;
        for (const from of ports.slice(0, 8)) {
          for (const tags of Object.values(frames)) {
            if (from === to) continue;
            const seen = fresh.outputs(
              from.interfaces[0]?.ofport ?? 0,
              makeFrame({ dst: known, src: MAC_A, tags }),
            );
            const expected = floodedTo(ports, from, tags);
            if (!isIn(from, tags, entry.vlan)) continue;
            const tagsThere = expected.get(to.name);
            expect([...seen.keys()]).toEqual(tagsThere === undefined ? [] : [toOfport]);
            if (tagsThere !== undefined) expect(seen.get(toOfport)?.tags).toEqual(tagsThere);
          }
        }
      }
    }
  }, 60_000);

  it('agrees with the documentation on random bridges, protected ports included', () => {
    fc.assert(
      fc.property(anyBridge(), anyTags(), (random, tags) => {
        const randomModel = new BridgeModel(random);
        for (const from of random.ports) {
          expect(flooded(randomModel, random, from, tags)).toEqual(floodedTo(random.ports, from, tags));
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

/** Whether a frame that enters by `from` is in `vlan`; by a witness port that carries just that VLAN. */
function isIn(from: LogicalPort, tags: Required<Tag>[], vlan: number): boolean {
  const witness = newPort({ name: 'witness', tag: vlan });
  return floodedTo([witness], { ...from, protected: false }, tags).has('witness');
}

describe('scale', () => {
  it('needs few rules for many VLANs', () => {
    const many = VlanSet.of(Array.from({ length: 4000 }, (_, i) => i + 1));
    const bridge = newBridge({
      name: 'br0',
      datapathId: dpid,
      ports: [
        newPort({ name: 't1', ofport: 1, trunks: many }),
        newPort({ name: 't2', ofport: 2, trunks: many }),
        newPort({ name: 'a1', ofport: 3, tag: 17 }),
      ],
    });
    const model = new BridgeModel(bridge);
    expect(model.want.flows.size).toBeLessThan(150);
    expect(model.want.groups.size).toBe(2);
  });

  it('plans 1000 access ports in 1000 VLANs and a trunk quickly', () => {
    const access = Array.from({ length: 1000 }, (_, i) =>
      newPort({ name: `p${i}`, ofport: i + 2, tag: i + 1 }),
    );
    const bridge = newBridge({
      name: 'br0',
      datapathId: dpid,
      ports: [newPort({ name: 't', ofport: 1 }), ...access],
    });
    const model = new BridgeModel(bridge);
    expect(model.outputs(2, makeFrame({ dst: UNKNOWN, src: MAC_A })).get(1)?.tags).toEqual([tag(1)]);
  });
});
