/**
 * A model of an OpenFlow 1.3 switch, for tests of programs: "does this frame leave that port, and with which
 * tag?" It holds flows and groups as the reconciler's commands leave them, and walks a frame through them as
 * OF 1.3.5 §5 says, in the plainest way: a linear search in each table, no cache.
 *
 * ```ts
 * const model = new ModelSwitch([1, 2, 3]);
 * for (const phase of plan(EMPTY_TABLES, compile(pipeline, wanted, []))) model.applyAll(phase);
 * const { outputs, packetIns } = model.inject(1, makeFrame({ dst: '…', src: '…', tags: [{ vid: 10 }] }));
 * ```
 *
 * What it does not know it refuses with an exception rather than guess.
 */
import {
  fieldNumber,
  flowKey,
  flowLike,
  type Match,
  type ResolvedAction,
  type ResolvedFlow,
  type ResolvedGroup,
  type ResolvedInstruction,
} from '../../src/programs/index.js';
import type { Command } from '../../src/reconcile/index.js';
import { fieldSpan, fieldsOf, isVlanTpid } from './frame.js';

export interface Output {
  readonly port: number;
  readonly frame: Uint8Array;
}

export interface PacketIn {
  readonly tableId: number;
  readonly inPort: number;
  readonly data: Uint8Array;
  readonly metadata: bigint;
}

export interface Walk {
  readonly outputs: readonly Output[];
  readonly packetIns: readonly PacketIn[];
  /** The rules the frame hit, in order. */
  readonly hits: readonly ResolvedFlow[];
  /** Ids of the observers that it was shown to, in order. */
  readonly samples: readonly number[];
}

const CONTROLLER = 0xfffffffd;
const LOCAL = 0xfffffffe;
const IN_PORT = 0xfffffff8;
const ALL = 0xfffffffc;

interface CompiledField {
  readonly name: string;
  readonly value: bigint;
  readonly mask: bigint | undefined;
}

interface CompiledFlow {
  readonly flow: ResolvedFlow;
  readonly fields: readonly CompiledField[];
}

/** A frame on its way, with the pipeline fields. */
interface Packet {
  frame: Uint8Array;
  fields: Map<string, bigint>;
  metadata: bigint;
  readonly inPort: number;
}

interface Result {
  outputs: Output[];
  packetIns: PacketIn[];
  hits: ResolvedFlow[];
  samples: number[];
}

export class ModelSwitch {
  readonly #tables = new Map<number, Map<string, CompiledFlow>>();
  readonly #groups = new Map<number, ResolvedGroup>();
  /** Ports whose link is up; outputs to others go nowhere. */
  readonly ports: Set<number>;
  /** Flow messages taken so far. */
  flowMods = 0;

  constructor(ports: Iterable<number>) {
    this.ports = new Set(ports);
  }

