import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LacpSettings } from '../../domain/index.js';
import { LacpEntity } from './entity.js';
import { LacpFrame, lacpFrame, readSlowFrame } from './pdu.js';
import { lacpConfig, Simulation, type Side } from './simulation.test-helper.js';

const pair = (a: Side = {}, b: Side = {}, links = 3) => [lacpConfig(0, links, a), lacpConfig(1, links, b)];
const ALL = ['eth0', 'eth1', 'eth2'];

describe('negotiation (IEEE 802.1AX-2014 §6.4)', () => {
  for (const mine of ['active', 'passive'] as const)
    for (const theirs of ['active', 'passive'] as const)
      for (const time of ['fast', 'slow'] as const) {
        it(`${mine} with ${theirs}, ${time}`, () => {
          const settings = { mode: mine, time } satisfies Partial<LacpSettings>;
          const lan = new Simulation(pair({ settings }, { settings: { mode: theirs } }));
          lan.run(10_000);
          const speaks = mine === 'active' || theirs === 'active';
          expect(lan.enabled(0)).toEqual(speaks ? ALL : []);
          expect(lan.enabled(1)).toEqual(speaks ? ALL : []);
          expect(lan.side(0).isNegotiated).toBe(speaks);
          // Of two passive ends neither says a word (§6.4.13, NO_PERIODIC).
          if (!speaks) expect(lan.sentAtMs).toEqual([[], []]);
        });
      }

  it('waits two seconds for others to join, then all join together (§6.4.15, wait_while)', () => {
    const lan = new Simulation(pair());
    lan.run(1_900);
    expect(lan.enabled(0)).toEqual([]);
    lan.run(300);
    expect(lan.enabled(0)).toEqual(ALL);
  });

  it('sends as often as the partner asks: every second or every thirty (§6.4.13)', () => {
    for (const [time, per] of [
      ['fast', 60],
      ['slow', 2],
    ] as const) {
      const lan = new Simulation(pair({ settings: { time } }, {}, 1));
      lan.run(10_000);
      const before = lan.sentAtMs[1]?.length ?? 0;
      lan.run(60_000);
      expect((lan.sentAtMs[1]?.length ?? 0) - before).toBeCloseTo(per, -0.5);
    }
  });

  it('never sends more than three in a second on a link (§6.4.16)', () => {
    const lan = new Simulation(pair({}, {}, 1));
    // A partner that contradicts every PDU provokes an answer each time.
    const config = lacpConfig(1, 1);
    const liar = new LacpEntity(config);
    liar.setLink('eth0', true, 0);
    for (let i = 0; i < 200; i++) {
      const { actor } = liar.status().members[0] ?? {};
      if (!actor) throw new Error('no member');
      lan.inject(0, 'eth0', lacpFrame(config.systemId, { ...actor, key: i }, actor));
      lan.run(20);
    }
    const sent = lan.sentAtMs[0] ?? [];
    for (const at of sent)
      expect(sent.filter((it) => it >= at && it < at + 1000).length).toBeLessThanOrEqual(3);
  });
});

describe('failure', () => {
  it('a pulled link leaves at once, and comes back', () => {
    const lan = new Simulation(pair());
    lan.run(5_000);
    lan.setLink(1, false);
    expect(lan.enabled(0)).toEqual(['eth0', 'eth2']);
    lan.setLink(1, true);
    lan.run(5_000);
    expect(lan.enabled(0)).toEqual(ALL);
  });

  it('a silent partner is given up after three seconds (fast) and both stop sending there', () => {
    const lan = new Simulation(pair());
    lan.run(5_000);
    lan.silent.add('1/eth0');
    lan.run(3_050);
    expect(lan.enabled(0)).toEqual(['eth1', 'eth2']);
    lan.run(10);
    // It hears that we are out of step, though we do not hear it.
    expect(lan.enabled(1)).toEqual(['eth1', 'eth2']);
    expect(lan.side(0).status().members[0]?.receive).toBe('expired');
    // Not every partner looks at whether we collect.
    expect(lan.side(1).status().members[0]?.partner.state).toMatchObject({
      synchronized: false,
      collecting: false,
    });
    lan.run(3_000);
    expect(lan.side(0).status().members[0]?.receive).toBe('defaulted');
    lan.silent.clear();
    lan.run(6_000);
    expect(lan.enabled(0)).toEqual(ALL);
  });

  it('out of step for a minute is churn (§6.4.17)', () => {
    const lan = new Simulation(pair());
    lan.silent.add('1/eth0');
    lan.run(59_000);
    expect(lan.side(0).status().members[0]).toMatchObject({ partnerChurn: false });
    lan.run(2_000);
    expect(lan.side(0).status().members[0]).toMatchObject({ partnerChurn: true });
    lan.silent.clear();
    lan.run(10_000);
    expect(lan.side(0).status().members[0]).toMatchObject({ partnerChurn: false, actorChurn: false });
  });
});

