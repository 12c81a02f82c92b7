export * from './lacp/index.js';
