#!/usr/bin/env node
/** `weft`: the shell around run.ts with the process's streams, signals and exit status. */
import { run } from './run.js';

const interrupted = new AbortController();
// The first Ctrl-C ends what is going on in order, a second one at once.
process.once('SIGINT', () => {
  interrupted.abort();
  setTimeout(() => process.exit(130), 200).unref();
});
// A reader that has seen enough, as `head` has, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

void run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: interrupted.signal,
  now: Date.now,
}).then((status) => {
  process.exitCode = status;
});
