/**
 * Liveness by echo (OF 1.3.5 §6.3.2, §7.5.2): after `intervalMs` without any message one ECHO_REQUEST goes out; if
 * nothing at all comes within `timeoutMs` of it, the peer counts as gone.
 */
export class Keepalive {
  #lastReceivedMs: number;
  /** When the unanswered echo request counts as lost; Infinity when none is out. */
  #lostMs = Infinity;

  /** @param intervalMs 0: never ask */
  constructor(
    private readonly intervalMs: number,
    private readonly timeoutMs: number,
    nowMs: number,
  ) {
    this.#lastReceivedMs = nowMs;
  }

  /** Any message is a sign of life. */
  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs;
    this.#lostMs = Infinity;
  }

  /** When {@link check} has something to say; Infinity: never. */
  get deadlineMs(): number {
    if (this.intervalMs === 0) return Infinity;
    return this.#lostMs === Infinity ? this.#lastReceivedMs + this.intervalMs : this.#lostMs;
  }

  silenceMs(nowMs: number): number {
    return nowMs - this.#lastReceivedMs;
  }

  /** `ask`: send an echo request now; `gone`: end the session. */
  check(nowMs: number): 'well' | 'ask' | 'gone' {
    if (nowMs < this.deadlineMs) return 'well';
    if (this.#lostMs !== Infinity) return 'gone';
    this.#lostMs = nowMs + this.timeoutMs;
    return 'ask';
  }
}