  get flows(): ResolvedFlow[] {
    return [...this.#tables.values()].flatMap((table) => [...table.values()].map(({ flow }) => flow));
  }

  get groups(): ResolvedGroup[] {
    return [...this.#groups.values()];
  }

  applyAll(commands: Iterable<Command>): void {
    for (const command of commands) this.apply(command);
  }

  /** @throws Error where a switch would answer with an OFPT_ERROR. */
  apply(command: Command): void {
    switch (command.op) {
      case 'flow-add':
        this.#put(command.flow);
        break;
      case 'flow-add-like':
        this.#put(flowLike(command.pattern, command.value));
        break;
      case 'flow-modify':
        // MODIFY_STRICT that finds nothing changes nothing (OF 1.3.5 §6.4).
        if (this.#tables.get(command.flow.tableId)?.has(flowKey(command.flow)) === true)
          this.#put(command.flow);
        break;
      case 'flow-delete':
        this.flowMods++;
        this.#tables.get(command.flow.tableId)?.delete(flowKey(command.flow));
        break;
      case 'group-add':
        if (this.#groups.has(command.group.groupId)) throw new Error('OFPGMFC_GROUP_EXISTS');
        this.#groups.set(command.group.groupId, command.group);
        break;
      case 'group-modify':
        if (!this.#groups.has(command.group.groupId)) throw new Error('OFPGMFC_UNKNOWN_GROUP');
        this.#groups.set(command.group.groupId, command.group);
        break;
      case 'group-delete':
        this.#deleteGroup(command.groupId);
        break;
      case 'meter-add':
      case 'meter-modify':
      case 'meter-delete':
        // Meters let everything pass here.
        break;
    }
  }

  /** Takes `frame` in by `inPort`, starting in `tableId`. */
  inject(inPort: number, frame: Uint8Array, tableId = 0): Walk {
    const result: Result = { outputs: [], packetIns: [], hits: [], samples: [] };
    this.#walk({ frame, fields: fieldsOf(frame), metadata: 0n, inPort }, tableId, result);
    return result;
  }

  /** Runs the actions of a packet-out, as from the controller. */
  packetOut(actions: readonly ResolvedAction[], frame: Uint8Array): Walk {
    const result: Result = { outputs: [], packetIns: [], hits: [], samples: [] };
    const packet = { frame, fields: fieldsOf(frame), metadata: 0n, inPort: CONTROLLER };
    this.#executeList(actions, packet, 0, result, 0);
    return result;
  }

  #walk(packet: Packet, tableId: number, result: Result): void {
    const actionSet = new Map<string, ResolvedAction>();
    let next: number | undefined = tableId;
    while (next !== undefined) {
      const flow = this.#lookUp(next, packet);
      if (flow === undefined) break;
      result.hits.push(flow);
      next = this.#execute(flow, packet, actionSet, result);
    }
    this.#executeSet(actionSet, packet, tableId, result);
  }

  #put(flow: ResolvedFlow): void {
    this.flowMods++;
    for (const instruction of flow.instructions) this.#check(flow, instruction);
    let table = this.#tables.get(flow.tableId);
    if (table === undefined) this.#tables.set(flow.tableId, (table = new Map<string, CompiledFlow>()));
    table.set(flowKey(flow), { flow, fields: compileMatch(flow.match) });
  }

  #check(flow: ResolvedFlow, instruction: ResolvedInstruction): void {
    if (instruction.type === 'GOTO_TABLE' && instruction.tableId <= flow.tableId)
      throw new Error('OFPBIC_BAD_TABLE_ID');
    if (instruction.type !== 'APPLY_ACTIONS' && instruction.type !== 'WRITE_ACTIONS') return;
    for (const action of instruction.actions) {
      if (action.type === 'GROUP' && !this.#groups.has(action.groupId))
        throw new Error('OFPBAC_BAD_OUT_GROUP');
    }
  }

  /** Deleting a group deletes the flows that lead to it (OF 1.3.5 §6.5). */
  #deleteGroup(groupId: number): void {
    this.#groups.delete(groupId);
    for (const table of this.#tables.values()) {
      for (const [key, { flow }] of table) {
        const leads = flow.instructions.some(
          (it) =>
            'actions' in it &&
            it.actions.some((action) => action.type === 'GROUP' && action.groupId === groupId),
        );
        if (leads) table.delete(key);
      }
    }
  }

  #lookUp(tableId: number, packet: Packet): ResolvedFlow | undefined {
    let best: CompiledFlow | undefined;
    for (const candidate of this.#tables.get(tableId)?.values() ?? []) {
      if (best !== undefined && best.flow.priority >= candidate.flow.priority) continue;
      if (candidate.fields.every((field) => matches(field, packet))) best = candidate;
    }
    return best?.flow;
  }

  #execute(
    flow: ResolvedFlow,
    packet: Packet,
    actionSet: Map<string, ResolvedAction>,
    result: Result,
  ): number | undefined {
    let next: number | undefined;
    for (const instruction of flow.instructions) {
      switch (instruction.type) {
        case 'APPLY_ACTIONS':
          this.#executeList(instruction.actions, packet, flow.tableId, result, 0);
          break;
        case 'WRITE_ACTIONS':
          for (const action of instruction.actions) actionSet.set(action.type, action);
          break;
        case 'CLEAR_ACTIONS':
          actionSet.clear();
          break;
        case 'WRITE_METADATA':
          packet.metadata =
            (packet.metadata & ~instruction.metadataMask) | (instruction.metadata & instruction.metadataMask);
          break;
        case 'GOTO_TABLE':
          next = instruction.tableId;
          break;
        case 'METER':
          break;
      }
    }
    return next;
  }

