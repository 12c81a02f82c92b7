/** Bonds on the model switch, with the runner as the driver works it: where does each frame leave, and what is refused? */
import { describe, expect, it } from 'vitest';
import {
  macAddress,
  newBridge,
  newInterface,
  newPort,
  VlanSet,
  type BondSettings,
  type Bridge,
  type Dpid,
  type LacpSettings,
} from '../../src/domain/index.js';
import { bridgeProgram, type BridgeState, type PortLink } from '../../src/programs/index.js';
import { LacpEntity } from '../../src/protocols/index.js';
import { switchTables } from '../../src/reconcile/index.js';
import { ProgramRunner, type Consequence } from '../../src/switches/runner.js';
import { lacpConfig } from '../../src/protocols/lacp/simulation.test-helper.js';
import { makeFrame, parseFrame, type FrameDescription } from './frame.js';
import { ModelSwitch } from './switch.js';

const BOND: BondSettings = {
  mode: 'active-backup',
  primary: null,
  updelayMs: 0,
  downdelayMs: 0,
  rebalanceIntervalMs: 10_000,
  hashBasis: 0,
  allMembersActive: false,
};
const LACP: LacpSettings = {
  mode: 'active',
  systemId: macAddress('02:00:00:00:00:00'),
  systemPriority: 65534,
  time: 'fast',
  fallbackAb: false,
};
const MEMBERS = [1, 2, 3];
const HOST = 4;
const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const ALL_STATIONS = 'ff:ff:ff:ff:ff:ff';

function bridge(bond: Partial<BondSettings> = {}, lacp?: Partial<LacpSettings>, members = MEMBERS): Bridge {
  const bond0 = newPort({
    name: 'bond0',
    trunks: VlanSet.of([1, 2]),
    interfaces: members.map((n) => newInterface({ name: `eth${n}`, ofport: n })),
    bond: { ...BOND, ...bond },
    ...(lacp === undefined ? {} : { lacp: { ...LACP, ...lacp } }),
  });
  const others = [
    newPort({ name: 'host', ofport: HOST, tag: 1 }),
    newPort({ name: 'host2', ofport: 5, tag: 1 }),
  ];
  return newBridge({
    name: 'br0',
    datapathId: '0000000000000001' as Dpid,
    ports: members.length > 0 ? [bond0, ...others] : others,
  });
}

class Bench {
  readonly model = new ModelSwitch([...MEMBERS, HOST, 5]);
  readonly runner: ProgramRunner;
  readonly links = new Map<number, PortLink>();
  nowMs = 0;
  /** Frames that left by packet-out, by port. */
  sent: { port: number; frame: Uint8Array }[] = [];
  #bridge: Bridge;

  constructor(given: Bridge) {
    this.#bridge = given;
    for (const port of this.model.ports) {
      const mac = macAddress(`02:00:00:00:01:0${port}`);
      this.links.set(port, { mac, isAdminUp: true, isLinkUp: true });
    }
    this.runner = new ProgramRunner(given, { programs: [bridgeProgram], settings: {}, nowMs: 0 });
    this.runner.setLinks(this.links);
    this.runner.layOut(given, { firstTable: 64, tableCount: 254 });
    const have = switchTables([]);
    this.react({ ...this.runner.adopt(given, [], 0), isStale: false });
    for (const phase of [...this.runner.planConfigured(have), ...this.runner.planRest(have)])
      this.model.applyAll(phase);
  }

  get state(): BridgeState {
    return this.runner.state(bridgeProgram) as BridgeState;
  }

