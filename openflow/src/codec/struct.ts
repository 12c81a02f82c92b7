/**
 * Structs, compiled.
 *
 * Reading and writing a struct is generated code that calls its fields' codecs one after another: each call site then
 * sees one function only, and each struct's values share one hidden class, which together is several times faster than a
 * loop over the fields. The generated text consists of nothing but the names of this package's own declarations. Where the
 * host forbids generating code (`--disallow-code-generation-from-strings`) the loop is used; tests hold the two equal.
 */

import {
  isRecord,
  type AnyCodec,
  type Codec,
  type Defaulted,
  type Input,
  type Static,
  type StructSchema,
} from './codec.js';
import { OpenFlowDecodeError, OpenFlowEncodeError, type Fault } from './errors.js';
import type { Reader } from './reader.js';
import { describe, type Writer } from './writer.js';

/** Fields in wire order. Names that start with `_` are hidden: padding, constants, lengths. */
export type Fields = Readonly<Record<string, AnyCodec>>;

type Visible<F> = Exclude<keyof F & string, `_${string}`>;
type Optional<F> = { [K in Visible<F>]: F[K] extends { readonly fallback: unknown } ? K : never }[Visible<F>];
type TagOf<T> = T extends string ? { readonly type: T } : unknown;
type Simplify<T> = { [K in keyof T]: T[K] };

/** What reading a struct of these fields gives. */
export type StructStatic<F, T = undefined> = Simplify<
  TagOf<T> & { readonly [K in Visible<F>]: Static<F[K]> }
>;

/** What writing it takes: fields with a default may be left out. */
export type StructInput<F, T = undefined> = Simplify<
  TagOf<T> & { readonly [K in Exclude<Visible<F>, Optional<F>>]: Input<F[K]> } & {
    readonly [K in Optional<F>]?: Input<F[K]> | undefined;
  }
>;

export interface Struct<F extends Fields, T extends string | undefined = undefined> extends Codec<
  StructStatic<F, T>,
  StructInput<F, T>
> {
  readonly schema: StructSchema;
  readonly tag: T;
}

export interface StructOptions {
  /** Clause of OF 1.3.5, or the extension that defines it. */
  readonly clause?: string;
  /** One or two sentences for the reference. */
  readonly doc?: string;
  /** The error to answer when the struct's bytes are malformed and nothing within said otherwise. */
  readonly fault?: Fault;
  /** Zeros after the struct, not counted in its own length, up to a multiple of this. */
  readonly align?: number;
}

/** A plain struct. */
export function struct<const F extends Fields>(name: string, fields: F, options?: StructOptions): Struct<F> {
  return build<F, undefined>(name, undefined, fields, options);
}

/** A struct that is one case of a union: its values carry `type: tag`. */
export function tagged<const T extends string, const F extends Fields>(
  tag: T,
  fields: F,
  options?: StructOptions,
): Struct<F, T> {
  return build<F, T>(tag, tag, fields, options);
}

type Value = Record<string, unknown>;
type ReadFn = (r: Reader) => unknown;
type WriteFn = (w: Writer, v: Value) => void;

/** All that the compiled and the interpreted form need to know. */
interface Plan {
  readonly tag: string | undefined;
  readonly names: readonly string[];
  readonly codecs: readonly Codec<unknown, unknown>[];
  readonly fault: Fault | undefined;
  readonly align: number;
}

function build<F extends Fields, T extends string | undefined>(
  name: string,
  tag: T,
  fields: F,
  options: StructOptions = {},
): Struct<F, T> {
  const entries = Object.entries(fields);
  const plan: Plan = {
    tag,
    names: entries.map(([key]) => key),
    codecs: entries.map(([, codec]) => codec as unknown as Codec<unknown, unknown>),
    fault: options.fault,
    align: options.align ?? 1,
  };
  const { clause = '', doc = '' } = options;
  const sizes = entries.map(([, codec]) => codec.fixedSize);
  const total = sizes.reduce<number | undefined>(
    (a, b) => (a === undefined || b === undefined ? undefined : a + b),
    0,
  );
  const fixedSize = total === undefined ? undefined : roundUp(total, plan.align);
  const { read, write } = canCompile() ? compile(plan) : interpret(plan);
  const result: Struct<Fields, string | undefined> = {
    schema: { kind: 'struct', name, tag, clause, doc, fields: entries },
    tag,
    fixedSize,
    read: read as Struct<Fields>['read'],
    write: write as Struct<Fields>['write'],
    fromJson: (json) => structFromJson(name, plan, json) as StructInput<Fields, string | undefined>,
  };
  return result as unknown as Struct<F, T>;
}

let compiling: boolean | undefined;

function canCompile(): boolean {
  if (compiling === undefined) {
    try {
      compiling = new Function('return true')() === true;
    } catch {
      compiling = false;
    }
  }
  return compiling;
}

export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}

// --- what generated code calls ---------------------------------------------------------------------------------------