describe('several aggregators (§6.4.14)', () => {
  it('links to another aggregation of the partner stay in standby', () => {
    const lan = new Simulation(pair({}, { keys: [1, 2, 1] }));
    lan.run(10_000);
    expect(lan.enabled(0)).toEqual(['eth0', 'eth2']);
    const [first, second, third] = lan.side(0).status().members;
    expect(first?.aggregator).toBe(third?.aggregator);
    expect(second?.aggregator).not.toBe(first?.aggregator);
    expect(second).toMatchObject({ isAttached: false, mayEnable: false });
  });

  it('the other aggregation takes over when the first is gone', () => {
    const lan = new Simulation(pair({}, { keys: [1, 2, 1] }));
    lan.run(10_000);
    lan.setLink(0, false);
    lan.setLink(2, false);
    lan.run(10_000);
    expect(lan.enabled(0)).toEqual(['eth1']);
  });

  it('a partner that changes its key is another partner', () => {
    const [a, b] = [lacpConfig(0, 2), lacpConfig(1, 2)];
    const lan = new Simulation([a, b]);
    lan.run(5_000);
    lan.side(1).configure({ ...b, members: b.members.map((it) => ({ ...it, key: 9 })) });
    lan.run(100);
    expect(lan.enabled(0)).toEqual([]);
    lan.run(8_000);
    expect(lan.enabled(0)).toEqual(['eth0', 'eth1']);
    expect(lan.side(0).status().members[0]?.partner.key).toBe(9);
  });

  it('a cable from a bond back to itself carries nothing', () => {
    const lan = new Simulation(pair({ systemId: '02:00:00:00:00:09' }, { systemId: '02:00:00:00:00:09' }));
    lan.run(10_000);
    expect(lan.enabled(0)).toEqual([]);
  });
});

describe('fallback to active-backup', () => {
  it('members may be used while there is no partner, and by LACP alone once there is one', () => {
    const lan = new Simulation(pair({ settings: { fallbackAb: true } }));
    for (const name of ALL) lan.silent.add(`1/${name}`);
    lan.run(10_000);
    expect(lan.side(0).isNegotiated).toBe(false);
    expect(lan.enabled(0)).toEqual(ALL);
    lan.silent.delete('1/eth1');
    lan.run(10_000);
    expect(lan.side(0).isNegotiated).toBe(true);
    expect(lan.enabled(0)).toEqual(['eth1']);
  });
});

describe('restart of the controller', () => {
  for (const time of ['fast', 'slow'] as const)
    it(`the partner (${time}) does not notice`, () => {
      const configs = pair({}, { settings: { time } });
      const lan = new Simulation(configs);
      lan.run(10_000);
      const snapshot = JSON.parse(JSON.stringify(lan.side(0).snapshot())) as ReturnType<
        LacpEntity['snapshot']
      >;
      const [config] = configs;
      if (!config) throw new Error('no config');
      // Away for 1.5 s, on another clock.
      lan.sides[0] = new LacpEntity(config);
      const seen: string[][] = [];
      const at = lan.nowMs + 1_500;
      while (lan.nowMs < at) {
        lan.nowMs += 50;
        lan.side(1).run(lan.nowMs);
      }
      lan.side(0).restore(snapshot, 1_500, lan.nowMs);
      for (const name of ALL) lan.side(0).setLink(name, true, lan.nowMs);
      expect(lan.enabled(0)).toEqual(ALL);
      const [first] = lan.side(0).run(lan.nowMs);
      expect(LacpFrame.decode(first?.frame ?? new Uint8Array())?.actor.state).toMatchObject({
        synchronized: true,
        collecting: true,
        distributing: true,
        defaulted: false,
      });
      for (let i = 0; i < 100; i++) {
        lan.run(100);
        seen.push(lan.enabled(0), lan.enabled(1));
      }
      for (const each of seen) expect(each).toEqual(ALL);
    });

  it('a snapshot that is older than the partner’s patience counts for nothing', () => {
    const lan = new Simulation(pair());
    lan.run(10_000);
    const fresh = new LacpEntity(lacpConfig(0, 3));
    fresh.restore(lan.side(0).snapshot(), 3_100, 0);
    expect(ALL.filter((name) => fresh.mayEnable(name))).toEqual([]);
  });
});

