/**
 * Mutated messages: decoding throws OpenFlowDecodeError or gives a value that encodes and decodes to itself.
 *
 * Bounded by FUZZ_RUNS (default 20000), seeded by FUZZ_SEED. Every input that ever failed is kept in `corpus/`, one
 * file of hex each, named after what it broke; those run first and are mutated too.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decode, encode, OpenFlowDecodeError, toJson } from '../src/index.js';
import { bytesOf, vectors } from './helpers/vectors.js';

const folder = new URL('./corpus/', import.meta.url);
const corpus = readdirSync(folder)
  .filter((file) => file.endsWith('.hex'))
  .map(
    (file) =>
      [file, Buffer.from(readFileSync(new URL(file, folder), 'utf8').replace(/\s+/g, ''), 'hex')] as const,
  );

/** Throws, with the bytes, when they break a rule of the decoder. */
function check(bytes: Uint8Array): void {
  let stage = 'decode';
  try {
    let message;
    try {
      message = decode(bytes);
    } catch (e) {
      if (!(e instanceof OpenFlowDecodeError)) throw e;
      stage = 'error';
      if (e.offset < 0 || e.offset > bytes.length) throw new Error(`offset ${e.offset}`);
      if (e.answer.data.length !== Math.min(64, bytes.length)) throw new Error('answer without the message');
      decode(encode(e.answer));
      return;
    }
    stage = 'encode';
    const again = decode(encode(message));
    if (JSON.stringify(toJson(again)) !== JSON.stringify(toJson(message)))
      throw new Error('not the same again');
  } catch (e) {
    throw new Error(
      `${stage}: ${String(e)}; keep as corpus/<name>.hex: ${Buffer.from(bytes).toString('hex')}`,
      { cause: e },
    );
  }
}

/** xorshift32: the same inputs for the same seed. */
function randomizer(seed: number): (below: number) => number {
  let x = seed >>> 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const interesting = [0, 1, 4, 7, 8, 16, 0x7f, 0x80, 0xfe, 0xff];

function mutate(seed: Uint8Array, other: Uint8Array, random: (below: number) => number): Buffer {
  let bytes = Buffer.from(seed);
  for (let n = 1 + random(4); n > 0; n--) {
    const at = random(bytes.length);
    switch (random(6)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes[at] = interesting[random(interesting.length)] ?? 0;
        break;
      case 2:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        break;
      case 3: // Take bytes out.
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random(16))]);
        break;
      case 4: // Put bytes of another message in.
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(random(other.length)),
          bytes.subarray(at),
        ]);
        break;
      default: // Double a stretch.
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(at + 1))]);
    }
    if (bytes.length < 8) return Buffer.from(seed.subarray(0, 8));
  }
  // Mostly with the right length, or nothing behind the header would be reached.
  if (random(8) !== 0 && bytes.length <= 0xffff) bytes.writeUInt16BE(bytes.length, 2);
  return bytes;
}

test.each(corpus)('%s', (_, bytes) => {
  check(bytes);
});

const seed = Number(process.env['FUZZ_SEED'] ?? 1);
const runs = Number(process.env['FUZZ_RUNS'] ?? 20_000);

test(`mutations, seed ${seed}, ${runs} runs`, { timeout: 600_000 }, () => {
  const random = randomizer(seed);
  const seeds = [
    ...vectors.filter(({ as }) => as === 'message').map(bytesOf),
    ...corpus.map(([, bytes]) => bytes),
  ];
  let decoded = 0;
  for (let i = 0; i < runs; i++) {
    const from = seeds[random(seeds.length)] as Buffer;
    const bytes = mutate(from, seeds[random(seeds.length)] as Buffer, random);
    check(bytes);
    try {
      decode(bytes);
      decoded++;
    } catch {
      // Refused, which `check` has looked at.
    }
  }
  // Were hardly any accepted, the mutations would only test the header.
  expect(decoded).toBeGreaterThan(runs / 20);
});

test('actions nested 4000 deep are refused, not the end of the stack', () => {
  const levels = 4000;
  const body = Buffer.alloc(24 + levels * 16);
  body.set([4, 13], 0);
  body.writeUInt16BE(body.length, 2);
  body.writeUInt16BE(levels * 16, 16);
  for (let i = 0; i < levels; i++) {
    const at = 24 + i * 16;
    body.writeUInt16BE(0xffff, at);
    body.writeUInt16BE((levels - i) * 16, at + 2);
    body.writeUInt32BE(0x2320, at + 4);
    body.writeUInt16BE(42, at + 8);
  }
  check(body);
  expect(() => decode(body)).toThrow(/nested too deeply/);
});
