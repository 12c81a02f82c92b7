/** Questions to the datapath about a bridge, with what keeps it from answering as problems. */
import type { PortNames } from 'node-openflow';
import { DatapathError } from '../datapath/client.js';
import { ProblemError } from './problems.js';
import type { Services } from './services.js';
import { driverOf } from './tables/change.js';
import { bridgeOf } from './views.js';

/**
 * @throws IntentError "no-such-bridge", ProblemError 409 while the bridge's switch is not connected or cannot tell, 503
 *   where it does not answer
 */
export async function askDatapath<T>(
  services: Services,
  bridge: string,
  question: () => Promise<T>,
): Promise<T> {
  driverOf(services, bridge);
  try {
    return await question();
  } catch (error) {
    const { message } = error as Error;
    const isRefusal = error instanceof DatapathError && !['disconnected', 'timeout'].includes(error.code);
    throw isRefusal
      ? new ProblemError(409, 'refused', 'The switch cannot tell', message)
      : new ProblemError(503, 'switch-unavailable', 'The switch does not answer', message);
  }
}

/** Ports by name: as the switch tells, and those of the configuration that it does not have yet. */
export function portNamesOf(services: Services, bridge: string): PortNames {
  const ports = new Map<string, number>();
  for (const { name, ofport } of services.switches.driver(bridge)?.ports() ?? []) ports.set(name, ofport);
  for (const { interfaces } of bridgeOf(services, bridge).ports) {
    for (const { name, ofport } of interfaces)
      if (ofport !== null && !ports.has(name)) ports.set(name, ofport);
  }
  const names = new Map([...ports].map(([name, ofport]) => [ofport, name]));
  return { byName: (name) => ports.get(name), byNumber: (ofport) => names.get(ofport) };
}
