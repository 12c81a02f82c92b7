/** Errors of the database, tagged with the words of RFC 7047 (§3.1, §4.1.3, §5.2). */

export type ErrorTag =
  | 'aborted'
  | 'constraint violation'
  | 'domain error'
  | 'duplicate uuid'
  | 'duplicate uuid-name'
  | 'I/O error'
  | 'not allowed'
  | 'not owner'
  | 'not supported'
  | 'ovsdb error'
  | 'range error'
  | 'referential integrity violation'
  | 'resources exhausted'
  | 'syntax error'
  | 'timed out'
  | 'unknown column'
  | 'unknown database'
  | 'unknown function'
  | 'unknown mutator';

/** What an `<error>` object says: `{"error": tag, "details": …}`. */
export class OvsdbError extends Error {
  override readonly name = 'OvsdbError';

  constructor(
    readonly tag: ErrorTag,
    readonly details: string,
  ) {
    super(`${tag}: ${details}`);
  }

  toJSON(): { error: ErrorTag; details: string } {
    return { error: this.tag, details: this.details };
  }
}

export function syntaxError(details: string): OvsdbError {
  return new OvsdbError('syntax error', details);
}

export function constraintViolation(details: string): OvsdbError {
  return new OvsdbError('constraint violation', details);
}
