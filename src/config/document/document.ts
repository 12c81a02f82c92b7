/**
 * The configuration as a document: bridges, their ports, controllers and pinned addresses, by name. This is the form
 * that is compared; `value.ts` has what people write and read.
 */
import type { ExportKind } from '../export-specs.js';
import type { Settings } from './settings.js';

export interface Document {
  readonly bridges: ReadonlyMap<string, BridgeEntry>;
}

export interface BridgeEntry {
  readonly settings: Settings;
  /** By target. */
  readonly controllers: ReadonlyMap<string, Settings>;
  /** By `<vlan> <mac>`: the port that the address is pinned to. */
  readonly staticMacs: ReadonlyMap<string, string>;
  /** Who is told of the traffic. */
  readonly exports: ReadonlyMap<ExportKind, Settings>;
  /** By name. */
  readonly mirrors: ReadonlyMap<string, Settings>;
  /** The bridge's own port included. */
  readonly ports: ReadonlyMap<string, PortEntry>;
}

export interface PortEntry {
  readonly settings: Settings;
  /** By name; several form a bond. */
  readonly interfaces: ReadonlyMap<string, Settings>;
}

/** What is wrong with a document. */
export interface DocumentFault {
  /** JSON pointer (RFC 6901). */
  readonly path: string;
  readonly message: string;
  /** From 1, where they are known. */
  readonly line?: number;
  readonly column?: number;
}

/** A document cannot be used; all that is wrong with it. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';

  constructor(readonly faults: readonly DocumentFault[]) {
    super(faults.map(({ path, message }) => `${path}: ${message}`).join('; '));
  }
}

export function pointer(...parts: readonly (string | number)[]): string {
  return parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
