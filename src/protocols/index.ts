export * from './flow-export/index.js';
export * from './lacp/index.js';
export * from './sflow/index.js';
