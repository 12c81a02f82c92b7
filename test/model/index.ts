/** What tests of programs need: a model of a switch, a bridge on it, and frames. Published as `weft/testing`. */
import { newBridge as makeBridge, type Bridge, type Dpid } from '../../src/domain/index.js';

export { BridgeModel } from './bridge-model.js';
export { fieldsOf, makeFrame, parseFrame } from './frame.js';
export type { FrameDescription, ParsedFrame, Tag } from './frame.js';
export { ModelSwitch } from './switch.js';
export type { Output, PacketIn, Walk } from './switch.js';
export { newInterface, newPort } from '../../src/domain/index.js';
export type { Bridge, LogicalPort } from '../../src/domain/index.js';

/** A bridge with every setting at its default, but what is given. */
export function newBridge(given: Partial<Omit<Bridge, 'datapathId'>> = {}): Bridge {
  return makeBridge({ name: 'br0', ...given, datapathId: '0000000000000001' as Dpid });
}
