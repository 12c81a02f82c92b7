/**
 * Structs: fields in wire order, from which reading, writing, types, JSON and docs follow.
 *
 * Reading and writing is generated code (struct-compile.ts) that calls the fields' codecs one after another: each call site
 * then sees one function only, and each struct's values share one hidden class, which together is several times faster than
 * a loop over the fields. Where the host forbids generating code, a loop does the same (struct-interpret.ts).
 */

import { isRecord, type AnyCodec, type Codec, type Input, type Static, type StructSchema } from './codec.js';
import { OpenFlowEncodeError, type Fault } from './errors.js';
import { canCompile, compile } from './struct-compile.js';
import { interpret } from './struct-interpret.js';
import { roundUp, type Plan, type Value } from './struct-plan.js';
import { describe } from './writer.js';

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
    write: write,
    fromJson: (json) => structFromJson(name, plan, json) as StructInput<Fields, string | undefined>,
  };
  return result as unknown as Struct<F, T>;
}

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
