/** What users say of flows, groups and meters, in ovs-ofctl's syntax or as JSON, made into OpenFlow messages. */
import { encode, fromJson, parseFlow, parseGroup, parseMeter } from 'node-openflow';
import type { MessageInput, PortNames } from 'node-openflow';
import type { FlowSelection } from '../../switches/driver.js';
import { ProblemError } from '../problems.js';
import type { BodyFault } from '../problems.js';

/** One flow, group or meter of a request, and where it stood there. */
export interface Entry {
  readonly value: unknown;
  readonly path: string;
}

/** @param list the member of a JSON body that holds them */
export function entriesOf(body: unknown, list: 'flows' | 'groups' | 'meters'): Entry[] {
  if (typeof body === 'string') {
    return body.split('\n').flatMap((line, i) => {
      const bare = line.replace(/#.*$/, '').trim();
      return bare === '' ? [] : [{ value: bare, path: `line ${i + 1}` }];
    });
  }
  const values = (body as Record<string, readonly unknown[]>)[list] ?? [];
  return values.map((value, i) => ({ value, path: `/${list}/${i}` }));
}

/**
 * Makes each entry a message, and sees that it can be sent.
 * @throws ProblemError with every entry that makes no sense
 */
export function messagesOf(
  entries: readonly Entry[],
  read: (value: unknown) => MessageInput,
): MessageInput[] {
  const faults: BodyFault[] = [];
  const messages: MessageInput[] = [];
  for (const { value, path } of entries) {
    try {
      const message = read(value);
      encode(message);
      messages.push(message);
    } catch (error) {
      faults.push({ path, message: error instanceof Error ? error.message : String(error) });
    }
  }
  if (faults.length === 0) return messages;
  throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, faults);
}

type FlowCommand = 'ADD' | 'MODIFY' | 'MODIFY_STRICT';

export function readFlow(value: unknown, command: FlowCommand, names: PortNames): MessageInput {
  if (typeof value === 'string') return parseFlow(value, { command, names });
  const { tableId, priority, cookie, match, instructions, idleTimeoutS, hardTimeoutS, flags } =
    value as Record<string, unknown>;
  return fromJson({
    type: 'FLOW_MOD',
    command,
    tableId: tableId ?? 0,
    ...given({ priority, cookie, match, instructions, flags }),
    ...given({ idleTimeout: idleTimeoutS, hardTimeout: hardTimeoutS }),
  });
}

export function readGroup(value: unknown, command: 'ADD' | 'MODIFY', names: PortNames): MessageInput {
  if (typeof value === 'string') return parseGroup(value, { command, names });
  const { groupId, type, buckets } = value as Record<string, unknown>;
  return fromJson({ type: 'GROUP_MOD', command, groupId, groupType: type, buckets: buckets ?? [] });
}

export function readMeter(value: unknown, command: 'ADD' | 'MODIFY'): MessageInput {
  if (typeof value === 'string') return parseMeter(value, { command });
  const { meterId, flags, bands } = value as Record<string, unknown>;
  return fromJson({ type: 'METER_MOD', command, meterId, flags: flags ?? ['KBPS'], bands: bands ?? [] });
}

function given(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

export interface Selection {
  readonly table?: number;
  readonly cookie?: string;
  readonly match?: string;
}

/**
 * The delete that a selection means. What a parameter says goes before what the match says.
 * @throws ProblemError
 */
export function deleteOf({ table, cookie, match = '' }: Selection, isStrict: boolean, names: PortNames) {
  try {
    const flow = parseFlow(match, { command: isStrict ? 'DELETE_STRICT' : 'DELETE', names });
    return {
      ...flow,
      ...(table === undefined ? {} : { tableId: table }),
      ...(cookie === undefined ? {} : cookieOf(cookie)),
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, [
      { path: '?match', message },
    ]);
  }
}

/** The flows that a selection means, for a request of statistics. @throws ProblemError */
export function selectionOf(selection: Selection, names: PortNames): FlowSelection {
  const { tableId, cookie, cookieMask, outPort, outGroup, match } = deleteOf(selection, false, names);
  return given({ tableId, cookie, cookieMask, outPort, outGroup, match });
}

const ALL_BITS = 0xffff_ffff_ffff_ffffn;

function cookieOf(text: string): { cookie: bigint; cookieMask: bigint } {
  const [value = '0', mask = '-1'] = text.split('/');
  const cookieMask = mask === '-1' ? ALL_BITS : BigInt(mask);
  if (BigInt(value) > ALL_BITS || cookieMask > ALL_BITS) {
    const fault = { path: '?cookie', message: 'does not fit 64 bits' };
    throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, [fault]);
  }
  return { cookie: BigInt(value), cookieMask };
}
