/**
 * The programs of one bridge at work, without a connection: what they want, what the switch is believed to hold,
 * and how to get from one to the other. The driver feeds it events and sends what it returns.
 */
import type { Bridge } from '../domain/index.js';
import {
  flowKey,
  NO_NUMBERS,
  Pipeline,
  ProgramError,
  resolveActions,
  unusedTables,
  type FlowRemovedEvent,
  type FlowSet,
  type InstalledFlow,
  type Notice,
  type PacketInEvent,
  type PipelineOptions,
  type PortLinks,
  type PortStatusEvent,
  type Program,
  type ProgramContext,
  type Reaction,
  type ResolvedAction,
  type ResolvedFlow,
  type RuleCount,
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
  readonly packetOuts: readonly ResolvedPacketOut[];
  /** The flows of the configuration are others now. */
  readonly isStale: boolean;
  /** Rules whose counters a program wants; its `counted` takes them. */
  readonly counts: readonly { readonly program: Program; readonly kind: string }[];
}

/** A frame for the switch to run actions on. */
export interface ResolvedPacketOut {
  readonly actions: readonly ResolvedAction[];
  readonly data: Uint8Array;
}

export interface RunnerOptions {
  readonly programs: readonly Program[];
  readonly settings: Readonly<Record<string, number>>;
  readonly nowMs: number;
  /** Where the tables are to begin on the switch, as far as that is known. */
  readonly firstTable?: number;
}

/** One step of a change of the configuration: what is wanted then, and how to get there from the step before. */
interface Stage {
  readonly want: Want;
  readonly phases: Phase[];
}

const NOTHING_WANTED: Want = {
  ...EMPTY_TABLES,
  reasons: new Map(),
  groupReasons: new Map(),
};

export class ProgramRunner {
  /** The switch's ports; programs see changes as they come. Absent until it has told. */
  #links: PortLinks | undefined;
  readonly #running: readonly Running[];
  readonly #settings: Readonly<Record<string, number>>;
  #pipeline: Pipeline;
  #meterRange = PROGRAM_METERS;
  #context: ProgramContext;
  /** What configuration asks for and the switch has, as far as plans were carried out. */
  #want: Want = NOTHING_WANTED;
  #isRecovered = false;
  #wantsMeters = false;
  /** Counts what programs have reacted to. */
  #reactions = 0;
  /** The steps that lead to a configuration; they hold until something happens. */
  #ahead:
    | { from: ProgramContext; want: Want; reactions: number; bridge: Bridge; stages: readonly Stage[] }
    | undefined;

