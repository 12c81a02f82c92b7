/** From the users' flows that there are to those that there should be. */
import { Group, Port, decode, encode, formatFlow } from 'node-openflow';
import type { MessageInput } from 'node-openflow';
import { flowKey } from '../../programs/index.js';
import type { FlowDump } from '../../switches/driver.js';
import { statsOf } from './render.js';

type Identity = Parameters<typeof flowKey>[0];

export interface Replacement {
  readonly messages: readonly MessageInput[];
  /** Which of the wanted flows each message comes from; null: a deletion. */
  readonly sources: readonly (number | null)[];
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
}

/** @param wanted flow-mods, the last of which counts where two are the same to the switch */
export function replacement(have: readonly FlowDump[], wanted: readonly MessageInput[]): Replacement {
  const stale = new Map(have.map((flow) => [flowKey(flow), flow]));
  const had = new Map(stale);
  const puts = new Map<string, { message: MessageInput; source: number; isNew: boolean } | null>();
  wanted.forEach((message, source) => {
    // Through the codec and back, every default is filled in.
    const flow = decode(encode(message));
    if (flow.type !== 'FLOW_MOD') throw new TypeError(`${flow.type} is no flow`);
    const key = flowKey(flow as unknown as Identity);
    stale.delete(key);
    const old = had.get(key);
    const isSame = old !== undefined && formatFlow(statsOf(old)) === formatFlow(flow);
    puts.set(key, isSame ? null : { message, source, isNew: old === undefined });
  });
  const changes = [...puts.values()].filter((put) => put !== null);
  const deletes = [...stale.values()].map(({ tableId, priority, match }): MessageInput => {
    const identity = { tableId, priority, match, outPort: Port.ANY, outGroup: Group.ANY };
    return { type: 'FLOW_MOD', command: 'DELETE_STRICT', ...identity } as MessageInput;
  });
  return {
    messages: [...deletes, ...changes.map(({ message }) => message)],
    sources: [...deletes.map(() => null), ...changes.map(({ source }) => source)],
    added: changes.filter(({ isNew }) => isNew).length,
    modified: changes.filter(({ isNew }) => !isNew).length,
    deleted: deletes.length,
  };
}
