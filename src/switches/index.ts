/** Drivers: the switches of the network, each behind one connection. */
import type { DriverOptions, SwitchDriver } from './driver.js';
import { OpenFlowDriver } from './switch-driver.js';

export * from './driver.js';

/** A driver for the bridge's switch; it does nothing until `start`. @throws TargetError for a target that is none. */
export function createSwitchDriver(options: DriverOptions): SwitchDriver {
  return new OpenFlowDriver(options);
}
