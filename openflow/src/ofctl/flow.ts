/** Flows: `priority=100,in_port=1,dl_vlan=10,actions=pop_vlan,output:2` and the lines of `dump-flows`. */

import type { Static } from '../codec/codec.js';
import { Table } from '../messages/constants.js';
import type { ActionInput } from '../messages/actions.js';
import type { FlowMod } from '../messages/flows.js';
import type { Instruction, InstructionInput } from '../messages/instructions.js';
import type { MessageInput } from '../messages/message.js';
import type { FlowStats } from '../messages/statistics.js';
import { formatActions, masked } from './actions.js';
import { hex, readPort, type PortNames } from './field-values.js';
import { formatMatch, matchOf } from './match.js';
import { actionsOf, contextOf, parseAction, type ActionContext } from './parse-actions.js';
import { OfctlSyntaxError, badValue, integer, splitWords, valueOf, wordNumber, type Word } from './syntax.js';

type FlowModInput = Extract<MessageInput, { type: 'FLOW_MOD' }>;
type FlowCommand = 'ADD' | 'MODIFY' | 'MODIFY_STRICT' | 'DELETE' | 'DELETE_STRICT';
/** A flow as flow statistics and flow modifications have it in common. */
type Flow = Pick<
  Static<typeof FlowMod>,
  'cookie' | 'tableId' | 'priority' | 'idleTimeout' | 'hardTimeout' | 'flags' | 'match' | 'instructions'
>;

export interface FlowSyntaxOptions {
  /** What the flow-mod is to do. Default `ADD`. A delete needs no actions, and its table defaults to all. */
  command?: FlowCommand;
  names?: PortNames;
}

const DEFAULT_PRIORITY = 0x8000;
const FLAGS = {
  send_flow_rem: 'SEND_FLOW_REM',
  check_overlap: 'CHECK_OVERLAP',
  reset_counts: 'RESET_COUNTS',
  no_packet_counts: 'NO_PKT_COUNTS',
  no_byte_counts: 'NO_BYT_COUNTS',
} as const;
type FlagWord = keyof typeof FLAGS;
const FLAG_WORDS = Object.entries(FLAGS);
const isFlag = (key: string): key is FlagWord => Object.hasOwn(FLAGS, key);

/** Reads one flow. @throws OfctlSyntaxError naming the word at fault and where it stands */
export function parseFlow(text: string, options: FlowSyntaxOptions = {}): FlowModInput {
  const command = options.command ?? 'ADD';
  const isDelete = command === 'DELETE' || command === 'DELETE_STRICT';
  const start = /(?:^|[\s,])actions?\s*=/.exec(text);
  if (start === null && !isDelete) throw new OfctlSyntaxError('no actions given', text, 0);
  const before = start === null ? text : text.slice(0, start.index);
  const actionsAt = start === null ? text.length : start.index + start[0].length;

  const flow = {
    type: 'FLOW_MOD' as const,
    command,
    cookie: 0n,
    cookieMask: 0n,
    // A delete that names no table means all of them (OF 1.3.5 §6.4).
    tableId: isDelete ? Table.ALL : 0,
    priority: DEFAULT_PRIORITY,
    idleTimeout: 0,
    hardTimeout: 0,
    flags: [] as (typeof FLAGS)[FlagWord][],
  };
  const more: { outPort?: number; outGroup?: number } = {};
  const fields: Word[] = [];
  for (const word of splitWords(before)) {
    if (isFlag(word.key) && word.value === undefined) {
      if (!flow.flags.includes(FLAGS[word.key])) flow.flags.push(FLAGS[word.key]);
      continue;
    }
    switch (word.key) {
      case 'table':
        flow.tableId = wordNumber(word, 8);
        break;
      case 'priority':
        flow.priority = wordNumber(word, 16);
        break;
      case 'idle_timeout':
        flow.idleTimeout = wordNumber(word, 16);
        break;
      case 'hard_timeout':
        flow.hardTimeout = wordNumber(word, 16);
        break;
      case 'cookie':
        readCookie(word, flow, command);
        break;
      case 'out_port':
        more.outPort = outPort(word, options.names);
        break;
      case 'out_group':
        more.outGroup = wordNumber(word, 32);
        break;
      case 'importance':
        throw new OfctlSyntaxError('OpenFlow 1.3 has no importance', word.key, word.at);
      // What a dump says of a flow beside the flow itself: passed over, so that dumped lines can be read back.
      case 'duration':
      case 'n_packets':
      case 'n_bytes':
      case 'idle_age':
      case 'hard_age':
        break;
      default:
        fields.push(word);
    }
  }
  const match = matchOf(fields, options.names);
  // The order of the list says nothing on the wire; keep to that of the bits, so that equal flows are equal.
  const flags = Object.values(FLAGS).filter((flag) => flow.flags.includes(flag));
  const instructions = isDelete
    ? []
    : instructionsOf(splitWords(text.slice(actionsAt), actionsAt), contextOf(match, options.names));
  return { ...flow, ...more, flags, match, instructions };
}

