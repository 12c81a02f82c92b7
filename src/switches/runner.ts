/**
 * The programs of one bridge at work, without a connection: what they want, what the switch is believed to hold,
 * and how to get from one to the other. The driver feeds it events and sends what it returns.
 */
import type { Bridge } from '../domain/index.js';
import {
  flowKey,
  Pipeline,
  ProgramError,
  unusedTables,
  type FlowRemovedEvent,
  type FlowSet,
  type InstalledFlow,
  type Notice,
  type PacketInEvent,
  type PipelineOptions,
  type PortStatusEvent,
  type Program,
  type ProgramContext,
  type Reaction,
  type ResolvedFlow,
} from '../programs/index.js';
import {
  compile,
  EMPTY_TABLES,
  equalFlows,
  flowEntry,
  plan,
  planSize,
  PROGRAM_METERS,
  type Command,
  type FlowEntry,
  type MeterRange,
  type Phase,
  type PlanSize,
  type SwitchTables,
  type Want,
} from '../reconcile/index.js';

interface Running {
  readonly program: Program;
  readonly state: unknown;
}

export interface Consequence {
  readonly commands: readonly Command[];
  readonly notices: readonly Notice[];
}

export interface RunnerOptions {
  readonly programs: readonly Program[];
  readonly settings: Readonly<Record<string, number>>;
  readonly nowMs: number;
}

const NOTHING_WANTED: Want = { ...EMPTY_TABLES, reasons: new Map(), groupReasons: new Map() };
const NO_NUMBERS = {
  group: (): number => {
    throw new Error('flows put by reactions may not lead to groups');
  },
  meter: (): number => {
    throw new Error('flows put by reactions may not use meters');
  },
};

export class ProgramRunner {
  readonly #running: readonly Running[];
  readonly #settings: Readonly<Record<string, number>>;
  #pipeline: Pipeline;
  #meterRange = PROGRAM_METERS;
  #context: ProgramContext;
  /** What configuration asks for and the switch has, as far as plans were carried out. */
  #want: Want = NOTHING_WANTED;
  #isRecovered = false;

