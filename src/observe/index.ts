/** What is going on: counters and rates, drops, traces, events. */
export { dropSentence, DROP_REASONS } from './drop-reasons.js';
export { RateWindow, Sampler } from './sampler.js';
export type { Sample } from './sampler.js';
export { readCounters } from './counters.js';
