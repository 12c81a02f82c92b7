/**
 * The pipeline of a bridge: the tables of its programs, one after the other, with numbers. Names become numbers
 * here, and every rule is checked against the declaration of its table.
 */
import { MISS_KIND, packCookie, unpackCookie } from './cookie.js';
import type {
  Action,
  Flow,
  FlowPattern,
  FlowSet,
  Instruction,
  ResolvedAction,
  ResolvedFlow,
  ResolvedInstruction,
  ResolvedPattern,
} from './flow.js';
import { NEXT_PROGRAM } from './flow.js';
import type { Program, TableDeclaration } from './program.js';

export interface PipelineOptions {
  /** Number of the first table: 64 on our own datapath, 0 elsewhere. */
  readonly firstTable: number;
  /** Number of tables the switch has (`n_tables`). */
  readonly tableCount: number;
  /** Tables without rules, as `program/table`; they drop out where the switch has too few tables for all. */
  readonly unused?: ReadonlySet<string>;
}

/** Numbers of the groups and meters that a program names. */
export interface Numbers {
  group(name: string): number;
  meter(name: string): number;
}

/** For rules that reactions put: groups and meters follow from the configuration alone. */
export const NO_NUMBERS: Numbers = {
  group: () => {
    throw new ProgramError('flows put by reactions may not lead to groups');
  },
  meter: () => {
    throw new ProgramError('flows put by reactions may not use meters');
  },
};

/** Rules declared wrongly: a mistake of the program, not of its input. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
}

interface Slot {
  readonly program: Program;
  readonly declaration: TableDeclaration;
  readonly tableId: number;
  readonly next: ReadonlySet<string>;
  /** Instructions that lead to tables only, by the list they were made from. */
  readonly resolved: WeakMap<readonly Instruction[], readonly ResolvedInstruction[]>;
}

const slotKey = (program: Program, table: string): string => `${program.name}/${table}`;

type Patterns = WeakMap<FlowPattern, { readonly program: Program; readonly resolved: ResolvedPattern }>;
/** What patterns were resolved to, by layout: a hundred bridges that are laid out alike share what is made of them. */
const patternsOfLayouts = new Map<string, Patterns>();
/** Of more layouts, all are forgotten. */
const MOST_LAYOUTS = 64;

function patternsOf(layout: string): Patterns {
  let patterns = patternsOfLayouts.get(layout);
  if (patterns === undefined) {
    if (patternsOfLayouts.size >= MOST_LAYOUTS) patternsOfLayouts.clear();
    patternsOfLayouts.set(layout, (patterns = new WeakMap()));
  }
  return patterns;
}

export class Pipeline {
  readonly #slots: ReadonlyMap<Program, Map<string, Slot>>;
  readonly #byId = new Map<number, Slot>();
  readonly #programs: readonly Program[];
  readonly #kinds: ReadonlyMap<Program, ReadonlyMap<string, number>>;
  /** First table of each program that has one. */
  readonly #entries: (number | undefined)[];
  /** Text equal for pipelines that put the same tables in the same places: they resolve rules alike. */
  readonly layout: string;
  readonly #patterns: Patterns;

