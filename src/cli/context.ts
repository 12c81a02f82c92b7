/** What every command is given, and what it gives back. */
import type { Client } from './client.js';
import type { Outcome } from './errors.js';
import type { Style } from './text.js';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly api: string;
  readonly tokenFile?: string;
  readonly caCert?: string;
  readonly json?: boolean;
  readonly color: 'auto' | 'always' | 'never';
  readonly watch?: true | string;
}

export type Options = GlobalOptions & Readonly<Record<string, unknown>>;

export interface Context {
  readonly client: Client;
  readonly style: Style;
  readonly options: Options;
  /** Writes to standard output at once, for what has no end; resolves when more may come. */
  write(text: string): Promise<void>;
  /** A line on standard error that does not end the command. */
  warn(line: string): void;
  /** Ends what runs for ever. */
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** What a command says: to programs (`--json`) and to people. */
export interface Result {
  readonly json?: unknown;
  /** Without a final line feed; empty: nothing is printed. */
  readonly text: string;
  readonly outcome?: Outcome;
}

export type Handler = (context: Context, ...args: never[]) => Promise<Result | void>;

/** A result for a change: a line for people, and a warning where the switch does not forward so yet. */
export function changed(context: Context, status: number, body: unknown, text: string): Result {
  const pending =
    typeof body === 'object' && body !== null ? (body as { pending?: unknown }).pending : undefined;
  if (typeof pending !== 'string') return { json: body ?? {}, text };
  context.warn(`stored, but the switch does not forward so yet: ${pending}`);
  return { json: body, text, outcome: 'pending' };
}
