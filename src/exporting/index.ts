/** Telling collectors of traffic: sFlow, NetFlow, IPFIX over UDP; and the live view. */
export { chooseAgentAddress, type AgentAddress } from './agent-address.js';
export type { ExportStatus } from './bridge-exporter.js';
export { CollectorLink, type CollectorStatus } from './collector.js';
export { Exporting, type ExportingOptions } from './exporting.js';
export type { FlowCounters } from './flows.js';
export type { LiveFlow, LiveMac } from './live.js';
export type { SampleCounters } from './samples.js';
