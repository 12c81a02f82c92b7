import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RECONNECT_IDLE, reconnectDeadline, stepReconnect } from './reconnect.js';
import type { ReconnectInput, ReconnectOutput, ReconnectState } from './reconnect.js';

const config = { minBackoffMs: 100, maxBackoffMs: 800, connectTimeoutMs: 1000 };
const step = (state: ReconnectState, kind: ReconnectInput['kind'], nowMs: number) =>
  stepReconnect(state, { kind }, nowMs, config);

const backoff: ReconnectState = { kind: 'backoff', untilMs: 500, backoffMs: 100, attempts: 1 };
const connecting: ReconnectState = { kind: 'connecting', untilMs: 1000, backoffMs: 100, attempts: 1 };
const active: ReconnectState = { kind: 'active', sinceMs: 0, backoffMs: 400 };

describe('reconnect', () => {
  it.each<[ReconnectState, ReconnectInput['kind'], number, ReconnectState['kind'], ReconnectOutput[]]>([
    [RECONNECT_IDLE, 'enable', 0, 'connecting', ['connect']],
    [RECONNECT_IDLE, 'disable', 0, 'idle', []],
    [RECONNECT_IDLE, 'connected', 0, 'idle', []],
    [RECONNECT_IDLE, 'failed', 0, 'idle', []],
    [RECONNECT_IDLE, 'disconnected', 0, 'idle', []],
    [RECONNECT_IDLE, 'deadline', 0, 'idle', []],
    [backoff, 'enable', 0, 'backoff', []],
    [backoff, 'disable', 0, 'idle', []],
    [backoff, 'connected', 0, 'backoff', []],
    [backoff, 'failed', 0, 'backoff', []],
    [backoff, 'disconnected', 0, 'backoff', []],
    [backoff, 'deadline', 499, 'backoff', []],
    [backoff, 'deadline', 500, 'connecting', ['connect']],
    [connecting, 'enable', 0, 'connecting', []],
    [connecting, 'disable', 0, 'idle', ['abort']],
    [connecting, 'connected', 0, 'active', []],
    [connecting, 'failed', 0, 'backoff', []],
    [connecting, 'disconnected', 0, 'backoff', []],
    [connecting, 'deadline', 999, 'connecting', []],
    [connecting, 'deadline', 1000, 'backoff', ['abort']],
    [active, 'enable', 0, 'active', []],
    [active, 'disable', 0, 'idle', ['abort']],
    [active, 'connected', 0, 'active', []],
    [active, 'failed', 10, 'backoff', []],
    [active, 'disconnected', 10, 'backoff', []],
    [active, 'deadline', 10, 'active', []],
  ])('%j, %s at %i: %s', (state, input, nowMs, kind, outputs) => {
    const next = step(state, input, nowMs);
    expect(next.state.kind).toBe(kind);
    expect(next.outputs).toEqual(outputs);
  });

  it('doubles its pauses up to the maximum', () => {
    let { state } = step(RECONNECT_IDLE, 'enable', 0);
    const pauses: number[] = [];
    for (let nowMs = 0, i = 0; i < 6; i++) {
      ({ state } = step(state, 'failed', nowMs));
      const untilMs = reconnectDeadline(state) ?? 0;
      pauses.push(untilMs - nowMs);
      nowMs = untilMs;
      ({ state } = step(state, 'deadline', nowMs));
    }
    expect(pauses).toEqual([100, 200, 400, 800, 800, 800]);
  });

  it('starts over after a connection that lasted, goes on after one that did not', () => {
    expect(step(active, 'disconnected', 400).state).toMatchObject({ backoffMs: 100 });
    expect(step(active, 'disconnected', 399).state).toMatchObject({ backoffMs: 800 });
  });

  it('always has a way on: whatever happens, an enabled machine waits for a deadline or is active', () => {
    const kinds = fc.constantFrom('enable', 'connected', 'failed', 'disconnected', 'deadline' as const);
    fc.assert(
      fc.property(fc.array(fc.tuple(kinds, fc.integer({ min: 0, max: 3000 }))), (inputs) => {
        let { state } = step(RECONNECT_IDLE, 'enable', 0);
        let nowMs = 0;
        let isOpen = true;
        for (const [kind, afterMs] of inputs) {
          nowMs += afterMs;
          const next = step(state, kind, nowMs);
          // Never two attempts at once.
          for (const output of next.outputs) {
            if (output === 'connect') expect(isOpen).toBe(false);
            isOpen = output === 'connect';
          }
          if (next.state.kind === 'backoff') isOpen = false;
          state = next.state;
          const deadlineMs = reconnectDeadline(state);
          if (state.kind !== 'active') expect(deadlineMs).toBeDefined();
          if (state.kind === 'backoff') expect(state.backoffMs).toBeLessThanOrEqual(config.maxBackoffMs);
        }
      }),
    );
  });
});
