/** The declarative document: the whole configuration as one YAML or JSON file. Pure. */
export { attachmentFaults } from './attachments.js';
export { checkValue } from './check.js';
export * from './diff.js';
export * from './document.js';
export { merge } from './merge.js';
export { documentOperations } from './operations.js';
export { parseText, toYaml } from './parse.js';
export type { Source } from './parse.js';
export { readDocument } from './read.js';
export { ConfigDocument, publishedSchema } from './schema.js';
export { SETTINGS, flatWord } from './settings.js';
export type { Value } from './settings.js';
export { fromValue, toValue } from './value.js';
export type { Written } from './value.js';
