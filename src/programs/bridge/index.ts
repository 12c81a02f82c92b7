export * from './bonds/index.js';
export * from './bridge-program.js';
export * from './mac-table.js';
export { activeMirrors, type ActiveMirror } from './mirrors.js';
export { BRIDGE_TABLES } from './tables.js';
