/**
 * The generated form of a struct. The text that is compiled consists of the names of this package's own declarations and of
 * numbers in them; nothing from bytes, values or callers gets into it.
 */

import type { Codec } from './codec.js';
import {
  failRead,
  failWrite,
  multipleOf,
  readAlign,
  readSelfLength,
  readSized,
  shown,
  writeSelfLength,
  type Plan,
  type ReadFn,
  type WriteFn,
} from './struct-plan.js';
import { outOfRange } from './writer.js';

/** A function of those parameters and that body. */
function generate(body: string, parameters: readonly string[]): (...args: readonly unknown[]) => unknown {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- The text is this file's own; see above.
  return new Function(...parameters, body) as (...args: readonly unknown[]) => unknown;
}

let compiling: boolean | undefined;

/** Whether the host lets code be generated. */
export function canCompile(): boolean {
  if (compiling === undefined) {
    try {
      compiling = generate('return true', [])() === true;
    } catch {
      compiling = false;
    }
  }
  return compiling;
}

/** Bytes of a field that can be written at a known offset, 0 for others. */
function placeableBytes({ schema, fixedSize = 0 }: Codec<unknown>): number {
  const isNumber = schema.kind === 'uint' || schema.kind === 'enum' || schema.kind === 'flags';
  if (isNumber) return schema.bits <= 64 && fixedSize * 8 === schema.bits ? fixedSize : 0;
  const isFiller = schema.kind === 'pad' && fixedSize <= 32;
  const isKnown = schema.kind === 'constant' || schema.kind === 'selfLength' || schema.kind === 'lengthOf';
  return isKnown || isFiller ? fixedSize : 0;
}

/** Fields that are reserved room for in one step: as many numbers in a row as there are, or one other field. */
function runsOf(codecs: readonly Codec<unknown>[]): { first: number; count: number; bytes: number }[] {
  const runs: { first: number; count: number; bytes: number }[] = [];
  for (const [i, codec] of codecs.entries()) {
    const bytes = placeableBytes(codec);
    const last = runs.at(-1);
    if (bytes > 0 && last !== undefined && last.bytes > 0) {
      last.count++;
      last.bytes += bytes;
    } else runs.push({ first: i, count: 1, bytes });
  }
  return runs;
}

/** Declares `x<i>`: what the field is to be, its default included. */
function valueOf({ codecs, names }: Plan, i: number): string {
  const value = `let x${i} = v[${JSON.stringify(names[i])}];`;
  return 'fallback' in (codecs[i] as object)
    ? `${value} if (x${i} === undefined) x${i} = c[${i}].fallback;`
    : value;
}

/** Statements that write the fields `members` at their offsets behind `b<first>`. */
function placed(plan: Plan, members: readonly number[]): string[] {
  let offset = 0;
  return members.map((i) => {
    const codec = plan.codecs[i] as Codec<unknown>;
    const { schema } = codec;
    const place = `b${members[0]} + ${offset}`;
    const bytes = placeableBytes(codec);
    offset += bytes;
    switch (schema.kind) {
      case 'constant':
        return `view.setUint${schema.bits}(${place}, ${schema.value});`;
      case 'pad':
        return Array.from({ length: bytes }, (_, n) => `view.setUint8(${place} + ${n}, 0);`).join(' ');
      case 'selfLength':
      case 'lengthOf':
        return `const p${i} = ${place};`;
      default: {
        const named = schema.kind === 'uint' ? '' : `x${i} = c[${i}].toNumber(x${i});`;
        const bits = bytes * 8;
        const fits =
          bits === 64
            ? `typeof x${i} === 'bigint' && BigInt.asUintN(64, x${i}) === x${i}`
            : bits === 32
              ? `x${i} >>> 0 === x${i}`
              : `(x${i} & ${2 ** bits - 1}) === x${i}`;
        const set = bits === 64 ? 'setBigUint64' : `setUint${bits}`;
        return `at = ${i}; ${valueOf(plan, i)} ${named} if (!(${fits})) throw outOfRange(x${i}, ${bits}); view.${set}(${place}, x${i});`;
      }
    }
  });
}

/** Generates the reading and the writing function of a struct. */
export function compile(plan: Plan): { read: ReadFn; write: WriteFn } {
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

  const write = runsOf(codecs).flatMap(({ first, bytes, count }) => {
    if (bytes > 0) {
      const members = Array.from({ length: count }, (_, n) => first + n);
      return [`at = ${first}; const b${first} = w.advance(${bytes});`, ...placed(plan, members)];
    }
    const i = first;
    const codec = codecs[i] as Codec<unknown>;
    const sizedBy = lengthVariable(names[i] as string);
    let statement = `${valueOf(plan, i)} f${i}(w, x${i});`;
    if (codec.schema.kind === 'padTo') statement = 'w.zeros((8 - ((w.pos - start) % 8)) % 8);';
    if (sizedBy >= 0) {
      const bits = (codecs[sizedBy] as Codec<unknown>).schema;
      const width = bits.kind === 'lengthOf' ? bits.bits : 16;
      statement = `const s${i} = w.pos; ${statement} w.view.setUint${width}(p${sizedBy}, w.pos - s${i});`;
    }
    return [`at = ${i}; ${statement}`];
  });
  const self = codecs.findIndex(({ schema }) => schema.kind === 'selfLength');
  const writeBody = `
    const start = w.pos, view = w.view;
    let at = 0;
    try {
      ${write.join('\n      ')}
      at = ${names.length};
      ${self >= 0 ? `writeSelfLength(w, p${self}, start, ${multipleOf(codecs[self])});` : ''}
      ${plan.align > 1 ? `{ const over = (w.pos - start) % ${plan.align}; if (over !== 0) w.zeros(${plan.align} - over); }` : ''}
    } catch (e) { throw failWrite(e, at_[at], at < ${names.length} ? v[names[at]] : undefined); }`;

  const calls = (method: 'read' | 'write'): string =>
    codecs.map((_, i) => `const f${i} = c[${i}].${method};`).join(' ');
  const environment = {
    c: codecs,
    names,
    at_: at,
    fault: plan.fault,
    readSelfLength,
    writeSelfLength,
    readSized,
    readAlign,
    failRead,
    failWrite,
    outOfRange,
  };
  const text = `"use strict";
    return {
      read: (() => { ${calls('read')} return (r) => {${readBody}}; })(),
      write: (() => { ${calls('write')} return (w, v) => {${writeBody}}; })(),
    };`;
  return generate(text, Object.keys(environment))(...Object.values(environment)) as {
    read: ReadFn;
    write: WriteFn;
  };
}