/** Reads the struct's own length at the position and narrows the bound to it. */
function readSelfLength(r: Reader, start: number, multiple: number, fault: Fault | undefined): void {
  const length = r.u16();
  if (length % multiple !== 0) throw r.fail(`length ${length} is not a multiple of ${multiple}`, fault, -2);
  r.bound(start, length, fault);
}

/** Writes the struct's length back where it was left out. */
function writeSelfLength(w: Writer, pos: number, start: number, multiple: number): void {
  const length = w.pos - start;
  if (length % multiple !== 0) {
    throw new OpenFlowEncodeError(`is ${length} bytes long, which is not a multiple of ${multiple}`);
  }
  w.view.setUint16(pos, length);
}

function multipleOf(codec: AnyCodec | undefined): number {
  return codec?.schema.kind === 'selfLength' ? codec.schema.multiple : 1;
}

/** Reads a field within the length given by an earlier one; returns its value. */
function readSized(r: Reader, length: number, codec: Codec<unknown, unknown>): unknown {
  const outer = r.end;
  if (length > outer - r.pos) throw r.fail(`length ${length} exceeds the ${outer - r.pos} bytes there are`);
  r.end = r.pos + length;
  const value = codec.read(r);
  r.finish();
  r.end = outer;
  return value;
}

/** Skips the padding after a struct that ends at `r.pos`; some peers leave it out at the end of a message. */
function readAlign(r: Reader, start: number, align: number): void {
  const over = (r.pos - start) % align;
  if (over !== 0) r.skip(align - over);
}

function failRead(e: unknown, name: string | undefined, fault: Fault | undefined): unknown {
  return e instanceof OpenFlowDecodeError ? e.within(name, fault) : e;
}

function failWrite(e: unknown, name: string | undefined, value: unknown): unknown {
  if (e instanceof OpenFlowEncodeError) return name === undefined ? e : e.within(name);
  // A missing or wrongly typed value made a field's codec trip over it.
  const error = new OpenFlowEncodeError(`cannot be encoded from ${describe(value)}`);
  return name === undefined ? error : error.within(name);
}

function shown(name: string): string {
  return name.replace(/^_/, '');
}

// --- generated form --------------------------------------------------------------------------------------------------

function compile(plan: Plan): { read: ReadFn; write: WriteFn } {
  const { codecs, names } = plan;
  const at = names.map(shown);
  const lengthVariable = (field: string): number =>
    codecs.findIndex(({ schema }) => schema.kind === 'lengthOf' && schema.field === field);
  const bounded = codecs.some(({ schema }) => schema.kind === 'selfLength');

  const read = codecs.map((codec, i) => {
    const { schema } = codec;
    const sizedBy = lengthVariable(names[i] as string);
    let statement = `const v${i} = f${i}(r);`;
    if (schema.kind === 'padTo') statement = 'r.skip(r.end - r.pos < 8 ? r.end - r.pos : 0);';
    else if (schema.kind === 'pad') statement = `r.skip(${schema.bytes});`;
    else if (schema.kind === 'selfLength') statement = `readSelfLength(r, start, ${schema.multiple}, fault);`;
    else if (schema.kind === 'lengthOf') statement = `const v${i} = r.u${schema.bits}();`;
    else if (schema.kind === 'constant') statement = `f${i}(r);`;
    else if (sizedBy >= 0) statement = `const v${i} = readSized(r, v${sizedBy}, c[${i}]);`;
    return `at = ${i}; ${statement}`;
  });
  const properties = names.flatMap((name, i) =>
    name.startsWith('_') ? [] : [`${JSON.stringify(name)}: v${i}`],
  );
  if (plan.tag !== undefined) properties.unshift(`type: ${JSON.stringify(plan.tag)}`);
  const readBody = `
    const start = r.pos, outer = r.end;
    let at = 0;
    try {
      ${read.join('\n      ')}
      at = ${names.length};
      ${bounded ? 'r.finish(); r.end = outer;' : ''}
      ${plan.align > 1 ? `readAlign(r, start, ${plan.align});` : ''}
      return { ${properties.join(', ')} };
    } catch (e) { throw failRead(e, at_[at], fault); }`;

  const write = codecs.map((codec, i) => {
    const name = JSON.stringify(names[i]);
    const { schema } = codec;
    const sizedBy = lengthVariable(names[i] as string);
    let statement = `f${i}(w, v[${name}]);`;
    if (schema.kind === 'padTo') statement = 'w.zeros((8 - ((w.pos - start) % 8)) % 8);';
    else if (schema.kind === 'lengthOf' || schema.kind === 'selfLength') {
      statement = `const p${i} = w.pos; f${i}(w, undefined);`;
    } else if ('fallback' in codec) {
      statement = `const x${i} = v[${name}]; f${i}(w, x${i} === undefined ? c[${i}].fallback : x${i});`;
    }
    if (sizedBy >= 0) {
      const bits = (codecs[sizedBy] as Codec<unknown>).schema;
      const width = bits.kind === 'lengthOf' ? bits.bits : 16;
      statement = `const s${i} = w.pos; ${statement} w.view.setUint${width}(p${sizedBy}, w.pos - s${i});`;
    }
    return `at = ${i}; ${statement}`;
  });
  const self = codecs.findIndex(({ schema }) => schema.kind === 'selfLength');
  const writeBody = `
    const start = w.pos;
    let at = 0;
    try {
      ${write.join('\n      ')}
      at = ${names.length};
      ${self >= 0 ? `writeSelfLength(w, p${self}, start, ${multipleOf(codecs[self])});` : ''}
      ${plan.align > 1 ? `{ const over = (w.pos - start) % ${plan.align}; if (over !== 0) w.zeros(${plan.align} - over); }` : ''}
    } catch (e) { throw failWrite(e, at_[at], at < ${names.length} ? v[names[at]] : undefined); }`;

  const fields = codecs.map((_, i) => i);
  const make = new Function(
    ...[
      'c',
      'names',
      'at_',
      'fault',
      'readSelfLength',
      'writeSelfLength',
      'readSized',
      'readAlign',
      'failRead',
      'failWrite',
    ],
    `"use strict";
    return {
      read: (() => { ${fields.map((i) => `const f${i} = c[${i}].read;`).join(' ')} return (r) => {${readBody}}; })(),
      write: (() => { ${fields.map((i) => `const f${i} = c[${i}].write;`).join(' ')} return (w, v) => {${writeBody}}; })(),
    };`,
  ) as (...args: readonly unknown[]) => { read: ReadFn; write: WriteFn };
  return make(
    ...[
      codecs,
      names,
      at,
      plan.fault,
      readSelfLength,
      writeSelfLength,
      readSized,
      readAlign,
      failRead,
      failWrite,
    ],
  );
}

