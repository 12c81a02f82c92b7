/** Reads actions: `pop_vlan,set_field:10.0.0.1->ip_dst,output:2` (ovs-actions(7)). */

import { MAX_LENGTH_NO_BUFFER, Port, VlanVid } from '../messages/constants.js';
import type { ActionInput } from '../messages/actions.js';
import type { Match } from '../oxm/match.js';
import {
  IN_PORT_16,
  MULTIPATH_ALGORITHMS,
  MULTIPATH_FIELDS,
  NO_PORT_16,
  SAME_TABLE,
  narrowPort,
} from './actions.js';
import {
  fromBigint,
  onesOf,
  readBits,
  readPort,
  toEntry,
  type Bits,
  type PortNames,
} from './field-values.js';
import { ETH, IP, fieldNamed, fieldOf, type FieldText } from './fields.js';
import { parseLearn } from './learn.js';
import type { ActionInputOf } from './shapes.js';
import { packBits, readSubfield } from './subfields.js';
import { OfctlSyntaxError, badValue, integer, splitWords, valueOf, wordNumber, type Word } from './syntax.js';

/** What is known of the packet where an action stands: some words depend on it. */
export interface ActionContext {
  readonly names: PortNames | undefined;
  readonly ethType: number | undefined;
  readonly ipProto: number | undefined;
  /** The packet is known to have a VLAN tag. Changes as tags are pushed and popped. */
  isTagged: boolean;
}

export function contextOf(match: Match, names: PortNames | undefined): ActionContext {
  const vid = match.vlan_vid;
  const value = typeof vid === 'object' ? vid.value & vid.mask : (vid ?? 0);
  const exact = (entry: unknown): number | undefined => (typeof entry === 'number' ? entry : undefined);
  return {
    names,
    ethType: exact(match.eth_type),
    ipProto: exact(match.ip_proto),
    isTagged: (value & VlanVid.PRESENT) !== 0,
  };
}

/** Reads a list of actions; `drop`, alone, is the empty list. @throws OfctlSyntaxError */
export function parseActions(
  text: string,
  options: { match?: Match; names?: PortNames } = {},
): ActionInput[] {
  return actionsOf(splitWords(text), contextOf(options.match ?? {}, options.names));
}

export function actionsOf(words: readonly Word[], context: ActionContext): ActionInput[] {
  const drop = words.find((word) => word.key === 'drop');
  if (drop !== undefined) {
    if (words.length > 1) throw new OfctlSyntaxError('drop must stand alone', drop.key, drop.at);
    return [];
  }
  return words.flatMap((word) => parseAction(word, context));
}

/** One word; some stand for several actions. @throws OfctlSyntaxError */
export function parseAction(word: Word, context: ActionContext): ActionInput[] {
  const simple = SIMPLE[word.key];
  if (simple !== undefined && word.value === undefined) {
    if (simple.type === 'POP_VLAN') context.isTagged = false;
    return [simple];
  }
  const reader = READERS[word.key];
  if (reader !== undefined) {
    const made = reader(word, context);
    return Array.isArray(made) ? made : [made];
  }
  // A bare number, reserved word or name is a port.
  if (word.value === undefined) {
    const port = readPort(word.key, context.names);
    if (port !== undefined) return [output(port)];
  }
  throw new OfctlSyntaxError('unknown action', word.key, word.at);
}

const SIMPLE: Readonly<Record<string, ActionInput>> = {
  pop_vlan: { type: 'POP_VLAN' },
  strip_vlan: { type: 'POP_VLAN' },
  dec_ttl: { type: 'DEC_NW_TTL' },
  dec_mpls_ttl: { type: 'DEC_MPLS_TTL' },
  copy_ttl_in: { type: 'COPY_TTL_IN' },
  copy_ttl_out: { type: 'COPY_TTL_OUT' },
  pop_pbb: { type: 'POP_PBB' },
  pop_queue: { type: 'NX_POP_QUEUE' },
  exit: { type: 'NX_EXIT' },
  ct_clear: { type: 'NX_CT_CLEAR' },
  fin_timeout: { type: 'NX_FIN_TIMEOUT', finIdleTimeout: 0, finHardTimeout: 0 },
};

type Reader = (word: Word, context: ActionContext) => ActionInput | ActionInput[];

