/** How `weft` ends, and the errors that make it end so. */

/** Exit statuses; docs/cli-reference.md lists them from here. */
export const EXIT = {
  done: { status: 0, meaning: 'Done; for `doctor`: nothing is wrong.' },
  failed: {
    status: 1,
    meaning:
      'Refused or failed: weftd said no, a file cannot be read, `doctor` or `config diff` found something.',
  },
  usage: { status: 2, meaning: 'The command line is not right; nothing was asked or changed.' },
  unreachable: { status: 3, meaning: 'weftd cannot be reached, or it does not accept the token.' },
  pending: {
    status: 4,
    meaning: 'Stored, but the switch does not forward so yet; why is said on standard error.',
  },
  interrupted: { status: 130, meaning: 'Interrupted by Ctrl-C.' },
} as const;

export type Outcome = keyof typeof EXIT;

/** What ends a command; the message is one line for the user. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly outcome: Exclude<Outcome, 'done'>,
    message: string,
  ) {
    super(message);
  }
}

export const usageError = (message: string) => new CliError('usage', message);
export const failure = (message: string) => new CliError('failed', message);

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
