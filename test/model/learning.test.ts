import { describe, expect, it } from 'vitest';
import {
  macAddress,
  newBridge,
  newInterface,
  newPort,
  parseDpid,
  VlanSet,
  type Bridge,
  type Dpid,
} from '../../src/domain/index.js';
import {
  bridgeProgram,
  fdbRows,
  flushMacs,
  type InstalledFlow,
  type Program,
} from '../../src/programs/index.js';
import { BridgeModel } from './bridge-model.js';
import { makeFrame } from './frame.js';

const A = macAddress('02:00:00:00:00:0a');
const B = macAddress('02:00:00:00:00:0b');
const OWN = macAddress('02:00:00:00:00:01');
const LOCAL = 0xfffffffe;

function bridge(changes: Partial<Bridge> = {}): Bridge {
  return newBridge({
    name: 'br0',
    datapathId: (parseDpid('1') ?? '') as Dpid,
    ports: [
      newPort({ name: 'p1', ofport: 1, tag: 10 }),
      newPort({ name: 'p2', ofport: 2, tag: 10 }),
      newPort({ name: 'p3', ofport: 3, tag: 10 }),
      newPort({
        name: 'br0',
        tag: 10,
        interfaces: [newInterface({ name: 'br0', type: 'internal', ofport: LOCAL, mac: OWN })],
      }),
    ],
    ...changes,
  });
}

const frame = (dst: string, src: string): Uint8Array => makeFrame({ dst, src });
const ports = (model: BridgeModel, inPort: number, dst: string, src: string): number[] =>
  [...model.outputs(inPort, frame(dst, src)).keys()].sort((x, y) => x - y);

