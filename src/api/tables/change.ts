/** Questions to a bridge's switch, and changes of what belongs to users, with the switch's refusals as problems. */
import { RequestError } from 'node-openflow';
import type { MessageInput } from 'node-openflow';
import { ForeignSwitchError } from '../../switches/driver.js';
import type { RefusedMessage, SwitchDriver } from '../../switches/driver.js';
import { ProblemError } from '../problems.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

/**
 * @throws IntentError "no-such-bridge", ProblemError 409 while the bridge has no switch: where that is and whether it is
 *   up is the user's to say, nothing that Weft failed in
 */
export function driverOf(services: Services, bridge: string): SwitchDriver {
  bridgeOf(services, bridge);
  const driver = services.switches.driver(bridge);
  const status = driver?.status();
  if (driver && status?.connected === true) return driver;
  const why = status?.lastError ?? 'it has not been connected yet';
  throw new ProblemError(409, 'switch-not-connected', 'The switch is not connected', `${bridge}: ${why}`);
}

/** @throws IntentError "no-such-bridge", ProblemError 422 what the switch refuses, 503 where it does not answer */
export async function ask<T>(
  services: Services,
  bridge: string,
  question: (driver: SwitchDriver) => Promise<T>,
): Promise<T> {
  const driver = driverOf(services, bridge);
  try {
    return await question(driver);
  } catch (error) {
    throw error instanceof ProblemError ? error : unavailable(error);
  }
}

/**
 * All messages or none.
 * @param paths where in the request each message comes from
 * @throws ProblemError 409, 422: what the switch refuses; 503
 */
export async function changeAsUser(
  driver: SwitchDriver,
  messages: readonly MessageInput[],
  paths: readonly string[] = [],
): Promise<void> {
  let refused: readonly RefusedMessage[];
  try {
    refused = await driver.changeAsUser(messages);
  } catch (error) {
    if (error instanceof ForeignSwitchError)
      throw new ProblemError(409, 'foreign-switch', 'It is not our switch', error.message);
    throw unavailable(error);
  }
  if (refused.length === 0) return;
  const faults = refused.map(({ index, errorType, code }) => ({
    path: paths[index] ?? '',
    message: 'the switch refuses it, and so nothing was changed',
    openflow: `${errorType} ${code}`,
  }));
  const isConflict = refused.some(({ code }) => CONFLICTS.test(code));
  throw isConflict
    ? new ProblemError(409, 'refused', 'It does not go together with what the switch has', undefined, faults)
    : new ProblemError(422, 'refused', 'The switch refuses it', undefined, faults);
}

/** Codes that speak of what is on the switch (or is the program's) rather than of the message by itself. */
const CONFLICTS = /EXISTS|FULL|OUT_OF|UNKNOWN_(GROUP|METER)|BAD_OUT_GROUP|OVERLAP|CHAIN|LOOP|EPERM|IS_SLAVE/;

function unavailable(error: unknown): ProblemError {
  if (error instanceof RequestError && error.error !== undefined) {
    const { errorType, code } = error.error;
    const fault = { path: '', message: 'the switch refuses the question', openflow: `${errorType} ${code}` };
    return new ProblemError(422, 'refused', 'The switch refuses it', undefined, [fault]);
  }
  const why = error instanceof Error ? error.message : String(error);
  return new ProblemError(503, 'switch-unavailable', 'The switch does not answer', why);
}
