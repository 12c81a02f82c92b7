/** Questions to the datapath about a bridge, with what keeps it from answering as problems. */
import { DatapathError } from '../datapath/client.js';
import { ProblemError } from './problems.js';
import type { Services } from './services.js';
import { driverOf } from './tables/change.js';

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
