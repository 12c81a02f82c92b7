/**
 * Small helpers shared by the launch scripts. They run before `npm install` has, so they use Node alone.
 */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The project's top folder, with a trailing slash. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** The release build of the datapath. */
export const datapathBinary = `${root}datapath/target/release/weft-datapath`;

/** A failure that is explained in one line; anything else is a bug and shows its stack. */
export class PlainError extends Error {}

/**
 * Fails unless root runs this.
 * @param {string} why what it is needed for, after "root is needed"
 */
export function requireRoot(why) {
  if (process.getuid?.() !== 0) throw new PlainError(`root is needed${why}`);
}

/**
 * Runs a script's main function; a {@link PlainError} becomes one line on stderr and exit status 1.
 * @param {() => Promise<number | void>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof PlainError)) throw error;
    process.stderr.write(`weft: ${error.message}\n`);
    process.exitCode = 1;
  }
}

/**
 * The standard output of a command, or null where it is missing or fails.
 * @param {string} command
 * @param {string[]} args
 */
export function readCommand(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return result.status === 0 ? result.stdout : null;
}

/**
 * Runs a command with its output on ours. A signal that would end us ends the command first, so that nothing goes on
 * behind our back, and callers can put right what they have begun.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>} the exit status; 128 + n for death by signal n
 */
export async function runCommand(command, args, options = {}) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
  let isInterrupted = false;
  const interrupt = (/** @type {NodeJS.Signals} */ signal) => {
    isInterrupted = true;
    child.kill(signal);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    /** @type {[number | null, NodeJS.Signals | null]} */
    const [code, signal] = await new Promise((resolve, reject) => {
      child.once('error', (error) => reject(new PlainError(`cannot run ${command}: ${error.message}`)));
      child.once('close', (...ended) => resolve(ended));
    });
    if (isInterrupted) throw new PlainError('interrupted');
    return code ?? 128 + (constants.signals[signal ?? 'SIGTERM'] ?? 0);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

/**
 * Like {@link runCommand}, but a failure is an error.
 * @param {string} what said in the error
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 */
export async function mustRun(what, command, args, options) {
  const status = await runCommand(command, args, options);
  if (status !== 0)
    throw new PlainError(`${what} failed (${command} ${args.join(' ')}: exit status ${status})`);
}
