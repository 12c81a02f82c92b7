export * from './agent.js';
export { counters, type DataRecord } from './structures.js';
