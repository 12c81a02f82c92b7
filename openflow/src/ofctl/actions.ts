/** Actions written as Open vSwitch writes them: `pop_vlan,output:2` (ovs-actions(7)). */

import { MAX_LENGTH_NO_BUFFER, Port } from '../messages/constants.js';
import type { Action } from '../messages/actions.js';
import type { FieldHeader } from '../oxm/match.js';
import { hex, writeEntry, writePort, type PortNames } from './field-values.js';
import { FIELDS, type FieldText } from './fields.js';
import { formatLearn } from './learn.js';
import type { ActionOf } from './shapes.js';
import { unpackBits, writeSubfield } from './subfields.js';

/** Ports of Nicira's older actions have 16 bits; the reserved ones lie at the end of either range. */
export function widenPort(port: number): number {
  return port >= 0xff00 ? port + 0xffff0000 : port;
}

/** The other way; undefined for a port that 16 bits cannot say. */
export function narrowPort(port: number): number | undefined {
  if (port >= 0xffffff00) return port - 0xffff0000;
  return port < 0xff00 ? port : undefined;
}

export const IN_PORT_16 = 0xfff8;
export const SAME_TABLE = 0xff;
/** OFPP_NONE of OpenFlow 1.0: no port. */
export const NO_PORT_16 = 0xffff;

export const MULTIPATH_FIELDS = [
  'eth_src',
  'symmetric_l4',
  'symmetric_l3l4',
  'symmetric_l3l4+udp',
  'nw_src',
  'nw_dst',
  'symmetric_l3',
] as const;
export const MULTIPATH_ALGORITHMS = ['modulo_n', 'hash_threshold', 'hrw', 'iter_hash'] as const;

/** Writes a list of actions; an empty list is `drop`. */
export function formatActions(actions: readonly Action[], names?: PortNames): string {
  return actions.length === 0 ? 'drop' : actions.map((action) => formatAction(action, names)).join(',');
}

/** Writes one action. */
export function formatAction(action: Action, names?: PortNames): string {
  switch (action.type) {
    case 'OUTPUT':
      if (action.port === Port.CONTROLLER) return `CONTROLLER:${action.maxLength}`;
      return outputTo(action.port, names);
    case 'GROUP':
      return `group:${action.groupId}`;
    case 'SET_QUEUE':
      return `set_queue:${action.queueId}`;
    case 'PUSH_VLAN':
      return `push_vlan:${hex(action.ethertype, 4)}`;
    case 'PUSH_MPLS':
      return `push_mpls:${hex(action.ethertype, 4)}`;
    case 'POP_MPLS':
      return `pop_mpls:${hex(action.ethertype, 4)}`;
    case 'PUSH_PBB':
      return `push_pbb:${hex(action.ethertype, 4)}`;
    case 'SET_MPLS_TTL':
      return `set_mpls_ttl(${action.mplsTtl})`;
    case 'SET_NW_TTL':
      return `mod_nw_ttl:${action.nwTtl}`;
    case 'DEC_NW_TTL':
    case 'NX_DEC_TTL':
      return 'dec_ttl';
    case 'POP_VLAN':
    case 'POP_PBB':
    case 'DEC_MPLS_TTL':
    case 'COPY_TTL_IN':
    case 'COPY_TTL_OUT':
      return action.type.toLowerCase();
    case 'SET_FIELD':
    case 'NX_REG_LOAD2':
      return setField(action.field, names);
    case 'NX_RESUBMIT':
      return `resubmit:${writePort(widenPort(action.inPort), names)}`;
    case 'NX_RESUBMIT_TABLE':
    case 'NX_RESUBMIT_TABLE_CT':
      return resubmit(action, names);
    case 'NX_REG_MOVE': {
      const source = writeSubfield({ field: action.source, offset: action.sourceOffset, bits: action.bits });
      const target = writeSubfield({
        field: action.destination,
        offset: action.destinationOffset,
        bits: action.bits,
      });
      return `move:${source}->${target}`;
    }
    case 'NX_REG_LOAD':
      return `load:${hex(action.value)}->${writeSubfield(unpackBits(action.destination, action.offsetBits))}`;
    case 'NX_OUTPUT_REG':
    case 'NX_OUTPUT_REG2':
      return `output:${writeSubfield(unpackBits(action.source, action.offsetBits))}`;
    case 'NX_OUTPUT_TRUNC':
      return `output(port=${writePort(widenPort(action.port), names)},max_len=${action.maxLength})`;
    case 'NX_SAMPLE':
    case 'NX_SAMPLE2':
    case 'NX_SAMPLE3':
      return sample(action, names);
    case 'NX_STACK_PUSH':
      return `push:${writeSubfield(action)}`;
    case 'NX_STACK_POP':
      return `pop:${writeSubfield(action)}`;
    case 'NX_NOTE':
      return `note:${Array.from(action.note, (byte) => byte.toString(16).padStart(2, '0')).join('.')}`;
    case 'NX_SET_TUNNEL':
    case 'NX_SET_TUNNEL64':
      return `set_tunnel${action.type === 'NX_SET_TUNNEL' ? '' : '64'}:${hex(action.tunId)}`;
    case 'NX_POP_QUEUE':
      return 'pop_queue';
    case 'NX_EXIT':
      return 'exit';
    case 'NX_CT_CLEAR':
      return 'ct_clear';
    case 'NX_LEARN':
      return formatLearn(action);
    case 'NX_FIN_TIMEOUT':
      return `fin_timeout(${[
        ...(action.finIdleTimeout === 0 ? [] : [`idle_timeout=${action.finIdleTimeout}`]),
        ...(action.finHardTimeout === 0 ? [] : [`hard_timeout=${action.finHardTimeout}`]),
      ].join(',')})`;
    case 'NX_CONTROLLER':
    case 'NX_CONTROLLER2':
      return controller(action);
    case 'NX_DEC_TTL_CNT_IDS':
      return `dec_ttl(${action.ids.slice(0, action.controllers).join(',')})`;
    case 'NX_WRITE_METADATA':
      return `write_metadata:${masked(action.metadata, action.metadataMask)}`;
    case 'NX_CONJUNCTION':
      return `conjunction(${action.id},${action.clause + 1}/${action.clauses})`;
    case 'NX_MULTIPATH':
      return multipath(action);
    case 'NX_CLONE':
      return `clone(${action.actions.map((each) => formatAction(each, names)).join(',')})`;
    case 'EXPERIMENTER':
      return `experimenter(id=${hex(action.experimenter)},data=${hexBytes(action.data)})`;
    case 'unknown':
      return `unknown(code=${action.code},raw=${hexBytes(action.raw)})`;
    default:
      // A type that joined the union after this was written: say what it is, at least.
      return (action as { type: string }).type.toLowerCase();
  }
}