const READERS: Readonly<Record<string, Reader>> = {
  output: readOutput,
  enqueue: (word, { names }) => {
    const [port = '', queue = '', ...rest] = valueOf(word).split(/[,:]/);
    if (rest.length > 0) throw badValue(word, 'takes a port and a queue');
    return [
      { type: 'SET_QUEUE', queueId: Number(integer(queue, 32, word.valueAt + port.length + 1, word.key)) },
      output(portOf(port, word, names)),
      { type: 'NX_POP_QUEUE' },
    ];
  },
  controller: readController,
  CONTROLLER: readController,
  group: (word) => ({ type: 'GROUP', groupId: wordNumber(word, 32) }),
  set_queue: (word) => ({ type: 'SET_QUEUE', queueId: wordNumber(word, 32) }),
  push_vlan: (word, context) => {
    const ethertype = wordNumber(word, 16);
    if (ethertype !== 0x8100 && ethertype !== 0x88a8) throw badValue(word, 'is not 0x8100 or 0x88a8');
    context.isTagged = true;
    return { type: 'PUSH_VLAN', ethertype };
  },
  push_mpls: (word) => {
    const ethertype = wordNumber(word, 16);
    if (ethertype !== ETH.MPLS && ethertype !== ETH.MPLSM) throw badValue(word, 'is not 0x8847 or 0x8848');
    return { type: 'PUSH_MPLS', ethertype };
  },
  pop_mpls: (word) => ({ type: 'POP_MPLS', ethertype: wordNumber(word, 16) }),
  push_pbb: (word) => ({ type: 'PUSH_PBB', ethertype: wordNumber(word, 16) }),
  set_mpls_ttl: (word) => ({ type: 'SET_MPLS_TTL', mplsTtl: wordNumber(word, 8) }),
  mod_nw_ttl: (word) => ({ type: 'SET_NW_TTL', nwTtl: wordNumber(word, 8) }),
  dec_ttl: (word) => readDecTtl(word),
  set_mpls_label: (word) => setTo('mpls_label', word),
  set_mpls_tc: (word) => setTo('mpls_tc', word),
  mod_dl_src: (word) => setTo('eth_src', word),
  mod_dl_dst: (word) => setTo('eth_dst', word),
  mod_nw_src: (word) => setTo('ipv4_src', word),
  mod_nw_dst: (word) => setTo('ipv4_dst', word),
  mod_nw_ecn: (word) => setTo('ip_ecn', word),
  mod_nw_tos: (word) => {
    const tos = wordNumber(word, 8);
    if ((tos & 3) !== 0) throw badValue(word, 'has ECN bits set; use mod_nw_ecn');
    return { type: 'SET_FIELD', field: { ip_dscp: tos >> 2 } };
  },
  mod_tp_src: (word, context) => setTo(`${transportOf(word, context)}_src`, word),
  mod_tp_dst: (word, context) => setTo(`${transportOf(word, context)}_dst`, word),
  mod_vlan_vid: setVid,
  set_vlan_vid: setVid,
  mod_vlan_pcp: setPcp,
  set_vlan_pcp: setPcp,
  set_tunnel: (word) => setTo('tunnel_id', word),
  set_tunnel64: (word) => setTo('tunnel_id', word),
  set_field: readSetField,
  load: (word) => {
    const [value, target, at] = arrow(word);
    const to = readSubfield(target, at);
    if (to.bits > 64) throw badValue(word, 'loads more than 64 bits');
    const number = integer(value, to.bits, word.valueAt, word.key);
    return { type: 'NX_REG_LOAD', offsetBits: packBits(to), destination: to.field, value: number };
  },
  move: (word) => {
    const [source, target, at] = arrow(word);
    const from = readSubfield(source, word.valueAt);
    const to = readSubfield(target, at);
    if (from.bits !== to.bits) throw badValue(word, `moves ${from.bits} bits into ${to.bits}`);
    return {
      type: 'NX_REG_MOVE',
      bits: from.bits,
      sourceOffset: from.offset,
      destinationOffset: to.offset,
      source: from.field,
      destination: to.field,
    };
  },
  push: (word) => ({ type: 'NX_STACK_PUSH', ...readSubfield(valueOf(word), word.valueAt) }),
  pop: (word) => ({ type: 'NX_STACK_POP', ...readSubfield(valueOf(word), word.valueAt) }),
  resubmit: readResubmit,
  learn: (word) => parseLearn(word.value ?? '', word.valueAt),
  note: (word) => {
    const parts = word.value === undefined || word.value === '' ? [] : word.value.split('.');
    if (!parts.every((part) => /^[0-9a-f]{2}$/i.test(part)))
      throw badValue(word, 'is not pairs of hex digits');
    // The wire pads with zeros to 8 bytes, of which the first note byte is the 11th.
    const size = Math.ceil((parts.length + 10) / 8) * 8 - 10;
    return {
      type: 'NX_NOTE',
      note: Uint8Array.from({ length: size }, (_, i) => parseInt(parts[i] ?? '0', 16)),
    };
  },
  fin_timeout: (word) => {
    const action = { type: 'NX_FIN_TIMEOUT' as const, finIdleTimeout: 0, finHardTimeout: 0 };
    for (const part of splitWords(word.value ?? '', word.valueAt)) {
      if (part.key === 'idle_timeout') action.finIdleTimeout = wordNumber(part, 16);
      else if (part.key === 'hard_timeout') action.finHardTimeout = wordNumber(part, 16);
      else throw new OfctlSyntaxError('unknown argument of fin_timeout', part.key, part.at);
    }
    return action;
  },
  conjunction: (word) => {
    const match = /^\s*(\w+)\s*,\s*(\d+)\/(\d+)\s*$/.exec(valueOf(word));
    const [clause, clauses] = [Number(match?.[2]), Number(match?.[3])];
    if (match === null || clause < 1 || clause > clauses || clauses < 2 || clauses > 64) {
      throw badValue(word, 'is not ID,K/N with 1 <= K <= N, 2 <= N <= 64');
    }
    const id = Number(integer(match[1] ?? '', 32, word.valueAt, word.key));
    return { type: 'NX_CONJUNCTION', clause: clause - 1, clauses, id };
  },
  multipath: readMultipath,
  sample: readSample,
  clone: (word, context) => ({
    type: 'NX_CLONE',
    actions: actionsOf(splitWords(word.value ?? '', word.valueAt), { ...context }),
  }),
  experimenter: (word) => {
    const [id, data] = named(word, 'id', 'data');
    return { type: 'EXPERIMENTER', experimenter: wordNumber(id, 32), data: hexData(data) };
  },
  unknown: (word) => {
    const [code, raw] = named(word, 'code', 'raw');
    return { type: 'unknown', code: wordNumber(code, 16), raw: hexData(raw) };
  },
};

