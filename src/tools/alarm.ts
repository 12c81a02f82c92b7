/** `--timeout`, and lines of the log. */
import { Fatal } from './fatal.js';
import { processIo } from './io.js';
import type { Io } from './io.js';

let count = 0;

/** A line as Open vSwitch's programs write to their log, on stderr. */
export function logLine(io: Io, module: string, level: 'WARN' | 'INFO' | 'ERR', message: string): void {
  const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  count++;
  io.err(`${time}|${String(count).padStart(5, '0')}|${module}|${level}|${message}\n`);
}

/**
 * Ends the program by SIGALRM after so many seconds, as Open vSwitch's programs end. Gives what calls that off.
 * @throws Fatal
 */
export function armTimeout(seconds: string | null | undefined): () => void {
  if (seconds === undefined || seconds === null) return () => undefined;
  const value = Number(seconds);
  if (!/^\d+$/.test(seconds) || value > 0x7fffffff) {
    throw new Fatal(`value ${seconds} on -t or --timeout is invalid`);
  }
  if (value === 0) return () => undefined;
  const expire = () => {
    logLine(processIo, 'fatal_signal', 'WARN', 'terminating with signal 14 (Alarm clock)');
    process.kill(process.pid, 'SIGALRM');
  };
  // Longer than a timer can be is as good as for ever.
  const timer = setTimeout(expire, Math.min(value * 1000, 0x7fffffff)).unref();
  return () => clearTimeout(timer);
}
