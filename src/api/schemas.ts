/** What goes over the REST API: one declaration each for validation, types and the OpenAPI document. */
export * from './schemas/bridges.js';
export * from './schemas/common.js';
export * from './schemas/exports.js';
export * from './schemas/fdb.js';
export * from './schemas/ports.js';
export * from './schemas/service.js';
export * from './schemas/tables.js';