  constructor(bridge: Bridge, options: RunnerOptions) {
    this.#settings = options.settings;
    this.#context = { bridge, settings: options.settings };
    this.#running = options.programs.map((program) => ({
      program,
      state: program.init(this.#context, options.nowMs),
    }));
    this.#pipeline = new Pipeline(options.programs, { firstTable: 0, tableCount: 254 });
  }

  get pipeline(): Pipeline {
    return this.#pipeline;
  }

  get want(): Want {
    return this.#want;
  }

  /** The configuration that the flows are made from. */
  get bridge(): Bridge {
    return this.#context.bridge;
  }

  state(program: Program): unknown {
    return this.#running.find((it) => it.program === program)?.state;
  }

  /** Ids that meters get on this switch. */
  get meterRange(): MeterRange {
    return this.#meterRange;
  }

  wantsMeters(): boolean {
    return this.#flowSets(this.#context).some(({ set }) => (set.meters ?? []).length > 0);
  }

  /**
   * Fits the tables into a switch that has just connected, for this configuration of the bridge.
   * @throws ProgramError when it has too few
   */
  layOut(
    bridge: Bridge,
    options: Omit<PipelineOptions, 'unused'>,
    meters: MeterRange = PROGRAM_METERS,
  ): void {
    this.#context = { bridge, settings: this.#settings };
    this.#meterRange = meters;
    const unused = unusedTables(this.#flowSets(this.#context));
    this.#pipeline = new Pipeline(
      this.#running.map((it) => it.program),
      { ...options, unused },
    );
  }

  /** Takes the bridge over as it is, for a switch that is about to be compared. */
  adopt(bridge: Bridge, installed: readonly ResolvedFlow[], nowMs: number): readonly Notice[] {
    this.#context = { bridge, settings: this.#settings };
    const notices = this.#running.flatMap(({ program, state }) => {
      return program.on?.configured?.(this.#context, state, nowMs).notices ?? [];
    });
    // Only a controller that knows nothing yet believes the switch; later its own state is the newer.
    if (this.#isRecovered) return notices;
    this.#isRecovered = true;
    const owned = installed.flatMap((flow) => {
      const owner = this.#pipeline.owner(flow);
      return owner ? [{ owner, flow }] : [];
    });
    for (const { program, state } of this.#running) {
      const flows: InstalledFlow[] = owned
        .filter(({ owner }) => owner.program === program)
        .map(({ owner, flow: { match, instructions } }) => ({ ...owner, match, instructions }));
      program.recover?.(this.#context, state, flows, nowMs);
    }
    return notices;
  }

  /** First half of a full comparison: groups, and the flows of the configuration. */
  planConfigured(have: SwitchTables): Phase[] {
    this.#want = this.#compile(this.#flowSets(this.#context), have);
    // What else there is stays until the second half, which knows what reactions have put in place by then.
    const kept = {
      ...this.#want,
      flows: new Map([...have.flows, ...this.#want.flows]),
      groups: this.#keep(have),
    };
    return plan(have, kept);
  }

  /** Second half: the flows of learned state, and the removal of what nobody wants. To be sent in one go. */
  planRest(have: SwitchTables): Phase[] {
    const dynamic = this.dynamicFlows();
    const puts: Command[] = [];
    for (const [key, entry] of dynamic) {
      const old = have.flows.get(key);
      if (old === undefined || !equalFlows(old, entry)) puts.push({ op: 'flow-add', flow: entry.flow });
    }
    puts.sort((a, b) => ('flow' in b ? b.flow.tableId : 0) - ('flow' in a ? a.flow.tableId : 0));
    const stale = new Map([...have.flows].filter(([key]) => !this.#want.flows.has(key) && !dynamic.has(key)));
    const deletes = plan(
      { ...have, flows: stale },
      {
        ...this.#want,
        flows: new Map(),
        groups: intersect(have.groups, this.#want.groups),
        meters: have.meters,
      },
    );
    return [puts, ...deletes].filter((phase) => phase.length > 0);
  }

  dynamicFlows(): Map<string, FlowEntry> {
    const entries = new Map<string, FlowEntry>();
    for (const { program, state } of this.#running) {
      for (const flow of program.dynamicFlows?.(this.#context, state) ?? []) {
        const resolved = this.#pipeline.resolve(program, flow, NO_NUMBERS);
        entries.set(flowKey(resolved), flowEntry(resolved));
      }
    }
    return entries;
  }

  /**
   * Goes over to another configuration of the bridge, in steps that each must be acknowledged before the next.
   * A step's commands are made when it is asked for.
   */
  *reconfigure(bridge: Bridge, nowMs: number): Generator<{ phases: Phase[]; notices: readonly Notice[] }> {
    const from = this.#context;
    const to: ProgramContext = { bridge, settings: this.#settings };
    const transitions = this.#running.map(
      ({ program, state }) => blame(program, () => program.transition?.(from, to, state)) ?? [],
    );
    const count = Math.max(0, ...transitions.map((stages) => stages.length));
    const finals = this.#flowSets(to);
    for (let stage = 0; stage < count; stage++) {
      const sets = finals.map(({ program, set }, i) => ({ program, set: transitions[i]?.[stage] ?? set }));
      yield { phases: this.#advance(sets), notices: [] };
    }
    this.#context = to;
    const reactions = this.#running.map(({ program, state }) =>
      this.#resolve(
        program,
        blame(program, () => program.on?.configured?.(to, state, nowMs)),
      ),
    );
    const commands = reactions.flatMap((it) => it.commands);
    const phases = commands.length > 0 ? [commands] : [];
    yield { phases: [...phases, ...this.#advance(finals)], notices: reactions.flatMap((it) => it.notices) };
  }

  /** How many commands `reconfigure` would make for what is configured. Changes nothing. */
  preview(bridge: Bridge): PlanSize {
    const to: ProgramContext = { bridge, settings: this.#settings };
    const transitions = this.#running.map(
      ({ program, state }) => program.transition?.(this.#context, to, state) ?? [],
    );
    const finals = this.#flowSets(to);
    const count = Math.max(0, ...transitions.map((stages) => stages.length));
    const phases: Phase[] = [];
    let have = this.#want;
    for (let stage = 0; stage <= count; stage++) {
      const sets = finals.map(({ program, set }, i) => ({ program, set: transitions[i]?.[stage] ?? set }));
      const want = this.#compile(sets, have);
      phases.push(...plan(have, want));
      have = want;
    }
    return planSize(phases);
  }

  packetIn(tableId: number, event: Omit<PacketInEvent, 'table'>, nowMs: number): Consequence {
    for (const { program, state } of this.#running) {
      const table = this.#pipeline.tableName(program, tableId);
      if (table === undefined) continue;
      const whole = { table, ...event };
      return this.#resolve(
        program,
        blame(program, () => program.on?.packetIn?.(this.#context, state, whole, nowMs)),
      );
    }
    return NOTHING;
  }

  flowRemoved(
    flow: { cookie: bigint; tableId: number },
    event: Pick<FlowRemovedEvent, 'match' | 'reason'>,
    nowMs: number,
  ): Consequence {
    const owner = this.#pipeline.owner(flow);
    const running = this.#running.find((it) => it.program === owner?.program);
    if (owner === undefined || running === undefined) return NOTHING;
    const { kind, detail } = owner;
    const whole = { kind, detail, ...event };
    const { program, state } = running;
    return this.#resolve(
      program,
      blame(program, () => program.on?.flowRemoved?.(this.#context, state, whole, nowMs)),
    );
  }

  portStatus(event: PortStatusEvent, nowMs: number): Consequence {
    const all = this.#running.map(({ program, state }) =>
      this.#resolve(
        program,
        blame(program, () => program.on?.portStatus?.(this.#context, state, event, nowMs)),
      ),
    );
    return { commands: all.flatMap((it) => it.commands), notices: all.flatMap((it) => it.notices) };
  }

  /** Turns a reaction that somebody else caused (a flush, say) into commands. */
  consequence(program: Program, reaction: Reaction): Consequence {
    return this.#resolve(program, reaction);
  }

  #flowSets(context: ProgramContext): { program: Program; set: FlowSet }[] {
    return this.#running.map(({ program, state }) => ({
      program,
      set: blame(program, () => program.flows(context, state)),
    }));
  }

  #compile(sets: readonly { program: Program; set: FlowSet }[], have: SwitchTables): Want {
    return compile(this.#pipeline, sets, have.groups.values(), this.#meterRange);
  }

  #advance(sets: readonly { program: Program; set: FlowSet }[]): Phase[] {
    const want = this.#compile(sets, this.#want);
    const phases = plan(this.#want, want);
    this.#want = want;
    return phases;
  }

  #keep(have: SwitchTables): SwitchTables['groups'] {
    return new Map([...have.groups, ...this.#want.groups]);
  }

  #resolve(program: Program, reaction: Reaction | undefined): Consequence {
    if (reaction === undefined || (reaction.changes.length === 0 && reaction.notices.length === 0))
      return NOTHING;
    const commands = reaction.changes.map((change): Command => {
      if (change.op === 'put') {
        return { op: 'flow-add', flow: this.#pipeline.resolve(program, change.flow, NO_NUMBERS) };
      }
      const tableId = this.#pipeline.tableId(program, change.flow.table) ?? 0;
      const { priority, match } = change.flow;
      return { op: 'flow-delete', flow: { tableId, priority, match, cookie: 0n } };
    });
    return { commands, notices: reaction.notices };
  }
}

const NOTHING: Consequence = { commands: [], notices: [] };

/** Runs a program's code. What it throws names the program, since it may be somebody else's. */
function blame<T>(program: Program, run: () => T): T {
  try {
    return run();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ProgramError(`program ${program.name}: ${message}`, { cause: error });
  }
}

function intersect<K, V>(map: ReadonlyMap<K, V>, keys: ReadonlyMap<K, unknown>): Map<K, V> {
  return new Map([...map].filter(([key]) => keys.has(key)));
}