  constructor(bridge: Bridge, options: RunnerOptions) {
    this.#settings = options.settings;
    this.#context = { bridge, settings: options.settings };
    this.#running = options.programs.map((program) => ({
      program,
      state: program.init(this.#context, options.nowMs),
    }));
    this.#pipeline = new Pipeline(options.programs, {
      firstTable: options.firstTable ?? 0,
      tableCount: 254,
    });
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

  /** Ports as the switch describes them, from now on. */
  setLinks(links: PortLinks): void {
    this.#links = links;
    this.#context = this.#contextOf(this.#context.bridge);
  }

  #contextOf(bridge: Bridge): ProgramContext {
    const context = { bridge, settings: this.#settings };
    return this.#links === undefined ? context : { ...context, links: this.#links };
  }

  state(program: Program): unknown {
    return this.#running.find((it) => it.program === program)?.state;
  }

  /** Ids that meters get on this switch. */
  get meterRange(): MeterRange {
    return this.#meterRange;
  }

  /** Whether the configuration that was laid out has meters. */
  get wantsMeters(): boolean {
    return this.#wantsMeters;
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
    this.#context = this.#contextOf(bridge);
    this.#meterRange = meters;
    const sets = this.#flowSets(this.#context);
    this.#wantsMeters = sets.some(({ set }) => (set.meters ?? []).length > 0);
    const unused = unusedTables(sets);
    this.#pipeline = new Pipeline(
      this.#running.map((it) => it.program),
      { ...options, unused },
    );
  }

  /**
   * Takes the bridge over as it is, for a switch that is about to be compared. What the consequence has of commands is
   * part of the comparison.
   */
  adopt(bridge: Bridge, installed: readonly ResolvedFlow[], nowMs: number): Consequence {
    this.#context = this.#contextOf(bridge);
    const consequence = merged(
      this.#running.map(({ program, state }) =>
        this.#resolve(
          program,
          blame(program, () => program.on?.configured?.(this.#context, state, nowMs)),
        ),
      ),
    );
    // Only a controller that knows nothing yet believes the switch; later its own state is the newer.
    if (this.#isRecovered) return consequence;
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
    return consequence;
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
  *reconfigure(bridge: Bridge, nowMs: number): Generator<{ phases: Phase[]; consequence: Consequence }> {
    const to = this.#contextOf(bridge);
    for (const { want, phases } of this.#preparation(to)) {
      this.#want = want;
      yield { phases, consequence: NOTHING };
    }
    this.#ahead = undefined;
    this.#context = to;
    const reactions = this.#running.map(({ program, state }) =>
      this.#resolve(
        program,
        blame(program, () => program.on?.configured?.(to, state, nowMs)),
      ),
    );
    const { commands, ...rest } = merged(reactions);
    const phases = commands.length > 0 ? [commands] : [];
    // Only now: what programs want may depend on what they have just been told.
    const finals = this.#flowSets(to);
    yield {
      phases: [...phases, ...this.#advance(finals)],
      consequence: { ...rest, commands: [], isStale: false },
    };
  }

  /** How many commands `reconfigure` would make for what is configured. Changes nothing. */
  preview(bridge: Bridge): PlanSize {
    const to = this.#contextOf(bridge);
    const stages = this.#preparation(to);
    const last = this.#stage(this.#flowSets(to), stages.at(-1)?.want ?? this.#want);
    return planSize([...stages.flatMap(({ phases }) => phases), ...last.phases]);
  }

  /** All steps but the last. What a preview has worked out, the change itself need not work out again. */
  #preparation(to: ProgramContext): readonly Stage[] {
    const now = { from: this.#context, want: this.#want, reactions: this.#reactions, bridge: to.bridge };
    const keys = ['from', 'want', 'reactions', 'bridge'] as const;
    const ahead = this.#ahead;
    if (ahead !== undefined && keys.every((key) => ahead[key] === now[key])) return ahead.stages;
    const transitions = this.#running.map(
      ({ program, state }) => blame(program, () => program.transition?.(now.from, to, state)) ?? [],
    );
    const count = Math.max(0, ...transitions.map((each) => each.length));
    const sides = count === 0 ? [] : this.#flowSets(to);
    const stages: Stage[] = [];
    for (let i = 0; i < count; i++) {
      const sets = sides.map(({ program, set }, k) => ({ program, set: transitions[k]?.[i] ?? set }));
      stages.push(this.#stage(sets, stages.at(-1)?.want ?? this.#want));
    }
    this.#ahead = { ...now, stages };
    return stages;
  }

  packetIn(tableId: number, event: Omit<PacketInEvent, 'table'>, nowMs: number): Consequence {
    for (const { program, state } of this.#running) {
      const table = this.#pipeline.tableName(program, tableId);
      if (table === undefined) continue;
      const { inPort, match, data } = event;
      const whole = { table, inPort, match, data };
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
    return merged(all);
  }

  /** Something was to happen at this time. */
  timer(nowMs: number): Consequence {
    const all = this.#running.map(({ program, state }) =>
      this.#resolve(
        program,
        blame(program, () => program.on?.timer?.(this.#context, state, nowMs)),
      ),
    );
    return merged(all);
  }

  /** When `timer` is to be called; Infinity: not at all. */
  wakeAtMs(nowMs: number): number {
    const wakes = this.#running.map(({ program, state }) =>
      blame(program, () => program.wakeAtMs?.(this.#context, state, nowMs) ?? Infinity),
    );
    return Math.min(Infinity, ...wakes);
  }

  /** Counters that {@link Consequence.counts} asked for. */
  counted(program: Program, flows: readonly CountedFlow[], nowMs: number): Consequence {
    const running = this.#running.find((it) => it.program === program);
    const rules = flows.flatMap(({ flow, packets, bytes }): RuleCount[] => {
      const owner = this.#pipeline.owner(flow);
      if (owner?.program !== program) return [];
      return [{ kind: owner.kind, detail: owner.detail, match: flow.match, packets, bytes }];
    });
    const reaction = blame(program, () => program.on?.counted?.(this.#context, running?.state, rules, nowMs));
    return this.#resolve(program, reaction);
  }

  /** What is to survive a restart of the controller, by program; it changes only when `key` does. */
  get snapshotKey(): string {
    return this.#running
      .map(({ program, state }) => program.snapshotKey?.(this.#context, state) ?? '')
      .join('/');
  }

  snapshot(nowMs: number): Record<string, unknown> {
    const entries = this.#running.flatMap(({ program, state }) => {
      const snapshot = blame(program, () => program.snapshot?.(this.#context, state, nowMs));
      return snapshot === undefined ? [] : [[program.name, snapshot] as const];
    });
    return Object.fromEntries(entries);
  }

  /** Goes on from a snapshot of an earlier run. @throws ProgramError when it is none */
  restore(snapshot: Readonly<Record<string, unknown>>, elapsedMs: number, nowMs: number): void {
    for (const { program, state } of this.#running) {
      const saved = snapshot[program.name];
      if (saved === undefined) continue;
      blame(program, () => program.restore?.(this.#context, state, saved, elapsedMs, nowMs));
    }
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

  #stage(sets: readonly { program: Program; set: FlowSet }[], from: Want): Stage {
    const want = compile(this.#pipeline, sets, from.groups.values(), this.#meterRange, from);
    return { want, phases: plan(from, want, want.changedKeys) };
  }

  #advance(sets: readonly { program: Program; set: FlowSet }[]): Phase[] {
    const { want, phases } = this.#stage(sets, this.#want);
    this.#want = want;
    return phases;
  }

  #keep(have: SwitchTables): SwitchTables['groups'] {
    return new Map([...have.groups, ...this.#want.groups]);
  }

  #resolve(program: Program, reaction: Reaction | undefined): Consequence {
    this.#reactions++;
    if (reaction === undefined) return NOTHING;
    const commands = reaction.changes.map((change): Command => {
      if (change.op === 'put-like') {
        const pattern = this.#pipeline.resolvePattern(program, change.pattern);
        return { op: 'flow-add-like', pattern, value: change.value };
      }
      if (change.op === 'put') {
        return { op: 'flow-add', flow: this.#pipeline.resolve(program, change.flow, NO_NUMBERS) };
      }
      const tableId = this.#pipeline.tableId(program, change.flow.table) ?? 0;
      const { priority, match } = change.flow;
      return { op: 'flow-delete', flow: { tableId, priority, match, cookie: 0n } };
    });
    const packetOuts = reaction.packetOuts?.map(({ actions, data }) => ({
      actions: resolveActions(actions, NO_NUMBERS, (table) => this.#pipeline.entryOf(program, table)),
      data,
    }));
    const counts = reaction.countRules === undefined ? NO_COUNTS : [{ program, kind: reaction.countRules }];
    return {
      commands,
      notices: reaction.notices,
      packetOuts: packetOuts ?? NO_PACKET_OUTS,
      isStale: reaction.isStale === true,
      counts,
    };
  }
}

const NO_COUNTS: Consequence['counts'] = [];
const NO_PACKET_OUTS: Consequence['packetOuts'] = [];
const NOTHING: Consequence = { commands: [], notices: [], packetOuts: [], isStale: false, counts: [] };

/** A flow with its counters. */
export interface CountedFlow {
  readonly flow: ResolvedFlow;
  readonly packets: bigint;
  readonly bytes: bigint;
}

function merged(all: readonly Consequence[]): Consequence {
  return {
    commands: all.flatMap((it) => it.commands),
    notices: all.flatMap((it) => it.notices),
    packetOuts: all.flatMap((it) => it.packetOuts),
    isStale: all.some((it) => it.isStale),
    counts: all.flatMap((it) => it.counts),
  };
}

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
