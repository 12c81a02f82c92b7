/**
 * Keeps a child process alive: restarts it when it dies, until told to stop. Nearly at once, since traffic may depend on
 * it; ever later, if it keeps dying as soon as it is there.
 */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';

const firstDelayMs = 50;
const lastDelayMs = 5_000;
/** A first run that ends sooner with an error status has failed to start. */
const startMs = 10_000;
/**
 * A daemon that has run for so long was in order. Well below the time between two deaths of one that is killed again and
 * again: a partner in LACP with the short timeout must not notice the last of them either.
 */
const goodRunMs = 2_000;
/** The exit status of a daemon that was asked to end by `ovs-appctl exit`: it is not started again. */
const exitForGood = 3;
/**
 * Daemons go before other load: they use little time, and a partner in LACP gives up on who is silent for three seconds.
 */
const nice = -10;

/**
 * How long to wait before a daemon is started again, and before the next start if it ends as soon again.
 * @param {number} ranMs how long it ran
 * @param {number} delayMs what the start before has left to wait
 */
export function restartDelays(ranMs, delayMs) {
  const nowMs = ranMs > goodRunMs ? firstDelayMs : delayMs;
  return { nowMs, nextMs: Math.min(nowMs * 2, lastDelayMs) };
}

export class Supervisor {
  /** @type {import('node:child_process').ChildProcess | null} */
  #child = null;
  #delayMs = firstDelayMs;
  #stopping = false;
  /** @type {NodeJS.Timeout | null} */
  #timer = null;

  /**
   * @param {string} name for the log
   * @param {string} command
   * @param {string[]} args
   * @param {(line: string) => void} log
   */
  constructor(name, command, args, log) {
    this.name = name;
    this.command = command;
    this.args = args;
    this.log = log;
  }

  /**
   * Starts the child and keeps it running.
   * @returns {Promise<number>} resolves only if the first run ends soon with an error status of its own: the child
   *   has then said why, and a restart would only repeat it; or with 0 once the child was asked to end for good
   */
  start() {
    return new Promise((resolve) => {
      this.#ended = () => resolve(0);
      this.#run(resolve);
    });
  }

  #ended = () => {};

  /** @param {((status: number) => void) | null} failed null after the first run */
  #run(failed) {
    const startedAtMs = Date.now();
    // A session of its own, so that Ctrl-C reaches the supervisor only, which stops the children in order.
    const child = spawn(this.command, this.args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    this.#child = child;
    try {
      if (child.pid !== undefined) setPriority(child.pid, nice);
    } catch {
      // Without the right to it they take their turn like others.
    }
    child.once('error', (error) => {
      this.#child = null;
      this.log(`${this.name} cannot be started: ${error.message}`);
      if (failed) failed(1);
      else if (!this.#stopping) this.#restartLater(0);
    });
    child.once('exit', (code, signal) => {
      this.#child = null;
      if (this.#stopping) return;
      if (code === exitForGood) {
        this.log(`${this.name} was asked to end`);
        return this.#ended();
      }
      const ranMs = Date.now() - startedAtMs;
      if (failed && code && ranMs < startMs) return failed(code);
      const delayMs = this.#restartLater(ranMs);
      this.log(`${this.name} ended (${signal ?? `exit status ${code}`}), restarting in ${delayMs} ms`);
    });
  }

  /**
   * @param {number} ranMs
   * @returns {number} milliseconds until then
   */
  #restartLater(ranMs) {
    const { nowMs, nextMs } = restartDelays(ranMs, this.#delayMs);
    this.#timer = setTimeout(() => this.#run(null), nowMs);
    this.#delayMs = nextMs;
    return nowMs;
  }

  /** Asks the child to stop, insists after five seconds, resolves when it is gone. */
  async stop() {
    this.#stopping = true;
    if (this.#timer) clearTimeout(this.#timer);
    const child = this.#child;
    if (!child) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const insist = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(insist);
  }
}
