/** What tests of programs need: a model of a switch, a bridge on it, and frames. Published as `weft/testing`. */
export { BridgeModel } from './bridge-model.js';
export { fieldsOf, makeFrame, parseFrame } from './frame.js';
export type { FrameDescription, ParsedFrame, Tag } from './frame.js';
export { ModelSwitch } from './switch.js';
export type { Output, PacketIn, Walk } from './switch.js';
export { newBridge, newInterface, newPort } from '../../src/domain/index.js';
export type { Bridge, Dpid, LogicalPort } from '../../src/domain/index.js';
