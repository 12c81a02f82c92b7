import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Framer } from './framing.js';

function message(length: number, fill = 0): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill);
  bytes.set([4, 2, length >> 8, length & 0xff]);
  return bytes;
}

function drain(framer: Framer): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let next = framer.next(); next !== undefined; next = framer.next()) out.push(next);
  return out;
}

describe('Framer', () => {
  it('finds the same messages wherever the stream is split', () => {
    const messages = [message(8), message(9, 7), message(40, 1), message(8)];
    const stream = Buffer.concat(messages);
    for (let i = 0; i <= stream.length; i++) {
      for (let j = i; j <= stream.length; j += 5) {
        const framer = new Framer();
        const out: Uint8Array[] = [];
        for (const part of [stream.subarray(0, i), stream.subarray(i, j), stream.subarray(j)]) {
          framer.push(part);
          out.push(...drain(framer));
        }
        expect(out.map((m) => Buffer.from(m).toString('hex'))).toEqual(
          messages.map((m) => Buffer.from(m).toString('hex')),
        );
        expect(framer.bufferedBytes).toBe(0);
      }
    }
  });

  it('takes any stream in any chunks', () => {
    const lengths = fc.array(fc.integer({ min: 8, max: 300 }), { maxLength: 20 });
    fc.assert(
      fc.property(lengths, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (sizes, cuts) => {
        const stream = Buffer.concat(sizes.map((size, i) => message(size, i)));
        const framer = new Framer();
        const out: Uint8Array[] = [];
        for (let at = 0, k = 0; at < stream.length; k++) {
          const cut = cuts[k % cuts.length] ?? 1;
          framer.push(stream.subarray(at, at + cut));
          // Not after every chunk, so that chunks pile up.
          if (k % 3 === 0) out.push(...drain(framer));
          at += cut;
        }
        out.push(...drain(framer));
        expect(Buffer.concat(out).equals(stream)).toBe(true);
        expect(out.map((m) => m.length)).toEqual(sizes);
      }),
    );
  });

  it('gives messages that lie in one chunk without copying', () => {
    const chunk = Buffer.concat([message(16), message(24)]);
    const framer = new Framer();
    framer.push(chunk);
    expect(drain(framer).every((m) => m.buffer === chunk.buffer)).toBe(true);
  });

  it.each([0, 1, 7])('stops at a length of %i', (length) => {
    const framer = new Framer();
    framer.push(Buffer.concat([message(8), Uint8Array.of(4, 0, 0, length, 0, 0, 0, 9), message(8)]));
    expect(drain(framer)).toHaveLength(1);
    expect(framer.error?.code).toBe('length-below-header');
    framer.push(message(8));
    expect(framer.next()).toBeUndefined();
  });

  it('stops at a length above the cap, before the message has arrived', () => {
    const framer = new Framer({ maxMessageBytes: 64 });
    framer.push(message(64));
    expect(framer.next()).toHaveLength(64);
    framer.push(message(65).subarray(0, 8));
    expect(framer.next()).toBeUndefined();
    expect(framer.error).toMatchObject({ code: 'length-above-cap', length: 65 });
  });
});
