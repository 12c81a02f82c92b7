/** What the generated and the interpreted form of a struct have in common. */

import type { AnyCodec, Codec } from './codec.js';
import { OpenFlowDecodeError, OpenFlowEncodeError, type Fault } from './errors.js';
import type { Reader } from './reader.js';
import { describe, type Writer } from './writer.js';

export type Value = Record<string, unknown>;
export type ReadFn = (r: Reader) => unknown;
export type WriteFn = (w: Writer, v: Value) => void;

/** All that the compiled and the interpreted form need to know. */
export interface Plan {
  readonly tag: string | undefined;
  readonly names: readonly string[];
  readonly codecs: readonly Codec<unknown, unknown>[];
  readonly fault: Fault | undefined;
  readonly align: number;
}

/** The next multiple. */
export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}

/** Reads the struct's own length at the position and narrows the bound to it. */
export function readSelfLength(r: Reader, start: number, multiple: number, fault: Fault | undefined): void {
  const length = r.u16();
  if (length % multiple !== 0) throw r.fail(`length ${length} is not a multiple of ${multiple}`, fault, -2);
  r.bound(start, length, fault);
}

/** Writes the struct's length back where it was left out. */
export function writeSelfLength(w: Writer, pos: number, start: number, multiple: number): void {
  const length = w.pos - start;
  if (length % multiple !== 0) {
    throw new OpenFlowEncodeError(`is ${length} bytes long, which is not a multiple of ${multiple}`);
  }
  w.view.setUint16(pos, length);
}

/** What the length of the struct must be a multiple of. */
export function multipleOf(codec: AnyCodec | undefined): number {
  return codec?.schema.kind === 'selfLength' ? codec.schema.multiple : 1;
}

/** Reads a field within the length given by an earlier one; returns its value. */
export function readSized(r: Reader, length: number, codec: Codec<unknown, unknown>): unknown {
  const outer = r.end;
  if (length > outer - r.pos) throw r.fail(`length ${length} exceeds the ${outer - r.pos} bytes there are`);
  r.end = r.pos + length;
  const value = codec.read(r);
  r.finish();
  r.end = outer;
  return value;
}

/** Skips the padding after a struct that ends at `r.pos`. */
export function readAlign(r: Reader, start: number, align: number): void {
  const over = (r.pos - start) % align;
  if (over !== 0) r.skip(align - over);
}

/** The error on its way out of the field `name`, or of the struct's end. */
export function failRead(e: unknown, name: string | undefined, fault: Fault | undefined): unknown {
  return e instanceof OpenFlowDecodeError ? e.within(name, fault) : e;
}

/** The same for writing; `value` is what the field was given. */
export function failWrite(e: unknown, name: string | undefined, value: unknown): unknown {
  if (e instanceof OpenFlowEncodeError) return name === undefined ? e : e.within(name);
  // A missing or wrongly typed value made a field's codec trip over it.
  const error = new OpenFlowEncodeError(`cannot be encoded from ${describe(value)}`);
  return name === undefined ? error : error.within(name);
}

/** A field's name in paths: hidden ones without their underscore. */
export function shown(name: string): string {
  return name.replace(/^_/, '');
}
