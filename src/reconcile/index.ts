/** From have and want to an ordered list of commands. Pure. */
export * from './compile.js';
export * from './numbers.js';
export * from './plan.js';
export * from './tables.js';
