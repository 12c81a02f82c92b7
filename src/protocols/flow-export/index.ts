export * from './exporter.js';
export * from './record.js';