// --- interpreted form ------------------------------------------------------------------------------------------------

function interpret(plan: Plan): { read: ReadFn; write: WriteFn } {
  const { codecs, names, tag, fault, align } = plan;

  const read: ReadFn = (r) => {
    const start = r.pos;
    const outer = r.end;
    const lengths = new Map<string, number>();
    const value: Value = tag === undefined ? {} : { type: tag };
    let at: string | undefined;
    try {
      for (const [i, codec] of codecs.entries()) {
        const name = names[i] as string;
        at = shown(name);
        const length = lengths.get(name);
        if (codec.schema.kind === 'selfLength') readSelfLength(r, start, codec.schema.multiple, fault);
        else if (codec.schema.kind === 'lengthOf') {
          lengths.set(codec.schema.field, codec.schema.bits === 16 ? r.u16() : r.u32());
        } else {
          const v = length === undefined ? codec.read(r) : readSized(r, length, codec);
          if (!name.startsWith('_')) value[name] = v;
        }
      }
      at = undefined;
      if (r.end !== outer || codecs.some(({ schema }) => schema.kind === 'selfLength')) {
        r.finish();
        r.end = outer;
      }
      readAlign(r, start, align);
      return value;
    } catch (e) {
      throw failRead(e, at, fault);
    }
  };

  const write: WriteFn = (w, v) => {
    const start = w.pos;
    const places = new Map<string, readonly [pos: number, bits: 16 | 32]>();
    let self: readonly [pos: number, multiple: number] | undefined;
    let name: string | undefined;
    try {
      for (const [i, codec] of codecs.entries()) {
        name = names[i] as string;
        const from = w.pos;
        if (codec.schema.kind === 'selfLength') self = [from, codec.schema.multiple];
        if (codec.schema.kind === 'lengthOf') places.set(codec.schema.field, [from, codec.schema.bits]);
        const given = name.startsWith('_') ? undefined : v[name];
        if (codec.schema.kind === 'padTo') w.zeros((8 - ((w.pos - start) % 8)) % 8);
        else
          codec.write(
            w,
            given === undefined && 'fallback' in codec ? (codec as Defaulted<unknown>).fallback : given,
          );
        const place = places.get(name);
        if (place?.[1] === 16) w.view.setUint16(place[0], w.pos - from);
        else if (place !== undefined) w.view.setUint32(place[0], w.pos - from);
      }
      name = undefined;
      if (self !== undefined) writeSelfLength(w, self[0], start, self[1]);
      w.zeros((align - ((w.pos - start) % align)) % align);
    } catch (e) {
      throw failWrite(
        e,
        name === undefined ? undefined : shown(name),
        name === undefined ? undefined : v[name],
      );
    }
  };
  return { read, write };
}

// --- JSON ------------------------------------------------------------------------------------------------------------

function structFromJson(structName: string, plan: Plan, json: unknown): Value {
  if (!isRecord(json)) throw new OpenFlowEncodeError(`expected an object for ${structName}`);
  const value: Value = plan.tag === undefined ? {} : { type: plan.tag };
  for (const [key, item] of Object.entries(json)) {
    if (key === 'type' && plan.tag !== undefined) continue;
    const index = key.startsWith('_') ? -1 : plan.names.indexOf(key);
    const codec = plan.codecs[index];
    if (codec === undefined) throw new OpenFlowEncodeError(`${structName} has no field ${describe(key)}`);
    try {
      value[key] = codec.fromJson(item);
    } catch (e) {
      throw e instanceof OpenFlowEncodeError ? e.within(key) : e;
    }
  }
  return value;
}
