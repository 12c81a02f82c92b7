/** Programs: from desired and learned state to flow rules. Pure; no Node modules. */
export * from './bridge/index.js';
export * from './canonical.js';
export * from './cookie.js';
export * from './flow.js';
export * from './hash.js';
export * from './pipeline.js';
export * from './program.js';
