/** What the commands see of the running switch. */
import type { Bridge } from '../domain/index.js';
import type { SwitchDriver } from '../switches/driver.js';
import { CommandError } from './command.js';

export interface SwitchView {
  /** As configured. */
  bridges(): readonly Bridge[];
  driver(bridge: string): SwitchDriver | undefined;
}

/** The bridge of that name. @throws CommandError in Open vSwitch's words */
export function bridgeOf(view: SwitchView, name: string): Bridge {
  const bridge = view.bridges().find((each) => each.name === name);
  if (!bridge) throw new CommandError('no such bridge');
  return bridge;
}

/** The bridge's driver; a bridge that is configured has one as soon as the datapath has been met. */
export function driverOf(view: SwitchView, name: string): SwitchDriver {
  const driver = view.driver(bridgeOf(view, name).name);
  if (!driver) throw new CommandError(`bridge ${name} is not up yet: weft-datapath is not connected`);
  return driver;
}