describe('learning, on the model switch', () => {
  it('floods until it knows, then sends to the one port, without the controller', () => {
    const model = new BridgeModel(bridge());
    expect(ports(model, 1, B, A)).toEqual([2, 3, LOCAL]);
    expect(model.send(1, frame(B, A)).packetIns).toHaveLength(1);
    expect(model.send(2, frame(A, B)).packetIns).toHaveLength(1);
    expect(ports(model, 1, B, A)).toEqual([2]);
    expect(model.send(1, frame(B, A)).packetIns).toHaveLength(0);
  });

  it('sends no more than 64 bytes of a frame to the controller', () => {
    const model = new BridgeModel(bridge());
    const long = makeFrame({ dst: B, src: A, payload: new Uint8Array(1400) });
    expect(model.send(1, long).packetIns[0]?.data.length).toBe(64);
  });

  it('follows an address that moves', () => {
    const model = new BridgeModel(bridge());
    model.send(1, frame(B, A));
    model.send(3, frame(B, A));
    expect(ports(model, 2, A, B)).toEqual([3]);
    expect(model.state.macs.counters.moved).toBe(1);
    // Were the old port's rule still there, moving back would go unseen.
    expect(model.send(1, frame(B, A)).packetIns).toHaveLength(1);
    expect(ports(model, 2, A, B)).toEqual([1]);
  });

  it('forgets what the switch has aged out, and learns it again', () => {
    const model = new BridgeModel(bridge());
    model.send(1, frame(B, A));
    for (const flow of bridgeProgram.dynamicFlows?.({ bridge: bridge(), settings: {} }, model.state) ?? []) {
      if (flow.kind === 'learned-source') {
        expect(flow).toMatchObject({ idleTimeoutS: 300, notifyRemoved: true });
        model.expire(flow);
      }
    }
    expect(ports(model, 2, A, B)).toEqual([1, 3, LOCAL]);
    expect(model.send(1, frame(B, A)).packetIns).toHaveLength(1);
  });

  it('never learns its own addresses elsewhere, and knows where they are', () => {
    const model = new BridgeModel(bridge());
    expect(ports(model, 1, OWN, A)).toEqual([LOCAL]);
    expect(model.send(2, frame(B, OWN)).packetIns).toHaveLength(0);
    expect(ports(model, 1, OWN, A)).toEqual([LOCAL]);
  });

  it('passes frames from multicast sources on without learning', () => {
    const model = new BridgeModel(bridge());
    const walk = model.send(1, frame(B, '03:00:00:00:00:01'));
    expect(walk.packetIns).toHaveLength(0);
    expect(walk.outputs).toHaveLength(3);
  });

  it('keeps static entries where they are', () => {
    const model = new BridgeModel(bridge({ staticMacs: [{ vlan: 10, mac: A, port: 'p1' }] }));
    expect(ports(model, 2, A, B)).toEqual([1]);
    expect(model.send(3, frame(B, A)).packetIns).toHaveLength(0);
    expect(ports(model, 2, A, B)).toEqual([1]);
    expect(fdbRows(bridge({ staticMacs: [{ vlan: 10, mac: A, port: 'p1' }] }), model.state)).toContainEqual({
      vlan: 10,
      mac: A,
      port: 'p1',
      kind: 'static',
      learnedAtMs: null,
    });
  });

  it('floods VLANs without learning', () => {
    const model = new BridgeModel(bridge({ floodVlans: VlanSet.of([10]) }));
    expect(model.send(1, frame(B, A)).packetIns).toHaveLength(0);
    expect(ports(model, 2, A, B)).toEqual([1, 3, LOCAL]);
  });

  it('drops reserved group addresses unless told to forward them', () => {
    const stp = '01:80:c2:00:00:00';
    for (const reserved of [stp, '01:80:c2:00:00:0e', '01:00:0c:cc:cc:cd', '00:e0:2b:00:00:04']) {
      expect(ports(new BridgeModel(bridge()), 1, reserved, A)).toEqual([]);
    }
    expect(ports(new BridgeModel(bridge({ forwardBpdu: true })), 1, stp, A)).toEqual([2, 3, LOCAL]);
    expect(ports(new BridgeModel(bridge()), 1, '01:80:c2:00:00:10', A)).toEqual([2, 3, LOCAL]);
  });

  it('bridges what a controller sends through it, and learns nothing from that', () => {
    const model = new BridgeModel(bridge());
    const tagged = makeFrame({ dst: B, src: A, tags: [{ vid: 10 }] });
    const walk = model.model.inject(0xfffffffd, tagged);
    expect(walk.packetIns).toHaveLength(0);
    expect(walk.outputs.map(({ port }) => port).sort((x, y) => x - y)).toEqual([1, 2, 3, LOCAL]);
  });

  it('drops what comes in by a port that is not the bridge’s', () => {
    expect(ports(new BridgeModel(bridge()), 9, B, A)).toEqual([]);
  });

  it('flushes by port name', () => {
    const model = new BridgeModel(bridge());
    model.send(1, frame(B, A));
    model.send(2, frame(A, B));
    const { count, changes } = flushMacs(model.state, { port: 'p1' }, 0);
    expect(count).toBe(1);
    expect(changes.map(({ op }) => op)).toEqual(['delete', 'delete']);
  });

  it('takes over after a restart what the switch has, and no half of it', () => {
    const model = new BridgeModel(bridge());
    model.send(1, frame(B, A));
    model.send(2, frame(A, B));
    const installed: InstalledFlow[] = model.model.flows.flatMap((flow) => {
      const owner = model.pipeline.owner(flow);
      return owner && owner.program === (bridgeProgram as Program) ? [{ ...owner, ...flow }] : [];
    });
    const context = { bridge: bridge(), settings: {} };
    const state = bridgeProgram.init(context, 0);
    // The destination rule of B was lost: B is not known, and its source rule will not be wanted.
    const partial = installed.filter(
      (flow) => flow.kind !== 'learned-destination' || flow.match['eth_dst'] !== B,
    );
    bridgeProgram.recover?.(context, state, partial, 0);
    expect([...state.macs.entries()].map(({ mac, port, vlan }) => [mac, port, vlan])).toEqual([[A, 1, 10]]);
    expect([...(bridgeProgram.dynamicFlows?.(context, state) ?? [])]).toHaveLength(2);
  });
});