function output(port: number): ActionInputOf<'OUTPUT'> {
  return { type: 'OUTPUT', port, maxLength: MAX_LENGTH_NO_BUFFER };
}

function portOf(text: string, word: Word, names: PortNames | undefined): number {
  const port = readPort(text, names);
  if (port === undefined) throw new OfctlSyntaxError(`${word.key}: unknown port`, text, word.valueAt);
  return port;
}

function readOutput(word: Word, { names }: ActionContext): ActionInput {
  const text = valueOf(word);
  if (word.joint === '(') {
    let port: number | undefined;
    let maxLength: number | undefined;
    for (const part of splitWords(text, word.valueAt)) {
      if (part.key === 'port') port = narrowPort(portOf(valueOf(part), part, names));
      else if (part.key === 'max_len') maxLength = wordNumber(part, 32);
      else throw new OfctlSyntaxError('unknown argument of output', part.key, part.at);
    }
    if (port === undefined || maxLength === undefined)
      throw badValue(word, 'needs port= (16 bits) and max_len=');
    return { type: 'NX_OUTPUT_TRUNC', port, maxLength };
  }
  const port = readPort(text, names);
  if (port !== undefined) return output(port);
  if (!/^[A-Za-z]\w*(\[|$)/.test(text) || (!text.includes('[') && fieldNamed(text) === undefined)) {
    throw badValue(word, 'unknown port');
  }
  const source = readSubfield(text, word.valueAt);
  if (source.bits > 64) throw badValue(word, 'has more than 64 bits');
  return {
    type: 'NX_OUTPUT_REG',
    offsetBits: packBits(source),
    source: source.field,
    maxLength: MAX_LENGTH_NO_BUFFER,
  };
}

const REASONS: Readonly<Record<string, 'NO_MATCH' | 'ACTION' | 'INVALID_TTL'>> = {
  no_match: 'NO_MATCH',
  action: 'ACTION',
  invalid_ttl: 'INVALID_TTL',
};

function readController(word: Word): ActionInput {
  if (word.value === undefined || word.value === '') return output(Port.CONTROLLER);
  if (word.joint !== '(') return { type: 'OUTPUT', port: Port.CONTROLLER, maxLength: wordNumber(word, 16) };
  let maxLength: number = MAX_LENGTH_NO_BUFFER;
  let reason: 'NO_MATCH' | 'ACTION' | 'INVALID_TTL' = 'ACTION';
  let controllerId = 0;
  let userdata: Uint8Array | undefined;
  let isPause = false;
  let meterId: number | undefined;
  for (const part of splitWords(word.value, word.valueAt)) {
    switch (part.key) {
      case 'max_len':
        maxLength = wordNumber(part, 16);
        break;
      case 'id':
        controllerId = wordNumber(part, 16);
        break;
      case 'reason': {
        const known = REASONS[valueOf(part)];
        if (known === undefined) throw badValue(part, 'is not no_match, action or invalid_ttl');
        reason = known;
        break;
      }
      case 'userdata': {
        const bytes = valueOf(part).split('.');
        if (!bytes.every((byte) => /^[0-9a-f]{2}$/i.test(byte)))
          throw badValue(part, 'is not pairs of hex digits');
        userdata = Uint8Array.from(bytes, (byte) => parseInt(byte, 16));
        break;
      }
      case 'pause':
        isPause = true;
        break;
      case 'meter_id':
        meterId = wordNumber(part, 32);
        break;
      default:
        throw new OfctlSyntaxError('unknown argument of controller', part.key, part.at);
    }
  }
  if (userdata === undefined && !isPause && meterId === undefined) {
    if (reason === 'ACTION' && controllerId === 0)
      return { type: 'OUTPUT', port: Port.CONTROLLER, maxLength };
    return { type: 'NX_CONTROLLER', maxLength, controllerId, reason };
  }
  return {
    type: 'NX_CONTROLLER2',
    properties: [
      ...(maxLength === MAX_LENGTH_NO_BUFFER ? [] : [{ type: 'MAX_LEN' as const, maxLength }]),
      ...(controllerId === 0 ? [] : [{ type: 'CONTROLLER_ID' as const, controllerId }]),
      ...(reason === 'ACTION' ? [] : [{ type: 'REASON' as const, reason }]),
      ...(userdata === undefined ? [] : [{ type: 'USERDATA' as const, userdata }]),
      ...(isPause ? [{ type: 'PAUSE' as const }] : []),
      ...(meterId === undefined ? [] : [{ type: 'METER_ID' as const, meterId }]),
    ],
  };
}

function readDecTtl(word: Word): ActionInput {
  const ids = splitWords(valueOf(word), word.valueAt).map((part) =>
    Number(integer(part.key, 16, part.at, word.key)),
  );
  // Ids fill whole 8-byte words; zeros behind the last one are padding.
  const size = Math.ceil(ids.length / 4) * 4;
  const padded = [...ids, ...new Array<number>(size - ids.length).fill(0)];
  return { type: 'NX_DEC_TTL_CNT_IDS', controllers: ids.length, ids: padded };
}

function readResubmit(word: Word, { names }: ActionContext): ActionInput {
  const text = valueOf(word);
  const narrow = (name: string): number => {
    if (name === '') return IN_PORT_16;
    const port = narrowPort(portOf(name, word, names));
    if (port === undefined) throw badValue(word, 'port does not fit 16 bits');
    return port;
  };
  if (word.joint !== '(') return { type: 'NX_RESUBMIT', inPort: narrow(text) };
  const [port = '', table = '', ct, ...rest] = text.split(',').map((part) => part.trim());
  if (rest.length > 0 || (ct !== undefined && ct !== 'ct'))
    throw badValue(word, 'is not PORT,TABLE or PORT,TABLE,ct');
  if (port === '' && table === '') throw badValue(word, 'needs a port or a table');
  const inPort = narrow(port);
  if (table === '' && ct === undefined) return { type: 'NX_RESUBMIT', inPort };
  const number = table === '' ? SAME_TABLE : Number(integer(table, 8, word.valueAt, word.key));
  return { type: ct === undefined ? 'NX_RESUBMIT_TABLE' : 'NX_RESUBMIT_TABLE_CT', inPort, table: number };
}

/** The oldest form that says it all, as Open vSwitch sends it. */
function readSample(word: Word, { names }: ActionContext): ActionInput {
  const fields = { probability: 0, collectorSetId: 0, obsDomainId: 0, obsPointId: 0 };
  let samplingPort: number | undefined = NO_PORT_16;
  let direction: 'DEFAULT' | 'INGRESS' | 'EGRESS' = 'DEFAULT';
  for (const part of splitWords(valueOf(word), word.valueAt)) {
    if (part.key === 'probability') fields.probability = wordNumber(part, 16);
    else if (part.key === 'collector_set_id') fields.collectorSetId = wordNumber(part, 32);
    else if (part.key === 'obs_domain_id') fields.obsDomainId = wordNumber(part, 32);
    else if (part.key === 'obs_point_id') fields.obsPointId = wordNumber(part, 32);
    else if (part.key === 'sampling_port') samplingPort = narrowPort(portOf(valueOf(part), part, names));
    else if (part.key === 'ingress') direction = 'INGRESS';
    else if (part.key === 'egress') direction = 'EGRESS';
    else throw new OfctlSyntaxError('unknown argument of sample', part.key, part.at);
  }
  if (fields.probability === 0) throw badValue(word, 'needs a probability of 1 to 65535');
  if (samplingPort === undefined) throw badValue(word, 'sampling_port does not fit 16 bits');
  if (direction !== 'DEFAULT') return { type: 'NX_SAMPLE3', ...fields, samplingPort, direction };
  if (samplingPort !== NO_PORT_16) return { type: 'NX_SAMPLE2', ...fields, samplingPort };
  return { type: 'NX_SAMPLE', ...fields };
}

function readMultipath(word: Word): ActionInput {
  const parts = valueOf(word)
    .split(',')
    .map((part) => part.trim());
  const [fields = '', basis = '', algorithm = '', links = '', argument = '', target = ''] = parts;
  if (parts.length !== 6) throw badValue(word, 'takes FIELDS,BASIS,ALGORITHM,LINKS,ARG,DST');
  const known = (table: readonly string[], name: string): number => {
    const index = table.indexOf(name);
    return index >= 0 ? index : Number(integer(name, 16, word.valueAt, word.key));
  };
  const to = readSubfield(target, word.valueAt);
  const count = Number(integer(links, 16, word.valueAt, word.key));
  if (count < 1) throw badValue(word, 'needs at least one link');
  return {
    type: 'NX_MULTIPATH',
    fields: known(MULTIPATH_FIELDS, fields),
    basis: Number(integer(basis, 16, word.valueAt, word.key)),
    algorithm: known(MULTIPATH_ALGORITHMS, algorithm),
    maxLink: count - 1,
    argument: Number(integer(argument, 32, word.valueAt, word.key)),
    offsetBits: packBits(to),
    destination: to.field,
  };
}

// ---- set-field and its older words ----------------------------------------------------------------------------

/** A match of one field, as SET_FIELD takes it. */
function only(name: string, entry: unknown): Match {
  return { [name]: entry } as Match;
}

/** The part before `->`, the part behind it, and where that starts. */
function arrow(word: Word): [left: string, right: string, rightAt: number] {
  const text = valueOf(word);
  const at = text.indexOf('->');
  if (at < 0) throw badValue(word, 'has no "->"');
  return [text.slice(0, at), text.slice(at + 2), word.valueAt + at + 2];
}

function setTo(oxm: string, word: Word): ActionInput {
  const field = fieldOf(oxm);
  if (field === undefined) throw new OfctlSyntaxError('unknown field', oxm, word.at);
  const { value, mask } = readBits(field, valueOf(word), word.valueAt);
  if (mask !== onesOf(field.bits)) throw badValue(word, 'takes no mask');
  return { type: 'SET_FIELD', field: only(field.oxm, fromBigint(field, value)) };
}

const READ_ONLY = new Set([
  'in_port',
  'in_phy_port',
  'eth_type',
  'ip_proto',
  'ip_frag',
  'mpls_bos',
  'ipv6_exthdr',
  'tcp_flags',
]);

function readSetField(word: Word, context: ActionContext): ActionInput | ActionInput[] {
  const [text, name, nameAt] = arrow(word);
  const field = fieldFor(name, context);
  if (field === undefined) {
    if (/^unknown_/.test(name)) {
      const [value = '', mask] = text.split('/');
      return { type: 'SET_FIELD', field: only(name, mask === undefined ? value : { value, mask }) };
    }
    throw new OfctlSyntaxError('unknown field', name, nameAt);
  }
  if (READ_ONLY.has(field.oxm)) throw new OfctlSyntaxError('field is read-only', name, nameAt);
  const bits = readBits(field, text, word.valueAt, context.names);
  if (field.oxm === 'nxm_ip_tos') {
    if (bits.mask === onesOf(8) && (bits.value & 3n) === 0n) {
      return { type: 'SET_FIELD', field: { ip_dscp: Number(bits.value >> 2n) } };
    }
    throw badValue(word, 'must be a whole TOS without ECN bits');
  }
  if (bits.mask === onesOf(field.bits))
    return { type: 'SET_FIELD', field: only(field.oxm, toEntry(field, bits)) };
  return loadsOf(field, bits);
}

/**
 * OF 1.3.5 §7.2.5 gives SET_FIELD no mask, so a masked value becomes one NX_REG_LOAD for each run of mask bits, as Open
 * vSwitch does; each loads at most 64 bits.
 */
function loadsOf(field: FieldText, { value, mask }: Bits): ActionInput[] {
  const loads: ActionInput[] = [];
  const isSet = (bit: number): boolean => ((mask >> BigInt(bit)) & 1n) === 1n;
  for (let offset = 0; offset < field.bits; offset++) {
    if (!isSet(offset)) continue;
    let bits = 1;
    while (bits < 64 && offset + bits < field.bits && isSet(offset + bits)) bits += 1;
    loads.push({
      type: 'NX_REG_LOAD',
      offsetBits: packBits({ offset, bits }),
      destination: field.twin,
      value: (value >> BigInt(offset)) & onesOf(bits),
    });
    offset += bits - 1;
  }
  return loads;
}

function fieldFor(name: string, { ethType, ipProto }: ActionContext): FieldText | undefined {
  if (name === 'icmp_type' || name === 'icmp_code') {
    const version = ethType === ETH.IPV6 || ipProto === IP.ICMP6 ? 'icmpv6' : 'icmpv4';
    return fieldOf(`${version}_${name.slice(5)}`);
  }
  return fieldNamed(name);
}

function transportOf(word: Word, { ipProto }: ActionContext): string {
  const name =
    ipProto === IP.TCP ? 'tcp' : ipProto === IP.UDP ? 'udp' : ipProto === IP.SCTP ? 'sctp' : undefined;
  if (name === undefined)
    throw new OfctlSyntaxError(`${word.key} needs tcp, udp or sctp to be matched`, word.key, word.at);
  return name;
}

/** Writing a VID into a packet without a tag means pushing one, as Open vSwitch does (ovs-actions(7), set_vlan_vid). */
function setVid(word: Word, context: ActionContext): ActionInput[] {
  const vid = wordNumber(word, 12);
  return withTag(context, { type: 'SET_FIELD', field: { vlan_vid: vid | VlanVid.PRESENT } });
}

function setPcp(word: Word, context: ActionContext): ActionInput[] {
  return withTag(context, { type: 'SET_FIELD', field: { vlan_pcp: wordNumber(word, 3) } });
}

function withTag(context: ActionContext, action: ActionInput): ActionInput[] {
  if (context.isTagged) return [action];
  context.isTagged = true;
  return [{ type: 'PUSH_VLAN', ethertype: 0x8100 }, action];
}

// ---- experimenters' --------------------------------------------------------------------------------------------

function named(word: Word, ...keys: [string, string]): [Word, Word] {
  const parts = splitWords(valueOf(word), word.valueAt);
  const [first, second] = keys.map((key) => parts.find((part) => part.key === key));
  if (first === undefined || second === undefined) throw badValue(word, `needs ${keys.join('= and ')}=`);
  return [first, second];
}

function hexData(word: Word): Uint8Array {
  const text = word.value ?? '';
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw badValue(word, 'is not pairs of hex digits');
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
