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
