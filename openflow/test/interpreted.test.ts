/** Without code generation (`--disallow-code-generation-from-strings`) the codec does exactly the same. */

import { afterAll, expect, test, vi } from 'vitest';
import * as compiled from '../src/index.js';
import { bytesOf, vectors } from './helpers/vectors.js';

vi.stubGlobal(
  'Function',
  class {
    constructor() {
      throw new EvalError('Code generation from strings disallowed for this context');
    }
  },
);
vi.resetModules();
const interpreted = await import('../src/index.js');
vi.unstubAllGlobals();

afterAll(() => vi.resetModules());

/** The JSON form of what the bytes decode to and what that encodes to, or all of the error. */
function outcome(codec: typeof compiled, bytes: Uint8Array): unknown {
  try {
    const message = codec.decode(bytes);
    return { json: codec.toJson(message), bytes: codec.encode(message).toString('hex') };
  } catch (e) {
    if (!(e instanceof codec.OpenFlowDecodeError)) throw e;
    return { path: e.path, offset: e.offset, reason: e.reason, errorType: e.errorType, code: e.code };
  }
}

test('is another instance, not compiled', () => {
  expect(interpreted.FlowMod.read).not.toBe(compiled.FlowMod.read);
  expect(interpreted.FlowMod.read.toString()).not.toContain('f5(r)');
  expect(compiled.FlowMod.read.toString()).toContain('f5(r)');
});

const messages = vectors.filter((vector) => vector.as === 'message');
test.each(messages.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
  const bytes = bytesOf(vector);
  for (let n = Math.max(0, bytes.length - 200); n <= bytes.length; n++) {
    expect(outcome(interpreted, bytes.subarray(0, n))).toEqual(outcome(compiled, bytes.subarray(0, n)));
  }
});