/** `output:2`, or the bare word of a reserved port. */
function outputTo(port: number, names: PortNames | undefined): string {
  return port > Port.MAX && port !== Port.ANY ? writePort(port, names) : `output:${writePort(port, names)}`;
}

/** `VALUE/MASK`, without the mask when it is all ones. */
export function masked(value: bigint, mask: bigint): string {
  return mask === 0xffff_ffff_ffff_ffffn ? hex(value) : `${hex(value)}/${hex(mask)}`;
}

/** Fields by name, without zeros in front of their values. */
const UNPADDED = new Map<string, FieldText>(
  FIELDS.flatMap((field) => [field.twin, field.oxm].map((name) => [name, { ...field, digits: 0 }] as const)),
);

function setField(fieldMatch: ActionOf<'SET_FIELD'>['field'], names: PortNames | undefined): string {
  const [name, entry] = Object.entries(fieldMatch)[0] ?? ['', 0];
  const field = UNPADDED.get(name);
  if (field === undefined) {
    const text = typeof entry === 'object' ? `${String(entry.value)}/${String(entry.mask)}` : String(entry);
    return `set_field:${text}->${name}`;
  }
  return `set_field:${writeEntry(field, entry, names)}->${field.name}`;
}

function resubmit(
  action: ActionOf<'NX_RESUBMIT_TABLE' | 'NX_RESUBMIT_TABLE_CT'>,
  names: PortNames | undefined,
): string {
  const isCt = action.type === 'NX_RESUBMIT_TABLE_CT';
  const port = action.inPort === IN_PORT_16 ? '' : writePort(widenPort(action.inPort), names);
  if (action.table === SAME_TABLE && !isCt) return `resubmit:${port || 'IN_PORT'}`;
  return `resubmit(${port},${action.table === SAME_TABLE ? '' : action.table}${isCt ? ',ct' : ''})`;
}

function controller(action: ActionOf<'NX_CONTROLLER' | 'NX_CONTROLLER2'>): string {
  let maxLength: number = MAX_LENGTH_NO_BUFFER;
  let reason: string | number = 'ACTION';
  let id = 0;
  const more: string[] = [];
  if (action.type === 'NX_CONTROLLER') {
    ({ maxLength, reason, controllerId: id } = action);
  } else {
    for (const property of action.properties) {
      if (property.type === 'MAX_LEN') maxLength = property.maxLength;
      else if (property.type === 'CONTROLLER_ID') id = property.controllerId;
      else if (property.type === 'REASON') reason = property.reason;
      else if (property.type === 'USERDATA') {
        more.push(
          `userdata=${Array.from(property.userdata, (byte) => byte.toString(16).padStart(2, '0')).join('.')}`,
        );
      } else if (property.type === 'PAUSE') more.push('pause');
      else if (property.type === 'METER_ID') more.push(`meter_id=${property.meterId}`);
    }
  }
  if (reason === 'ACTION' && id === 0 && more.length === 0) return `CONTROLLER:${maxLength}`;
  return `controller(${[
    ...(reason === 'ACTION' ? [] : [`reason=${String(reason).toLowerCase()}`]),
    ...(maxLength === MAX_LENGTH_NO_BUFFER ? [] : [`max_len=${maxLength}`]),
    ...(id === 0 ? [] : [`id=${id}`]),
    ...more,
  ].join(',')})`;
}

function multipath(action: ActionOf<'NX_MULTIPATH'>): string {
  const destination: FieldHeader = action.destination;
  return `multipath(${[
    MULTIPATH_FIELDS[action.fields] ?? action.fields,
    action.basis,
    MULTIPATH_ALGORITHMS[action.algorithm] ?? action.algorithm,
    action.maxLink + 1,
    action.argument,
    writeSubfield(unpackBits(destination, action.offsetBits)),
  ].join(',')})`;
}

function sample(
  action: ActionOf<'NX_SAMPLE' | 'NX_SAMPLE2' | 'NX_SAMPLE3'>,
  names: PortNames | undefined,
): string {
  const port = action.type === 'NX_SAMPLE' ? NO_PORT_16 : action.samplingPort;
  const direction = action.type === 'NX_SAMPLE3' ? action.direction : 'DEFAULT';
  return `sample(${[
    `probability=${action.probability}`,
    `collector_set_id=${action.collectorSetId}`,
    `obs_domain_id=${action.obsDomainId}`,
    `obs_point_id=${action.obsPointId}`,
    ...(port === NO_PORT_16 ? [] : [`sampling_port=${writePort(widenPort(port), names)}`]),
    ...(direction === 'DEFAULT' ? [] : [String(direction).toLowerCase()]),
  ].join(',')})`;
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