describe('markers', () => {
  it('are answered with the same, as a response (§6.5.4)', () => {
    const lan = new Simulation(pair({}, {}, 1));
    const request = new Uint8Array(124);
    request.set([
      0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 7, 0x88, 0x09, 2, 1, 1, 16, 0, 5, 2, 0, 0, 0, 0, 7, 1, 2, 3,
      4,
    ]);
    lan.side(0).receive('eth0', request, 0);
    const answer = lan
      .side(0)
      .run(0)
      .find(({ frame }) => frame[14] === 2)?.frame;
    expect(answer?.subarray(14, 30)).toEqual(Uint8Array.of(2, 1, 2, 16, 0, 5, 2, 0, 0, 0, 0, 7, 1, 2, 3, 4));
    expect(lan.side(0).status().members[0]?.counters.markers).toBe(1);
    // An answer is not answered.
    lan.side(0).receive('eth0', answer ?? request, 0);
    expect(
      lan
        .side(0)
        .run(0)
        .some(({ frame }) => frame[14] === 2),
    ).toBe(false);
  });
});

describe('properties', () => {
  it('whatever is lost, late or out of order: within the timeouts both agree, and neither spins', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          loss: fc.double({ min: 0, max: 0.3, noNaN: true }),
          delayMs: fc.double({ min: 0, max: 1500, noNaN: true }),
          times: fc.tuple(fc.constantFrom('fast', 'slow'), fc.constantFrom('fast', 'slow')),
          passive: fc.boolean(),
          events: fc.array(fc.tuple(fc.nat(2), fc.boolean(), fc.nat(5_000)), { maxLength: 12 }),
        }),
        ({ seed, loss, delayMs, times, passive, events }) => {
          const random = generator(seed);
          let isLossy = true;
          const lan = new Simulation(
            pair(
              { settings: { time: times[0] } },
              { settings: { time: times[1], mode: passive ? 'passive' : 'active' } },
            ),
            () => (isLossy ? (random() < loss ? null : random() * delayMs) : 1),
          );
          for (const [link, isUp, forMs] of events) {
            lan.setLink(link, isUp);
            lan.run(forMs);
          }
          for (let link = 0; link < 3; link++) lan.setLink(link, true);
          lan.run(200);
          isLossy = false;
          // The longest timeout, and some.
          lan.run(100_000);
          expect(lan.enabled(0)).toEqual(ALL);
          expect(lan.enabled(1)).toEqual(ALL);
        },
      ),
      { numRuns: 30 },
    );
  }, 30_000);

  it('on clean links nothing is sent where the other does not collect', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), fc.boolean(), fc.nat(3_000)), { maxLength: 10 }), (events) => {
        const lan = new Simulation(pair());
        const check = () => {
          for (const side of [0, 1])
            for (const name of lan.enabled(side)) expect(lan.collecting(1 - side)).toContain(name);
        };
        for (const [link, isUp, forMs] of events) {
          lan.setLink(link, isUp);
          for (let ms = 0; ms < forMs; ms += 100) {
            lan.run(100);
            check();
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('a hostile partner: any bytes, any states, in any order, throw nothing and never spin', () => {
    const state = fc.nat(255);
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      // Well-formed LACPDUs with wild contents, and with one byte changed or cut short.
      fc
        .tuple(fc.uint8Array({ minLength: 20, maxLength: 40 }), state, fc.nat(130), fc.nat(255))
        .map(([bytes, flags, at, by]) => {
          const pdu = new Uint8Array(124);
          pdu.set([0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 7, 0x88, 0x09, 1, 1, 1, 20]);
          pdu.set(bytes.subarray(0, 14), 18);
          pdu[32] = flags;
          pdu.set([2, 20], 36);
          pdu.set(bytes.subarray(0, 15), 38);
          pdu.set([3, 16], 56);
          if (at < 124 && by % 4 === 0) pdu[at] = by;
          return by % 7 === 0 ? pdu.subarray(0, at) : pdu;
        }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(frame, fc.nat(2), fc.nat(2000)), { maxLength: 60 }), (steps) => {
        const lan = new Simulation(pair());
        lan.run(3_000);
        for (const [bytes, link, forMs] of steps) {
          readSlowFrame(bytes);
          lan.inject(0, `eth${link}`, bytes);
          lan.run(forMs);
          lan.side(0).status();
        }
        lan.run(30_000);
        expect(lan.enabled(0)).toEqual(ALL);
      }),
      { numRuns: 40 },
    );
  }, 30_000);
});

function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}