  /** @throws ProgramError when two programs share a number, or the switch has too few tables. */
  constructor(programs: readonly Program[], options: PipelineOptions) {
    this.#programs = programs;
    this.#slots = new Map(programs.map((program) => [program, new Map<string, Slot>()]));
    this.#kinds = new Map(programs.map((p) => [p, new Map(p.kinds.map((kind, i) => [kind, i + 1]))]));
    for (const [i, program] of programs.entries()) {
      const twin = programs
        .slice(0, i)
        .find((other) => other.id === program.id || other.name === program.name);
      if (twin) {
        const what = twin.name === program.name ? 'have the same name' : `share the number ${program.id}`;
        throw new ProgramError(`programs ${twin.name} and ${program.name} ${what}`);
      }
      const bits = program.metadataBits ?? 0n;
      const rival = programs.slice(0, i).find((other) => ((other.metadataBits ?? 0n) & bits) !== 0n);
      if (rival) {
        const both = `0x${((rival.metadataBits ?? 0n) & bits).toString(16)}`;
        throw new ProgramError(`programs ${rival.name} and ${program.name} both use metadata bits ${both}`);
      }
    }
    const declared = programs.flatMap((program) =>
      program.tables.map((declaration) => ({ program, declaration })),
    );
    const room = options.tableCount - options.firstTable;
    // Numbers that do not depend on which tables are in use let a feature be switched on without moving flows.
    const fits = declared.length <= room;
    const placed = fits
      ? declared
      : declared.filter((it) => options.unused?.has(slotKey(it.program, it.declaration.name)) !== true);
    if (placed.length > room) {
      throw new ProgramError(`the programs need ${placed.length} tables and the switch has ${room}`);
    }
    for (const [i, { program, declaration }] of placed.entries()) {
      const tableId = options.firstTable + i;
      const next = new Set(declaration.next);
      const slot = { program, declaration, tableId, next, resolved: new WeakMap() };
      this.#slots.get(program)?.set(declaration.name, slot);
      this.#byId.set(slot.tableId, slot);
    }
    this.layout = placed
      .map((it, i) => `${it.program.id}/${it.declaration.name}=${options.firstTable + i}`)
      .join();
    this.#patterns = patternsOf(this.layout);
    this.#entries = programs.map((program) => {
      const first = placed.find((it) => it.program === program);
      return first && this.tableId(program, first.declaration.name);
    });
  }

  get programs(): readonly Program[] {
    return this.#programs;
  }

  /** Number of `table`, or undefined where it dropped out. */
  tableId(program: Program, table: string): number | undefined {
    return this.#slots.get(program)?.get(table)?.tableId;
  }

  /** Name of a table of `program`. */
  tableName(program: Program, tableId: number): string | undefined {
    const slot = this.#byId.get(tableId);
    return slot?.program === program ? slot.declaration.name : undefined;
  }

  /** The rule that makes a table's declared miss behaviour explicit, and so counted. */
  missFlows(program: Program): { flow: ResolvedFlow; reason: string }[] {
    return program.tables.flatMap(({ name, miss }) => {
      const tableId = this.tableId(program, name);
      if (tableId === undefined) return [];
      const instructions: ResolvedInstruction[] = [];
      if (miss.kind === 'next') {
        if (miss.toController !== undefined) {
          const output = { type: 'OUTPUT', port: 0xfffffffd, maxLength: miss.toController } as const;
          instructions.push({ type: 'APPLY_ACTIONS', actions: [output] });
        }
        const next = this.#goto(program, miss.table);
        if (next !== undefined) instructions.push({ type: 'GOTO_TABLE', tableId: next });
      }
      const cookie = packCookie({ program: program.id, kind: MISS_KIND, detail: 0 });
      return [
        {
          flow: {
            tableId,
            priority: 0,
            match: {},
            instructions,
            cookie,
            idleTimeout: 0,
            hardTimeout: 0,
            flags: [],
          },
          reason: miss.reason,
        },
      ];
    });
  }

  /** @throws ProgramError when the flow is not what its table declares. */
  resolve(program: Program, flow: Flow, numbers: Numbers): ResolvedFlow {
    const slot = this.#slots.get(program)?.get(flow.table);
    if (slot === undefined)
      throw new ProgramError(`${program.name}: no table ${flow.table} in this pipeline`);
    const kind = this.#kinds.get(program)?.get(flow.kind);
    if (kind === undefined) throw new ProgramError(`${program.name}: undeclared kind of rule ${flow.kind}`);
    for (const name in flow.match) {
      const declared = slot.declaration.match[name];
      if (declared === undefined)
        throw new ProgramError(`${program.name}: table ${flow.table} does not match ${name}`);
      if (declared === 'exact' && typeof flow.match[name] === 'object') {
        throw new ProgramError(`${program.name}: table ${flow.table} matches ${name} exactly, not masked`);
      }
    }
    checkMetadata(program, flow);
    if (flow.priority < 1 || flow.priority > 0xffff) {
      throw new ProgramError(
        `${program.name}: priority ${flow.priority} is not 1 … 65535 (0 is the miss rule's)`,
      );
    }
    return {
      tableId: slot.tableId,
      priority: flow.priority,
      match: flow.match,
      instructions: this.#instructions(slot, flow.instructions, numbers),
      cookie: packCookie({ program: program.id, kind, detail: flow.detail ?? 0 }),
      idleTimeout: flow.idleTimeoutS ?? 0,
      hardTimeout: flow.hardTimeoutS ?? 0,
      flags: flow.notifyRemoved === true ? ['SEND_FLOW_REM'] : [],
    };
  }

  /** @throws ProgramError when the pattern's flow is not what its table declares, or does not match the field that varies. */
  resolvePattern(program: Program, pattern: FlowPattern): ResolvedPattern {
    const known = this.#patterns.get(pattern);
    if (known?.program === program) return known.resolved;
    const { flow, varies } = pattern;
    const model = flow.match[varies];
    if (model === undefined || typeof model === 'object')
      throw new ProgramError(`${program.name}: flows that differ in ${varies} must match it, without a mask`);
    const resolved = { flow: this.resolve(program, flow, NO_NUMBERS), varies };
    this.#patterns.set(pattern, { program, resolved });
    return resolved;
  }

  /** Whose flow it is, by its cookie: program, table and kind, or undefined for anybody else's. */
  owner(flow: { cookie: bigint; tableId: number }): OwnedFlow | undefined {
    const parts = unpackCookie(flow.cookie);
    const program = parts && this.#programs.find((it) => it.id === parts.program);
    if (parts === undefined || program === undefined) return undefined;
    const kind = parts.kind === MISS_KIND ? 'miss' : (program.kinds[parts.kind - 1] ?? `${parts.kind}`);
    return { program, table: this.tableName(program, flow.tableId), kind, detail: parts.detail };
  }

  /** Lists that many flows share, as those of learned addresses do, are looked up once. */
  #instructions(
    slot: Slot,
    instructions: readonly Instruction[],
    numbers: Numbers,
  ): readonly ResolvedInstruction[] {
    const known = slot.resolved.get(instructions);
    if (known !== undefined) return known;
    const resolved = instructions.flatMap((it) => this.#instruction(slot, it, numbers));
    // Groups and meters have other numbers another time.
    if (instructions.every(({ type }) => type === 'GOTO_TABLE' || type === 'WRITE_METADATA'))
      slot.resolved.set(instructions, resolved);
    return resolved;
  }

  #instruction(slot: Slot, instruction: Instruction, numbers: Numbers): ResolvedInstruction[] {
    switch (instruction.type) {
      case 'GOTO_TABLE': {
        if (!slot.next.has(instruction.table)) {
          throw new ProgramError(
            `${slot.program.name}: ${slot.declaration.name} may not lead to ${instruction.table}`,
          );
        }
        const tableId = this.#goto(slot.program, instruction.table);
        return tableId === undefined ? [] : [{ type: 'GOTO_TABLE', tableId }];
      }
      case 'METER':
        return [{ type: 'METER', meterId: numbers.meter(instruction.meter) }];
      case 'APPLY_ACTIONS':
      case 'WRITE_ACTIONS':
        return [
          {
            type: instruction.type,
            actions: resolveActions(instruction.actions, numbers, (table) => {
              if (slot.next.has(table)) return this.entryOf(slot.program, table);
              throw new ProgramError(
                `${slot.program.name}: ${slot.declaration.name} may not lead to ${table}`,
              );
            }),
          },
        ];
      default:
        return [instruction];
    }
  }

  /** Number of the table that `name` leads to, past tables that dropped out. @throws ProgramError where that is none. */
  entryOf(program: Program, name: string): number {
    const tableId = this.#goto(program, name);
    if (tableId === undefined) throw new ProgramError(`${program.name}: nothing follows at ${name}`);
    return tableId;
  }

  /** Number of the table that `name` leads to, past tables that dropped out; undefined: nowhere, a drop. */
  #goto(program: Program, name: string): number | undefined {
    if (name === NEXT_PROGRAM) {
      return this.#entries.slice(this.#programs.indexOf(program) + 1).find((entry) => entry !== undefined);
    }
    const slot = this.#slots.get(program)?.get(name);
    if (slot) return slot.tableId;
    const dropped = program.tables.find((table) => table.name === name);
    return dropped?.miss.kind === 'next' ? this.#goto(program, dropped.miss.table) : undefined;
  }
}