  react({ commands, packetOuts, isStale }: Consequence): void {
    this.model.applyAll(commands);
    for (const { actions, data } of packetOuts)
      this.sent.push(...this.model.packetOut(actions, data).outputs);
    if (isStale) this.configure(this.#bridge);
  }

  configure(to: Bridge): void {
    this.#bridge = to;
    for (const { phases, consequence } of this.runner.reconfigure(to, this.nowMs)) {
      this.react(consequence);
      for (const phase of phases) this.model.applyAll(phase);
    }
  }

  /** @param tellsController whether the controller hears of it, or the switch is left to itself */
  link(port: number, isLinkUp: boolean, tellsController = true): void {
    if (isLinkUp) this.model.ports.add(port);
    else this.model.ports.delete(port);
    const mac = macAddress(`02:00:00:00:01:0${port}`);
    this.links.set(port, { mac, isAdminUp: true, isLinkUp });
    if (!tellsController) return;
    const event = { port, name: `eth${port}`, change: 'modified' as const, isLinkUp };
    this.react(this.runner.portStatus(event, this.nowMs));
  }

  wait(ms: number): void {
    const end = this.nowMs + ms;
    for (;;) {
      const at = Math.max(this.nowMs, this.runner.wakeAtMs(this.nowMs));
      if (at > end) break;
      this.nowMs = at;
      this.react(this.runner.timer(at));
    }
    this.nowMs = end;
  }

  /** Where a frame leaves; the controller learns from it. */
  send(port: number, frame: FrameDescription): number[] {
    return this.receive(port, makeFrame(frame)).map((it) => it.port);
  }

  receive(port: number, frame: Uint8Array) {
    const { outputs, packetIns } = this.model.inject(port, frame, 64);
    for (const { tableId, inPort, data } of packetIns)
      this.react(this.runner.packetIn(tableId, { inPort, match: {}, data }, this.nowMs));
    return outputs;
  }
}

const tagged = (dst: string, src: string, vid = 1): FrameDescription => ({ dst, src, tags: [{ vid }] });
const station = (n: number): string => `02:00:00:00:02:${n.toString(16).padStart(2, '0')}`;

describe('active-backup', () => {
  it('sends one copy by the active member, tagged; takes frames from it alone', () => {
    const bench = new Bench(bridge());
    expect(bench.send(HOST, { dst: ALL_STATIONS, src: A }).sort()).toEqual([1, 5]);
    const [out] = bench.receive(HOST, makeFrame({ dst: B, src: A })).filter((it) => it.port === 1);
    expect(parseFrame(out?.frame ?? new Uint8Array(64)).tags[0]?.vid).toBe(1);
    expect(bench.send(1, tagged(A, B))).toEqual([HOST]);
    expect(bench.send(2, tagged(A, station(1)))).toEqual([]);
    // Learned on the bond, not on a member.
    expect(bench.send(HOST, { dst: B, src: A })).toEqual([1]);
  });

  it('the switch fails over before the controller has heard of it, then both agree', () => {
    const bench = new Bench(bridge());
    bench.send(HOST, { dst: ALL_STATIONS, src: A });
    bench.link(1, false, false);
    expect(bench.send(HOST, { dst: B, src: A }).sort()).toEqual([2, 5]);
    bench.link(1, false);
    expect(bench.state.bonds.bond('bond0')?.active).toBe('eth2');
    expect(bench.send(HOST, { dst: B, src: A }).sort()).toEqual([2, 5]);
    expect(bench.send(2, tagged(A, B))).toEqual([HOST]);
    bench.sent = [];
    bench.wait(200);
    // A reverse ARP request in the station's name, by the new member, in its VLAN.
    expect(bench.sent.map(({ port, frame }) => [port, parseFrame(frame)])).toEqual([
      [2, { dst: ALL_STATIONS, src: A, tags: [{ tpid: 0x8100, vid: 1, pcp: 0 }], ethertype: 0x8035 }],
    ]);
  });

  it('what comes in by a member never leaves by another', () => {
    const bench = new Bench(bridge());
    bench.send(1, tagged(ALL_STATIONS, B));
    expect(bench.send(1, tagged(ALL_STATIONS, B)).sort()).toEqual([HOST, 5]);
    expect(bench.send(1, tagged(station(9), B)).sort()).toEqual([HOST, 5]);
    expect(bench.send(1, tagged(B, station(3)))).toEqual([]);
  });

  it('all members gone: nothing leaves; back again: all as before', () => {
    const bench = new Bench(bridge());
    for (const port of MEMBERS) bench.link(port, false);
    expect(bench.send(HOST, { dst: ALL_STATIONS, src: A })).toEqual([5]);
    for (const port of MEMBERS) bench.link(port, true);
    expect(bench.send(HOST, { dst: ALL_STATIONS, src: A }).sort()).toEqual([1, 5]);
  });
});

describe('balance-slb', () => {
  const slb = (): Bench => new Bench(bridge({ mode: 'balance-slb' }));

  it('each station goes by one member whatever it sends, all together by all', () => {
    const bench = slb();
    const used = new Set<number>();
    for (let n = 0; n < 64; n++) {
      const ways = [ALL_STATIONS, B, station(200)].map((dst) =>
        bench.send(HOST, { dst, src: station(n) }).filter((port) => port !== 5 && port !== HOST),
      );
      expect(ways.every((way) => way.length === 1 && way[0] === ways[0]?.[0])).toBe(true);
      used.add(ways[0]?.[0] ?? 0);
    }
    expect([...used].sort()).toEqual(MEMBERS);
  });

  it('broadcasts are taken from the active member only, unicasts from all', () => {
    const bench = slb();
    bench.send(HOST, { dst: ALL_STATIONS, src: A });
    expect(bench.send(1, tagged(ALL_STATIONS, B)).sort()).toEqual([HOST, 5]);
    expect(bench.send(2, tagged(ALL_STATIONS, B))).toEqual([]);
    expect(bench.send(2, tagged(A, B))).toEqual([HOST]);
    const all = new Bench(bridge({ mode: 'balance-slb', allMembersActive: true }));
    expect(all.send(2, tagged(ALL_STATIONS, B)).sort()).toEqual([HOST, 5]);
  });

  it('its own frames sent back by the network are dropped, not learned; a gratuitous ARP is believed', () => {
    const bench = slb();
    bench.send(HOST, { dst: ALL_STATIONS, src: A });
    expect(bench.send(1, tagged(ALL_STATIONS, A))).toEqual([]);
    expect(bench.state.macs.get(1, macAddress(A))?.port).toBe(HOST);
    const arp = (senderIp: number, targetIp: number): Uint8Array => {
      const payload = new Uint8Array(46);
      payload.set([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 0x0a, 10, 0, 0, senderIp], 0);
      payload.set([10, 0, 0, targetIp], 24);
      return makeFrame({ ...tagged(ALL_STATIONS, A), ethertype: 0x0806, payload });
    };
    bench.receive(1, arp(1, 2));
    expect(bench.state.macs.get(1, macAddress(A))?.port).toBe(HOST);
    bench.receive(1, arp(1, 1));
    const bond = bench.state.macs.get(1, macAddress(A))?.port;
    expect(bond).not.toBe(HOST);
    expect(bench.send(1, tagged(ALL_STATIONS, A)).sort()).toEqual([HOST, 5]);
  });

  it('changing the mode or removing the bond leaves no rule of it behind', () => {
    const bench = slb();
    bench.send(HOST, { dst: ALL_STATIONS, src: A });
    bench.send(1, tagged(A, B));
    bench.configure(bridge());
    const fresh = new Bench(bridge());
    fresh.send(HOST, { dst: ALL_STATIONS, src: A });
    fresh.send(1, tagged(A, B));
    const rules = (it: Bench): string[] =>
      it.model.flows
        .map(({ tableId, priority, match }) => JSON.stringify([tableId, priority, match], bigints))
        .sort();
    expect(rules(bench)).toEqual(rules(fresh));
    bench.configure(bridge({}, undefined, []));
    const names = bench.model.flows.map((flow) => bench.runner.pipeline.owner(flow)?.kind);
    expect(names.filter((kind) => kind?.startsWith('bond') === true)).toEqual([]);
    expect(bench.model.groups.filter(({ type }) => type === 'FF')).toEqual([]);
  });
});

describe('LACP', () => {
  /** A partner on every member, by the frames alone. */
  function negotiate(bench: Bench, partner = new LacpEntity(lacpConfig(1, 3)), ms = 4_000): LacpEntity {
    for (let i = 0; i < 3; i++) partner.setLink(`eth${i}`, true, 0);
    const end = bench.nowMs + ms;
    while (bench.nowMs < end) {
      bench.wait(100);
      for (const { port, frame } of bench.sent.splice(0))
        if (port <= 3) partner.receive(`eth${port - 1}`, frame, bench.nowMs);
      for (const { member, frame } of partner.run(bench.nowMs))
        bench.receive(Number(member.slice(3)) + 1, frame);
    }
    return partner;
  }

  it('nothing goes by the bond before it is negotiated; afterwards by every member that is in step', () => {
    const bench = new Bench(bridge({ mode: 'balance-tcp' }, {}));
    expect(bench.send(HOST, { dst: ALL_STATIONS, src: A })).toEqual([5]);
    expect(bench.send(1, tagged(ALL_STATIONS, B))).toEqual([]);
    negotiate(bench);
    expect(bench.state.bonds.lacpStatus()[0]?.isNegotiated).toBe(true);
    const used = new Set<number>();
    for (let n = 0; n < 256; n++)
      for (const port of bench.send(HOST, { dst: B, src: station(n) })) used.add(port);
    expect([...used].sort()).toEqual([1, 2, 3, 5]);
    // The partner knows of the bond: it may use any member, for broadcasts too.
    for (const member of MEMBERS)
      expect(bench.send(member, tagged(ALL_STATIONS, B)).sort()).toEqual([HOST, 5]);
  });

  it('a partner that falls silent on a member loses it after three seconds', () => {
    const bench = new Bench(bridge({ mode: 'balance-slb' }, {}));
    negotiate(bench);
    bench.wait(3_100);
    expect(bench.state.bonds.bondStatus(bench.nowMs)[0]?.members.filter((it) => it.isEnabled)).toEqual([]);
    expect(bench.send(HOST, { dst: ALL_STATIONS, src: A })).toEqual([5]);
  });

  it('without a partner, and told to, it is an active-backup bond', () => {
    const bench = new Bench(bridge({ mode: 'balance-tcp' }, { fallbackAb: true }));
    bench.wait(10_000);
    expect(bench.send(HOST, { dst: ALL_STATIONS, src: A }).sort()).toEqual([1, 5]);
    expect(bench.send(2, tagged(ALL_STATIONS, B))).toEqual([]);
    negotiate(bench);
    expect(bench.send(2, tagged(ALL_STATIONS, B)).sort()).toEqual([HOST, 5]);
  });

  it('a controller started anew from its snapshot sends the same, and changes nothing on the switch', () => {
    const bench = new Bench(bridge({ mode: 'balance-tcp' }, {}));
    const partner = negotiate(bench);
    const snapshot = JSON.parse(JSON.stringify(bench.runner.snapshot(bench.nowMs))) as Record<
      string,
      unknown
    >;
    const given = bridge({ mode: 'balance-tcp' }, {});
    const fresh = new ProgramRunner(given, { programs: [bridgeProgram], settings: {}, nowMs: 0 });
    fresh.restore(snapshot, 800, 0);
    fresh.setLinks(bench.links);
    fresh.layOut(given, { firstTable: 64, tableCount: 254 });
    const { packetOuts } = fresh.adopt(given, bench.model.flows, 0);
    const have = switchTables(bench.model.flows, bench.model.groups);
    const flowChanges = [...fresh.planConfigured(have), ...fresh.planRest(have)].flat();
    expect(flowChanges.filter(({ op }) => !op.startsWith('meter'))).toEqual([]);
    expect(packetOuts).toHaveLength(3);
    for (const [i, { data }] of packetOuts.entries()) partner.receive(`eth${i}`, data, bench.nowMs + 800);
    partner.run(bench.nowMs + 800);
    expect(partner.status().members.every(({ mayEnable }) => mayEnable)).toBe(true);
  });
});

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value;
}
