/** From words to an exit status: parses, runs the command's handler, writes what it says. Streams are given, so tests can look. */
import { CommanderError } from 'commander';
import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, readFileOf } from './client.js';
import type { Context, Options, Result } from './context.js';
import { CliError, EXIT, messageOf, usageError } from './errors.js';
import type { Outcome } from './errors.js';
import { buildProgram } from './program.js';
import { COLOURED, PLAIN } from './text.js';
import { fullName, handlerOf } from './tree.js';

export interface Surroundings {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** @param words after `weft`; @returns the exit status (errors.ts) */
export async function run(words: readonly string[], around: Surroundings): Promise<number> {
  const program = buildProgram();
  const complain = (line: string) => around.stderr.write(`weft: ${line}\n`);
  let outcome: Outcome = 'done';
  attach(program, program, around, complain, (ended) => (outcome = ended));
  try {
    // Nothing asked: what there is to ask.
    await program.parseAsync(words.length === 0 ? ['--help'] : [...words], { from: 'user' });
  } catch (error) {
    outcome = failed(error, around, complain);
  }
  return EXIT[outcome].status;
}

function failed(error: unknown, { signal, stderr }: Surroundings, complain: (line: string) => void): Outcome {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 'done';
    // A group without a subcommand prints its help, as commander does.
    if (error.code !== 'commander.help') complain(oneLine(error.message.replace(/^error: /, '')));
    return 'usage';
  }
  if (signal.aborted) return 'interrupted';
  if (error instanceof CliError) {
    complain(oneLine(error.message));
    return error.outcome;
  }
  stderr.write(
    `weft: a fault in weft itself: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}\n`,
  );
  return 'failed';
}

const oneLine = (text: string) => text.replace(/\s*\n\s*/g, ' ').trim();

function attach(
  command: Command,
  program: Command,
  around: Surroundings,
  complain: (line: string) => void,
  end: (outcome: Outcome) => void,
): void {
  command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => around.stdout.write(text),
      // For a group without a subcommand; errors come as exceptions.
      writeErr: (text) => around.stderr.write(text),
      outputError: () => undefined,
    })
    .showSuggestionAfterError(true);
  for (const each of command.commands) attach(each, program, around, complain, end);
  const load = handlerOf(command);
  if (!load) return;
  command.action(async () => {
    const options = command.optsWithGlobals<Options>();
    const context = contextOf(options, around, complain);
    const handler = (await load()) as (context: Context, ...args: unknown[]) => Promise<Result | void>;
    const operands = command.processedArgs as unknown[];
    const once = (): Promise<Result | void> => handler(context, ...operands, options);
    end(await repeat(once, context, command, around));
  });
}

function contextOf(options: Options, around: Surroundings, complain: (line: string) => void): Context {
  const { stdout, env, signal, now } = around;
  const isColoured =
    options.color === 'always' ||
    (options.color === 'auto' && stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb');
  const { api, tokenFile, caCert } = options;
  return {
    client: new Client({
      api,
      token: tokenFile === undefined ? undefined : readFileOf('the token file', tokenFile).trim(),
      ca: caCert === undefined ? undefined : readFileOf('the certificate', caCert),
    }),
    style: isColoured ? COLOURED : PLAIN,
    options,
    write: (text) => write(stdout, text),
    warn: complain,
    signal,
    now,
  };
}

/** Commands that a terminal shows again and again of themselves. */
const LIVE = new Set(['weft top']);
const CLEAR = '\u001b[H\u001b[2J\u001b[3J';

async function repeat(
  once: () => Promise<Result | void>,
  context: Context,
  command: Command,
  { stdout, now }: Surroundings,
): Promise<Outcome> {
  const { watch, json } = context.options;
  const isLive = watch === undefined && LIVE.has(fullName(command)) && stdout.isTTY === true && json !== true;
  if (watch === undefined && !isLive) return say(context, await once());
  const seconds = watch === undefined || watch === true ? 2 : Number(watch);
  if (!(seconds >= 0.1 && seconds <= 86_400))
    throw usageError(`--watch ${watch}: seconds are wanted, from 0.1 on`);
  for (let isFirst = true; !context.signal.aborted; isFirst = false) {
    const result = await once();
    const time = new Date(now()).toISOString().slice(11, 19);
    const head =
      stdout.isTTY === true
        ? `${CLEAR}${context.style.dim(`${fullName(command)}  ${time}`)}\n\n`
        : isFirst
          ? ''
          : '\n';
    if (json !== true) await context.write(head);
    say(context, result, true);
    await sleep(seconds * 1000, undefined, { signal: context.signal }).catch(() => undefined);
  }
  return 'interrupted';
}

function say(context: Context, result: Result | void, isCompact = false): Outcome {
  if (!result) return context.signal.aborted ? 'interrupted' : 'done';
  const { json, text, outcome = 'done' } = result;
  const isJson = context.options.json === true && json !== undefined;
  const said = isJson ? JSON.stringify(json, null, isCompact ? undefined : 2) : text;
  if (said !== '') void context.write(`${said}\n`);
  return outcome;
}

/** Resolves when the stream takes more. */
function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '' || stream.write(text)) return Promise.resolve();
  return new Promise((resolve) => stream.once('drain', () => resolve()));
}
