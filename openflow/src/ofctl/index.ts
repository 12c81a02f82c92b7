/** ovs-ofctl's syntax for flows, matches, actions, groups and meters: read and written. */
export { OfctlSyntaxError } from './syntax.js';
export type { PortNames } from './field-values.js';
export { formatMatch, parseMatch } from './match.js';
export { formatAction, formatActions } from './actions.js';
export { parseActions } from './parse-actions.js';
export {
  formatDuration,
  formatFlow,
  formatFlowStats,
  formatInstructions,
  parseFlow,
  parseFlows,
  type FlowPrintOptions,
  type FlowSyntaxOptions,
} from './flow.js';
export { formatGroup, formatGroupStats, parseGroup } from './group.js';
export { formatMeter, formatMeterStats, parseMeter } from './meter.js';
