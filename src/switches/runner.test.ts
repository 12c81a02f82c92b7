import { describe, expect, it } from 'vitest';
import { newBridge, newPort, type Bridge, type Dpid } from '../domain/index.js';
import { bridgeProgram, type BridgeState, type Program } from '../programs/index.js';
import { switchTables, type Phase, type SwitchTables } from '../reconcile/index.js';
import { ModelSwitch } from '../../test/model/switch.js';
import { makeFrame } from '../../test/model/frame.js';
import { ProgramRunner } from './runner.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const FIRST_TABLE = 64;

function bridge(
  tags: Record<string, number> = { p1: 10, p2: 10, p3: 20 },
  changes: Partial<Bridge> = {},
): Bridge {
  const ports = Object.entries(tags).map(([name, tag]) =>
    newPort({ name, tag, ofport: Number(name.slice(1)) }),
  );
  return newBridge({ name: 'br0', datapathId: '0000000000000001' as Dpid, ports, ...changes });
}

/** A switch and a controller, which may each be started anew. */
class Bench {
  model = new ModelSwitch([1, 2, 3]);
  runner = this.newRunner();

  newRunner(): ProgramRunner {
    return new ProgramRunner(bridge(), { programs: [bridgeProgram], settings: {}, nowMs: 0 });
  }

  get have(): SwitchTables {
    const groups = this.model.groups;
    return switchTables(this.model.flows, groups);
  }

  apply(phases: readonly Phase[]): number {
    for (const phase of phases) this.model.applyAll(phase);
    return phases.flat().length;
  }

  /** What the driver does after connecting. Returns how many messages it took. */
  compare(desired = bridge(), between: () => void = () => undefined): number {
    const have = this.have;
    this.runner.layOut(this.runner.bridge, { firstTable: FIRST_TABLE, tableCount: 254 });
    this.runner.adopt(desired, this.model.flows, 0);
    const first = this.apply(this.runner.planConfigured(have));
    between();
    return first + this.apply(this.runner.planRest(have));
  }

  send(port: number, dst: string, src: string): number[] {
    const { outputs, packetIns } = this.model.inject(port, makeFrame({ dst, src }), FIRST_TABLE);
    for (const { tableId, inPort, data } of packetIns) {
      this.model.applyAll(this.runner.packetIn(tableId, { inPort, match: {}, data }, 0).commands);
    }
    return outputs.map((output) => output.port);
  }
}

describe('ProgramRunner', () => {
  it('fills an empty switch, and then finds nothing to do', () => {
    const bench = new Bench();
    expect(bench.compare()).toBeGreaterThan(10);
    expect(bench.send(1, B, A)).toEqual([2]);
    expect(bench.compare()).toBe(0);
  });

  it('started anew, takes over what it finds and changes nothing', () => {
    const bench = new Bench();
    bench.compare();
    bench.send(1, B, A);
    bench.runner = bench.newRunner();
    expect(bench.compare()).toBe(0);
    expect((bench.runner.state(bridgeProgram as Program) as BridgeState).macs.size).toBe(1);
  });

  it('gives a switch that lost everything its learned addresses back too', () => {
    const bench = new Bench();
    bench.compare();
    bench.send(2, A, B);
    const { flows } = bench.model;
    bench.model = new ModelSwitch([1, 2, 3]);
    expect(bench.compare()).toBeGreaterThanOrEqual(flows.length);
    expect(bench.model.flows).toHaveLength(flows.length);
  });

  it('removes what an earlier run left over, half-learned addresses included', () => {
    const bench = new Bench();
    bench.compare();
    bench.send(1, B, A);
    const source = bench.model.flows.find(({ flags }) => flags.includes('SEND_FLOW_REM'));
    expect(source).toBeDefined();
    if (source) bench.model.apply({ op: 'flow-delete', flow: source });
    bench.runner = bench.newRunner();
    expect(bench.compare()).toBe(1);
    expect(bench.model.flows.some(({ match }) => match['eth_dst'] === A)).toBe(false);
  });

  it('does not undo what is learned while it compares', () => {
    const bench = new Bench();
    bench.compare();
    bench.runner = bench.newRunner();
    bench.compare(bridge(), () => bench.send(1, B, A));
    expect(bench.send(2, A, B)).toEqual([1]);
    expect(bench.compare()).toBe(0);
  });

  it('goes over to other VLANs in steps, forgetting what was learned in the old ones', () => {
    const bench = new Bench();
    bench.compare();
    bench.send(2, A, B);
    for (const { phases } of bench.runner.reconfigure(bridge({ p1: 10, p2: 20, p3: 20 }), 0))
      bench.apply(phases);
    expect(bench.send(3, B, A)).toEqual([2]);
    expect(bench.send(1, B, A)).toEqual([]);
    expect(bench.compare(bridge({ p1: 10, p2: 20, p3: 20 }))).toBe(0);
  });

  it('sends nothing for a configuration that is the same', () => {
    const bench = new Bench();
    bench.compare();
    for (const { phases } of bench.runner.reconfigure(bridge(), 0)) expect(phases).toEqual([]);
  });

  it('gives the source rules a new ageing time without touching the rest', () => {
    const bench = new Bench();
    bench.compare();
    bench.send(1, B, A);
    const changed = bridge(undefined, { macAgeingTimeS: 60 });
    const commands = [...bench.runner.reconfigure(changed, 0)].flatMap(({ phases }) => phases.flat());
    expect(commands).toMatchObject([{ op: 'flow-add', flow: { idleTimeout: 60 } }]);
  });
});
