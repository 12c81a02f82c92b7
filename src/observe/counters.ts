/** Counters as the datapath has them. */
import type { Methods } from '../datapath/protocol.js';
import type { Sample } from './sampler.js';

export interface Asks {
  ask<M extends 'port.stats' | 'drops'>(
    method: M,
    params: Methods[M]['params'],
  ): Promise<Methods[M]['result']>;
}

/** @throws Error while the datapath does not answer */
export async function readCounters(datapath: Asks, bridge: string): Promise<Omit<Sample, 'atMs'>> {
  const [ports, drops] = await Promise.all([
    datapath.ask('port.stats', { bridge }),
    datapath.ask('drops', { bridge }),
  ]);
  return { ports: new Map(ports.map((port) => [port.name, port])), drops };
}
