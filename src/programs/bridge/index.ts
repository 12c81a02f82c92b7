export * from './bridge-program.js';
export * from './mac-table.js';
export { BRIDGE_TABLES } from './tables.js';
