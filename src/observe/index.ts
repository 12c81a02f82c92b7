/** What is going on: counters and rates, drops, traces, events. */
export { readCounters, shownOfport } from './counters.js';
export { dropText } from './drop-reasons.js';
export { EVENT_KINDS, EventHub } from './events.js';
export type { Event, EventKind } from './events.js';
export { EventFeed } from './feed.js';
export { FrameError, frameOf, matchOfFrame } from './frame.js';
export { Devices, readMachineStatistics } from './machine-files.js';
export { megaflowActions, megaflowMatch } from './megaflow.js';
export { readMirrorCounters } from './mirrors.js';
export { Publisher } from './publisher.js';
export { RateWindow, Sampler } from './sampler.js';
export type { Sample } from './sampler.js';
export { describeFrame, explainTrace, traceText } from './trace.js';
export type { TraceNames } from './trace.js';