  /** The action set runs in the order of OF 1.3.5 §5.10; a group in it replaces the output. */
  #executeSet(actionSet: Map<string, ResolvedAction>, packet: Packet, tableId: number, result: Result): void {
    const order = ['POP_VLAN', 'PUSH_VLAN', 'SET_FIELD', actionSet.has('GROUP') ? 'GROUP' : 'OUTPUT'];
    const actions = order.flatMap((type) => actionSet.get(type) ?? []);
    this.#executeList(actions, packet, tableId, result, 0);
  }

  #executeList(
    actions: readonly ResolvedAction[],
    packet: Packet,
    tableId: number,
    result: Result,
    depth: number,
  ): void {
    for (const action of actions) {
      switch (action.type) {
        case 'OUTPUT':
          this.#output(action.port, action.maxLength ?? 0xffff, packet, tableId, result);
          break;
        case 'GROUP':
          this.#executeGroup(action.groupId, packet, tableId, result, depth + 1);
          break;
        case 'PUSH_VLAN':
          setFrame(packet, pushVlan(packet.frame, action.ethertype));
          break;
        case 'POP_VLAN':
          // Popping what is not there is undefined (§5.12); a program that does it has a bug.
          if (packet.fields.get('vlan_vid') === 0n) throw new Error('POP_VLAN on a frame without a tag');
          setFrame(packet, new Uint8Array([...packet.frame.subarray(0, 12), ...packet.frame.subarray(16)]));
          break;
        case 'SET_FIELD':
          for (const [name, value] of Object.entries(action.field))
            setField(packet, name, fieldNumber(value) ?? 0n);
          break;
        case 'NX_REG_MOVE': {
          if (action.sourceOffset !== 0 || action.destinationOffset !== 0)
            throw new Error('the model moves whole fields only');
          const value = packet.fields.get(action.source);
          if (value === undefined) throw new Error(`the frame has no ${action.source} to move`);
          setField(packet, action.destination, value);
          break;
        }
        case 'NX_RESUBMIT_TABLE':
          this.#walk(packet, action.table, result);
          break;
        case 'NX_REG_LOAD':
          packet.metadata = withBits(packet.metadata, action.offsetBits, action.value);
          break;
        case 'NX_MULTIPATH': {
          const addresses = action.fields === 0x5701 || action.fields === 0 ? [6, 12] : [0, 12];
          const link = selectIndex(packet.frame.subarray(...addresses), action.maxLink + 1);
          packet.metadata = withBits(packet.metadata, action.offsetBits, BigInt(link));
          break;
        }
        case 'NX_OUTPUT_TRUNC': {
          const cut = { ...packet, frame: packet.frame.slice(0, action.maxLength) };
          this.#output(action.port === 0xfffe ? LOCAL : action.port, 0xffff, cut, tableId, result);
          break;
        }
        case 'SET_QUEUE':
          break;
        case 'NX_SAMPLE':
          result.samples.push(action.collectorSetId);
          break;
        case 'DEC_NW_TTL':
          throw new Error('the model does not know DEC_NW_TTL');
      }
    }
  }

  #executeGroup(groupId: number, packet: Packet, tableId: number, result: Result, depth: number): void {
    const group = this.#groups.get(groupId);
    if (group === undefined || depth > 8) throw new Error(`group ${groupId} is missing or leads in a circle`);
    const live = group.buckets.filter((it) => it.watchPort === undefined || this.ports.has(it.watchPort));
    const chosen = {
      ALL: group.buckets,
      INDIRECT: group.buckets.slice(0, 1),
      FF: live.slice(0, 1),
      SELECT: group.buckets
        .slice(selectIndex(packet.frame.subarray(0, 12), group.buckets.length))
        .slice(0, 1),
    }[group.type];
    for (const { actions } of chosen) {
      const clone: Packet = { ...packet, frame: packet.frame.slice(), fields: new Map(packet.fields) };
      this.#executeList(actions, clone, tableId, result, depth);
    }
  }

  #output(port: number, maxLength: number, packet: Packet, tableId: number, result: Result): void {
    const { frame, inPort, metadata } = packet;
    if (port === CONTROLLER) {
      result.packetIns.push({ tableId, inPort, metadata, data: frame.slice(0, maxLength) });
    } else if (port === IN_PORT) {
      result.outputs.push({ port: inPort, frame: frame.slice() });
    } else if (port === ALL) {
      for (const each of this.ports)
        if (each !== inPort) result.outputs.push({ port: each, frame: frame.slice() });
    } else if (port > 0xffffff00 && port !== LOCAL) {
      throw new Error(`the model does not know port 0x${port.toString(16)}`);
    } else if (port !== inPort && this.ports.has(port)) {
      // A frame leaves by its ingress port only through OFPP_IN_PORT (§5.12).
      result.outputs.push({ port, frame: frame.slice() });
    }
  }
}

