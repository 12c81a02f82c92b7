/** Reads the golden vectors of `test/vectors`. */

import { readdirSync, readFileSync } from 'node:fs';
import {
  Action,
  Bucket,
  Instruction,
  Match,
  Message,
  MeterBand,
  TableProperty,
  type Codec,
} from '../../src/index.js';

export interface Vector {
  readonly name: string;
  readonly clause: string;
  readonly as: keyof typeof codecs;
  readonly hex: readonly string[];
  readonly json?: unknown;
  readonly error?: {
    readonly errorType: string;
    readonly code: string;
    readonly path?: string;
    readonly offset?: number;
  };
  readonly decodeOnly?: boolean;
}

const codecs = {
  message: Message,
  action: Action,
  instruction: Instruction,
  match: Match,
  band: MeterBand,
  bucket: Bucket,
  table_property: TableProperty,
};

/** What decodes the bytes of a vector. */
export function codecOf(vector: Vector): Codec<unknown, unknown> {
  return codecs[vector.as] as unknown as Codec<unknown, unknown>;
}

export function bytesOf(vector: Vector): Buffer {
  return Buffer.from(
    vector.hex.map((line) => line.replace(/\/\/.*$/, '').replaceAll(' ', '')).join(''),
    'hex',
  );
}

const folder = new URL('../../../test/vectors/', import.meta.url);

export const vectors: readonly Vector[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Vector[]);
