/**
 * A bridge on the model switch, with a controller that answers at once: frames in, frames out, learning included.
 * For tests of the bridge program, and of other programs together with it.
 */
import type { Bridge } from '../../src/domain/index.js';
import {
  bridgeProgram,
  Pipeline,
  type BridgeState,
  type Flow,
  type Program,
  type ProgramContext,
  type Reaction,
} from '../../src/programs/index.js';
import {
  compile,
  plan,
  switchTables,
  type Phase,
  type SwitchTables,
  type Want,
} from '../../src/reconcile/index.js';
import { parseFrame, type ParsedFrame } from './frame.js';
import { ModelSwitch, type Walk } from './switch.js';

const NUMBERS = { group: () => 0, meter: () => 0 };

interface Running {
  readonly program: Program;
  readonly state: unknown;
}

export class BridgeModel {
  readonly model: ModelSwitch;
  readonly pipeline: Pipeline;
  readonly state: BridgeState;
  nowMs = 0;
  readonly #running: readonly Running[];
  #context: ProgramContext;
  #want: Want;

  /** @param extra programs in front of the bridge program, in this order */
  constructor(bridge: Bridge, extra: readonly Program[] = [], settings: Record<string, number> = {}) {
    const ofports = bridge.ports.flatMap((port) => port.interfaces.flatMap((it) => it.ofport ?? []));
    this.model = new ModelSwitch(ofports);
    this.pipeline = new Pipeline([...extra, bridgeProgram], { firstTable: 0, tableCount: 254 });
    this.#context = { bridge, settings };
    this.#running = this.pipeline.programs.map((program) => ({
      program,
      state: program.init(this.#context, 0),
    }));
    this.state = this.stateOf(bridgeProgram) as BridgeState;
    this.#want = this.#compile(bridgeProgram.flows(this.#context, this.state));
    this.run(plan(switchTables([]), this.#want));
  }

  /** A program's state on this bridge. */
  stateOf(program: Program): unknown {
    return this.#running.find((it) => it.program === program)?.state;
  }

  get want(): Want {
    return this.#want;
  }

  /** What the model holds. */
  get have(): SwitchTables {
    return switchTables(this.model.flows, this.model.groups);
  }

  run(phases: readonly Phase[]): void {
    for (const phase of phases) this.model.applyAll(phase);
  }

  /** The commands, one by one, by which the driver would go over to `bridge`; `configured` runs between. */
  *reconfigure(bridge: Bridge): Generator<void> {
    const from = this.#context;
    this.#context = { ...from, bridge };
    for (const port of bridge.ports)
      for (const { ofport } of port.interfaces) if (ofport) this.model.ports.add(ofport);
    const stages = bridgeProgram.transition?.(from, this.#context, this.state) ?? [];
    for (const set of [...stages, bridgeProgram.flows(this.#context, this.state)]) {
      if (set === stages.at(-1)) {
        yield* this.#react(bridgeProgram.on?.configured?.(this.#context, this.state, this.nowMs));
      }
      const want = this.#compile(set);
      for (const command of plan(this.#want, want).flat()) {
        this.model.apply(command);
        yield;
      }
      this.#want = want;
    }
  }

  /** Injects a frame and lets the controller react to its packet-ins. */
  send(inPort: number, frame: Uint8Array): Walk {
    const walk = this.model.inject(inPort, frame);
    for (const { tableId, inPort: port, data } of walk.packetIns) {
      for (const { program, state } of this.#running) {
        const table = this.pipeline.tableName(program, tableId);
        if (table === undefined) continue;
        const event = { table, inPort: port, match: {}, data };
        const reaction = program.on?.packetIn?.(this.#context, state, event, this.nowMs);
        for (const step of this.#react(reaction, program)) void step;
      }
    }
    return walk;
  }

  /** Where a frame leaves, by port; what a test asks. Does not let the controller learn from it. */
  outputs(inPort: number, frame: Uint8Array): Map<number, ParsedFrame> {
    const { outputs } = this.model.inject(inPort, frame);
    const byPort = new Map(outputs.map((output) => [output.port, parseFrame(output.frame)]));
    if (byPort.size !== outputs.length) throw new Error('a frame left twice by the same port');
    return byPort;
  }

  /** A source rule falls idle. */
  expire(flow: Flow): void {
    const resolved = this.pipeline.resolve(bridgeProgram, flow, NUMBERS);
    this.model.apply({ op: 'flow-delete', flow: resolved });
    const event = { kind: flow.kind, detail: flow.detail ?? 0, match: flow.match, reason: 'IDLE_TIMEOUT' };
    const reaction = bridgeProgram.on?.flowRemoved?.(this.#context, this.state, event, this.nowMs);
    for (const step of this.#react(reaction)) void step;
  }

  *#react(reaction: Reaction | undefined, program: Program = bridgeProgram): Generator<void> {
    for (const change of reaction?.changes ?? []) {
      if (change.op === 'put-like') {
        const pattern = this.pipeline.resolvePattern(program, change.pattern);
        this.model.apply({ op: 'flow-add-like', pattern, value: change.value });
      } else {
        const flow: Flow =
          change.op === 'put' ? change.flow : { ...change.flow, instructions: [], kind: 'port', reason: '' };
        const resolved = this.pipeline.resolve(program, flow, NUMBERS);
        this.model.apply({ op: change.op === 'put' ? 'flow-add' : 'flow-delete', flow: resolved });
      }
      yield;
    }
  }

  #compile(set: ReturnType<typeof bridgeProgram.flows>): Want {
    const sets = this.#running.map(({ program, state }) => ({
      program,
      set: program === (bridgeProgram as Program) ? set : program.flows(this.#context, state),
    }));
    return compile(this.pipeline, sets, this.model.groups);
  }
}