function compileMatch(match: Match): CompiledField[] {
  return Object.entries(match).map(([name, field]) => {
    const { value, mask } = typeof field === 'object' ? field : { value: field, mask: undefined };
    const number = fieldNumber(value);
    const bits = mask === undefined ? undefined : fieldNumber(mask);
    if (number === undefined) throw new Error(`the model cannot match ${name}`);
    return { name, mask: bits, value: bits === undefined ? number : number & bits };
  });
}

function matches({ name, value, mask }: CompiledField, packet: Packet): boolean {
  let actual: bigint | undefined;
  if (name === 'in_port') actual = BigInt(packet.inPort);
  else if (name === 'metadata') actual = packet.metadata;
  else actual = packet.fields.get(name);
  if (actual === undefined) return false;
  return (mask === undefined ? actual : actual & mask) === value;
}

function setFrame(packet: Packet, frame: Uint8Array): void {
  packet.frame = frame;
  packet.fields = fieldsOf(frame);
}

/** The new tag copies VID and PCP from the tag below it, if there is one (OF 1.3.5 §5.12, table 6). */
function pushVlan(frame: Uint8Array, ethertype: number): Uint8Array {
  const below = isVlanTpid(((frame[12] ?? 0) << 8) | (frame[13] ?? 0));
  const tci = below ? frame.subarray(14, 16) : [0, 0];
  return new Uint8Array([
    ...frame.subarray(0, 12),
    ethertype >> 8,
    ethertype & 0xff,
    ...tci,
    ...frame.subarray(12),
  ]);
}

function setField(packet: Packet, name: string, value: bigint): void {
  const frame = packet.frame.slice();
  const number = Number(value);
  const write = (offset: number, size: number): void => {
    for (let i = 0; i < size; i++) frame[offset + i] = Number((value >> BigInt(8 * (size - 1 - i))) & 0xffn);
  };
  const span = fieldSpan(frame, name);
  // Checksums stay as they are: a test asks for fields.
  if (span !== undefined) write(span.offset, span.size);
  else if (name === 'vlan_vid' || name === 'vlan_pcp') {
    if (packet.fields.get('vlan_vid') === 0n) throw new Error(`SET_FIELD ${name} on a frame without a tag`);
    if (name === 'vlan_vid') {
      if ((number & 0x1000) === 0)
        throw new Error('OFPBAC_BAD_SET_ARGUMENT: vlan_vid without OFPVID_PRESENT');
      frame[14] = ((frame[14] ?? 0) & 0xf0) | ((number >> 8) & 0xf);
      frame[15] = number & 0xff;
    } else frame[14] = ((frame[14] ?? 0) & 0x1f) | (number << 5);
  } else throw new Error(`the model cannot set ${name}`);
  setFrame(packet, frame);
}

/** Nicira's way to name bits: `offset << 6 | (bits - 1)`. */
function withBits(register: bigint, offsetBits: number, value: bigint): bigint {
  const offset = BigInt(offsetBits >> 6);
  const mask = ((1n << BigInt((offsetBits & 0x3f) + 1)) - 1n) << offset;
  return (register & ~mask) | ((value << offset) & mask);
}

/** Any choice that keeps a flow on one bucket will do. */
function selectIndex(bytes: Uint8Array, buckets: number): number {
  let hash = 0;
  for (const byte of bytes) hash = (hash * 31 + byte) >>> 0;
  return buckets === 0 ? 0 : hash % buckets;
}
