/**
 * Traces: what the datapath says of a frame's way, with the names of ports, tables and programs, the reason of every
 * rule, and the whole as text for people.
 */
import {
  Action,
  FlowStats,
  decodeAs,
  formatActions,
  formatFlowStats,
  formatInstructions,
  formatMatch,
  toJson,
} from 'node-openflow';
import type { PortNames } from 'node-openflow';
import type { DatapathStep, DatapathTrace } from '../datapath/protocol.js';
import type { FlowDump, FlowOwner } from '../switches/driver.js';
import { shownOfport } from './counters.js';
import { explainOffload } from '../domain/index.js';
import { dropText } from './drop-reasons.js';
import { matchOfFrame } from './frame.js';

/** Who knows the names. */
export interface TraceNames {
  readonly ports: PortNames;
  owner(flow: Pick<FlowDump, 'tableId' | 'priority' | 'match' | 'cookie'>): FlowOwner | null;
  table(tableId: number): { readonly program: string; readonly name: string } | null;
}

export interface FrameText {
  readonly hex: string;
  readonly length: number;
  readonly text: string;
}

export interface TableName {
  readonly id: number;
  readonly program: string | null;
  readonly name: string | null;
}

export type StepKind =
  | 'rule'
  | 'miss'
  | 'action'
  | 'action-set'
  | 'bucket'
  | 'meter'
  | 'output'
  | 'blocked'
  | 'controller'
  | 'drop';

export interface ExplainedStep {
  readonly kind: StepKind;
  readonly depth: number;
  readonly text: string;
  readonly table?: TableName;
  readonly rule?: {
    readonly priority: number;
    readonly cookie: string;
    readonly match: Record<string, unknown>;
    readonly text: string;
    readonly reason: string | null;
  };
  readonly masks?: number;
  readonly action?: string;
  readonly group?: number;
  readonly bucket?: number;
  readonly meter?: number;
  readonly port?: string;
  readonly reason?: string;
}

export interface ExplainedTrace {
  readonly bridge: string;
  readonly inPort: string;
  readonly frame: FrameText;
  readonly steps: ExplainedStep[];
  readonly outputs: { port: string; ofport: number; queue: number | null; frame: FrameText }[];
  readonly packetIns: {
    to: 'program' | 'controllers';
    reason: string;
    maxLength: number;
    frame: FrameText;
  }[];
  readonly drop: { reason: string; sentence: string; remedy: string } | null;
  readonly cost: { tables: number; masks: number; bits: number; fields: string[]; cacheable: boolean };
  /** Whether the kernel forwards frames like it, once the first has passed; why it does not. */
  readonly fastPath: {
    readonly offloaded: boolean;
    readonly reason: string | null;
    readonly sentence: string | null;
  };
  readonly verdict: string;
}

/** A frame's headers in the words of ovs-ofctl. */
export function describeFrame(bytes: Uint8Array, length = bytes.length): FrameText {
  return {
    hex: Buffer.from(bytes).toString('hex'),
    length,
    text: formatMatch(matchOfFrame(bytes)) || 'too short for an Ethernet header',
  };
}

export function explainTrace(
  trace: DatapathTrace,
  about: { readonly bridge: string; readonly inPort: number; readonly frame: Uint8Array },
  names: TraceNames,
): ExplainedTrace {
  const portName = (ofport: number) => names.ports.byNumber(ofport) ?? String(ofport);
  const framed = (hex: string) => describeFrame(Buffer.from(hex, 'hex'));
  const steps = trace.steps.map((step) => explainStep(step, names));
  const outputs = trace.outputs.map(({ portNo, queueId, frame }) => ({
    port: portName(portNo),
    ofport: shownOfport(portNo),
    queue: queueId,
    frame: framed(frame),
  }));
  const packetIns = trace.packetIns.map(({ program, reason, maxLen, frame }) => ({
    to: program ? ('program' as const) : ('controllers' as const),
    reason: kebab(reason),
    maxLength: maxLen,
    frame: framed(frame),
  }));
  const drop = trace.drop === null ? null : dropOf(trace.drop);
  const tables = trace.steps.filter(({ kind }) => kind === 'match' || kind === 'miss');
  return {
    bridge: about.bridge,
    inPort: portName(about.inPort),
    frame: describeFrame(about.frame),
    steps,
    outputs,
    packetIns,
    drop,
    cost: {
      tables: tables.length,
      masks: tables.reduce((sum, step) => sum + ('masks' in step ? step.masks : 0), 0),
      bits: trace.maskBits,
      fields: [...trace.mask],
      cacheable: trace.cacheable,
    },
    fastPath: fastPathOf(trace.whyNot ?? null),
    verdict: verdictOf(outputs, packetIns, drop),
  };
}

function fastPathOf(reason: string | null): ExplainedTrace['fastPath'] {
  return {
    offloaded: reason === null,
    reason,
    sentence: reason === null ? null : explainOffload(reason).meaning,
  };
}

function dropOf(reason: string): { reason: string; sentence: string; remedy: string } {
  const { meaning, remedy } = dropText(reason);
  return { reason, sentence: meaning, remedy };
}

function verdictOf(
  outputs: ExplainedTrace['outputs'],
  packetIns: ExplainedTrace['packetIns'],
  drop: ExplainedTrace['drop'],
): string {
  const ports = [...new Set(outputs.map(({ port }) => port))];
  const parts: string[] = [];
  if (ports.length > 0) parts.push(`leaves by ${ports.join(', ')}`);
  if (packetIns.length > 0) {
    const to = [...new Set(packetIns.map((each) => each.to))];
    parts.push(
      `goes to ${to.map((each) => (each === 'program' ? 'weftd' : 'the controllers')).join(' and ')}`,
    );
  }
  if (drop)
    parts.push(`${parts.length > 0 ? 'is in part ' : 'is '}dropped (${drop.reason}): ${drop.sentence}`);
  return parts.length === 0 ? 'goes nowhere' : parts.join('; ');
}

