/**
 * When to try a connection again: a machine without clock or socket. The shell tells it what happened and
 * `now`; it says when to connect and how long to give the attempt.
 *
 * ```
 *   idle ──enable──▶ backoff ──deadline──▶ connecting ──connected──▶ active
 *    ▲                  ▲                      │ failed, deadline       │
 *    └──disable (any)   └──────────────────────┴──────disconnected──────┘
 * ```
 *
 * The pause doubles from `minBackoffMs` to `maxBackoffMs` with every failure. A connection that stayed up at
 * least as long as the pause before it counts as good and starts the pauses over; one that is accepted and
 * dropped at once does not, so a peer that refuses us after the handshake is not hammered.
 */

export interface ReconnectConfig {
  /** First pause after a failure. */
  minBackoffMs: number;
  maxBackoffMs: number;
  /** An attempt that has neither succeeded nor failed by then is given up. */
  connectTimeoutMs: number;
}

export const DEFAULT_RECONNECT: ReconnectConfig = {
  minBackoffMs: 1000,
  maxBackoffMs: 8000,
  connectTimeoutMs: 10_000,
};

export type ReconnectState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'backoff';
      readonly untilMs: number;
      readonly backoffMs: number;
      readonly attempts: number;
    }
  | {
      readonly kind: 'connecting';
      readonly untilMs: number;
      readonly backoffMs: number;
      readonly attempts: number;
    }
  | { readonly kind: 'active'; readonly sinceMs: number; readonly backoffMs: number };

export type ReconnectInput =
  | { readonly kind: 'enable' }
  | { readonly kind: 'disable' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'deadline' };

/** `connect`: start an attempt. `abort`: drop the attempt or the connection there is. */
export type ReconnectOutput = 'connect' | 'abort';

export interface ReconnectStep {
  readonly state: ReconnectState;
  readonly outputs: readonly ReconnectOutput[];
}

export const RECONNECT_IDLE: ReconnectState = { kind: 'idle' };

/** When the shell must give the machine a `deadline`, or undefined when only events move it. */
export function reconnectDeadline(state: ReconnectState): number | undefined {
  return state.kind === 'backoff' || state.kind === 'connecting' ? state.untilMs : undefined;
}

/** One transition. Inputs that mean nothing in a state leave it as it is. */
export function stepReconnect(
  state: ReconnectState,
  input: ReconnectInput,
  nowMs: number,
  config: ReconnectConfig = DEFAULT_RECONNECT,
): ReconnectStep {
  const stay: ReconnectStep = { state, outputs: [] };

  if (input.kind === 'disable') {
    const live = state.kind === 'connecting' || state.kind === 'active';
    return { state: RECONNECT_IDLE, outputs: live ? ['abort'] : [] };
  }

  switch (state.kind) {
    case 'idle':
      return input.kind === 'enable' ? connect(0, 0, nowMs, config) : stay;

    case 'backoff':
      return input.kind === 'deadline' && nowMs >= state.untilMs
        ? connect(state.backoffMs, state.attempts, nowMs, config)
        : stay;

    case 'connecting':
      switch (input.kind) {
        case 'connected':
          return { state: { kind: 'active', sinceMs: nowMs, backoffMs: state.backoffMs }, outputs: [] };
        case 'failed':
        case 'disconnected':
          return pause(state.backoffMs, state.attempts, nowMs, config);
        case 'deadline': {
          if (nowMs < state.untilMs) return stay;
          const next = pause(state.backoffMs, state.attempts, nowMs, config);
          return { state: next.state, outputs: ['abort'] };
        }
        case 'enable':
          return stay;
      }
      break;

    case 'active': {
      if (input.kind !== 'disconnected' && input.kind !== 'failed') return stay;
      const wasGood = nowMs - state.sinceMs >= Math.max(state.backoffMs, config.minBackoffMs);
      return pause(wasGood ? 0 : state.backoffMs, 0, nowMs, config);
    }
  }
  return stay;
}

function connect(backoffMs: number, attempts: number, nowMs: number, config: ReconnectConfig): ReconnectStep {
  const untilMs = nowMs + config.connectTimeoutMs;
  return { state: { kind: 'connecting', untilMs, backoffMs, attempts: attempts + 1 }, outputs: ['connect'] };
}

function pause(backoffMs: number, attempts: number, nowMs: number, config: ReconnectConfig): ReconnectStep {
  const next =
    backoffMs === 0
      ? config.minBackoffMs
      : Math.min(Math.max(backoffMs * 2, config.minBackoffMs), config.maxBackoffMs);
  return { state: { kind: 'backoff', untilMs: nowMs + next, backoffMs: next, attempts }, outputs: [] };
}
