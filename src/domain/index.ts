/** What the network should be: types and values only, no Node modules, no input or output. */
export * from './defaults.js';
export * from './exports.js';
export * from './identifiers.js';
export * from './mac-address.js';
export * from './network.js';
export * from './vlan-set.js';
export * from './drop-reasons.js';
export * from './offload-reasons.js';
