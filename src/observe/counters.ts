/** Counters as the datapath has them. */
import { LOCAL_OFPORT } from '../config/index.js';
import { LOCAL_PORT } from '../domain/index.js';
import type { Methods } from '../datapath/protocol.js';
import type { Sample } from './sampler.js';

/** OpenFlow 1.3's `OFPP_LOCAL` in the words of Open vSwitch's tools and of the REST API. */
export function shownOfport(ofport: number): number {
  return ofport === LOCAL_PORT ? LOCAL_OFPORT : ofport;
}

export interface Asks {
  ask<M extends 'port.stats' | 'drops' | 'fastpath.show'>(
    method: M,
    params: Methods[M]['params'],
  ): Promise<Methods[M]['result']>;
}

/** @throws Error while the datapath does not answer */
export async function readCounters(datapath: Asks, bridge: string): Promise<Omit<Sample, 'atMs'>> {
  const [ports, drops, fastPath] = await Promise.all([
    datapath.ask('port.stats', { bridge }),
    datapath.ask('drops', { bridge }),
    datapath.ask('fastpath.show', { bridge }),
  ]);
  return {
    ports: new Map(ports.map((port) => [port.name, { ...port, ofport: shownOfport(port.ofport) }])),
    drops,
    fastPath,
  };
}
