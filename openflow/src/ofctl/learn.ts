/** `learn(…)`: flows that packets write (ovs-actions(7)). */

import type { LearnSpec } from '../messages/learn.js';
import { hex, readBits, writeBits } from './field-values.js';
import { fieldOf } from './fields.js';
import { readSubfield, widthOf, writeSubfield, type Subfield } from './subfields.js';
import { OfctlSyntaxError, integer, splitWords, valueOf, wordNumber, type Word } from './syntax.js';
import { bytesOf, numberOf } from './values.js';
import type { ActionOf } from './shapes.js';

export type Learn = ActionOf<'NX_LEARN'>;

/** Reads what stands between the parentheses. @throws OfctlSyntaxError */
export function parseLearn(text: string, at: number): Learn {
  const learn = {
    type: 'NX_LEARN' as const,
    idleTimeout: 0,
    hardTimeout: 0,
    priority: 0x8000,
    cookie: 0n,
    flags: [] as ('SEND_FLOW_REM' | 'DELETE_LEARNED')[],
    tableId: 1,
    finIdleTimeout: 0,
    finHardTimeout: 0,
    specs: [] as LearnSpec[],
  };
  for (const word of splitWords(text, at)) {
    switch (word.key) {
      case 'table':
        learn.tableId = wordNumber(word, 8);
        break;
      case 'priority':
        learn.priority = wordNumber(word, 16);
        break;
      case 'idle_timeout':
        learn.idleTimeout = wordNumber(word, 16);
        break;
      case 'hard_timeout':
        learn.hardTimeout = wordNumber(word, 16);
        break;
      case 'fin_idle_timeout':
        learn.finIdleTimeout = wordNumber(word, 16);
        break;
      case 'fin_hard_timeout':
        learn.finHardTimeout = wordNumber(word, 16);
        break;
      case 'cookie':
        learn.cookie = integer(valueOf(word), 64, word.valueAt, word.key);
        break;
      case 'send_flow_rem':
        learn.flags.push('SEND_FLOW_REM');
        break;
      case 'delete_learned':
        learn.flags.push('DELETE_LEARNED');
        break;
      default:
        learn.specs.push(parseSpec(word));
    }
  }
  return learn;
}

function parseSpec(word: Word): LearnSpec {
  if (word.key === 'output') {
    const source = readSubfield(valueOf(word), word.valueAt);
    return { bits: source.bits, source: place(source), destination: { type: 'OUTPUT' } };
  }
  if (word.key === 'load') {
    const text = valueOf(word);
    const arrow = text.indexOf('->');
    if (arrow < 0) throw new OfctlSyntaxError('load has no "->"', text, word.valueAt);
    const to = readSubfield(text.slice(arrow + 2), word.valueAt + arrow + 2);
    const from = text.slice(0, arrow);
    const destination = { type: 'LOAD' as const, ...place(to) };
    if (/^(0x|\d)/.test(from)) {
      return {
        bits: to.bits,
        source: immediate(integer(from, to.bits, word.valueAt, 'load'), to.bits),
        destination,
      };
    }
    return {
      bits: to.bits,
      source: place(sameWidth(readSubfield(from, word.valueAt), to, word)),
      destination,
    };
  }
  const to = readSubfield(word.key, word.at);
  const destination = { type: 'MATCH' as const, ...place(to) };
  // `FIELD[]` alone matches what the packet has in that very field.
  if (word.value === undefined) return { bits: to.bits, source: place(to), destination };
  const field = fieldOf(to.field);
  if (field !== undefined && to.bits === widthOf(to.field) && !/^[A-Za-z_]\w*\[/.test(word.value)) {
    const { value } = readBits(field, word.value, word.valueAt);
    return { bits: to.bits, source: immediate(value, to.bits), destination };
  }
  if (/^(0x|\d)/.test(word.value)) {
    const value = integer(word.value, to.bits, word.valueAt, word.key);
    return { bits: to.bits, source: immediate(value, to.bits), destination };
  }
  return {
    bits: to.bits,
    source: place(sameWidth(readSubfield(word.value, word.valueAt), to, word)),
    destination,
  };
}

function place({ field, offset }: Subfield): { field: Subfield['field']; offset: number } {
  return { field, offset };
}

function sameWidth(from: Subfield, to: Subfield, word: Word): Subfield {
  if (from.bits === to.bits) return from;
  throw new OfctlSyntaxError(`${from.bits} bits do not fill ${to.bits}`, word.value ?? word.key, word.at);
}

function immediate(value: bigint, bits: number): { value: string } {
  const bytes = bytesOf(value, Math.ceil(bits / 16) * 2);
  return { value: Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}

/** Writes the whole action, `learn(…)`. */
export function formatLearn(learn: Learn): string {
  const words = [`table=${learn.tableId}`];
  if (learn.idleTimeout !== 0) words.push(`idle_timeout=${learn.idleTimeout}`);
  if (learn.hardTimeout !== 0) words.push(`hard_timeout=${learn.hardTimeout}`);
  if (learn.finIdleTimeout !== 0) words.push(`fin_idle_timeout=${learn.finIdleTimeout}`);
  if (learn.finHardTimeout !== 0) words.push(`fin_hard_timeout=${learn.finHardTimeout}`);
  if (learn.priority !== 0x8000) words.push(`priority=${learn.priority}`);
  if (learn.flags.includes('SEND_FLOW_REM')) words.push('send_flow_rem');
  if (learn.flags.includes('DELETE_LEARNED')) words.push('delete_learned');
  if (learn.cookie !== 0n) words.push(`cookie=${hex(learn.cookie)}`);
  return `learn(${[...words, ...learn.specs.map(formatSpec)].join(',')})`;
}

function formatSpec({ bits, source, destination }: LearnSpec): string {
  const from = 'value' in source ? undefined : writeSubfield({ ...source, bits });
  const value = 'value' in source ? numberOf(Uint8Array.from(Buffer.from(source.value, 'hex'))) : 0n;
  if (destination.type === 'OUTPUT') return `output:${from ?? hex(value)}`;
  const to = writeSubfield({ ...destination, bits });
  if (destination.type === 'LOAD') return `load:${from ?? hex(value)}->${to}`;
  if (from !== undefined) return from === to ? to : `${to}=${from}`;
  const field = fieldOf(destination.field);
  if (field === undefined || bits !== widthOf(destination.field)) return `${to}=${hex(value)}`;
  const exact = { value, mask: (1n << BigInt(field.bits)) - 1n };
  return `${field.name}=${writeBits({ ...field, digits: 0 }, exact)}`;
}
