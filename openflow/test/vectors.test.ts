/** Both ways against the golden vectors: what hand-written bytes mean, and that they come out again. */

import { describe, expect, test } from 'vitest';
import {
  decode,
  decodeAs,
  encodeAs,
  OpenFlowDecodeError,
  sizeOf,
  toJson,
  type MessageInput,
} from '../src/index.js';
import { messageCases } from '../src/messages/message.js';
import { bytesOf, codecOf, vectors, type Vector } from './helpers/vectors.js';

const decodeVector = (vector: Vector, bytes: Uint8Array): unknown =>
  vector.as === 'message' ? decode(bytes) : decodeAs(codecOf(vector), bytes);

const sound = vectors.filter(({ error }) => error === undefined);

test('names are unique', () => {
  expect(new Set(vectors.map(({ name }) => name)).size).toBe(vectors.length);
});

test('every message type has a vector', () => {
  const seen = new Set(sound.map(({ json }) => (json as { readonly type?: string }).type));
  expect(messageCases.map(([, { tag }]) => tag).filter((tag) => !seen.has(tag))).toEqual([]);
});

describe.each(sound.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
  const bytes = bytesOf(vector);
  const codec = codecOf(vector);

  test('decodes', () => {
    expect(toJson(decodeVector(vector, bytes))).toEqual(vector.json);
  });

  test.skipIf(vector.decodeOnly === true)('encodes', () => {
    expect(encodeAs(codec, codec.fromJson(vector.json)).toString('hex')).toBe(bytes.toString('hex'));
    // Key order of JSON is wire order of matches.
    expect(JSON.stringify(toJson(decodeVector(vector, bytes)))).toBe(
      JSON.stringify(toJson(decodeVector(vector, encodeAs(codec, codec.fromJson(vector.json))))),
    );
    if (vector.as === 'message')
      expect(sizeOf(codec.fromJson(vector.json) as MessageInput)).toBe(bytes.length);
  });

  test('is refused at every strict prefix', () => {
    for (let n = 0; n < bytes.length; n++) {
      expect(() => decodeVector(vector, bytes.subarray(0, n)), `${n} bytes`).toThrow(OpenFlowDecodeError);
    }
  });
});

const malformed = vectors.filter(({ error }) => error !== undefined);
describe.each(malformed.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
  test('is refused with the right error', () => {
    const bytes = bytesOf(vector);
    let thrown: unknown;
    try {
      decodeVector(vector, bytes);
    } catch (e) {
      thrown = e;
    }
    expect(thrown).toBeInstanceOf(OpenFlowDecodeError);
    const { errorType, code, path, offset, answer } = thrown as OpenFlowDecodeError;
    expect({ errorType, code, path, offset }).toEqual({ path, offset, ...vector.error });
    if (vector.as !== 'message') return;
    expect(answer).toMatchObject({ type: 'ERROR', xid: 1, errorType, code });
    expect([...answer.data]).toEqual([...bytes.subarray(0, 64)]);
  });
});
