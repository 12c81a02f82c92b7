export { Aggregations } from './aggregations.js';
export * from './status.js';
