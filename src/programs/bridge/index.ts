export * from './bonds/index.js';
export * from './bridge-program.js';
export * from './mac-table.js';
export { BRIDGE_TABLES } from './tables.js';
