/** The configuration: rows of the Open_vSwitch database on one side, the domain's network on the other. */
export { Configuration } from './configuration.js';
export type { ConfigurationLog, ConfigurationOptions, Prepared } from './configuration.js';
export * from './export-specs.js';
export * from './exports.js';
export * from './fields.js';
export * from './identity.js';
export * from './intents.js';
export { ManagerKeeper } from './manager-keeper.js';
export * from './network.js';
export * from './specs.js';
export { assignOfports } from './ofports.js';
export * from './statistics.js';
// Loaded from where it is: it brings a parser of YAML along, which the switches do without.
export type { Revision, Revisions, RevisionsOptions } from './revisions.js';
export { faultyStatus, statusOperations } from './status.js';
export type { BridgeStatus, InterfaceStatus } from './status.js';
export * from './warnings.js';
export * from './tls.js';
