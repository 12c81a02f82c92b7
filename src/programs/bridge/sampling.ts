/**
 * Sampling and accounting: `sample` actions in the table `observe`, where a frame is known to be one that its port takes, and
 * nothing is decided yet. What becomes of a sampled packet is the observer's matter whose id the action names (ARCHITECTURE.md,
 * "Observers"); mirrors' rules in the same table do the same besides, so that each frame is seen once.
 */
import { observersOf, type Bridge, type Observer } from '../../domain/index.js';
import type { Action, Flow } from '../flow.js';

/** Of `sample`: always. The observer itself takes one in N, exactly. */
const EVERY_PACKET = 0xffff;
/** Below the rules of mirrors. */
const PRIORITY = 50;

/** What every frame is handed to, in the order of their ids. */
export function observersOfAll(bridge: Bridge): Observer[] {
  return observersOf(bridge.exports).filter(({ isForAll }) => isForAll);
}

export function sampleActions(bridge: Bridge): Action[] {
  const { ipfix } = bridge.exports ?? {};
  return observersOfAll(bridge).map(({ id, name }) => ({
    type: 'NX_SAMPLE',
    probability: EVERY_PACKET,
    collectorSetId: id,
    obsDomainId: name === 'IPFIX' ? (ipfix?.domainId ?? 0) : 0,
    obsPointId: name === 'IPFIX' ? (ipfix?.pointId ?? 0) : 0,
  }));
}

/** The rule for frames that no mirror copies. */
export function samplingFlows(bridge: Bridge): Flow[] {
  const actions = sampleActions(bridge);
  if (actions.length === 0) return [];
  return [
    {
      table: 'observe',
      priority: PRIORITY,
      match: {},
      instructions: [
        { type: 'APPLY_ACTIONS', actions },
        { type: 'GOTO_TABLE', table: 'eth_src' },
      ],
      kind: 'sample',
      reason: observersOfAll(bridge).map(describe).join('; '),
    },
  ];
}

function describe({ name, kind, interval }: Observer): string {
  const what = kind === 'sample' ? 'sampled' : 'accounted';
  return `${name}: ${interval === 1 ? 'every packet' : `one packet in ${interval}`} is ${what}`;
}