/** Reads several flows, one a line; blank lines and `#` comments are passed over. */
export function parseFlows(text: string, options: FlowSyntaxOptions = {}): FlowModInput[] {
  return text.split('\n').flatMap((line) => {
    const bare = line.replace(/#.*$/, '').trim();
    return bare === '' ? [] : [parseFlow(bare, options)];
  });
}

function readCookie(word: Word, flow: { cookie: bigint; cookieMask: bigint }, command: FlowCommand): void {
  const text = valueOf(word);
  const slash = text.indexOf('/');
  flow.cookie = integer(slash < 0 ? text : text.slice(0, slash), 64, word.valueAt, word.key);
  if (slash < 0) return;
  if (command === 'ADD') throw badValue(word, 'a flow that is added takes no cookie mask');
  const mask = text.slice(slash + 1);
  flow.cookieMask =
    mask === '-1' ? 0xffff_ffff_ffff_ffffn : integer(mask, 64, word.valueAt + slash + 1, word.key);
}

function outPort(word: Word, names: PortNames | undefined): number {
  const port = readPort(valueOf(word), names);
  if (port === undefined) throw badValue(word, 'unknown port');
  return port;
}

/** Open vSwitch's order, which is also that of execution (OF 1.3.5 §5.9). */
const ORDER = [
  'meter',
  'apply_actions',
  'clear_actions',
  'write_actions',
  'write_metadata',
  'goto_table',
] as const;
type InstructionWord = (typeof ORDER)[number];
const isInstruction = (key: string): key is InstructionWord => (ORDER as readonly string[]).includes(key);

function instructionsOf(words: readonly Word[], context: ActionContext): InstructionInput[] {
  const drop = words.find((word) => word.key === 'drop');
  if (drop !== undefined) {
    if (words.length > 1) throw new OfctlSyntaxError('drop must stand alone', drop.key, drop.at);
    return [];
  }
  const made: InstructionInput[] = [];
  const applied: ActionInput[] = [];
  let reached = -1;
  for (const word of words) {
    if (word.key === 'apply_actions') {
      throw new OfctlSyntaxError('actions are applied without saying so', word.key, word.at);
    }
    const rank = ORDER.indexOf(isInstruction(word.key) ? word.key : 'apply_actions');
    if (rank < reached)
      throw new OfctlSyntaxError(`must come before ${ORDER[reached] ?? ''}`, word.key, word.at);
    if (isInstruction(word.key)) {
      if (rank === reached) throw new OfctlSyntaxError('given twice', word.key, word.at);
      made.push(instructionOf(word, context));
    } else {
      if (reached !== rank) made.push({ type: 'APPLY_ACTIONS', actions: applied });
      applied.push(...parseAction(word, context));
    }
    reached = rank;
  }
  return made;
}

function instructionOf(word: Word, context: ActionContext): InstructionInput {
  switch (word.key) {
    case 'meter':
      return { type: 'METER', meterId: wordNumber(word, 32) };
    case 'clear_actions':
      return { type: 'CLEAR_ACTIONS' };
    case 'write_actions':
      return {
        type: 'WRITE_ACTIONS',
        actions: actionsOf(splitWords(word.value ?? '', word.valueAt), context),
      };
    case 'goto_table':
      return { type: 'GOTO_TABLE', tableId: wordNumber(word, 8) };
    default: {
      const text = valueOf(word);
      const slash = text.indexOf('/');
      const metadata = integer(slash < 0 ? text : text.slice(0, slash), 64, word.valueAt, word.key);
      const metadataMask =
        slash < 0
          ? 0xffff_ffff_ffff_ffffn
          : integer(text.slice(slash + 1), 64, word.valueAt + slash + 1, word.key);
      return { type: 'WRITE_METADATA', metadata, metadataMask };
    }
  }
}

/** Writes what stands behind `actions=`: instructions in Open vSwitch's order, `drop` when there are none. */
export function formatInstructions(instructions: readonly Instruction[], names?: PortNames): string {
  const [only] = instructions;
  if (only !== undefined && instructions.length === 1) return formatInstruction(only, names) || 'drop';
  const words: string[] = [];
  for (const [, word] of instructions
    .map((each) => [rankOf(each), formatInstruction(each, names)] as const)
    .sort(([a], [b]) => a - b)) {
    if (word !== '') words.push(word);
  }
  return words.length === 0 ? 'drop' : words.join(',');
}

function rankOf(instruction: Instruction): number {
  const rank = ORDER.indexOf(instruction.type.toLowerCase() as InstructionWord);
  return rank < 0 ? ORDER.length : rank;
}

function formatInstruction(instruction: Instruction, names: PortNames | undefined): string {
  switch (instruction.type) {
    case 'METER':
      return `meter:${instruction.meterId}`;
    case 'APPLY_ACTIONS':
      return instruction.actions.length === 0 ? '' : formatActions(instruction.actions, names);
    case 'CLEAR_ACTIONS':
      return 'clear_actions';
    case 'WRITE_ACTIONS':
      return `write_actions(${formatActions(instruction.actions, names)})`;
    case 'WRITE_METADATA':
      return `write_metadata:${masked(instruction.metadata, instruction.metadataMask)}`;
    case 'GOTO_TABLE':
      return `goto_table:${instruction.tableId}`;
    case 'EXPERIMENTER':
      return `instruction_experimenter(id=${hex(instruction.experimenter)})`;
    case 'unknown':
      return `instruction_unknown(code=${instruction.code})`;
  }
}

export interface FlowPrintOptions {
  names?: PortNames;
  /** Duration and counters, as `dump-flows` prints them. Default true; without, as `dump-flows --no-stats`. */
  hasStats?: boolean;
  /** {@link formatInstructions} of the flow's, if that is known already. */
  actions?: string;
}

/** Writes a line of `ovs-ofctl -O OpenFlow13 dump-flows`, without the blank in front. */
export function formatFlowStats(flow: Static<typeof FlowStats>, options: FlowPrintOptions = {}): string {
  const hasStats = options.hasStats ?? true;
  const words: string[] = [];
  if (hasStats || flow.cookie !== 0n) words.push(`cookie=0x${flow.cookie.toString(16)}, `);
  if (hasStats) words.push(`duration=${formatDuration(flow)}, `);
  if (hasStats || flow.tableId !== 0) words.push(`table=${flow.tableId}, `);
  if (hasStats) words.push(`n_packets=${count(flow.packetCount)}, n_bytes=${count(flow.byteCount)}, `);
  return words.join('') + formatRest(flow, options.names, options.actions);
}

/** All ones: the switch does not count it. */
function count(value: bigint): string {
  return value === 0xffff_ffff_ffff_ffffn ? '?' : String(value);
}

/** `1.25s`, to the millisecond as Open vSwitch prints it. */
export function formatDuration({
  durationSec,
  durationNsec,
}: {
  durationSec: number;
  durationNsec: number;
}): string {
  // Open vSwitch prints a whole second without decimals, any other with three.
  const milliseconds = Math.floor(durationNsec / 1_000_000);
  return milliseconds === 0 && durationNsec === 0
    ? `${durationSec}s`
    : `${durationSec}.${String(milliseconds).padStart(3, '0')}s`;
}

/** Timeouts, flags, priority, match and actions. */
function formatRest(flow: Flow, names: PortNames | undefined, actions?: string): string {
  const words: string[] = [];
  if (flow.idleTimeout !== 0) words.push(`idle_timeout=${flow.idleTimeout}, `);
  if (flow.hardTimeout !== 0) words.push(`hard_timeout=${flow.hardTimeout}, `);
  if (flow.flags.length > 0)
    for (const [word, flag] of FLAG_WORDS) if (flow.flags.includes(flag)) words.push(`${word} `);
  const match = formatMatch(flow.match, names);
  const key = [
    ...(flow.priority === DEFAULT_PRIORITY ? [] : [`priority=${flow.priority}`]),
    ...(match === '' ? [] : [match]),
  ].join(',');
  if (key !== '') words.push(`${key} `);
  return `${words.join('')}actions=${actions ?? formatInstructions(flow.instructions, names)}`;
}

/** Writes a flow in a form that {@link parseFlow} reads back. Cookie and table appear when they are not zero. */
export function formatFlow(flow: Flow, names?: PortNames): string {
  const words: string[] = [];
  if (flow.cookie !== 0n) words.push(`cookie=0x${flow.cookie.toString(16)}, `);
  if (flow.tableId !== 0) words.push(`table=${flow.tableId}, `);
  return words.join('') + formatRest(flow, names);
}
