/**
 * The configuration database (RFC 7047): schema, rows, transactions. A pure core: uuids and time are given to it.
 * `journal.ts` keeps it on disk, `store.ts` joins both.
 */
export { ZERO_UUID, isObject, isUuid } from './atom.js';
export type { Atom, AtomicType, Json } from './atom.js';
export type { BaseType, ColumnType } from './column-type.js';
export { conditionFromJson, matches, selectRows } from './condition.js';
export { Database, invert, joined } from './database.js';
export type { Change, Row } from './database.js';
export * from './datum.js';
export * from './errors.js';
export { execute, rowToJson } from './execute.js';
export type { ExecuteOptions, Operation, Outcome } from './execute.js';
export { mergeSchemas, schemaFromJson, schemaToJson } from './schema.js';
export type { ColumnSchema, DatabaseSchema, Reference, TableSchema } from './schema.js';
export { openVSwitchSchema } from './open-vswitch-schema.js';
export { Transaction } from './transaction.js';