function explainStep(step: DatapathStep, names: TraceNames): ExplainedStep {
  const { depth } = step;
  const portName = (ofport: number) => names.ports.byNumber(ofport) ?? String(ofport);
  switch (step.kind) {
    case 'match':
      return explainRule(step, names);
    case 'miss': {
      const table = tableOf(step.tableId, names);
      return { kind: 'miss', depth, text: `${tableText(table)}: no rule matches`, table, masks: step.masks };
    }
    case 'action': {
      const action = decodeAs(Action, Buffer.from(step.action, 'hex'));
      const text = formatActions([action], names.ports);
      return { kind: 'action', depth, text, action: text };
    }
    case 'actionSet':
      return { kind: 'action-set', depth, text: 'the action set:' };
    case 'bucket': {
      const { groupId: group, bucket } = step;
      return { kind: 'bucket', depth, text: `bucket ${bucket} of group ${group}:`, group, bucket };
    }
    case 'meter':
      return { kind: 'meter', depth, text: `passes meter ${step.meterId}`, meter: step.meterId };
    case 'output': {
      const port = portName(step.portNo);
      return { kind: 'output', depth, text: `leaves by ${port}`, port };
    }
    case 'blocked': {
      const [port, { reason }] = [portName(step.portNo), step];
      return {
        kind: 'blocked',
        depth,
        text: `cannot leave by ${port}: ${dropText(reason).meaning}`,
        port,
        reason,
      };
    }
    case 'controller': {
      const reason = kebab(step.reason);
      return { kind: 'controller', depth, text: `goes to the controller (${reason})`, reason };
    }
    case 'drop': {
      const { reason } = step;
      return { kind: 'drop', depth, text: `dropped: ${dropText(reason).meaning}`, reason };
    }
  }
}

function explainRule(
  { tableId, depth, masks, flow }: Extract<DatapathStep, { kind: 'match' }>,
  names: TraceNames,
): ExplainedStep {
  const stats = decodeAs(FlowStats, Buffer.from(flow, 'hex'));
  const { priority, cookie, instructions } = stats;
  const match = stats.match as FlowDump['match'];
  const owner = names.owner({ tableId, priority, cookie, match });
  const table = tableOf(tableId, names);
  const fields = formatMatch(stats.match, names.ports);
  const does = formatInstructions(instructions, names.ports);
  const why = owner === null ? '' : `  # ${owner.program}: ${owner.reason}`;
  return {
    kind: 'rule',
    depth,
    text: `${tableText(table)}: priority=${priority}${fields === '' ? '' : `,${fields}`} actions=${does}${why}`,
    table,
    rule: {
      priority,
      cookie: `0x${cookie.toString(16)}`,
      // Fields of 64 bits (metadata) are no JSON.
      match: toJson(match) as Record<string, unknown>,
      text: formatFlowStats(stats, { hasStats: false, names: names.ports }),
      reason: owner?.reason ?? null,
    },
    masks,
  };
}

function tableOf(id: number, names: TraceNames): TableName {
  const known = names.table(id);
  return { id, program: known?.program ?? null, name: known?.name ?? null };
}

function tableText({ id, name }: TableName): string {
  return name === null ? `table ${id}` : `table ${id} (${name})`;
}

/** `InvalidTtl` → `invalid-ttl` */
function kebab(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, '-$&').toLowerCase();
}

/** The trace as people read it, in the manner of ovs-appctl ofproto/trace. */
export function traceText(trace: ExplainedTrace): string {
  const { bridge, inPort, frame, steps, outputs, packetIns, cost } = trace;
  const lines = [`bridge ${bridge}, in by ${inPort}, ${frame.length} bytes: ${frame.text}`, ''];
  for (const { depth, kind, text } of steps) {
    // What an action does stands below it.
    const isEffect = kind === 'output' || kind === 'blocked' || kind === 'controller';
    lines.push(`${'    '.repeat(isEffect ? depth + 1 : depth)}${text}`);
  }
  lines.push('');
  for (const { port, queue, frame: left } of outputs) {
    const by = queue === null ? port : `${port}, queue ${queue}`;
    lines.push(`out by ${by}: ${left.length} bytes: ${left.text}`);
  }
  for (const { to, reason, frame: sent } of packetIns) {
    lines.push(`to ${to === 'program' ? 'weftd' : 'the controllers'} (${reason}): ${sent.text}`);
  }
  lines.push(`verdict: ${trace.verdict}`);
  if (trace.drop && trace.drop.remedy !== '') lines.push(`what to do: ${trace.drop.remedy}`);
  const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;
  lines.push(
    `cost: ${plural(cost.tables, 'table')}, ${plural(cost.masks, 'mask')}, ${plural(cost.bits, 'bit')} looked at; ` +
      (cost.cacheable ? 'what is found out is kept' : 'each such frame is walked through the tables'),
    `frames like it: ${pathText(trace.fastPath)}`,
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** Who forwards frames like it. */
export function pathText({ offloaded, reason, sentence }: ExplainedTrace['fastPath']): string {
  if (offloaded) return 'forwarded by the kernel';
  return `forwarded in user space (${reason ?? 'unknown'}): ${sentence ?? ''}`;
}