/** Tables that may drop out: no rule now, and none to come by reactions. As `PipelineOptions.unused` wants them. */
export function unusedTables(wanted: readonly { program: Program; set: FlowSet }[]): Set<string> {
  return new Set(
    wanted.flatMap(({ program, set }) => {
      const used = new Set(set.flows.map(({ table }) => table));
      const idle = program.tables.filter(({ name, isDynamic }) => isDynamic !== true && !used.has(name));
      return idle.map(({ name }) => slotKey(program, name));
    }),
  );
}

export interface OwnedFlow {
  readonly program: Program;
  readonly table: string | undefined;
  readonly kind: string;
  readonly detail: number;
}

/** OFPP_IN_PORT in the 16 bits of Nicira's resubmit: as if from the port it came in by. */
const SAME_PORT = 0xfff8;

/** @param tableOf number of a table that a RESUBMIT names */
export function resolveActions(
  actions: readonly Action[],
  numbers: Numbers,
  tableOf: (table: string) => number,
): ResolvedAction[] {
  return actions.map((action) => {
    if (action.type === 'GROUP') return { type: 'GROUP', groupId: numbers.group(action.group) };
    if (action.type !== 'RESUBMIT') return action;
    return { type: 'NX_RESUBMIT_TABLE', inPort: SAME_PORT, table: tableOf(action.table) };
  });
}

/** Weft's own programs have the numbers 1 … 15; the bridge program, which stands last, sets the whole register anew. */
const FIRST_FOREIGN = 16;

/** @throws ProgramError when a rule of somebody's program touches metadata bits that it does not declare. */
function checkMetadata(program: Program, flow: Flow): void {
  if (program.id < FIRST_FOREIGN) return;
  const own = program.metadataBits ?? 0n;
  const matched = flow.match['metadata'];
  const mask = typeof matched === 'object' ? BigInt(matched.mask) : matched === undefined ? 0n : ~0n;
  const written = flow.instructions.map((it) => (it.type === 'WRITE_METADATA' ? it.metadataMask : 0n));
  const stranger = [mask, ...written].find((bits) => (BigInt.asUintN(64, bits) & ~own) !== 0n);
  if (stranger === undefined) return;
  throw new ProgramError(
    `${program.name}: a rule of ${flow.table} uses metadata bits that the program does not declare (metadataBits)`,
  );
}
