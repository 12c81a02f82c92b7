/** The form of a struct for hosts that forbid generating code: the same as the generated one, field by field in a loop. */

import type { Defaulted } from './codec.js';
import {
  failRead,
  failWrite,
  readAlign,
  readSelfLength,
  readSized,
  shown,
  writeSelfLength,
  type Plan,
  type ReadFn,
  type Value,
  type WriteFn,
} from './struct-plan.js';

/** The reading and the writing function of a struct. */
export function interpret(plan: Plan): { read: ReadFn; write: WriteFn } {
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
        const field = names[i] ?? '';
        name = field;
        const from = w.pos;
        if (codec.schema.kind === 'selfLength') self = [from, codec.schema.multiple];
        if (codec.schema.kind === 'lengthOf') places.set(codec.schema.field, [from, codec.schema.bits]);
        const given = field.startsWith('_') ? undefined : v[field];
        if (codec.schema.kind === 'padTo') w.zeros((8 - ((w.pos - start) % 8)) % 8);
        else
          codec.write(
            w,
            given === undefined && 'fallback' in codec ? (codec as Defaulted<unknown>).fallback : given,
          );
        const place = places.get(field);
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
